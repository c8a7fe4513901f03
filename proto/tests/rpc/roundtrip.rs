//! Every message: struct to wire to struct; and any text at all.

use ivt_proto::rpc::message::*;
use ivt_proto::rpc::{Peer, RpcError};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value, json};

use crate::origin;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9:/._-]{1,30}", "\\PC{0,20}", ".{0,10}"]
}

fn some_text() -> impl Strategy<Value = String> {
    text().prop_filter("empty means absent", |text| !text.is_empty())
}

fn quality() -> impl Strategy<Value = Quality> {
    select(vec![Quality::Ld, Quality::Sd, Quality::Hd, Quality::Fhd])
}

fn percent() -> impl Strategy<Value = Percent> {
    (0..=100_i64).prop_map(Percent::clamp)
}

fn seconds() -> impl Strategy<Value = DaySeconds> {
    (0..=86_400_u64).prop_map(|seconds| DaySeconds::try_from(seconds).unwrap())
}

fn channel_status() -> impl Strategy<Value = ChannelStatus> {
    let state = select(vec![ChannelState::Offline, ChannelState::Online, ChannelState::Live]);
    (any::<u32>(), state, of(some_text()), of(some_text()), of(1..=u32::MAX)).prop_map(
        |(channel, state, stream_id, record_session, alarm)| ChannelStatus {
            channel,
            state,
            stream_id,
            record_session,
            alarm,
        },
    )
}

fn keepalive() -> impl Strategy<Value = Keepalive> {
    let state = select(vec![DeviceState::Online, DeviceState::Upgrading, DeviceState::Abnormal]);
    (state, prop::collection::vec(channel_status(), 0..5))
        .prop_map(|(state, channels)| Keepalive { state, channels })
}

fn alarm_notify() -> impl Strategy<Value = AlarmNotify> {
    let kind = select(vec![AlarmKind::External, AlarmKind::Motion, AlarmKind::Tripwire]);
    let state = select(vec![AlarmEdge::Start, AlarmEdge::End]);
    (any::<u32>(), kind, state, text()).prop_map(|(channel, kind, state, desc)| AlarmNotify {
        channel,
        kind,
        state,
        desc,
    })
}

fn publish() -> impl Strategy<Value = RtmpPublish> {
    (any::<u32>(), quality(), text(), text(), any::<u64>()).prop_map(
        |(channel, quality, url, stream_id, max_bitrate)| RtmpPublish {
            channel,
            quality,
            url: url.into(),
            stream_id,
            max_bitrate,
        },
    )
}

fn record() -> impl Strategy<Value = StartCloudRecord> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>());
    (text(), any::<u32>(), quality(), numbers, any::<i64>(), text()).prop_map(
        |(session_id, channel, quality, numbers, start_ts, cbk_url)| StartCloudRecord {
            session_id,
            channel,
            quality,
            max_bitrate: numbers.0,
            seg_duration: numbers.1,
            seg_max_size: numbers.2,
            seg_max_count: numbers.3,
            prerecord_seconds: numbers.4,
            start_ts,
            cbk_url: cbk_url.into(),
        },
    )
}

fn motion() -> impl Strategy<Value = AlarmMoveDetectConfig> {
    (any::<u32>(), any::<bool>(), seconds(), seconds(), percent(), any::<u32>()).prop_map(
        |(channel, enable, start, end, sensitivity, delay)| AlarmMoveDetectConfig {
            channel,
            enable,
            start,
            end,
            sensitivity,
            delay,
        },
    )
}

fn tripwire() -> impl Strategy<Value = AlarmRectIntrusionDetectConfig> {
    let rect =
        prop::array::uniform8(percent()).prop_map(|[ulx, uly, urx, ury, dlx, dly, drx, dry]| {
            Rect { ulx, uly, urx, ury, dlx, dly, drx, dry }
        });
    (motion(), of(rect)).prop_map(|(motion, rect)| AlarmRectIntrusionDetectConfig {
        channel: motion.channel,
        enable: motion.enable,
        start: motion.start,
        end: motion.end,
        sensitivity: motion.sensitivity,
        delay: motion.delay,
        rect,
    })
}

fn publish_configs() -> impl Strategy<Value = Vec<RtmpPublishConfig>> {
    let config = (any::<bool>(), any::<u32>(), quality(), text()).prop_map(
        |(enable, channel, quality, url)| RtmpPublishConfig {
            enable,
            channel,
            quality,
            url: url.into(),
        },
    );
    prop::collection::vec(config, 0..4)
}

fn call() -> impl Strategy<Value = Call> {
    let channel = any::<u32>;
    let secret = || of(text().prop_map(Secret::new));
    prop_oneof![
        Just(Call::PreviewServer),
        Just(Call::GetFirmware),
        Just(Call::GetRtmpPublishConfig),
        keepalive().prop_map(Call::from),
        alarm_notify().prop_map(Call::from),
        publish().prop_map(Call::from),
        (text(), channel())
            .prop_map(|(id, channel)| RtmpStopPublish { stream_id: id, channel }.into()),
        record().prop_map(Call::from),
        (text(), channel())
            .prop_map(|(id, channel)| StopCloudRecord { session_id: id, channel }.into()),
        channel().prop_map(|channel| RebootChannel { channel }.into()),
        channel().prop_map(|channel| GetPtzPresetList { channel }.into()),
        channel().prop_map(|channel| GetPtzPresetTourList { channel }.into()),
        motion().prop_map(Call::from),
        tripwire().prop_map(Call::from),
        channel().prop_map(|channel| GetNetConfig { channel }.into()),
        publish_configs().prop_map(|list| SetRtmpPublishConfig { list }.into()),
        channel().prop_map(|channel| GetWifiStatusAndConfig { channel }.into()),
        (channel(), of(text()), secret()).prop_map(|(channel, ssid, password)| SetWifiConfig {
            channel,
            ssid,
            password
        }
        .into()),
        channel().prop_map(|channel| GetWifiSsidList { channel }.into()),
    ]
}

fn wall_time() -> impl Strategy<Value = WallTime> {
    (1..=9999_u16, 1..=12_u8, 1..=31_u8, 0..24_u8, 0..60_u8, 0..60_u8).prop_filter_map(
        "not in the calendar",
        |(year, month, day, hour, minute, second)| {
            WallTime::new(year, month, day, hour, minute, second)
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    use PtzOp::*;
    let op = select(vec![
        Up, Down, Left, Right, UpLeft, UpRight, DownLeft, DownRight, ZoomIn, ZoomOut, Stop,
    ]);
    let channel = any::<u32>;
    let start_stop = || select(vec![StartStop::Start, StartStop::Stop]);
    prop_oneof![
        Just(Event::UpgradeFirmware),
        (wall_time(), any::<u64>())
            .prop_map(|(datetime, offset)| SyncTime { datetime, offset }.into()),
        (channel(), op, of(any::<i64>())).prop_map(|(channel, op, value)| CtrlPtz {
            channel,
            op,
            value
        }
        .into()),
        (channel(), text()).prop_map(|(channel, token)| GotoPtzPreset { channel, token }.into()),
        (channel(), text(), start_stop()).prop_map(|(channel, token, op)| CtrlPtzPresetTour {
            channel,
            token,
            op
        }
        .into()),
        (channel(), start_stop()).prop_map(|(channel, op)| CtrlPtzPatrol { channel, op }.into()),
    ]
}

fn net_config() -> impl Strategy<Value = NetConfig> {
    (prop::array::uniform7(text()), any::<bool>()).prop_map(|(texts, dhcp)| {
        let [name, ip, gateway, netmask, dns1, dns2, mac] = texts;
        NetConfig { name, ip, gateway, netmask, dns1, dns2, mac, dhcp }
    })
}

fn wifi_status() -> impl Strategy<Value = WifiStatus> {
    let texts = prop::array::uniform6(of(text()));
    let secret = of(text().prop_map(Secret::new));
    (any::<bool>(), texts, of(any::<bool>()), secret, of(any::<i64>())).prop_map(
        |(enable, [ip, gateway, netmask, ssid, encrypt, status], dhcp, password, signal)| {
            WifiStatus {
                enable,
                ip,
                gateway,
                netmask,
                dhcp,
                ssid,
                password,
                encrypt,
                status,
                signal,
            }
        },
    )
}

/// To the wire as an answer, and back.
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(reply: &T) {
    let (mut device, mut cloud, now) = (Peer::default(), Peer::default(), origin());
    cloud.call(now, "Any", None).unwrap();
    device.handle_text(now, &cloud.poll_transmit().unwrap()).unwrap();
    let ticket = device.poll_request().unwrap().ticket;
    device.respond(now, ticket, to_value(reply));
    cloud.handle_text(now, &device.poll_transmit().unwrap()).unwrap();
    let (_, result) = cloud.poll_reply().unwrap();
    assert_eq!(&from_value::<T>(result.unwrap()).unwrap(), reply);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = select(vec![
            "channel",
            "channels",
            "state",
            "quality",
            "url",
            "stream_id",
            "rect",
            "ulx",
            "op",
            "enable",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_call_survives_the_wire(call in call()) {
        let (mut device, mut cloud, now) = (Peer::default(), Peer::default(), origin());
        cloud.call(now, call.method(), call.params()).unwrap();
        device.handle_text(now, &cloud.poll_transmit().unwrap()).unwrap();
        let request = device.poll_request().unwrap();
        prop_assert_eq!(request.call, call);
    }

    #[test]
    fn every_event_survives_the_wire(event in event()) {
        let (mut device, mut cloud, now) = (Peer::default(), Peer::default(), origin());
        cloud.notify(event.event(), event.params()).unwrap();
        device.handle_text(now, &cloud.poll_transmit().unwrap()).unwrap();
        prop_assert_eq!(device.poll_event(), Some(event));
    }

    #[test]
    fn every_reply_survives_the_wire(
        texts in prop::array::uniform2(text()),
        nets in prop::collection::vec(net_config(), 0..3),
        wifi in wifi_status(),
        configs in publish_configs(),
        signal in any::<i64>(),
    ) {
        let [name, token] = texts;
        survives(&vec![PtzPreset { name: name.clone(), token: token.clone() }]);
        survives(&vec![PtzTour { name: name.clone(), token: token.clone() }]);
        survives(&AlarmPicture { pic_upload_url: name.clone().into() });
        survives(&PreviewUrl { url: name.clone().into() });
        survives(&Firmware { firmware_model: name.clone(), url: token.clone().into() });
        survives(&vec![WifiNetwork { ssid: name, signal, encrypt: token }]);
        survives(&nets);
        survives(&wifi);
        survives(&configs);
    }

    #[test]
    fn any_error_survives_the_wire(code in any::<i64>(), msg in text()) {
        let (mut device, mut cloud, now) = (Peer::default(), Peer::default(), origin());
        cloud.call(now, "Any", None).unwrap();
        device.handle_text(now, &cloud.poll_transmit().unwrap()).unwrap();
        let ticket = device.poll_request().unwrap().ticket;
        let error = RpcError::new(code, msg);
        device.respond(now, ticket, Err(error.clone()));
        cloud.handle_text(now, &device.poll_transmit().unwrap()).unwrap();
        prop_assert_eq!(cloud.poll_reply().unwrap().1, Err(error));
    }

    #[test]
    fn any_text_is_taken_or_refused(text in ".{0,200}") {
        let _ = Peer::default().handle_text(origin(), &text);
    }

    #[test]
    fn any_packet_is_taken_or_refused(
        members in prop::collection::vec(
            (select(vec!["req", "resp", "err", "event", "params", "seq"]), json_value()), 0..5),
    ) {
        let mut peer = Peer::default();
        let packet: Value =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if peer.handle_text(origin(), &packet.to_string()).is_ok() {
            let channel = packet.get("params").and_then(|params| params.get("channel"));
            let number = channel.and_then(Value::as_number);
            match peer.poll_request() {
                Some(request) => {
                    let whole = |n: f64| n.fract() == 0.0 && n.abs() < 2_f64.powi(63);
                    let sent =
                        number.filter(|n| !n.is_f64() || n.as_f64().is_some_and(whole));
                    let read = request.subject.channel.and_then(|n| n.as_f64());
                    prop_assert_eq!(read, sent.and_then(Number::as_f64));
                }
                None => prop_assert!(peer.poll_event().is_some()),
            }
        }
    }

    #[test]
    fn any_params_are_understood_or_refused_with_a_member_named(
        method in select(vec![
            "Keepalive", "RTMPPublish", "SetRTMPPublishConfig", "StartCloudRecord",
            "AlarmRectIntrusionDetectConfig", "AlarmNotify", "SetWifiConfig",
        ]),
        params in json_value(),
    ) {
        if let Err(error) = Call::parse(method, Some(params)).check() {
            prop_assert!(error.code == 1 || error.code == 102, "{}", error);
            prop_assert!(error.msg.contains("params"), "{}", error);
        }
    }

    #[test]
    fn any_text_is_a_time_or_none(text in "[0-9T:-]{0,20}") {
        if let Ok(time) = text.parse::<WallTime>() {
            prop_assert!(time.to_string().ends_with(&text));
        }
    }
}

#[test]
fn every_spelling_of_empty_is_an_empty_list_or_struct() {
    for empty in [json!({}), json!([]), json!(""), json!(null)] {
        assert_eq!(from_value::<Vec<PtzPreset>>(empty.clone()), Ok(vec![]));
        assert_eq!(from_value::<Firmware>(empty.clone()), Ok(Firmware::default()));
        let error = from_value::<WifiStatus>(empty).unwrap_err();
        assert_eq!(error.msg, "resp.enable: is missing");
    }
}

#[test]
fn every_seed_of_the_fuzzer_is_understood() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/rpc_message");
    let mut requests = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        let text = std::fs::read_to_string(seed.unwrap().path()).unwrap();
        let mut peer = Peer::default();
        peer.call(origin(), "Keepalive", None).unwrap();
        peer.poll_transmit().unwrap();
        peer.handle_text(origin(), &text).unwrap();
        if let Some(request) = peer.poll_request() {
            requests += 1;
            let known = request.call.method().is_ascii();
            assert_eq!(request.call.check().is_ok(), known, "{text}");
        }
    }
    assert!(requests >= 10);
}
