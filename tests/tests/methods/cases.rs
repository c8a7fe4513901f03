//! One case for each method and event, with what the camera has to show for it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ivt_agent::build_date::BUILT;
use ivt_hal::{Armed, Detection, Point, Trigger, WallTime};
use ivt_proto::rpc::message::AlarmEdge;
use ivt_sim::cloud::AlarmInfo;
use ivt_tests::board::image;
use serde_json::{Value, json};

use super::backends::Rig;
use crate::alarms::kind;

/// A name and a password that are easily spoilt on their way: blanks, quotes, markup, other scripts.
pub const SSID: &str = " Caf\u{e9} \"5G\" <&> ";
/// 63 bytes, the longest that a network may have.
pub const PASSWORD: &str =
    " p\u{e4}ss 'w\u{f6}rd' \"&<>%+=;\\ #?/\u{5bc6}\u{7801} 012345678901234567890123456 ";

/// Bytes of the firmware that is offered.
pub const IMAGE: usize = 100_000;

type Seen = Pin<Box<dyn Future<Output = bool> + Send>>;
/// Looks at the camera, beside the answer to a method.
type Look = Box<dyn for<'a> Fn(&'a Rig, &'a Value) -> Seen + Send + Sync>;

/// One order of the cloud.
pub struct Case {
    /// The head of its row.
    pub title: &'static str,
    /// The method or event.
    pub name: &'static str,
    pub order: Order,
    pub params: Value,
    /// Whether the camera shows it; the second is the answer to a method.
    pub seen: Look,
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The cloud calls the device.
    Method,
    /// The cloud tells the device.
    Event,
    /// The camera raises an alarm, and the device calls the cloud.
    Alarm(Trigger),
}

/// Every method and event of a camera. The reboot is the last, as the camera is away after it.
pub fn cases() -> Vec<Case> {
    let mut all = vec![
        method("GetPTZPresetList", "GetPTZPresetList", json!({ "channel": 0 }), |rig, answer| {
            let (presets, answer) = (rig.world.presets().len(), answer.clone());
            Box::pin(async move { is_named(&answer, presets) })
        }),
        method(
            "GetPTZPresetTourList",
            "GetPTZPresetTourList",
            json!({ "channel": 0 }),
            |rig, answer| {
                let (tours, answer) = (rig.camera.tours.clone().unwrap(), answer.clone());
                Box::pin(async move { is_named(&answer, tours.list().await.unwrap().len()) })
            },
        ),
        method("GetNetConfig", "GetNetConfig", json!({ "channel": 0 }), |rig, answer| {
            let (camera, answer) = (rig.camera.clone(), answer.clone());
            let told =
                ["mac", "ipaddress"].map(|name| rig.parameter(&format!("NETWORK.Eth0.{name}")));
            Box::pin(async move {
                // Some cameras list the wireless interface as well, and uapi cameras tell their parameters.
                let wired = camera.network.as_ref().unwrap().interfaces().await.unwrap();
                let wireless = camera.wifi.as_ref().unwrap().status().await.unwrap().interface;
                let all = wired.into_iter().chain([wireless]).map(|i| [Some(i.mac), Some(i.ip)]);
                let own: Vec<_> = all.chain([told]).collect();
                let same = |have: &Value| {
                    own.iter().any(|[mac, ip]| have["mac"] == json!(mac) && have["ip"] == json!(ip))
                };
                answer.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(same))
            })
        }),
        method("GetWifiSSIDList", "GetWifiSSIDList", json!({ "channel": 0 }), |rig, answer| {
            let (wifi, answer) = (rig.camera.wifi.clone().unwrap(), answer.clone());
            Box::pin(async move {
                let own = wifi.networks().await.unwrap();
                let names = answer.as_array().into_iter().flatten().map(|n| n["ssid"].clone());
                names.eq(own.iter().map(|n| json!(n.ssid)))
            })
        }),
        method(
            "SetWifiConfig",
            "SetWifiConfig",
            json!({ "channel": 0, "ssid": SSID, "password": PASSWORD }),
            |rig, _| {
                let wifi = rig.camera.wifi.clone().unwrap();
                Box::pin(async move {
                    let status = wifi.status().await.unwrap();
                    let exact = |password: &ivt_base::secret::Secret| password.expose() == PASSWORD;
                    status.ssid == SSID && status.password.as_ref().is_some_and(exact)
                })
            },
        ),
        method(
            "GetWifiStatusAndConfig",
            "GetWifiStatusAndConfig",
            json!({ "channel": 0 }),
            |rig, answer| {
                let (wifi, answer) = (rig.camera.wifi.clone().unwrap(), answer.clone());
                Box::pin(async move {
                    answer["enable"] == true && answer["ssid"] == wifi.status().await.unwrap().ssid
                })
            },
        ),
        method(
            "AlarmMoveDetectConfig",
            "AlarmMoveDetectConfig",
            json!({ "channel": 0, "enable": true, "start": 79_200, "end": 21_600, "sensitivity": 80, "delay": 10 }),
            |rig, _| is_so(detects(rig.world.motion(), 79_200, 21_600)),
        ),
        method(
            "AlarmMoveDetectConfig, all day",
            "AlarmMoveDetectConfig",
            json!({ "channel": 0, "enable": true, "sensitivity": 60, "delay": 10 }),
            |rig, _| {
                let motion = rig.world.motion();
                let is_near = motion.sensitivity.abs_diff(60) <= 20;
                is_so(motion.enable && motion.armed.windows() == Armed::ALWAYS.windows() && is_near)
            },
        ),
        alarm("AlarmNotify, motion", Trigger::Motion),
        alarm("AlarmNotify, external", Trigger::Input),
    ];
    // Any four-cornered shape; a camera that holds rectangles only has the box around it.
    all.push(method(
        "AlarmRectIntrusionDetectConfig",
        "AlarmRectIntrusionDetectConfig",
        json!({ "channel": 0, "enable": true, "start": 3_600, "end": 7_200, "sensitivity": 80, "delay": 10, "rect": {
            "ulx": 10, "uly": 20, "urx": 90, "ury": 10, "dlx": 20, "dly": 70, "drx": 80, "dry": 90 } }),
        |rig, _| {
            let (detection, area) = rig.world.tripwire();
            is_so(detects(detection, 3_600, 7_200) && area.bounds() == bounds([10, 10], [90, 90]))
        },
    ));
    all.push(method(
        "AlarmRectIntrusionDetectConfig, all day",
        "AlarmRectIntrusionDetectConfig",
        json!({ "channel": 0, "enable": true, "sensitivity": 80, "delay": 10, "rect": {
            "ulx": 20, "uly": 30, "urx": 70, "ury": 30, "dlx": 20, "dly": 60, "drx": 70, "dry": 60 } }),
        |rig, _| {
            let (detection, area) = rig.world.tripwire();
            is_so(detection.enable && area.bounds() == bounds([20, 30], [70, 60]))
        },
    ));
    all.push(alarm("AlarmNotify, line", Trigger::Line));
    // Without `rect` the area stays.
    all.push(method(
        "AlarmRectIntrusionDetectConfig, no rect",
        "AlarmRectIntrusionDetectConfig",
        json!({ "channel": 0, "enable": false, "sensitivity": 80, "delay": 10 }),
        |rig, _| {
            let (detection, area) = rig.world.tripwire();
            is_so(!detection.enable && area.bounds() == bounds([20, 30], [70, 60]))
        },
    ));
    all.extend(moves());
    all.push(event(
        "GotoPTZPreset",
        "GotoPTZPreset",
        json!({ "channel": 0, "token": "2" }),
        |rig| {
            let position = rig.world.position();
            let at = rig.world.presets().into_iter().find(|preset| preset.token == "2").unwrap().at;
            let there = [position.pan, position.tilt, position.zoom];
            there.iter().zip(at).all(|(is, want)| (is - want).abs() < 0.01)
        },
    ));
    let tour =
        |op| json!({ "channel": 0, "token": if op == "start" { "1" } else { "" }, "op": op });
    all.push(event("CtrlPTZPresetTour start", "CtrlPTZPresetTour", tour("start"), |rig| {
        rig.world.touring().as_deref() == Some("1")
    }));
    all.push(event("CtrlPTZPresetTour stop", "CtrlPTZPresetTour", tour("stop"), |rig| {
        rig.world.touring().is_none()
    }));
    let patrol = |op| json!({ "channel": 0, "op": op });
    all.push(event("CtrlPTZPatrol start", "CtrlPTZPatrol", patrol("start"), |rig| {
        rig.world.patrolling()
    }));
    all.push(event("CtrlPTZPatrol stop", "CtrlPTZPatrol", patrol("stop"), |rig| {
        !rig.world.patrolling()
    }));
    // A year after the build, for a camera that never knew the time.
    let time = WallTime::from_seconds(BUILT + 31_536_000).unwrap();
    let params = json!({ "datetime": time.to_string(), "offset": 5 });
    all.push(event("SyncTime", "SyncTime", params, move |rig| {
        let shown = rig.world.clock().and_then(WallTime::seconds);
        shown.is_some_and(|shown| shown.abs_diff(BUILT + 31_536_000) < 60)
    }));
    all.push(event("UpgradeFirmware", "UpgradeFirmware", Value::Null, |rig| {
        rig.board.is_restarted() && rig.board.slot_b().starts_with(&image(IMAGE))
    }));
    all.push(method("RebootChannel", "RebootChannel", json!({ "channel": 0 }), |rig, _| {
        is_so(*rig.world.reboots().borrow() == 1 && !rig.world.is_away())
    }));
    all
}

/// Each movement, which has to change its axes in its direction, and the stop.
fn moves() -> Vec<Case> {
    const OPS: [(&str, &str, [f64; 3]); 10] = [
        ("CtrlPTZ up", "up", [0.0, 1.0, 0.0]),
        ("CtrlPTZ down", "down", [0.0, -1.0, 0.0]),
        ("CtrlPTZ left", "left", [-1.0, 0.0, 0.0]),
        ("CtrlPTZ right", "right", [1.0, 0.0, 0.0]),
        ("CtrlPTZ upleft", "upleft", [-1.0, 1.0, 0.0]),
        ("CtrlPTZ downright", "downright", [1.0, -1.0, 0.0]),
        ("CtrlPTZ upright", "upright", [1.0, 1.0, 0.0]),
        ("CtrlPTZ downleft", "downleft", [-1.0, -1.0, 0.0]),
        ("CtrlPTZ zoomin", "zoomin", [0.0, 0.0, 1.0]),
        ("CtrlPTZ zoomout", "zoomout", [0.0, 0.0, -1.0]),
    ];
    let mut all: Vec<_> = OPS
        .into_iter()
        .map(|(title, op, axes)| Case {
            title,
            name: "CtrlPTZ",
            order: Order::Event,
            params: json!({ "channel": 0, "op": op, "value": 30 }),
            seen: Box::new(move |rig, _| {
                let world = rig.world.clone();
                Box::pin(async move {
                    let place = || {
                        let position = world.position();
                        [position.pan, position.tilt, position.zoom]
                    };
                    // The speed is looked at over a twentieth of a second.
                    let mut look = tokio::time::interval(Duration::from_millis(50));
                    look.tick().await;
                    let before = place();
                    look.tick().await;
                    let axis = |(want, (is, was)): (f64, (f64, f64))| {
                        (is - was) * want > 0.0 || (want == 0.0 && is == was)
                    };
                    let pairs = place().into_iter().zip(before);
                    // The way back from there is long enough to be looked at, too.
                    let far = axes[2] <= 0.0 || place()[2] > 0.2;
                    axes.into_iter().zip(pairs).all(axis) && far && world.position().moving
                })
            }),
        })
        .collect();
    all.push(event("CtrlPTZ stop", "CtrlPTZ", json!({ "channel": 0, "op": "stop" }), |rig| {
        !rig.world.position().moving
    }));
    all
}

fn method(
    title: &'static str,
    name: &'static str,
    params: Value,
    seen: impl for<'a> Fn(&'a Rig, &'a Value) -> Seen + Send + Sync + 'static,
) -> Case {
    Case { title, name, order: Order::Method, params, seen: Box::new(seen) }
}

fn event(
    title: &'static str,
    name: &'static str,
    params: Value,
    seen: impl Fn(&Rig) -> bool + Send + Sync + 'static,
) -> Case {
    let seen = Box::new(move |rig: &Rig, _: &Value| is_so(seen(rig)));
    Case { title, name, order: Order::Event, params, seen }
}

/// The report of an alarm, with its picture where the camera takes any; it is raised since then.
fn alarm(title: &'static str, trigger: Trigger) -> Case {
    let seen = move |rig: &Rig, _: &Value| {
        let pictures = rig.stage.agent.camera(0).unwrap().snapshot.is_some();
        let begun =
            |alarm: &&AlarmInfo| (alarm.kind, alarm.state) == (kind(trigger), AlarmEdge::Start);
        let alarms = rig.stage.device().alarms();
        let alarm = alarms.iter().find(begun);
        let picture = alarm.and_then(|alarm| alarm.picture.as_ref());
        is_so(alarm.is_some() && (!pictures || picture.is_some_and(|picture| picture.jpeg)))
    };
    let (name, order) = ("AlarmNotify", Order::Alarm(trigger));
    Case { title, name, order, params: Value::Null, seen: Box::new(seen) }
}

fn is_so(so: bool) -> Seen {
    Box::pin(async move { so })
}

/// Two corners of a rectangle.
fn bounds(upper: [u8; 2], lower: [u8; 2]) -> [Point; 2] {
    [upper, lower].map(|[x, y]| Point { x, y })
}

/// Whether a list of so many rows names each of them.
fn is_named(answer: &Value, rows: usize) -> bool {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let list = answer.as_array();
    list.is_some_and(|list| {
        list.len() == rows && list.iter().all(|row| text(&row["token"]) && text(&row["name"]))
    })
}

/// Whether a detection is armed so, at about 80 % sensitivity: cameras have as few as six steps.
fn detects(detection: Detection, start: u32, end: u32) -> bool {
    let steps = detection.sensitivity.abs_diff(80) <= 20;
    detection.enable && detection.armed.windows() == (Armed { start, end }).windows() && steps
}
