//! Bad answers: each has to be the right kind of failure, in time.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

/// Asks a family's abilities, and returns the kinds of failure.
async fn kinds(name: &str, http: &Http) -> Vec<Kind> {
    let unit = channel(name, http, 1);
    let mut kinds = Vec::new();
    if let Some(presets) = unit.presets {
        kinds.extend(presets.list().await.err().map(|error| error.kind));
    }
    if let Some(network) = unit.network {
        kinds.extend(network.interfaces().await.err().map(|error| error.kind));
    }
    if let Some(motion) = unit.motion {
        let detection =
            Detection { enable: true, armed: Armed::ALWAYS, sensitivity: 1, delay: Duration::ZERO };
        kinds.extend(motion.configure(detection).await.err().map(|error| error.kind));
    }
    kinds
}

#[tokio::test]
async fn a_status_is_the_right_kind() {
    for (status, kind) in [
        (401, Kind::Refused),
        (403, Kind::Refused),
        (404, Kind::Unsupported),
        (500, Kind::Other),
        (501, Kind::Unsupported),
        (301, Kind::Other),
    ] {
        let camera = Camera::start(move |_| http(status, "<p>no</p>")).await;
        for name in Profile::names() {
            let kinds = kinds(name, &camera.http()).await;
            assert!(kinds.iter().all(|found| *found == kind), "{name} {status}: {kinds:?}");
            assert!(*name == "majestic" || !kinds.is_empty(), "{name} {status}");
        }
    }
}

#[tokio::test]
async fn garbage_and_bombs_are_failures() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><PTZPresetList>&b;</PTZPresetList>";
    let deep = "<PTZPresetList>".repeat(5000);
    for body in [bomb, &deep, "\u{0}\u{1}garbage", "", "<PTZPresetList"] {
        let answer = http(200, body);
        let camera = Camera::start(move |_| answer.clone()).await;
        let unit = channel("hikvision", &camera.http(), 1);
        let error = unit.presets.unwrap().list().await.unwrap_err();
        assert_eq!(error.kind, Kind::Other);
        let unit = channel("merlin", &camera.http(), 1);
        let error = unit.presets.unwrap().list().await.unwrap_err();
        assert_eq!(error.kind, Kind::Other);
    }
}

#[tokio::test]
async fn a_failure_inside_a_success_is_found() {
    let status = |code: u8, sub: &str| {
        format!(
            "<ResponseStatus><statusCode>{code}</statusCode><subStatusCode>{sub}</subStatusCode></ResponseStatus>"
        )
    };
    for (name, body, kind) in [
        ("hikvision", status(4, "invalidOperation"), Kind::Unsupported),
        ("hikvision", status(2, "busy"), Kind::Other),
        ("hikvision", status(4, "ptzOccupiedPriority"), Kind::Refused),
        ("hikvision", status(4, "lowPrivilege"), Kind::Refused),
        ("dahua", "Error\r\nBad Request!\r\n".into(), Kind::Other),
        ("dahua", "Error\r\nInvalid Authority!\r\n".into(), Kind::Refused),
        ("uapi", "#401|UNAUTHORIZED".into(), Kind::Refused),
        ("uapi", "#404|NOT FOUND".into(), Kind::Unsupported),
        ("axis", "Error:\nno".into(), Kind::Other),
        ("merlin", r#"{"result":-1}"#.into(), Kind::Other),
    ] {
        let answer = http(200, &body);
        let camera = Camera::start(move |_| answer.clone()).await;
        let ptz = channel(name, &camera.http(), 1).ptz.unwrap();
        let movement = Movement { direction: Direction::Up, speed: 50 };
        let found = ptz.start(movement).await.err().map(|error| error.kind);
        assert_eq!(found, Some(kind), "{name}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_camera_is_given_up_within_eight_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    for name in Profile::names() {
        let start = tokio::time::Instant::now();
        let Some(power) = channel(name, &http, 1).power else { continue };
        assert_eq!(power.reboot().await.unwrap_err().kind, Kind::Timeout, "{name}");
        assert!(start.elapsed() < Duration::from_secs(8), "{name}");
        let start = tokio::time::Instant::now();
        let profile = Profile::builtin(name).unwrap();
        assert_eq!(profile.recognise(&http).await.unwrap_err().kind, Kind::Timeout, "{name}");
        assert!(start.elapsed() <= Duration::from_secs(4), "{name}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while tcp.write_all(&[b'x'; 65536]).await.is_ok() {}
    });
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    let list = channel("uapi", &http, 1).presets.unwrap().list().await;
    assert_eq!(list.unwrap_err().kind, Kind::Other);
}

#[tokio::test]
async fn ten_thousand_rows_are_bounded() {
    let rows: String = (0..10_000).map(|n| format!("presets[{n}].Index={n}\r\n")).collect();
    let camera = Camera::start(move |_| http(200, &rows)).await;
    let list = channel("dahua", &camera.http(), 1).presets.unwrap().list().await.unwrap();
    assert_eq!(list.len(), crate::MOST_NAMED);
}

#[tokio::test]
async fn only_its_own_family_is_recognised() {
    let camera = Camera::start(|_| http(404, "404 - Not Found")).await;
    for name in Profile::names() {
        let said = Profile::builtin(name).unwrap().recognise(&camera.http()).await.unwrap();
        assert_eq!(said, None, "{name}");
    }
    let camera = Camera::start(|_| http(401, "")).await;
    let refused = Profile::builtin("uapi").unwrap().recognise(&camera.http()).await;
    assert_eq!(refused.unwrap_err().kind, Kind::Refused);
}

#[tokio::test]
async fn a_missing_preset_or_tour_is_not_a_missing_ability() {
    let camera = Camera::start(|_| http(200, "#404|NOT FOUND\n")).await;
    let unit = channel("uapi", &camera.http(), 1);
    let presets = unit.presets.unwrap();
    assert_eq!(presets.go_to("97").await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(presets.list().await.unwrap_err().kind, Kind::Unsupported);
    assert_eq!(unit.tours.unwrap().start("97").await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn blanks_of_a_wireless_network_are_kept_and_others_are_not() {
    let lines = "NETWORK.Wlan0.enable= yes \nNETWORK.Wlan0.Connect.essid= a b \nNETWORK.Wlan0.Connect.key= c \n\
                 NETWORK.Wlan0.ipaddress= 10.0.0.1 \n";
    let xml = "<Wireless><enabled> true </enabled><ssid> a b </ssid><WirelessSecurity><WPA><sharedKey> c \
               </sharedKey></WPA></WirelessSecurity></Wireless>";
    for (name, body, ip) in [("uapi", lines, "10.0.0.1"), ("hikvision", xml, "")] {
        let camera = Camera::start(move |_| http(200, body)).await;
        let status = channel(name, &camera.http(), 1).wifi.unwrap().status().await.unwrap();
        assert_eq!((&*status.ssid, status.enable, &*status.interface.ip), (" a b ", true, ip));
        assert!(status.password.is_some_and(|password| password.expose() == " c "), "{name}");
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_is_no_success_of_uapi() {
    let camera = Camera::start(|_| http(200, "\n<html><body>Please log in</body></html>")).await;
    let unit = channel("uapi", &camera.http(), 1);
    let detection =
        Detection { enable: true, armed: Armed::ALWAYS, sensitivity: 1, delay: Duration::ZERO };
    for found in [
        unit.presets.unwrap().list().await.map(drop),
        unit.wifi.unwrap().join(Some("net"), None).await,
        unit.motion.unwrap().configure(detection).await,
        unit.tripwire.unwrap().configure(detection, None).await,
    ] {
        assert_eq!(found.unwrap_err().kind, Kind::Other);
    }
}
