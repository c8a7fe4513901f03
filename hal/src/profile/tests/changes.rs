//! What is written to a camera and read back, which has to be exactly what was meant, at the camera that was meant.

use ivt_base::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const DETECTION: Detection = Detection {
    enable: true,
    armed: Armed::ALWAYS,
    sensitivity: 60,
    delay: Duration::from_secs(7),
};

/// What a camera makes of a name.
type Keeps = fn(&str) -> String;

/// A Dahua camera's wireless network. It answers OK, and keeps what `keeps` makes of the name.
async fn dahua(keeps: Keeps) -> Camera {
    let ssid: Kept<String> = Kept::default();
    Camera::start(move |request| {
        let query = request.split(' ').nth(1).unwrap().split_once('?').unwrap().1;
        let mut sent = url::form_urlencoded::parse(query.as_bytes());
        let mut ssid = ssid.lock().unwrap();
        if let Some((_, value)) = sent.find(|(name, _)| name == "WLan.eth2.SSID") {
            *ssid = keeps(&value);
            return http(200, "OK\r\n");
        }
        http(200, &format!("table.WLan.eth2.Enable= True\r\ntable.WLan.eth2.SSID={ssid}\r\n"))
    })
    .await
}

#[tokio::test]
async fn what_is_read_back_is_compared_exactly() {
    let secret = Secret::new("a password".to_owned());
    for ssid in [" Home ", "'x'", "\"x\"", "HOME", "a=b", "7"] {
        let camera = dahua(str::to_owned).await;
        let wifi = channel("dahua", &camera.http(), 1).wifi.unwrap();
        wifi.join(Some(ssid), Some(&secret)).await.unwrap_or_else(|e| panic!("{ssid:?}: {e:?}"));
        assert_eq!(wifi.status().await.unwrap().ssid, ssid);
    }
    let other: [(Keeps, &str); 4] = [
        (str::to_uppercase, "home"),
        (|ssid| ssid.trim().to_owned(), " Home"),
        (|ssid| ssid.trim_matches('\'').to_owned(), "'x'"),
        (|ssid| ssid.chars().take(4).collect(), "Home 2"),
    ];
    for (keeps, ssid) in other {
        let camera = dahua(keeps).await;
        let wifi = channel("dahua", &camera.http(), 1).wifi.unwrap();
        let error = wifi.join(Some(ssid), Some(&secret)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Other, "{ssid:?}");
        assert!(error.source.unwrap().to_string().contains("left WLan.eth2.SSID as it was"));
    }
}

#[tokio::test]
async fn quotes_around_every_value_are_no_part_of_them() {
    let lines = "NETWORK.Wlan0.enable='yes'\nNETWORK.Wlan0.Connect.essid=' a '\n\
                 NETWORK.Wlan0.Connect.key='\"k\"'\nNETWORK.Wlan0.ipaddress=''\n";
    let camera = Camera::start(move |_| http(200, lines)).await;
    let status = channel("uapi", &camera.http(), 1).wifi.unwrap().status().await.unwrap();
    assert_eq!((status.enable, &*status.ssid), (true, " a "));
    assert!(status.password.is_some_and(|password| password.expose() == "\"k\""));
}

/// A camera that answers a document wherever it is asked, and takes whatever is sent back.
async fn document(text: &'static str) -> Camera {
    Camera::start(move |request| match request.starts_with("PUT") {
        true => http(200, "<ResponseStatus><statusCode>1</statusCode></ResponseStatus>"),
        false if request.contains("/Event/schedules/") => {
            http(200, "<Schedule><TimeBlockList/></Schedule>")
        }
        false => http(200, text),
    })
    .await
}

#[tokio::test]
async fn a_place_that_the_camera_lacks_is_not_invented() {
    let area = Area([(10, 20), (90, 20), (80, 80), (20, 80)].map(|(x, y)| Point { x, y }));
    let camera = document("<MotionDetection><enabled>false</enabled></MotionDetection>").await;
    let motion = channel("hikvision", &camera.http(), 1).motion.unwrap();
    let error = motion.configure(DETECTION).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    let lacks = "has no MotionDetectionLayout/sensitivityLevel";
    assert!(error.source.unwrap().to_string().contains(lacks));
    let regions =
        "<FieldDetection><enabled>false</enabled><FieldDetectionRegionList/></FieldDetection>";
    let without_regions = document(regions).await;
    let tripwire = channel("hikvision", &without_regions.http(), 1).tripwire.unwrap();
    for area in [Some(area), None] {
        let error = tripwire.configure(DETECTION, area).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
    }
    let asked = [camera.requests(), without_regions.requests()].concat();
    assert!(
        asked.iter().all(|one| one.starts_with("GET") || one.contains("/schedules/")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_profile_says_which_places_may_be_absent() {
    let text = "title = \"t\"\n[rtsp]\nmain = \"/a\"\n[[wifi.join]]\npath = \"/x\"\nformat = \"xml\"\n\
                change = { \"a?\" = \"1\", \"b/c?\" = \"2\", \"d/e+\" = \"{ssid}\" }\nreplace = { \"b/f\" = \"<g/>\" }\n";
    let profile = Arc::new(Profile::parse("mine", text).unwrap());
    for (before, after) in [
        ("<r><b/></r>", Some("<r><b><f><g/></f></b><d><e>s</e></d></r>")),
        (
            "<r><a/><b><c/></b></r>",
            Some("<r><a>1</a><b><c>2</c><f><g/></f></b><d><e>s</e></d></r>"),
        ),
        ("<r><a/></r>", None),
    ] {
        let camera = document(before).await;
        let unit = profile.channel(&camera.http(), &Options::default()).unwrap();
        let done = unit.wifi.unwrap().join(Some("s"), None).await.map_err(|error| error.kind);
        assert_eq!(done, after.map(drop).ok_or(Kind::Unsupported), "{before}");
        let last = camera.requests().pop().unwrap();
        assert!(last.ends_with(after.unwrap_or("\r\n\r\n")), "{last}");
    }
    let json = "title = \"t\"\n[rtsp]\nmain = \"/a\"\n[[wifi.join]]\npath = \"/x\"\nformat = \"json\"\n\
                change = { \"/a?\" = \"1\", \"/b\" = \"2\", \"/d/e+\" = '\"{ssid}\"' }\n";
    let profile = Arc::new(Profile::parse("mine", json).unwrap());
    for (before, after) in [
        (r#"{"b":0,"d":{}}"#, Some(r#"{"b":2,"d":{"e":"s"}}"#)),
        (r#"{"b":0}"#, None),
        (r#"{"d":{}}"#, None),
    ] {
        let camera = document(before).await;
        let unit = profile.channel(&camera.http(), &Options::default()).unwrap();
        let done = unit.wifi.unwrap().join(Some("s"), None).await.map_err(|error| error.kind);
        assert_eq!(done, after.map(drop).ok_or(Kind::Unsupported), "{before}");
        let last = camera.requests().pop().unwrap();
        assert!(last.ends_with(after.unwrap_or("\r\n\r\n")), "{last}");
    }
}

#[tokio::test]
async fn an_input_that_the_streams_do_not_name_is_refused() {
    let http = Http::new("127.0.0.1", 9, None, crate::http::Limits::default());
    for name in Profile::names() {
        let profile = Arc::new(Profile::builtin(name).unwrap());
        let made = profile.channel(&http, &Options { input: 2, ..Options::default() });
        let has_inputs = ["hikvision", "dahua", "axis"].contains(name);
        assert_eq!(made.is_ok(), has_inputs, "{name}");
        if let Err(error) = made {
            let said = error.to_string();
            for word in [name, "input", "rtsp.main", "2"] {
                assert!(said.contains(word), "{said}");
            }
        }
        assert!(profile.channel(&http, &Options::default()).is_ok(), "{name}");
    }
    let derived = "title = \"t\"\n[rtsp]\nmain = \"/{a}\"\n[values]\na = { text = \"{b}\" }\nb = { text = \"{input-1}\" }\n";
    let profile = Arc::new(Profile::parse("mine.toml", derived).unwrap());
    assert!(profile.channel(&http, &Options { input: 2, ..Options::default() }).is_ok());
}

/// Dahua's camera is stopped before it is moved elsewhere; here the stop takes its time and what follows is silent.
#[tokio::test]
async fn a_start_that_stops_first_ends_within_eight_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for delay in [0, 5, 3600] {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(tcp.read(&mut request).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_secs(delay)).await;
            let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK";
            tcp.write_all(answer.as_bytes()).await.ok();
            silent.push(tcp);
        }
    });
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    let ptz = channel("dahua", &http, 1).ptz.unwrap();
    ptz.start(Movement { direction: Direction::Up, speed: 50 }).await.unwrap();
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let error = ptz.start(Movement { direction: Direction::Left, speed: 50 }).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    let took = start.elapsed();
    assert!(took > Duration::from_secs(6) && took <= Duration::from_secs(8), "{took:?}");
}

#[test]
fn what_a_detection_has_no_place_for_is_known() {
    for (name, motion, tripwire) in [
        ("uapi", "", "sensitivity delay"),
        ("nvc", "", "sensitivity delay"),
        ("dahua", "delay", "sensitivity delay"),
        ("hikvision", "", "delay"),
        ("merlin", "", ""),
    ] {
        let profile = Profile::builtin(name).unwrap();
        assert_eq!(profile.leaves_out("motion set").join(" "), motion, "{name}");
        assert_eq!(profile.leaves_out("tripwire set").join(" "), tripwire, "{name}");
    }
}
