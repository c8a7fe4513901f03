//! Event streams over real sockets, at cameras that tell their alarms as their families do.

mod pace;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::http::{Limits, fake};
use crate::{Alarm, Alarms, Error, Heard, Signal, Trigger};

const PATIENT: Duration = Duration::from_secs(20);
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=other\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// A camera whose answers that begin with `STREAM` stay open for what it says later.
struct Live {
    http: Http,
    requests: Kept<Vec<String>>,
    says: broadcast::Sender<Vec<u8>>,
}

impl Live {
    async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let http = Http::new("127.0.0.1", port, None, Limits::default());
        let (says, requests) = (broadcast::channel(4096).0, Kept::<Vec<String>>::default());
        let (speech, seen, answer) = (says.clone(), Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(tcp, speech.clone(), Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { http, requests, says }
    }

    /// One whose event stream is at every path.
    async fn talking() -> Self {
        Self::start(|_| STREAM.to_owned()).await
    }

    fn say(&self, text: &str) {
        self.says.send(text.as_bytes().to_vec()).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| request.lines().next().unwrap().to_owned()).collect()
    }
}

async fn serve(
    tcp: TcpStream,
    says: broadcast::Sender<Vec<u8>>,
    seen: Kept<Vec<String>>,
    answer: Arc<impl Fn(&str) -> String>,
) {
    let (mut from, mut to) = tcp.into_split();
    let (asks, mut asked) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(request) = request(&mut from).await {
            asks.send(request).await.unwrap();
        }
    });
    let (mut speech, mut is_open) = (says.subscribe(), false);
    loop {
        let bytes = tokio::select! {
            request = asked.recv() => {
                let Some(request) = request else { return };
                let answer = answer(&request);
                let closes = request.to_ascii_lowercase().contains("connection: close");
                seen.lock().unwrap().push(request);
                if closes && !answer.starts_with(STREAM) {
                    to.write_all(answer.as_bytes()).await.unwrap();
                    return;
                }
                is_open = true;
                answer.into_bytes()
            }
            said = speech.recv(), if is_open => match said {
                Ok(said) if !said.is_empty() => said,
                _ => return,
            },
        };
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn request(tcp: &mut OwnedReadHalf) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(tcp.read_u8().await.ok()?);
    }
    Some(String::from_utf8(request).unwrap())
}

/// A listener to one input, and what it hears.
struct Ear {
    task: JoinHandle<Error>,
    hears: mpsc::Receiver<Heard>,
}

impl Ear {
    async fn new(profile: &str, live: &Live, input: u16) -> Self {
        let mut ear = Self::deaf(channel(profile, &live.http, input).alarms.unwrap());
        assert_eq!(ear.next().await, Some(Heard::Listening));
        ear
    }

    /// One that nobody has answered yet.
    fn deaf(alarms: Arc<dyn Alarms>) -> Self {
        let (heard, hears) = mpsc::channel(64);
        Self { task: tokio::spawn(async move { alarms.listen(&heard).await }), hears }
    }

    async fn next(&mut self) -> Option<Heard> {
        timeout(PATIENT, self.hears.recv()).await.unwrap()
    }

    async fn alarm(&mut self) -> (Trigger, Signal, String) {
        match self.next().await {
            Some(Heard::Alarm(Alarm { trigger, signal, what })) => (trigger, signal, what),
            other => panic!("{other:?}"),
        }
    }

    async fn signal(&mut self) -> (Trigger, Signal) {
        let (trigger, signal, _) = self.alarm().await;
        (trigger, signal)
    }
}

const BEGINS: Signal = Signal::Begins;
const ENDS: Signal = Signal::Ends;
const DETECTED: Signal = Signal::Detected;

fn alert(kind: &str, state: &str, more: &str) -> String {
    format!(
        "--boundary\r\nContent-Type: application/xml; charset=\"UTF-8\"\r\nContent-Length: 12\r\n\r\n\
         <EventNotificationAlert version=\"1.0\" xmlns=\"http://www.hikvision.com/ver20/XMLSchema\">\r\n\
         <eventType>{kind}</eventType><eventState>{state}</eventState><eventDescription>{kind} alarm</eventDescription>{more}\
         </EventNotificationAlert>\r\n"
    )
}

#[tokio::test]
async fn hikvision_tells_motion_lines_and_inputs() {
    let live = Live::talking().await;
    let mut ear = Ear::new("hikvision", &live, 1).await;
    let one = "<channelID>1</channelID>";
    for (kind, state, more, wanted) in [
        ("VMD", "active", one, (Trigger::Motion, DETECTED)),
        ("VMD", "inactive", one, (Trigger::Motion, ENDS)),
        (
            "VMDHumanVehicle",
            "active",
            "<dynChannelID>1</dynChannelID>",
            (Trigger::Motion, DETECTED),
        ),
        ("linedetection", "active", one, (Trigger::Line, DETECTED)),
        ("fielddetection", "active", one, (Trigger::Line, DETECTED)),
        ("fielddetection", "inactive", one, (Trigger::Line, ENDS)),
        ("regionEntrance", "active", one, (Trigger::Line, DETECTED)),
        ("regionExiting", "active", one, (Trigger::Line, DETECTED)),
        ("IO", "active", "<inputIOPortID>1</inputIOPortID>", (Trigger::Input, BEGINS)),
        ("IO", "inactive", "<inputIOPortID>1</inputIOPortID>", (Trigger::Input, ENDS)),
        // The second contact of a camera is the camera's, too.
        ("io", "Active", "<dynInputIOPortID>2</dynInputIOPortID>", (Trigger::Input, BEGINS)),
    ] {
        live.say(&alert(kind, state, more));
        let (trigger, signal, what) = ear.alarm().await;
        assert_eq!((trigger, signal), wanted, "{kind} {state}");
        assert_eq!(what, format!("{kind} alarm"));
    }
    let wrapped = "<DurationList><Duration><relationEvent>fielddetection</relationEvent></Duration></DurationList>";
    live.say(&alert("duration", "active", &format!("{one}{wrapped}")));
    assert_eq!(ear.alarm().await, (Trigger::Line, DETECTED, "fielddetection".into()));
    assert_eq!(live.lines(), ["GET /ISAPI/Event/notification/alertStream HTTP/1.1"]);
}

#[tokio::test]
async fn a_malformed_part_of_hikvisions_stream_ends_nothing() {
    let live = Live::talking().await;
    let mut ear = Ear::new("hikvision", &live, 1).await;
    let one = "<channelID>1</channelID>";
    let jpeg =
        "--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n\u{0}JFIF<Event<\r\n";
    let json = "--boundary\r\nContent-Type: application/json\r\n\r\n{\"eventType\": \"VMD\"}\r\n";
    let cut = alert("VMD", "active", one).replace("</EventNotificationAlert>", "");
    for part in [
        jpeg,
        json,
        &cut,
        &alert("VMD", "active", "<channelID></channelID>"),
        &alert("VMD", "active", ""),
        &alert("VMD", "active", "<channelID>1</eventType>"),
        &alert("VMD", "active", "<!DOCTYPE a><channelID>1</channelID>"),
        &alert("VMD", "", one),
        &alert(
            "videoloss",
            "inactive",
            "<activePostCount>0</activePostCount><channelID>1</channelID>",
        ),
        &alert("VMD", "active", "<channelID>2</channelID>"),
        &alert("VMD", "active", "<channelID>65535</channelID>"),
        &format!("<EventNotificationAlert>{}", "<a>".repeat(10_000)),
    ] {
        live.say(part);
    }
    let odd = "<activePostCount></activePostCount><channelName>R & D</channelName>";
    let prefixed = alert("VMD", "active", &format!("{one}{odd}"))
        .replace("<", "<ns:")
        .replace("<ns:/", "</ns:")
        .replace("Alert version", "Alert xmlns:ns='u' version");
    live.say(&prefixed);
    assert_eq!(ear.alarm().await, (Trigger::Motion, DETECTED, "VMD alarm".into()));
    live.say("");
    assert_eq!(ear.next().await, None, "and of the others nothing was heard");
    assert_eq!(ear.task.await.unwrap().kind, Kind::Other);
}

#[tokio::test]
async fn the_inputs_of_an_nvr_share_one_stream() {
    let live = Live::talking().await;
    let mut ears = Vec::new();
    for input in [1, 2, 3] {
        ears.push(Ear::new("hikvision", &live, input).await);
    }
    for (more, of) in [
        ("<channelID>33</channelID>", 0),
        ("<dynChannelID>34</dynChannelID>", 1),
        ("<channelID>3</channelID>", 2),
        ("<channelID>034</channelID>", 1),
    ] {
        live.say(&alert("VMD", "active", more));
        live.say(&alert("VMD", "inactive", more));
        assert_eq!(ears[of].signal().await, (Trigger::Motion, DETECTED), "{more}");
        assert_eq!(ears[of].signal().await, (Trigger::Motion, ENDS), "{more}");
    }
    for (more, of) in [
        ("<inputIOPortID>2</inputIOPortID>", 1),
        ("<dynInputIOPortID>301</dynInputIOPortID>", 2),
        ("<inputIOPortID>1</inputIOPortID>", 0),
        ("<channelID>34</channelID>", 1),
        ("<channelID>33</channelID><inputIOPortID>3</inputIOPortID>", 2),
    ] {
        live.say(&alert("IO", "active", more));
        assert_eq!(ears[of].signal().await, (Trigger::Input, BEGINS), "{more}");
    }
    live.say(&alert("IO", "active", "<inputIOPortID>9</inputIOPortID>"));
    assert_eq!(live.requests.lock().unwrap().len(), 1);
    // The one that opened the stream goes, and the others go on with it.
    drop(ears.remove(0).hears);
    for ear in &mut ears {
        assert_eq!(ear.next().await, Some(Heard::Listening));
        assert_eq!(ear.signal().await, (Trigger::Input, BEGINS), "what is held is told again");
    }
    live.say(&alert("VMD", "active", "<channelID>34</channelID>"));
    assert_eq!(loop_to_motion(&mut ears[0]).await, DETECTED);
    assert_eq!(live.requests.lock().unwrap().len(), 1);
    live.say("");
    for ear in ears {
        assert_eq!(ear.task.await.unwrap().kind, Kind::Other);
    }
}

#[test]
fn the_dry_run_shows_how_the_stream_is_asked_for() {
    let lines = Profile::builtin("hikvision").unwrap().dry_run();
    let listen: Vec<_> = lines.iter().filter(|line| line.starts_with("alarms listen")).collect();
    assert_eq!(
        listen,
        [
            "alarms listen\nGET /ISAPI/Event/notification/alertStream",
            "alarms listen (instead, if that fails)\nGET /Event/notification/alertStream",
        ]
    );
    let lines = Profile::builtin("dahua").unwrap().dry_run();
    assert!(
        lines.contains(
            &"clock set\nGET /cgi-bin/global.cgi?action=setCurrentTime&time=2026-11-30%2001:02:03"
                .to_owned()
        )
    );
}

/// The next signal of motion.
async fn loop_to_motion(ear: &mut Ear) -> Signal {
    loop {
        if let (Trigger::Motion, signal) = ear.signal().await {
            return signal;
        }
    }
}

#[tokio::test]
async fn the_last_listener_closes_the_connection() {
    let live = Live::talking().await;
    for round in 1..4 {
        let ears = [Ear::new("dahua", &live, 1).await, Ear::new("dahua", &live, 2).await];
        assert_eq!(live.says.receiver_count(), 1, "one connection");
        for ear in ears {
            ear.task.abort();
            assert!(ear.task.await.unwrap_err().is_cancelled());
        }
        // The camera notices with what it says next.
        let closed = async {
            while live.says.receiver_count() > 0 {
                let _ = live.says.send(b"--myboundary\r\n".to_vec());
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENT, closed).await.expect("the connection is closed");
        assert_eq!(live.requests.lock().unwrap().len(), round);
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_at_its_old_address_and_refusals_are_told() {
    let live = Live::start(|request| match request.contains("/ISAPI/") {
        true => NOT_FOUND.to_owned(),
        false => STREAM.to_owned(),
    })
    .await;
    Ear::new("hikvision", &live, 1).await;
    assert_eq!(live.lines()[1], "GET /Event/notification/alertStream HTTP/1.1");
    for (answer, kind) in [
        (NOT_FOUND, Kind::Unsupported),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", Kind::Refused),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Kind::Other),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
            Kind::Other,
        ),
    ] {
        let live = Live::start(move |_| answer.to_owned()).await;
        for name in ["hikvision", "dahua", "uapi", "nvc", "merlin"] {
            let mut ear = Ear::deaf(channel(name, &live.http, 1).alarms.unwrap());
            assert_eq!(ear.next().await, None, "{name}: nothing is heard");
            let error = ear.task.await.unwrap();
            assert_eq!((error.kind, error.op), (kind, "alarms listen"), "{name}: {answer}");
        }
    }
    for name in ["ipai", "axis", "majestic"] {
        assert!(channel(name, &live.http, 1).alarms.is_none(), "{name} has no such stream");
    }
}

#[tokio::test]
async fn a_refused_login_is_not_tried_by_every_attempt() {
    let live = Live::start(|_| {
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n".to_owned()
    })
    .await;
    let credentials = Credentials { username: "root".into(), password: "wr0ng-7".into() };
    let http = Http::new("127.0.0.1", live.http.port(), Some(credentials), Limits::default());
    for _ in 0..20 {
        let ear = Ear::deaf(channel("hikvision", &http, 1).alarms.unwrap());
        assert_eq!(ear.task.await.unwrap().kind, Kind::Refused);
    }
    let requests = live.requests.lock().unwrap();
    let tries = requests.iter().filter(|request| fake::header(request, "Authorization").is_some());
    assert_eq!(tries.count(), 2, "the clock's and the stream's");
}

/// Advances the time at once. The sockets are real, and their deadlines run by the same clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn dahua_tells_motion_lines_and_inputs_in_irregular_parts() {
    let live = Live::talking().await;
    let mut ear = Ear::new("dahua", &live, 1).await;
    for (part, wanted) in [
        (
            "--myboundary\r\nContent-Type: text/plain\r\nContent-Length:36\r\n\r\nCode=VideoMotion;action=Start;index=0\r\n\r\n",
            (Trigger::Motion, BEGINS),
        ),
        (
            "-- myboundary\r\nContent-Length:99\r\nCode=VideoMotion;action=Stop;index=0;data={\r\n \"Id\" : [ 0 ]\r\n}\r\n",
            (Trigger::Motion, ENDS),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n--b\r\n\r\nCode=SmartMotionHuman;action=Start;index=0\r\n",
            (Trigger::Motion, BEGINS),
        ),
        (
            "--myboundary\r\n\r\nCode=SmartMotionVehicle;action=Pulse;index=0\r\n",
            (Trigger::Motion, DETECTED),
        ),
        (
            "--myboundary\r\n\r\nCode=CrossLineDetection;action=Start;index=0;data={\"Name\":\"a;b=c\"}\r\n",
            (Trigger::Line, DETECTED),
        ),
        (
            "--myboundary\r\n\r\nCode=CrossLineDetection;action=Stop;index=0\r\n",
            (Trigger::Line, ENDS),
        ),
        (
            "--myboundary\r\n\r\nCode=CrossLineDetection;action=Pulse;index=0\r\n",
            (Trigger::Line, DETECTED),
        ),
        (
            "--myboundary\r\n\r\nCode=CrossRegionDetection;action=Start;index=0;data={\"Name\n--myboundary\r\n",
            (Trigger::Line, BEGINS),
        ),
        (
            "--myboundary\r\n\r\nCode=CrossRegionDetection;action=Stop;index=0\r\n",
            (Trigger::Line, ENDS),
        ),
        ("--myboundary\r\n\r\nCode=AlarmLocal;action=Start;index=3\r\n", (Trigger::Input, BEGINS)),
        ("--myboundary\r\n\r\nCode=AlarmLocal;action=Stop;index=3\r\n", (Trigger::Input, ENDS)),
        ("--myboundary\r\n\r\nCode=AlarmIPC;action=Start;index=0\r\n", (Trigger::Input, BEGINS)),
        // Nothing marks the end of this one.
        ("--myboundary\r\n\r\nCode=AlarmIPC;action=Stop;index=0", (Trigger::Input, ENDS)),
    ] {
        live.say("--myboundary\r\nContent-Length:9\r\n\r\nHeartbeat\r\n\r\n--myboundary\r\n\r\nCode=VideoMotionInfo;action=State;index=0\r\nCode=VideoMotion;action=Start;index=1\r\nCode=VideoMotion\r\n");
        live.say(part);
        let (trigger, signal, what) = ear.alarm().await;
        assert_eq!((trigger, signal), wanted, "{part}");
        assert!(!what.is_empty(), "{part}");
        assert_eq!(what == "a;b=c", part.contains("a;b=c"), "{part}");
    }
    assert_eq!(
        live.lines(),
        ["GET /cgi-bin/eventManager.cgi?action=attach&codes=[All]&heartbeat=5 HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_copy_of_a_profile_maps_the_inputs_of_an_nvr() {
    let live = Live::talking().await;
    let text = Profile::text("dahua").unwrap();
    let mapped = text.replace(
        "index = { text = \"{input-1}\" }",
        "index = { from = \"input\", words = { 1 = \"7\", 2 = \"0\" } }",
    );
    assert_ne!(text, mapped);
    let profile = Arc::new(Profile::parse("mine.toml", &mapped).unwrap());
    let mut ears = Vec::new();
    for input in [1, 2] {
        let channel = profile.channel(&live.http, &Options { input, ..Options::default() });
        let mut ear = Ear::deaf(channel.unwrap().alarms.unwrap());
        assert_eq!(ear.next().await, Some(Heard::Listening));
        ears.push(ear);
    }
    live.say("Code=VideoMotion;action=Start;index=7\r\nCode=AlarmLocal;action=Start;index=0\r\nCode=AlarmLocal;action=Start;index=5\r\n");
    assert_eq!(ears[0].signal().await, (Trigger::Motion, BEGINS));
    assert_eq!(ears[1].signal().await, (Trigger::Input, BEGINS));
    assert_eq!(live.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_metadata_of_uapi_tell_zones_and_what_moves() {
    let document = |inner: &str| {
        format!(
            "@\u{0}\u{1}<<<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<vca schema_version=\"1.6\">\n<vca_hdr>\n<frame_id>1</frame_id>\n</vca_hdr>\n{inner}\n</vca>\n"
        )
    };
    let event = |id: u8, kind: &str, status: u8| {
        document(&format!(
            "<objects></objects><events>\n<event><id>{id}</id><type>{kind}</type><rule_name>Yard</rule_name><status>{status}</status></event></events>"
        ))
    };
    for name in ["uapi", "nvc"] {
        let live = Live::start(|request| match request.contains("/admin/") {
            true => NOT_FOUND.to_owned(),
            false => STREAM.to_owned(),
        })
        .await;
        let mut ear = Ear::new(name, &live, 1).await;
        assert!(live.lines()[1].starts_with(
            "GET /nvc-cgi/viewer/avstream.cgi?streamno=first&streamreq=meta&format=xml"
        ));
        live.say(&document("<objects></objects><events></events><counts><count><id>1</id><val>3</val></count></counts>"));
        for (id, kind, status, wanted) in [
            (1, "zone", 1, Some((Trigger::Line, BEGINS))),
            (2, "zone", 2, Some((Trigger::Line, BEGINS))),
            (1, "zone", 3, None),
            (2, "zone", 3, Some((Trigger::Line, ENDS))),
            (3, "linecounter_a", 4, Some((Trigger::Line, DETECTED))),
            (4, "din", 1, Some((Trigger::Input, BEGINS))),
            (4, "din", 0, Some((Trigger::Input, ENDS))),
            (5, "tamper", 1, None),
            (6, "presence", 1, Some((Trigger::Motion, BEGINS))),
        ] {
            live.say(&event(id, kind, status));
            if let Some(wanted) = wanted {
                let (trigger, signal, what) = ear.alarm().await;
                assert_eq!(
                    (trigger, signal, &*what),
                    (wanted.0, wanted.1, "Yard"),
                    "{kind} {status}"
                );
            }
        }
        let moving = document(
            "<objects>\n<object>\n<id>4</id>\n<cls_name>Person</cls_name></object></objects>",
        );
        for _ in 0..100 {
            live.say(&moving);
        }
        live.say(&event(6, "presence", 3));
        assert_eq!(ear.alarm().await, (Trigger::Motion, DETECTED, "Person".into()));
        loop {
            match ear.signal().await {
                (Trigger::Motion, DETECTED) => {}
                other => break assert_eq!(other, (Trigger::Motion, ENDS)),
            }
        }
    }
}

#[tokio::test]
async fn merlin_tells_on_a_port_of_its_own_how_things_are_and_what_changes() {
    const STATES: &str = r#"{"AlarmState":{"alarm":"00","motion":"10","cross":{"state":"00"},"loss":"11","blind":"00"}}"#;
    let answer =
        |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let alarms = Live::start(move |_| answer(STATES)).await;
    let port = format!("{{\"TCPPort\": {}}}", alarms.http.port());
    let live = Live::start(move |_| answer(&port)).await;
    // A recorder has streams for each input.
    let text = Profile::text("merlin").unwrap().replace("/ufirststream", "/{input}");
    let profile = Arc::new(Profile::parse("mine.toml", &text).unwrap());
    let mut ears = Vec::new();
    for input in [1, 2] {
        let channel = profile.channel(&live.http, &Options { input, ..Options::default() });
        let mut ear = Ear::deaf(channel.unwrap().alarms.unwrap());
        assert_eq!(ear.next().await, Some(Heard::Listening));
        ears.push(ear);
    }
    assert_eq!(ears[0].signal().await, (Trigger::Motion, BEGINS), "as it was");
    let post = |body: &str| {
        format!("POST /BookAlarm.cgi HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    for (form, of, wanted) in [
        ("type=3&status=2&channelno=0", 0, (Trigger::Motion, ENDS)),
        ("type=2&status=1&channelno=1", 1, (Trigger::Input, BEGINS)),
        ("id=1?type=10&status=1&channelno=1", 1, (Trigger::Line, BEGINS)),
        ("type=4&status=2&channelno=1", 1, (Trigger::Line, ENDS)),
    ] {
        alarms.say(&post("type=1&status=1&channelno=0"));
        alarms.say(&post(form));
        assert_eq!(ears[of].signal().await, wanted, "{form}");
    }
    // The camera is asked again, and the end of what has been missed is told.
    pass(Duration::from_secs(121)).await;
    assert_eq!(ears[0].signal().await, (Trigger::Motion, BEGINS));
    assert_eq!(ears[1].signal().await, (Trigger::Input, ENDS));
    let lines = alarms.lines();
    assert_eq!(lines.len(), 3, "one for the login, one to begin, one again: {lines:?}");
    assert!(lines.iter().all(|line| line == "POST /merlin/BookAlarm.cgi HTTP/1.1"), "{lines:?}");
    assert_eq!(live.lines(), ["POST /merlin/GetListenPort.cgi HTTP/1.1"]);
    alarms.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    for ear in ears {
        assert_eq!(ear.task.await.unwrap().kind, Kind::Refused);
    }
}
