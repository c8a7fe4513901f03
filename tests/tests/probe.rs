//! `ivt-agent probe` on simulated cameras: what it says of them, and what its suggestion is good for.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ivt_agent::check;
use ivt_agent::config::Config;
use ivt_agent::probe::{self, Target};
use ivt_hal::Credentials;
use ivt_hal::onvif::{MULTICAST, Search};
use ivt_sim::camera::{
    self, CameraOptions, CameraSim, ChannelOptions, Order, WebFault, WebFaultRule,
};
use ivt_sim::cloud::{CloudOptions, CloudSim};
use ivt_tests::{DEVICE, Stage, closed_port, hasty, soon, until};
use serde_json::json;

const PASSWORD: &str = "let me in";

/// A camera of this family that only lets in the user "admin" with [`PASSWORD`].
async fn locked(family: &str, channels: usize) -> CameraSim {
    let login = camera::Credentials { user: "admin".into(), password: PASSWORD.into() };
    let channels = (0..channels).map(|_| ChannelOptions::built_in()).collect();
    let options = CameraOptions {
        family: family.parse().unwrap(),
        credentials: Some(login),
        ..CameraOptions::new(channels)
    };
    CameraSim::start(options).await.unwrap()
}

fn login(password: &str) -> Option<Credentials> {
    Some(Credentials { username: "admin".into(), password: password.into() })
}

/// Probes a camera; whether it can be used, and all that is said.
async fn probed(at: &str, login: Option<Credentials>, input: u16) -> (bool, String) {
    let mut text = String::new();
    let mut say = |line: &str| text += &format!("{line}\n");
    let target = Target::at(at, login, input).unwrap();
    let camera = vec![(String::new(), Some(target))];
    let is_good = soon("the probe ends", probe::all(camera, &mut say)).await;
    assert!(!text.contains(PASSWORD), "{text}");
    (is_good, text)
}

/// Follows the suggestion in `text`: an agent with it and the password logs in and publishes the camera's picture.
async fn follow(text: &str, cameras: Vec<CameraSim>) -> Stage {
    let section =
        &text[text.find("[[channel]]").unwrap_or_else(|| panic!("no section:\n{text}"))..];
    let blank = "# password = \"the password of the camera\"";
    assert!(section.contains(blank), "{section}");
    let section = section.replace(blank, &format!("password = \"{PASSWORD}\""));
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let text = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n{section}",
        cloud.device_url(),
    );
    let config: Config = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    check::check(&config).unwrap();
    let stage = Stage { agent: hasty(&config), cloud, cameras };
    soon("the agent logs in", stage.device().wait_online()).await;
    stage.publish(0, "s").await.unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    stage
}

/// The line that says how it is with an ability.
fn ability<'a>(text: &'a str, slot: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(&format!("{slot:9} ")));
    line.unwrap_or_else(|| panic!("nothing of {slot}:\n{text}"))
}

#[tokio::test]
async fn a_camera_of_each_family_is_recognised_and_works_as_suggested() {
    let families = [
        ("uapi", "uapi"),
        ("IPE", "nvc"),
        ("merlin", "merlin"),
        ("hikvision", "hikvision"),
        ("dahua", "dahua"),
    ];
    for (family, profile) in families {
        let camera = locked(family, 1).await;
        let at = camera.http_addr().to_string();
        let (is_good, text) = probed(&at, login(PASSWORD), 1).await;
        assert!(is_good, "{family}:\n{text}");
        assert!(text.contains(&format!("family: {profile} ")), "{family}:\n{text}");
        assert!(text.contains(&format!("profile = \"{profile}\"")), "{family}:\n{text}");
        assert!(text.contains("ONVIF profile "), "{family}:\n{text}");
        assert!(text.contains("main stream by TCP: H.264, 640x360"), "{family}:\n{text}");
        assert!(text.contains("sub stream by TCP: H.264, 320x180"), "{family}:\n{text}");
        for slot in ["streams", "snapshot", "ptz", "presets", "network", "power"] {
            assert!(
                !ability(&text, slot).starts_with(&format!("{slot:9} no")),
                "{family}, {slot}:\n{text}"
            );
        }
        assert!(ability(&text, "ptz").ends_with(": CtrlPTZ"), "{family}:\n{text}");
        let wifi = ability(&text, "wifi");
        let lacks_wifi = matches!(family, "IPE" | "merlin");
        assert_eq!(wifi.contains("no: none of its backends has this"), lacks_wifi, "{wifi}");
        assert_eq!(camera.web_counters().malformed, 0, "{family}:\n{:?}", camera.web_requests());
        let orders = camera.unit(0).unwrap().orders();
        assert!(orders.is_empty(), "{family}: a probe changes nothing: {orders:?}");
        let stage = follow(&text, vec![camera]).await;
        if family == "dahua" {
            is_moved_and_set_up(&stage).await;
        }
    }
}

/// A camera that `methods` has no column of does what the cloud asks, as its orders and its clock say.
async fn is_moved_and_set_up(stage: &Stage) {
    let unit = stage.cameras[0].unit(0).unwrap();
    let presets = stage.call("GetPTZPresetList", json!({ "channel": 0 })).await.unwrap();
    assert_eq!(presets[0]["name"], "door", "{presets}");
    let motion = json!({ "channel": 0, "enable": true, "start": 79_200, "end": 21_600, "sensitivity": 80, "delay": 5 });
    stage.call("AlarmMoveDetectConfig", motion).await.unwrap();
    let set = unit.emulator.world.motion();
    let armed = (set.armed.start, set.armed.end);
    assert_eq!((set.enable, set.sensitivity, armed), (true, 80, (79_200, 21_600)));
    let corners = json!({ "ulx": 10, "uly": 20, "urx": 90, "ury": 20, "dlx": 10, "dly": 70, "drx": 90, "dry": 70 });
    let line =
        json!({ "channel": 0, "enable": true, "sensitivity": 50, "delay": 5, "rect": corners });
    stage.call("AlarmRectIntrusionDetectConfig", line).await.unwrap();
    let (set, area) = unit.emulator.world.tripwire();
    let first = (area.0[0].x, area.0[0].y);
    assert_eq!((set.enable, first), (true, (10, 20)));
    for (event, params, order) in [
        ("CtrlPTZ", json!({ "channel": 0, "op": "upleft", "value": 100 }), "LeftUp"),
        ("CtrlPTZ", json!({ "channel": 0, "op": "stop", "value": 0 }), "stop"),
        ("GotoPTZPreset", json!({ "channel": 0, "token": "2" }), "GotoPreset"),
    ] {
        stage.device().notify(event, Some(params)).await.unwrap();
        let asked = || stage.cameras[0].web_requests();
        until(order, || asked().iter().any(|r| r.target.contains(order) && r.status == 200)).await;
    }
    until("the orders", || {
        let orders = unit.orders();
        matches!(orders[..], [.., Order::Move(_), Order::Stop, Order::Preset(_)])
    })
    .await;
}

#[tokio::test]
async fn a_camera_with_onvif_alone_works_as_suggested() {
    let camera = locked("uapi", 1).await;
    let rule = WebFaultRule { path: "-cgi/".into(), fault: WebFault::Status(404) };
    camera.set_web_faults(vec![rule]);
    let (is_good, text) = probed(&camera.onvif_url(), login(PASSWORD), 1).await;
    assert!(is_good, "{text}");
    assert!(text.contains("family: none of "), "{text}");
    assert!(text.contains("backend = \"onvif\""), "{text}");
    assert!(text.contains("main stream by TCP: H.264"), "{text}");
    let patrol = ability(&text, "patrol");
    assert!(patrol.contains("no: none of its backends has this"), "{patrol}");
    follow(&text, vec![camera]).await;
}

#[tokio::test]
async fn an_input_of_a_recorder_is_the_one_that_was_asked_for() {
    for family in ["hikvision", "dahua"] {
        let recorder = locked(family, 2).await;
        let (is_good, text) = probed(&recorder.http_addr().to_string(), login(PASSWORD), 2).await;
        assert!(is_good, "{family}:\n{text}");
        assert!(text.contains("input = 2"), "{family}:\n{text}");
        let stage = follow(&text, vec![recorder]).await;
        let counted = stage.cameras[0].counters().channels;
        let seen = (counted[0].describes, counted[1].sessions);
        assert_eq!(seen, (0, 1), "{family}: {counted:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_and_tried_once() {
    for family in ["uapi", "IPE", "merlin", "hikvision", "dahua"] {
        let camera = locked(family, 1).await;
        let at = camera.http_addr().to_string();
        let (is_good, text) = probed(&at, login("wrong"), 1).await;
        assert!(!is_good, "{family}:\n{text}");
        assert!(text.contains("the camera refused the login"), "{family}:\n{text}");
        // The open request, the question of the first family without a login, and the same with it.
        let asked = camera.web_requests();
        assert!(asked.len() <= 3 && asked.iter().all(|r| r.status == 401), "{family}: {asked:?}");
        assert_eq!(camera.counters().connections, 0, "{family}: RTSP is not tried:\n{text}");
    }
}

#[tokio::test]
async fn a_camera_that_asks_for_a_login_is_said_to() {
    let camera = locked("uapi", 1).await;
    let (is_good, text) = probed(&camera.http_addr().to_string(), None, 1).await;
    assert!(!is_good, "{text}");
    assert!(text.contains("give --username"), "{text}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_said_once() {
    let (at, _kept) = closed_port();
    let (is_good, text) = probed(&at.to_string(), login(PASSWORD), 1).await;
    assert!(!is_good, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(&at.to_string())).count(), 1, "{text}");
}

#[tokio::test]
async fn a_camera_known_by_its_stream_alone_works_as_suggested() {
    let camera = locked("uapi", 1).await;
    let address = camera.rtsp_url(0, camera::Stream::Main);
    let (is_good, text) = probed(&address, login(PASSWORD), 1).await;
    assert!(is_good, "{text}");
    assert!(text.contains("main stream by TCP: H.264") && !text.contains("web server"), "{text}");
    follow(&text, vec![camera]).await;
    let camera = locked("uapi", 1).await;
    let address = camera.rtsp_url(0, camera::Stream::Main);
    let (is_good, text) = probed(&address, login("wrong"), 1).await;
    assert!(!is_good && text.contains("the camera refused the login"), "{text}");
}

#[tokio::test]
async fn a_search_for_everyone_finds_a_camera_on_the_device_itself() {
    let mut options = CameraOptions::default();
    options.onvif.discovery = Some(MULTICAST);
    let camera = CameraSim::start(options).await.unwrap();
    let mut lines = Vec::new();
    let mut say = |line: &str| lines.push(line.to_owned());
    assert!(probe::discover(&Search::default(), &mut say).await.unwrap());
    let port = format!(":{}/", camera.http_addr().port());
    assert!(lines.iter().any(|line| line.contains(&port)), "{lines:?}");
}

#[tokio::test]
async fn a_search_names_the_address_that_can_be_probed() {
    let mut options = CameraOptions::default();
    options.onvif.discovery = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let camera = CameraSim::start(options).await.unwrap();
    let to = camera.discovery_addr().unwrap();
    let search = Search { to, wait: Duration::from_secs(2), ..Search::default() };
    let mut lines = Vec::new();
    let mut say = |line: &str| lines.push(line.to_owned());
    assert!(probe::discover(&search, &mut say).await.unwrap());
    assert_eq!(lines.len(), 1, "{lines:?}");
    let address = lines[0].split_whitespace().next().unwrap();
    assert_eq!(address, camera.onvif_url());
    let (is_good, text) = probed(address, None, 1).await;
    assert!(is_good, "{text}");
}
