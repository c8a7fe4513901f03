//! The device endpoint.

use super::*;

#[tokio::test]
async fn a_device_logs_in_and_its_requests_are_answered() {
    let answers = Answers { firmware_model: "9.1".into(), ..Answers::default() };
    let options = CloudOptions { answers, ..CloudOptions::default() };
    let cloud = CloudSim::start(options).await.unwrap();
    let device = cloud.device("a/é 1");
    let mut fake = FakeDevice::login(&cloud, "a/é 1").await;
    timeout(LONG, device.wait_online()).await.unwrap();
    fake.send(json!({ "req": "preview_server", "seq": 0 })).await;
    assert_eq!(fake.packet().await, json!({ "seq": 0, "resp": { "url": "" } }));
    fake.keepalive(1).await;
    assert_eq!(fake.packet().await, json!({ "seq": 1, "resp": {} }));
    fake.send(json!({ "req": "GetFirmware", "seq": 2 })).await;
    assert_eq!(fake.packet().await["resp"]["firmware_model"], "9.1");
    let alarm = json!({ "channel": 0, "type": 3, "state": "start", "desc": "" });
    fake.send(json!({ "req": "AlarmNotify", "params": alarm, "seq": 3 })).await;
    let url = fake.packet().await["resp"]["pic_upload_url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("http://{}/alarm/", cloud.http_addr())), "{url}");
    fake.send(json!({ "req": "RebootChannel", "params": { "channel": 0 }, "seq": 4 })).await;
    assert_eq!(fake.packet().await["err"]["code"], 101);
    let keepalive = device.keepalive().borrow().clone().unwrap();
    assert_eq!(keepalive.channels.len(), 1);
}

#[tokio::test]
async fn a_call_reaches_the_device_and_returns_its_answer_or_its_error() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let mut fake = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    let answering = async {
        let first = fake.packet().await;
        assert_eq!(
            (&first["req"], &first["params"]),
            (&json!("GetNetConfig"), &json!({ "channel": 0 }))
        );
        fake.send(json!({ "seq": first["seq"], "resp": null })).await;
        let second = fake.packet().await;
        let err = json!({ "code": 12, "msg": "busy" });
        fake.send(json!({ "seq": second["seq"], "err": err })).await;
    };
    let calling = async {
        let first = device.call("GetNetConfig", Some(json!({ "channel": 0 }))).await;
        assert_eq!(first, Ok(json!({})), "null is an empty answer");
        device.call("RTMPPublish", None).await.unwrap_err()
    };
    let (error, ()) = timeout(LONG, async { tokio::join!(calling, answering) }).await.unwrap();
    assert_eq!((error.code, error.msg.as_str()), (12, "busy"));
}

#[tokio::test]
async fn a_call_ends_with_the_connection() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let mut fake = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    let leaving = async {
        fake.packet().await;
        drop(fake);
    };
    let (result, ()) = tokio::join!(timeout(LONG, device.call("RebootChannel", None)), leaving);
    assert_eq!(result.unwrap().unwrap_err().code, NOT_ANSWERED);
    timeout(LONG, device.wait_offline()).await.unwrap();
}

#[tokio::test]
async fn answers_to_raw_requests_do_not_end_the_connection_and_others_do() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let mut fake = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    for text in [r#"{"req":"GetNetConfig","seq":1}"#, "}{ not json", ""] {
        device.send_raw(text).await.unwrap();
        assert_eq!(fake.text().await.unwrap(), text);
    }
    fake.send(json!({ "seq": 1, "err": { "code": 1, "msg": "" } })).await;
    fake.keepalive(1).await;
    assert_eq!(fake.packet().await, json!({ "seq": 1, "resp": {} }));
    fake.send(json!({ "seq": 1, "resp": {} })).await;
    assert_eq!(fake.text().await, None, "nobody asked for this one");
    timeout(LONG, device.wait_offline()).await.unwrap();
}

#[tokio::test]
async fn every_packet_is_recorded_both_ways_and_never_the_password() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let url = cloud.login_url("a", "top-secret");
    let mut fake = FakeDevice(connect_async(url.as_str()).await.unwrap().0);
    fake.keepalive(7).await;
    fake.packet().await;
    let (kept, _) = device.packets();
    let ways: Vec<_> = kept.iter().map(|packet| packet.direction).collect();
    assert_eq!(ways, [Direction::Note, Direction::FromDevice, Direction::ToDevice]);
    assert_eq!(serde_json::from_str::<Value>(&kept[2].text).unwrap()["seq"], 7);
    let (_, _, lines) = get(&cloud, "/api/packets?login_code=a").await;
    assert_eq!(lines.matches("from_device").count(), 1);
    let (_, _, devices) = get(&cloud, "/api/devices").await;
    assert!(devices.contains("\"online\":true"));
    assert!(!(lines + &devices + &format!("{kept:?}")).contains("top-secret"));
}

#[tokio::test]
async fn a_second_login_drops_the_older_connection() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let mut older = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    let mut newer = FakeDevice::login(&cloud, "a").await;
    assert_eq!(older.text().await, None);
    newer.keepalive(1).await;
    newer.packet().await;
    assert!(device.online());
    assert_eq!((device.logins(), device.login_times().len()), (2, 2));
}

#[tokio::test]
async fn a_wrong_login_is_refused_with_401() {
    let login = Login { code: "a".into(), password: "right".into() };
    let options = CloudOptions { logins: vec![login], ..CloudOptions::default() };
    let cloud = CloudSim::start(options).await.unwrap();
    for (code, password, accepted) in
        [("a", "wrong", false), ("b", "right", false), ("a", "right", true)]
    {
        match connect_async(cloud.login_url(code, password).as_str()).await {
            Ok(_) => assert!(accepted, "{code}:{password}"),
            Err(tungstenite::Error::Http(answer)) => {
                assert!(!accepted);
                assert_eq!(answer.status(), 401);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(cloud.devices().len(), 1, "a refused code is not remembered");
}

async fn with_patience(patience: Duration) -> CloudSim {
    CloudSim::start(CloudOptions { patience, ..CloudOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn a_device_without_keepalives_is_hung_up_on_whatever_else_it_sends() {
    let patience = Duration::from_millis(300);
    let cloud = with_patience(patience).await;
    let began = Instant::now();
    let (mut sink, mut stream) = FakeDevice::login(&cloud, "a").await.0.split();
    let talk = async {
        let request = json!({ "req": "GetFirmware", "seq": 1 }).to_string();
        while sink.send(Message::Ping("".into())).await.is_ok()
            && sink.send(Message::text(request.clone())).await.is_ok()
        {
            tokio::time::sleep(patience / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let hung_up = async {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() {
                return;
            }
        }
    };
    timeout(LONG, async {
        tokio::select! { () = talk => {} () = hung_up => {} }
    })
    .await
    .unwrap();
    assert!(began.elapsed() >= patience);
}

#[tokio::test]
async fn a_device_that_answers_no_ping_stays_while_it_sends_keepalives() {
    let patience = Duration::from_secs(2);
    let cloud = with_patience(patience).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let began = Instant::now();
    let mut sent = 0;
    // A device that reads nothing answers no ping either.
    while began.elapsed() < patience * 3 / 2 {
        sent += 1;
        fake.keepalive(sent).await;
        tokio::time::sleep(patience / 20).await;
    }
    for seq in 1..=sent {
        assert_eq!(fake.packet().await["seq"], seq);
    }
    assert!(cloud.device("a").online());
}

#[tokio::test]
async fn a_message_above_64_kib_ends_the_connection() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let _ = fake.0.send(Message::text("x".repeat((64 << 10) + 1))).await;
    assert_eq!(fake.text().await, None);
}

#[tokio::test]
async fn too_many_devices_are_refused_and_a_seat_is_given_back() {
    let cloud =
        CloudSim::start(CloudOptions { max_devices: 1, ..CloudOptions::default() }).await.unwrap();
    let first = FakeDevice::login(&cloud, "a").await;
    match connect_async(cloud.login_url("b", "").as_str()).await {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 503),
        other => panic!("{other:?}"),
    }
    drop(first);
    cloud.device("a").wait_offline().await;
    let again = async {
        while connect_async(cloud.login_url("b", "").as_str()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, again).await.unwrap();
}

#[tokio::test]
async fn faults_of_login_and_first_answer() {
    let cloud =
        with_link_faults(LinkFaults { refuse_login: Some(403), ..LinkFaults::default() }).await;
    match connect_async(cloud.login_url("a", "").as_str()).await {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
    let (status, faults) =
        post(&cloud, "/api/faults", json!({ "link": { "close_before_answer": true } })).await;
    assert_eq!((status, &faults["link"]["refuse_login"]), (200, &Value::Null));
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(1).await;
    assert_eq!(fake.text().await, None);
}

/// The head of the answer to a login at `path`, as it is on the wire, and the sizes in which it came.
async fn login_head(cloud: &CloudSim, path: &str) -> (String, usize) {
    let mut stream = TcpStream::connect(cloud.http_addr()).await.unwrap();
    let request = format!(
        "GET {path}?login_code=a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut head, mut reads) = (Vec::new(), 0);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        assert!(timeout(LONG, stream.read_buf(&mut head)).await.unwrap().unwrap() > 0);
        reads += 1;
    }
    (String::from_utf8(head).unwrap(), reads)
}

#[tokio::test]
async fn a_login_is_answered_with_the_names_that_peers_compare() {
    let cloud = cloud().await;
    let (head, _) = login_head(&cloud, "/ivc").await;
    for line in [
        "HTTP/1.1 101 Switching Protocols\r\n",
        "\r\nUpgrade: websocket\r\n",
        "\r\nConnection: upgrade\r\n",
        "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(!head.contains("Sec-WebSocket-Protocol"), "{head}");
}

#[tokio::test]
async fn a_login_is_answered_as_gateways_do() {
    let login = LoginQuirks {
        connection: "keep-alive, Upgrade".into(),
        subprotocol: "ivc".into(),
        pieces: true,
        ..LoginQuirks::default()
    };
    let cloud = with_link_faults(LinkFaults { login, ..LinkFaults::default() }).await;
    let (head, reads) = login_head(&cloud, "/ivc").await;
    for line in ["\r\nConnection: keep-alive, Upgrade\r\n", "\r\nSec-WebSocket-Protocol: ivc\r\n"] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") && reads > 20, "{reads} reads: {head}");
}

#[tokio::test]
async fn a_login_is_redirected_or_told_to_wait() {
    let login = LoginQuirks {
        redirect: Some(307),
        location: "/ivc2".into(),
        retry_after: "30".into(),
        ..LoginQuirks::default()
    };
    let link = LinkFaults { login: login.clone(), ..LinkFaults::default() };
    let cloud = with_link_faults(link).await;
    let (head, _) = login_head(&cloud, "/ivc").await;
    assert!(head.starts_with("HTTP/1.1 307") && head.contains("\r\nLocation: /ivc2\r\n"), "{head}");
    let (head, _) = login_head(&cloud, "/ivc2").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let login = LoginQuirks { redirect: None, ..login };
    let link = LinkFaults { login, refuse_login: Some(503), ..LinkFaults::default() };
    cloud.set_faults(Faults { link, ..Faults::default() });
    let (head, _) = login_head(&cloud, "/ivc").await;
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("\r\nRetry-After: 30\r\n"), "{head}");
}

#[tokio::test]
async fn connections_are_closed_with_a_code_after_the_first_answer() {
    let close = CloseQuirk { code: Some(4002), reason: "newer instance".into() };
    let cloud = with_link_faults(LinkFaults { close, ..LinkFaults::default() }).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(1).await;
    assert_eq!(fake.packet().await["seq"], 1);
    let message = timeout(LONG, fake.0.next()).await.unwrap().unwrap().unwrap();
    let Message::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4002, "newer instance"));
}

#[tokio::test]
async fn packets_are_spelled_as_asked() {
    let packets = PacketQuirks {
        binary: true,
        bom: true,
        nul: true,
        blank: true,
        empty: true,
        null_err: true,
        string_seq: true,
        ..PacketQuirks::default()
    };
    let cloud = with_link_faults(LinkFaults { packets, ..LinkFaults::default() }).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(1).await;
    let mut messages = Vec::new();
    while messages.len() < 2 {
        match timeout(LONG, fake.0.next()).await.unwrap().unwrap().unwrap() {
            Message::Binary(bytes) => messages.push(String::from_utf8(bytes.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let packet = "\u{feff}{\"err\":null,\"resp\":{},\"seq\":\"1\"}\r\n\0";
    assert_eq!(messages, ["", packet]);
    // A call is answered with the `seq` as it came.
    let device = cloud.device("a");
    let answering = async {
        assert!(timeout(LONG, fake.0.next()).await.unwrap().unwrap().unwrap().is_empty());
        let message = timeout(LONG, fake.0.next()).await.unwrap().unwrap().unwrap();
        let text = message.into_text().unwrap();
        let request: Value = serde_json::from_str(text.trim_matches(['\u{feff}', '\0'])).unwrap();
        fake.send(json!({ "seq": request["seq"], "resp": {} })).await;
        request["seq"].clone()
    };
    let (result, seq) = tokio::join!(device.call("RebootChannel", None), answering);
    assert_eq!((result, seq), (Ok(json!({})), json!("1")));
}

#[tokio::test]
async fn a_muted_keepalive_is_heard_but_not_answered() {
    let cloud =
        with_link_faults(LinkFaults { mute_keepalive: true, ..LinkFaults::default() }).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(1).await;
    fake.send(json!({ "req": "GetFirmware", "seq": 2 })).await;
    assert_eq!(fake.packet().await["seq"], 2);
}

#[tokio::test]
async fn garbage_replaces_answers_and_a_flood_is_a_flood() {
    let cloud = with_link_faults(LinkFaults { garbage: true, ..LinkFaults::default() }).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(1).await;
    assert!(serde_json::from_str::<Value>(&fake.text().await.unwrap()).is_err());
    cloud.set_faults(Faults {
        link: LinkFaults { flood: 10_000, ..LinkFaults::default() },
        ..Faults::default()
    });
    for _ in 0..500 {
        assert_eq!(fake.packet().await["event"], "CtrlPTZ");
    }
}

#[tokio::test]
async fn delayed_answers_come_in_order_and_half_open_ends_when_switched_off() {
    let cloud = with_link_faults(LinkFaults { delay_ms: 200, ..LinkFaults::default() }).await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let began = Instant::now();
    fake.keepalive(1).await;
    fake.keepalive(2).await;
    assert_eq!(fake.packet().await["seq"], 1);
    assert_eq!(fake.packet().await["seq"], 2);
    assert!(began.elapsed() >= Duration::from_millis(190));
    cloud.set_faults(Faults {
        link: LinkFaults { half_open: true, ..LinkFaults::default() },
        ..Faults::default()
    });
    fake.keepalive(3).await;
    let silence = timeout(Duration::from_millis(300), fake.0.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    cloud.set_faults(Faults::default());
    assert_eq!(fake.packet().await["seq"], 3);
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let cloud = cloud().await;
    let address = cloud.http_addr();
    let mut fake = FakeDevice::login(&cloud, "a").await;
    cloud.stop().await;
    assert_eq!(fake.text().await, None);
    let options = CloudOptions { http: address, ..CloudOptions::default() };
    let again = CloudSim::start(options).await.unwrap();
    FakeDevice::login(&again, "a").await;
}

#[tokio::test]
async fn a_cloud_that_stops_reading_still_writes() {
    let cloud = with_link_faults(LinkFaults { stop_reading: true, ..LinkFaults::default() }).await;
    let device = cloud.device("a");
    let mut fake = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    fake.keepalive(1).await;
    device.notify("UpgradeFirmware", None).await.unwrap();
    assert_eq!(fake.packet().await, json!({ "event": "UpgradeFirmware" }));
    let silence = timeout(Duration::from_millis(300), fake.0.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    cloud.set_faults(Faults::default());
    assert_eq!(fake.packet().await, json!({ "seq": 1, "resp": {} }));
}

#[tokio::test]
async fn answers_are_misnumbered_pongs_are_noted_and_so_are_refused_logins() {
    let cloud = with_link_faults(LinkFaults { wrong_seq: true, ..LinkFaults::default() }).await;
    let device = cloud.device("a");
    let (_, mut feed) = device.packets();
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.keepalive(7).await;
    assert_eq!(fake.packet().await, json!({ "seq": 8, "resp": {} }));
    device.ping().await.unwrap();
    let answering = tokio::spawn(async move { fake.text().await });
    let mut noted = async |wanted: &str| {
        let found = async {
            loop {
                let packet = feed.recv().await.unwrap();
                if packet.direction == Direction::Note && packet.text.contains(wanted) {
                    return;
                }
            }
        };
        timeout(LONG, found).await.unwrap_or_else(|_| panic!("no note {wanted:?}"));
    };
    noted(PONG).await;
    let link = LinkFaults { refuse_login: Some(403), ..LinkFaults::default() };
    cloud.set_faults(Faults { link, ..Faults::default() });
    assert!(connect_async(cloud.login_url("a", "pw").as_str()).await.is_err());
    noted("login refused: 403").await;
    answering.abort();
}
