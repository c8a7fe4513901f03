//! Event streams of the families, over raw sockets, as their texts describe them.

use std::net::SocketAddr;
use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use ivt_hal::Trigger;
use ivt_sim::camera::{AlarmQuirk, CameraOptions, CameraSim, Credentials, Make};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::DEADLINE;
use crate::player::channel;

const HIKVISION: &str = "/ISAPI/Event/notification/alertStream";

/// A client that listens, and what it read.
pub struct Listener {
    pub stream: TcpStream,
    pub heard: String,
}

pub async fn camera(family: &str, channels: usize, quirks: &[AlarmQuirk]) -> CameraSim {
    let channels = vec![channel("main", "sub"); channels];
    let family: Make = family.parse().unwrap();
    let alarm_quirks = quirks.to_vec();
    let options = CameraOptions { family, alarm_quirks, ..CameraOptions::new(channels) };
    CameraSim::start(options).await.unwrap()
}

impl Listener {
    pub async fn open(camera: &CameraSim, target: &str) -> Self {
        Self::say(camera, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    pub async fn say(camera: &CameraSim, request: &str) -> Self {
        Self::say_to(camera.http_addr(), request).await
    }

    pub async fn say_to(address: SocketAddr, request: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, heard: String::new() }
    }

    /// Reads until the text was heard, and returns everything up to there that was not returned before.
    pub async fn until(&mut self, text: &str) -> String {
        let reading = async {
            loop {
                if let Some(at) = self.heard.find(text) {
                    let rest = self.heard.split_off(at + text.len());
                    return std::mem::replace(&mut self.heard, rest);
                }
                let mut buffer = [0; 4096];
                let length = self.stream.read(&mut buffer).await.unwrap();
                assert!(length > 0, "the stream ended before {text:?}: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        };
        timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("no {text:?} came"))
    }
}

/// Raises or ends a trigger of a channel.
pub fn raise(camera: &CameraSim, channel: usize, trigger: Trigger, active: bool) {
    camera.unit(channel).unwrap().emulator.world.trigger(trigger, active);
}

#[tokio::test]
async fn hikvision_repeats_motion_while_it_lasts_and_never_ends_it() {
    let camera = camera("hikvision", 1, &[]).await;
    let mut client = Listener::open(&camera, HIKVISION).await;
    let head = client.until("</EventNotificationAlert>\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n")
            && head.contains("multipart/mixed; boundary=boundary")
    );
    for word in
        ["--boundary\r\n", "<eventType>videoloss<", "<eventState>inactive<", "<activePostCount>0<"]
    {
        assert!(head.contains(word), "{word}: {head}");
    }
    camera.wait_web(|counters| counters.streams == 1).await;
    raise(&camera, 0, Trigger::Motion, true);
    for count in 1..=2 {
        let part = client.until("</EventNotificationAlert>\r\n\r\n").await;
        for word in ["<eventType>VMD<", "<eventState>active<", "<channelID>1<"] {
            assert!(part.contains(word), "{word}: {part}");
        }
        assert!(part.contains(&format!("<activePostCount>{count}<")), "{part}");
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        let length = head.rsplit("Content-Length: ").next().unwrap().parse::<usize>().unwrap();
        assert_eq!(length, body.len() - "\r\n".len(), "{part}");
    }
    raise(&camera, 0, Trigger::Motion, false);
    raise(&camera, 0, Trigger::Line, true);
    raise(&camera, 0, Trigger::Line, false);
    raise(&camera, 0, Trigger::Input, true);
    raise(&camera, 0, Trigger::Input, false);
    let told = client.until("IO</eventType>\r\n<eventState>inactive<").await;
    let kinds: Vec<_> = told
        .split("<eventType>")
        .skip(1)
        .map(|part| {
            part.split("</eventState>").next().unwrap().replace("</eventType>\r\n<eventState>", " ")
        })
        .map(|part| part.trim_end_matches('<').to_owned())
        .collect();
    assert_eq!(kinds, ["linedetection active", "IO active", "IO inactive"]);
    assert!(told.contains("<inputIOPortID>1<") && told.contains("<RegionCoordinates>"), "{told}");
}

#[tokio::test]
async fn a_hikvision_recorder_tells_of_all_its_inputs() {
    for (quirks, word) in [
        (&[][..], "<channelID>34<"),
        (&[AlarmQuirk::DynIds], "<dynChannelID>2<"),
        (&[AlarmQuirk::PlainIds], "<channelID>2<"),
    ] {
        let camera = camera("hikvision", 2, quirks).await;
        let mut client = Listener::open(&camera, HIKVISION).await;
        client.until("</EventNotificationAlert>").await;
        raise(&camera, 1, Trigger::Input, true);
        let part = client.until("</EventNotificationAlert>").await;
        assert!(part.contains(word) && part.contains("<dynInputIOPortID>201<"), "{part}");
    }
}

#[tokio::test]
async fn quirks_of_hikvision_show() {
    for (quirk, words) in [
        (AlarmQuirk::Boundary, &["boundary=MIME_boundary", "--boundary\r\n"][..]),
        (AlarmQuirk::EmptyCount, &["<activePostCount></activePostCount>", "<activePostCount>1<"]),
        (AlarmQuirk::NoChannel, &["</macAddress>\r\n<dateTime>", "<channelID>1<"]),
        (AlarmQuirk::LoneAmp, &["Camera 1 & gate<", "<channelName>Camera 1<"]),
        (AlarmQuirk::AmpName, &["Camera 1 & Co<"]),
        (AlarmQuirk::MotionEnd, &["VMD</eventType>\r\n<eventState>inactive<"]),
        (AlarmQuirk::LineEnd, &["linedetection</eventType>\r\n<eventState>inactive<"]),
        (AlarmQuirk::PicturePart, &["Content-Type: image/jpeg\r\n", "JFIF"]),
        (AlarmQuirk::JsonPart, &["Content-Type: application/json", "\"eventType\": \"VMD\""]),
        (AlarmQuirk::Human, &["<eventType>VMDHumanVehicle<"]),
        (AlarmQuirk::Duration, &["<eventType>duration<", "<relationEvent>linedetection<"]),
        (AlarmQuirk::Region, &["<eventType>fielddetection<"]),
        (AlarmQuirk::NoHeartbeat, &["--boundary"]),
    ] {
        let camera = camera("hikvision", 1, &[quirk]).await;
        let mut client = Listener::open(&camera, HIKVISION).await;
        camera.wait_web(|counters| counters.streams == 1).await;
        for trigger in [Trigger::Motion, Trigger::Line, Trigger::Input] {
            raise(&camera, 0, trigger, true);
            raise(&camera, 0, trigger, false);
        }
        let end = if quirk == AlarmQuirk::Duration {
            "IO<"
        } else {
            "IO</eventType>\r\n<eventState>inactive<"
        };
        let told = client.until(end).await;
        for word in words {
            assert!(told.contains(word), "{quirk:?} {word}: {told}");
        }
        assert_eq!(told.contains("videoloss"), quirk != AlarmQuirk::NoHeartbeat, "{told}");
    }
    for (quirk, off) in [(AlarmQuirk::LengthShort, -10), (AlarmQuirk::LengthLong, 10)] {
        let camera = camera("hikvision", 1, &[quirk]).await;
        let mut client = Listener::open(&camera, HIKVISION).await;
        let head = client.until("Content-Length: ").await;
        let length: i64 = client.until("\r\n").await.trim().parse().unwrap();
        client.until("\r\n").await;
        let body = client.until("</EventNotificationAlert>\r\n").await;
        assert_eq!(length, i64::try_from(body.len()).unwrap() + off, "{head}{body}");
    }
}

#[tokio::test]
async fn the_old_path_is_the_only_one_of_an_old_device() {
    let old = "/Event/notification/alertStream";
    for (quirks, there, gone) in
        [(&[][..], HIKVISION, old), (&[AlarmQuirk::OldPath], old, HIKVISION)]
    {
        let camera = camera("hikvision", 1, quirks).await;
        Listener::open(&camera, there).await.until("boundary").await;
        assert!(Listener::open(&camera, gone).await.until("\r\n").await.contains("404"));
    }
}

#[tokio::test]
async fn streams_at_a_time_are_bounded() {
    let camera = camera("hikvision", 1, &[]).await;
    let mut clients = Vec::new();
    for number in 1..=16 {
        clients.push(Listener::open(&camera, HIKVISION).await);
        camera.wait_web(|counters| counters.streams == number).await;
    }
    assert!(Listener::open(&camera, HIKVISION).await.until("\r\n").await.contains("503"));
    clients.pop();
    camera.wait_web(|counters| counters.streams == 15).await;
    Listener::open(&camera, HIKVISION).await.until("boundary").await;
    camera.reboot(Duration::from_millis(10));
    camera.wait_web(|counters| counters.streams == 0).await;
}

#[tokio::test]
async fn a_login_may_be_asked_for_twice() {
    for (quirks, right) in [(&[][..], 1), (&[AlarmQuirk::LoginTwice], 2)] {
        let credentials = Credentials { user: "admin".into(), password: "tw1ce-over".into() };
        let options = CameraOptions {
            family: Make::Hikvision,
            credentials: Some(credentials),
            alarm_quirks: quirks.to_vec(),
            ..CameraOptions::new(vec![channel("main", "sub")])
        };
        let camera = CameraSim::start(options).await.unwrap();
        let mut client = Listener::open(&camera, HIKVISION).await;
        for _ in 0..right {
            let head = client.until("\r\n\r\n").await;
            assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
            let challenge =
                head.lines().find_map(|l| l.strip_prefix("WWW-Authenticate: ")).unwrap();
            let mut login = PasswordClient::try_from(challenge).unwrap();
            let params = PasswordParams {
                username: "admin",
                password: "tw1ce-over",
                uri: HIKVISION,
                method: "GET",
                body: None,
            };
            let answer = login.respond(&params).unwrap();
            let request = format!("GET {HIKVISION} HTTP/1.1\r\nAuthorization: {answer}\r\n\r\n");
            client = Listener::say(&camera, &request).await;
        }
        assert!(client.until("--boundary").await.starts_with("HTTP/1.1 200 "));
        // Another target is none of the stream's business.
        let other = Listener::open(&camera, "/ISAPI/System/time").await.until("\r\n").await;
        assert!(other.contains("401"), "{other}");
    }
}

const DAHUA: &str = "/cgi-bin/eventManager.cgi?action=attach&codes=[All]&heartbeat=1";

#[tokio::test]
async fn dahua_tells_of_what_was_asked_for_and_beats() {
    let camera = camera("dahua", 2, &[]).await;
    let target =
        "/cgi-bin/eventManager.cgi?action=attach&codes=[CrossLineDetection,AlarmLocal]&heartbeat=1";
    let (mut some, mut all) =
        (Listener::open(&camera, target).await, Listener::open(&camera, DAHUA).await);
    camera.wait_web(|counters| counters.streams == 2).await;
    for trigger in [Trigger::Motion, Trigger::Line, Trigger::Input] {
        raise(&camera, 1, trigger, true);
        raise(&camera, 1, trigger, false);
    }
    let end = "Code=AlarmLocal;action=Stop;index=1\r\n\r\n";
    let told = all.until(end).await;
    assert!(told.contains("multipart/x-mixed-replace; boundary=myboundary\r\n"), "{told}");
    let codes = |told: &str| {
        let events = told.split("Code=").skip(1);
        let head = |event: &str| event.split([';', '\r']).take(3).collect::<Vec<_>>().join(" ");
        events.map(head).collect::<Vec<_>>()
    };
    let expected = [
        "VideoMotion action=Start index=1",
        "VideoMotionInfo action=State index=1",
        "VideoMotion action=Stop index=1",
        "CrossLineDetection action=Start index=1",
        "CrossLineDetection action=Stop index=1",
        "AlarmLocal action=Start index=1",
        "AlarmLocal action=Stop index=1",
    ];
    assert_eq!(codes(&told), expected);
    assert_eq!(codes(&some.until(end).await), expected[3..]);
    let first = told.split("--myboundary\r\n").nth(1).unwrap();
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    let body = body.strip_suffix("\r\n\r\n").unwrap();
    assert_eq!(head, format!("Content-Type: text/plain\r\nContent-Length:{}", body.len()));
    let data = body.split_once(";data=").unwrap().1;
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["Id"][0], 0);
    all.until("Content-Length:9\r\n\r\nHeartbeat\r\n\r\n").await;
}

#[tokio::test]
async fn quirks_of_dahua_show() {
    let mut rows = JoinSet::new();
    for (quirk, words, gone) in [
        (
            AlarmQuirk::Boundary,
            &["boundary=theirboundary", "--myboundary\r\n"][..],
            "boundary=myboundary",
        ),
        (AlarmQuirk::NoBlank, &["\r\nCode=VideoMotion;"], "\r\n\r\nCode="),
        (AlarmQuirk::SpacedBoundary, &["\r\n-- myboundary\r\n"], "--myboundary"),
        (AlarmQuirk::EmbeddedHead, &["\r\n\r\nHTTP/1.1 200 OK\r\n"], "Pulse"),
        (AlarmQuirk::OddData, &["gate;action=Stop;index=9;data={x=1}"], "Pulse"),
        (
            AlarmQuirk::Pulse,
            &["Code=CrossLineDetection;action=Pulse;"],
            "Code=CrossLineDetection;action=St",
        ),
        (AlarmQuirk::NoStop, &["Code=VideoMotion;action=Start;"], "action=Stop"),
        (
            AlarmQuirk::Region,
            &["Code=CrossRegionDetection;action=Start;", "DetectRegion"],
            "CrossLine",
        ),
        (AlarmQuirk::AlarmIpc, &["Code=AlarmIPC;action=Start;index=0"], "AlarmLocal"),
    ] {
        rows.spawn(async move {
            let camera = camera("dahua", 1, &[quirk]).await;
            let mut client = Listener::open(&camera, DAHUA).await;
            camera.wait_web(|counters| counters.streams == 1).await;
            for trigger in [Trigger::Motion, Trigger::Line, Trigger::Input] {
                raise(&camera, 0, trigger, true);
                raise(&camera, 0, trigger, false);
            }
            let told = client.until("Heartbeat").await;
            for word in words {
                assert!(told.contains(word), "{quirk:?} {word}: {told}");
            }
            assert!(!told.contains(gone), "{quirk:?} {gone}: {told}");
        });
    }
    while let Some(row) = rows.join_next().await {
        row.unwrap();
    }
}

#[tokio::test]
async fn an_attach_has_its_brackets_as_they_are() {
    let camera = camera("dahua", 1, &[]).await;
    for wrong in [
        "action=attach",
        "action=attach&codes=All",
        "action=attach&codes=%5BAll%5D",
        "action=attach&codes=[All]&heartbeat=0",
        "action=attach&codes=[All]&heartbeat=61",
    ] {
        let target = format!("/cgi-bin/eventManager.cgi?{wrong}");
        let answer = Listener::open(&camera, &target).await.until("Bad Request!").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn the_rule_that_is_set_up_is_the_one_that_is_told() {
    let camera = camera("dahua", 1, &[]).await;
    let set = "/cgi-bin/configManager.cgi?action=setConfig&VideoAnalyseRule[0][0].Type=CrossRegionDetection";
    Listener::open(&camera, set).await.until("OK\r\n").await;
    let mut client = Listener::open(&camera, DAHUA).await;
    camera.wait_web(|counters| counters.streams == 1).await;
    raise(&camera, 0, Trigger::Line, true);
    client.until("Code=CrossRegionDetection;action=Start;index=0").await;
}

#[tokio::test]
async fn uapi_and_nvc_tell_documents_amid_other_bytes() {
    for (family, target, root) in [
        ("uapi", "/nvc-cgi/admin/avstream.cgi?streamno=first&streamreq=meta&format=xml", "<vca>"),
        (
            "nvc",
            "/nvc-cgi/viewer/avstream.cgi?streamno=second&streamreq=video,metadata",
            "<vca schema_version=\"1.6\">",
        ),
    ] {
        let camera = camera(family, 1, &[]).await;
        let mut client = Listener::open(&camera, target).await;
        let first = client.until("</vca>").await;
        assert!(
            first.contains(&format!("?>\n{root}\n")) && first.contains("\r\n\r\n@\0"),
            "{first:?}"
        );
        assert!(
            first.contains("<objects>\n</objects>") && first.contains("<val>0</val>"),
            "{first}"
        );
        raise(&camera, 0, Trigger::Motion, true);
        assert!(client.until("</vca>").await.contains("<object>\n<id>7</id>"));
        raise(&camera, 0, Trigger::Motion, false);
        client.until("<objects>\n</objects>").await;
        client.until("</vca>").await;
        raise(&camera, 0, Trigger::Line, true);
        let begun = client.until("</vca>").await;
        for word in
            ["<type>zone</type>", "<rule_type>linecrossing<", "<status>1</status>", "<val>1</val>"]
        {
            assert!(begun.contains(word), "{word}: {begun}");
        }
        assert!(client.until("</vca>").await.contains("<status>2</status>"));
        raise(&camera, 0, Trigger::Line, false);
        client.until("<status>3</status>").await;
        assert!(!client.until("</vca>").await.contains("<s>0</s>"), "an end has a time");
        raise(&camera, 0, Trigger::Input, true);
        client.until("<type>din</type>").await;
        for wrong in
            ["streamno=third&streamreq=meta", "streamno=first&streamreq=video", "streamno=first"]
        {
            let target = format!("/nvc-cgi/admin/avstream.cgi?{wrong}");
            Listener::open(&camera, &target).await.until("#400|BAD REQUEST").await;
        }
    }
}

#[tokio::test]
async fn merlin_sends_its_alarms_as_requests() {
    let camera = camera("merlin", 2, &[]).await;
    let port = Listener::open(&camera, "/merlin/GetListenPort.cgi").await.until("}").await;
    let port = port.split_once("{\"TCPPort\":").unwrap().1.trim_end_matches('}').parse().unwrap();
    assert_ne!(port, camera.http_addr().port());
    raise(&camera, 1, Trigger::Motion, true);
    let address = SocketAddr::new(camera.http_addr().ip(), port);
    let book = "POST /merlin/BookAlarm.cgi HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let mut client = Listener::say_to(address, book).await;
    let states = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
        let all: serde_json::Value = serde_json::from_str(body).unwrap();
        let all = &all["AlarmState"];
        [&all["alarm"], &all["motion"], &all["cross"]["state"]]
            .map(|state| state.as_str().unwrap().to_owned())
    };
    assert_eq!(states(&client.until("}}").await), ["00", "01", "00"]);
    for (trigger, active, line) in [
        (Trigger::Motion, false, "type=3&status=2&channelno=1"),
        (Trigger::Input, true, "type=2&status=1&channelno=1"),
        (Trigger::Line, true, "type=10&status=1&channelno=1"),
    ] {
        raise(&camera, 1, trigger, active);
        let request = client.until(line).await;
        assert!(request.starts_with("POST "), "{request}");
        assert!(request.contains(&format!("Content-Length: {}\r\n", line.len())), "{request}");
    }
    // The client books again, as its heartbeat.
    client.stream.write_all(&book.as_bytes()[..20]).await.unwrap();
    client.stream.write_all(&book.as_bytes()[20..]).await.unwrap();
    assert_eq!(states(&client.until("}}").await), ["01", "00", "01"]);
}

#[tokio::test]
async fn a_schedule_raises_alarms_of_channels_that_there_are() {
    let scheduled = async |text: &str| {
        let schedule = vec![text.parse().unwrap()];
        let channels = vec![channel("main", "sub"); 2];
        let family = Make::Dahua;
        let options = CameraOptions { family, schedule, ..CameraOptions::new(channels) };
        CameraSim::start(options).await
    };
    let camera = scheduled("line:every=200ms,for=100ms,channel=1").await.unwrap();
    let mut client = Listener::open(&camera, DAHUA).await;
    for action in ["Start", "Stop", "Start"] {
        client.until(&format!("Code=CrossLineDetection;action={action};index=1")).await;
    }
    let refused = scheduled("line:at=1s,channel=2").await.err().unwrap().to_string();
    assert_eq!(refused, "the camera has 2 channels; there is no channel 2");
}
