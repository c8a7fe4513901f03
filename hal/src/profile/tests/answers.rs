//! Bad answers: each has to be the right kind of failure, in time.

use ivt_base::secret::Secret;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::Stream;

/// Asks for everything that a family's profile describes, and returns what failed each time.
async fn kinds(name: &str, http: &Http) -> Vec<(&'static str, Option<Kind>)> {
    let profile = Profile::builtin(name).unwrap();
    let unit = channel(name, http, 1);
    let mut kinds = Vec::new();
    macro_rules! ask {
        ($op:literal, $slot:ident, $method:ident, $($argument:expr),*) => {
            if profile.steps($op).is_some() {
                let done = unit.$slot.as_ref().unwrap().$method($($argument),*).await;
                kinds.push(($op, done.err().map(|error| error.kind)));
            }
        };
    }
    let token = if name == "axis" { "G1" } else { "1" };
    let movement = Movement { direction: Direction::Up, speed: 50 };
    let detection =
        Detection { enable: true, armed: Armed::ALWAYS, sensitivity: 1, delay: Duration::ZERO };
    let area = Area([(10, 20), (90, 20), (80, 80), (20, 80)].map(|(x, y)| Point { x, y }));
    let password = Secret::new("a password".to_owned());
    ask!("snapshot take", snapshot, jpeg, Stream::Main);
    ask!("ptz start", ptz, start, movement);
    ask!("ptz stop", ptz, stop,);
    ask!("presets list", presets, list,);
    ask!("presets go_to", presets, go_to, "1");
    ask!("tours list", tours, list,);
    ask!("tours start", tours, start, token);
    ask!("tours stop", tours, stop, Some(token));
    ask!("patrol start", patrol, start,);
    ask!("patrol stop", patrol, stop,);
    ask!("motion set", motion, configure, detection);
    ask!("tripwire set", tripwire, configure, detection, Some(area));
    ask!("network read", network, interfaces,);
    ask!("wifi status", wifi, status,);
    ask!("wifi networks", wifi, networks,);
    ask!("wifi join", wifi, join, Some("net"), Some(&password));
    ask!("power reboot", power, reboot,);
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
            assert!(!kinds.is_empty(), "{name} {status}");
            for (op, found) in kinds {
                // What is unknown there is the token.
                let is_named = matches!(op, "presets go_to" | "tours start");
                let kind = match kind {
                    Kind::Unsupported if is_named => Kind::Invalid,
                    kind => kind,
                };
                assert_eq!(found, Some(kind), "{name} {status}: {op}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_success() {
    for page in [
        "<html><title>Login OK</title></html>",
        "\u{feff}\r\n <!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">OK",
        "<?xml version=\"1.0\"?>\n<!-- OK -->\n<!doctype html><p>OK",
        "<HTML\nlang=\"en\">OK",
    ] {
        let camera = Camera::start(move |_| http(200, page)).await;
        for name in Profile::names() {
            for (op, found) in kinds(name, &camera.http()).await {
                let may = op == "power reboot" && ["axis", "majestic"].contains(name);
                assert_eq!(found, (!may).then_some(Kind::Other), "{name}: {op} by {page}");
            }
        }
    }
}

#[tokio::test]
async fn a_status_code_says_whether_a_change_was_taken() {
    for (answer, expected) in [
        ("<ResponseStatus><statusCode>1</statusCode></ResponseStatus>", None),
        ("<a:ResponseStatus><a:statusCode> 7 </a:statusCode></a:ResponseStatus>", None),
        ("", None),
        ("<ResponseStatus><statusCode>8</statusCode></ResponseStatus>", Some(Kind::Other)),
        (
            "<a:ResponseStatus><a:statusCode> 9 </a:statusCode></a:ResponseStatus>",
            Some(Kind::Other),
        ),
        ("{\"statusCode\": 11}", Some(Kind::Other)),
    ] {
        let camera = Camera::start(move |request| match request.starts_with("PUT") {
            true => http(200, answer),
            false => http(200, "<Wireless><enabled>true</enabled><ssid>a</ssid></Wireless>"),
        })
        .await;
        let wifi = channel("hikvision", &camera.http(), 1).wifi.unwrap();
        let found = wifi.join(Some("b"), None).await.err().map(|error| error.kind);
        assert_eq!(found, expected, "{answer}");
    }
}

#[tokio::test]
async fn the_reason_of_the_first_address_is_not_hidden_by_that_in_its_place() {
    let said = |sub: &str| {
        format!(
            "<ResponseStatus><statusCode>4</statusCode><subStatusCode>{sub}</subStatusCode></ResponseStatus>"
        )
    };
    for (status, body, proxy, kind, asked) in [
        (403, said("ptzOccupiedPriority"), 404, Kind::Refused, 1),
        (403, said("lowPrivilege"), 404, Kind::Refused, 1),
        (200, said("ptzOccupiedPriority"), 404, Kind::Refused, 1),
        (401, String::new(), 404, Kind::Refused, 1),
        (403, String::new(), 404, Kind::Refused, 2),
        (500, String::new(), 404, Kind::Other, 2),
        (404, String::new(), 404, Kind::Unsupported, 2),
        (404, String::new(), 500, Kind::Other, 2),
        (500, String::new(), 403, Kind::Refused, 2),
    ] {
        let shown = format!("{status} {body}, then {proxy}");
        let camera = Camera::start(move |request| match request.contains("ContentMgmt") {
            true => http(proxy, ""),
            false => http(status, &body),
        })
        .await;
        let unit = channel("hikvision", &camera.http(), 1);
        let movement = Movement { direction: Direction::Up, speed: 50 };
        let error = unit.ptz.unwrap().start(movement).await.unwrap_err();
        assert_eq!((error.kind, lines(&camera).len()), (kind, asked), "{shown}");
        let error = unit.snapshot.unwrap().jpeg(Stream::Main).await.unwrap_err();
        assert_eq!((error.kind, lines(&camera).len()), (kind, 2 * asked), "{shown}");
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
