//! The program as a process: its log and its end.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Far longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Cloud(WebSocketStream<TcpStream>);

impl Cloud {
    async fn accept(listener: &TcpListener) -> Self {
        let (tcp, _) = timeout(PATIENCE, listener.accept()).await.expect("a dial").expect("TCP");
        Self(tokio_tungstenite::accept_async(tcp).await.expect("a WebSocket"))
    }

    async fn receive(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message") {
                Some(Ok(Message::Text(text))) => {
                    return Some(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(_))) | None => return None,
                Some(other) => assert!(other.is_ok(), "{other:?}"),
            }
        }
    }

    async fn send(&mut self, packet: Value) {
        self.0.send(Message::text(packet.to_string())).await.expect("the agent reads");
    }

    /// Calls a method of the agent, and answers Keepalives until the answer is there.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(json!({"req": method, "params": params, "seq": 77})).await;
        loop {
            let packet = self.receive().await.expect("an answer");
            match packet.get("req") {
                Some(_) => self.send(json!({"seq": packet["seq"], "resp": {}})).await,
                None => return packet,
            }
        }
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.expect("a temporary file").write_all(text.as_bytes()).expect("written");
}

/// Starts an agent that logs at every level.
fn start(dir: &Path, config: &str) -> Child {
    start_with(dir, config, Some("trace,tungstenite=trace,rustls=trace"))
}

/// An agent with this in `RUST_LOG`.
fn start_with(dir: &Path, config: &str, rust_log: Option<&str>) -> Child {
    let path = dir.join("agent.toml");
    write(&path, config);
    let log = std::fs::File::create(dir.join("log")).expect("a log");
    Command::new(env!("CARGO_BIN_EXE_ivt-agent"))
        .arg("--config")
        .arg(path)
        .env_remove("RUST_LOG")
        .envs(rust_log.map(|value| ("RUST_LOG", value)))
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

async fn signal(agent: &Child, name: &str) {
    let pid = agent.id().expect("it runs").to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.expect("kill").success());
}

/// Waits until the log says `wanted` so often.
async fn said(dir: &Path, wanted: &str, count: usize) {
    let begin = Instant::now();
    let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    while log().matches(wanted).count() < count {
        assert!(begin.elapsed() < PATIENCE, "it never said {wanted:?} {count} times:\n{}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends SIGTERM and waits until the program has ended well.
async fn terminate(mut agent: Child) {
    signal(&agent, "-TERM").await;
    let status = timeout(PATIENCE, agent.wait()).await.expect("it ends").expect("a status");
    assert!(status.success(), "{status}");
}

/// Fails if the program gave up waiting for a task when it ended.
fn all_tasks_had_ended(dir: &Path) {
    let log = std::fs::read_to_string(dir.join("log")).expect("a log");
    assert!(!log.contains("stopped without waiting"), "{log}");
}

/// A camera that asks for a password and then does not know the stream.
async fn camera(listener: TcpListener, scheme: &'static str) {
    while let Ok((mut tcp, _)) = listener.accept().await {
        let mut request = vec![0; 4096];
        while let Ok(n @ 1..) = tcp.read(&mut request).await {
            let text = String::from_utf8_lossy(&request[..n]);
            let seq = text.lines().find_map(|l| l.strip_prefix("CSeq: ")).unwrap_or("0").trim();
            let status = match text.contains("Authorization: ") {
                true => "404 Not Found".to_owned(),
                false => format!(
                    "401 Unauthorized\r\nWWW-Authenticate: {scheme} realm=\"cam\"\
                                  , nonce=\"n\", algorithm=MD5"
                ),
            };
            let answer = format!("RTSP/1.0 {status}\r\nCSeq: {seq}\r\nContent-Length: 0\r\n\r\n");
            if tcp.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn no_secret_reaches_the_log_at_any_level() {
    for scheme in ["Basic", "Digest"] {
        let (cloud, cloud_addr) = listen().await;
        let (rtsp, rtsp_addr) = listen().await;
        tokio::spawn(camera(rtsp, scheme));
        let dir = tempfile::tempdir().expect("a directory");
        let config = format!(
            "[cloud]\nurl = 'ws://{cloud_addr}/ivc'\nlogin_code = 'cam1'\n\
             login_passwd = 'canary-login'\n\
             [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://admin:canary-camera@{rtsp_addr}/main'\n"
        );
        let agent = start(dir.path(), &config);
        let mut cloud = Cloud::accept(&cloud).await;
        let url = format!("rtmp://{rtsp_addr}/live/canary-key?token=canary-token");
        let publish = json!({"channel": 0, "quality": "hd", "url": url, "stream_id": "s",
                             "max_bitrate": 0});
        let answer = cloud.call("RTMPPublish", publish).await;
        let error = answer["err"]["msg"].as_str().expect("an error").to_owned();
        // A complaint about a wrong address must not repeat the address either.
        let wrong = json!({"channel": 0, "quality": "hd", "url": url.replace("rtmp", "ftp"),
                           "stream_id": "s", "max_bitrate": 0});
        cloud.call("RTMPPublish", wrong).await;
        cloud.send(json!({"event": "SyncTime", "params": {"datetime": "canary-event"}})).await;
        cloud.0.send(Message::text("canary garbage")).await.expect("sent");
        assert!(cloud.receive().await.is_none(), "garbage ends the connection");
        terminate(agent).await;

        let log = std::fs::read_to_string(dir.path().join("log")).expect("a log");
        assert!(log.contains("logged in") && log.contains("did not start"), "{log}");
        // The second secret is the Basic login of a camera, "admin:canary-camera" in base64.
        for secret in ["canary", "YWRtaW46Y2FuYXJ5LWNhbWVyYQ"] {
            assert!(!log.contains(secret), "{secret}:\n{log}");
            assert!(!error.contains(secret), "{secret}: {error}");
        }
    }
}

#[tokio::test]
async fn sigterm_says_goodbye_and_ends_the_program_before_it_loses_patience() {
    let (listener, addr) = listen().await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\n"
    );
    let agent = start(dir.path(), &config);
    let mut cloud = Cloud::accept(&listener).await;
    let keepalive = cloud.receive().await.expect("a Keepalive");
    assert_eq!(keepalive["req"], "Keepalive");
    let ((), goodbye) = tokio::join!(terminate(agent), cloud.receive());
    assert!(goodbye.is_none(), "{goodbye:?}");
    all_tasks_had_ended(dir.path());
}

#[tokio::test]
async fn a_cloud_that_is_down_does_not_hold_up_the_end() {
    let (listener, addr) = listen().await;
    drop(listener);
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\n"
    );
    let agent = start(dir.path(), &config);
    said(dir.path(), "next try in", 1).await;
    terminate(agent).await;
    all_tasks_had_ended(dir.path());
}

/// Whether a process runs; one that was not waited for yet has ended.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn the_programs_of_a_camera_end_with_the_agent_after_they_had_half_a_second() {
    const PICTURE: &str = r"\000\000\000\001\147\144\000\014\254\262\002\203\077\076\002\040\000\000\003\000\040\000\000\006\101\342\205\111\000\000\001\150\353\303\313\042\300\000\000\001\145\210a";
    for (threads, signals) in [(0, 1), (2, 1), (0, 2), (2, 2)] {
        let (listener, addr) = listen().await;
        let dir = tempfile::tempdir().expect("a directory");
        let helper = dir.path().join("helper");
        // The helper does not listen to SIGTERM, and the file is there once that is so.
        let script = format!(
            "sh -c 'trap \"\" TERM; echo $$ > {helper}.new; mv {helper}.new {helper}; while :; do sleep 1; done' \
             > /dev/null & while :; do printf '{PICTURE}'; sleep 1; done",
            helper = helper.display()
        );
        let config = format!(
            "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
             [runtime]\nworker_threads = {threads}\n[[channel]]\nbackend = 'emulator'\n\
             command = ['sh', '-c', \"\"\"{}\"\"\"]\nalways_on = ['main']\n",
            script.replace('\\', r"\\").replace('"', r#"\""#)
        );
        let mut agent = start(dir.path(), &config);
        let mut cloud = Cloud::accept(&listener).await;
        cloud.receive().await.expect("a Keepalive");
        let begin = Instant::now();
        while !helper.exists() {
            assert!(begin.elapsed() < PATIENCE, "the program does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let pid = std::fs::read_to_string(&helper).expect("a number");
        assert!(runs(&pid), "{pid}");
        let begin = Instant::now();
        for _ in 0..signals {
            signal(&agent, "-TERM").await;
            said(dir.path(), "SIGTERM: stopping", 1).await;
        }
        let status = timeout(PATIENCE, agent.wait()).await.expect("it ends").expect("a status");
        let took = begin.elapsed();
        // A killed process may take a moment to be gone.
        let begin = Instant::now();
        while runs(&pid) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{threads} threads, {signals} signals: it is there"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if signals == 1 {
            assert!(status.success(), "{status}");
            assert!(took >= Duration::from_millis(500), "{threads} threads: {took:?}");
        }
    }
}

#[tokio::test]
async fn sighup_takes_over_what_it_can_and_names_the_rest() {
    let (listener, addr) = listen().await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'canary'\n\
         [[channel]]\nbackend = 'emulator'\n"
    );
    let agent = start_with(dir.path(), &config, None);
    let mut cloud = Cloud::accept(&listener).await;
    cloud.receive().await.expect("a Keepalive");
    let file = dir.path().join("agent.toml");
    let edit = |text: &str| std::fs::write(&file, text).expect("our own file");
    let log = || std::fs::read_to_string(dir.path().join("log")).expect("a log");

    edit(&config.replace("'emulator'", "'emulator'\nring_bytes = 1"));
    signal(&agent, "-HUP").await;
    said(dir.path(), "agent.toml:7: channel.ring_bytes must be a whole number", 1).await;
    said(dir.path(), "the settings stay as they were", 1).await;
    assert!(!log().contains("DEBUG"), "{}", log());

    let more = "bitrate = 1000000\n[log]\nlevel = 'trace'\n[publish]\nretry_seconds = 1\n";
    edit(&format!("{config}{more}"));
    signal(&agent, "-HUP").await;
    said(dir.path(), "configuration: applied: channel.0, log.level", 1).await;
    said(dir.path(), "configuration: needs a restart: publish.retry_seconds", 1).await;
    cloud.send(json!({"event": "Nonsense", "params": {}})).await;
    said(dir.path(), "DEBUG", 1).await;

    // Settings that need a restart are named again, settings that were applied are not.
    signal(&agent, "-HUP").await;
    said(dir.path(), "needs a restart: publish.retry_seconds", 2).await;
    edit(&config);
    signal(&agent, "-HUP").await;
    said(dir.path(), "configuration: applied: channel.0, log.level", 2).await;
    signal(&agent, "-HUP").await;
    said(dir.path(), "configuration: nothing changed", 1).await;
    terminate(agent).await;
    assert!(!log().contains("canary"), "{}", log());
}

#[tokio::test]
async fn the_level_of_the_environment_wins_over_a_changed_one() {
    let (listener, addr) = listen().await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\n"
    );
    let agent = start_with(dir.path(), &config, Some("info"));
    let mut cloud = Cloud::accept(&listener).await;
    let text = format!("{config}[log]\nlevel = 'trace'\n");
    std::fs::write(dir.path().join("agent.toml"), text).expect("our own file");
    signal(&agent, "-HUP").await;
    said(dir.path(), "log.level: RUST_LOG in the environment wins", 1).await;
    cloud.send(json!({"event": "Nonsense", "params": {}})).await;
    cloud.call("Nonsense", json!({})).await;
    terminate(agent).await;
    let log = std::fs::read_to_string(dir.path().join("log")).expect("a log");
    assert!(!log.contains("DEBUG") && !log.contains("TRACE"), "{log}");
}

/// The most memory that the program has had so far, in KiB.
fn peak(agent: &Child) -> u64 {
    let pid = agent.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("KiB")
}

/// JSON of 64,000 bytes at most whose values take much more memory than their text.
fn greedy() -> Vec<String> {
    let list = |item: &str| format!("[{}]", vec![item; 63_990 / (item.len() + 1)].join(","));
    let members = (0..7_000).map(|n| format!(r#""{n}":0"#)).collect::<Vec<_>>().join(",");
    let mut all: Vec<_> = ["[]", "{}", "0", r#"{"":0}"#, "[[]]", r#""""#, r#"{"a":[{}]}"#, "1e9"]
        .iter()
        .map(|item| list(item))
        .collect();
    all.push(format!("{{{members}}}"));
    // What is read as one value waits as its text.
    all.push(format!(r#""{}""#, r"\u0041".repeat(10_000)));
    all.push(format!(r#""{}""#, "\u{955c}".repeat(20_000)));
    all.push(format!("[{}]", vec![r#""0123456789abcdef""#; 3_000].join(",")));
    all.push(format!("{}{}", "[".repeat(31_000), "]".repeat(31_000)));
    all
}

#[tokio::test]
async fn what_waits_takes_little_memory_whatever_is_in_it() {
    const REQUESTS: usize = 44;
    const MOST: u64 = 8 << 10;
    let (listener, addr) = listen().await;
    // This camera takes the connection and says nothing, so that what is asked of it takes its whole time.
    let (_camera, camera) = listen().await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[cloud]\nurl = 'ws://{addr}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://{camera}/main'\n"
    );
    let agent = start_with(dir.path(), &config, Some("warn"));
    let mut cloud = Cloud::accept(&listener).await;
    cloud.call("Nonsense", json!({})).await;
    let before = peak(&agent);

    let publish = json!({"channel": 0, "quality": "hd", "url": "rtmp://127.0.0.1:9/a/b",
                         "stream_id": "s", "max_bitrate": 0});
    cloud.send(json!({"req": "RTMPPublish", "params": publish, "seq": 0})).await;
    for seq in 1..REQUESTS {
        let greedy = greedy();
        let fill = &greedy[seq % greedy.len()];
        let packet = format!(
            r#"{{"req":"RTMPStopPublish","params":{{"channel":0,"stream_id":"s","x":{fill}}},"seq":{seq}}}"#
        );
        cloud.0.send(Message::text(packet)).await.expect("the agent reads");
        let event = json!({"event": "GotoPTZPreset", "params": {"channel": 0, "token": "x".repeat(60_000)}});
        cloud.send(event).await;
    }
    let (mut next, mut answered) = (0, 0);
    while next < REQUESTS {
        let packet = cloud.receive().await.expect("it does not hang up");
        if packet.get("req").is_none() {
            assert_eq!(packet["seq"], next, "{packet}");
            next += 1;
            continue;
        }
        let resp = &greedy()[answered];
        let answer = format!(r#"{{"resp":{resp},"seq":{}}}"#, packet["seq"]);
        cloud.0.send(Message::text(answer)).await.expect("the agent reads");
        answered += 1;
    }
    let more = peak(&agent) - before;
    assert!(more <= MOST, "{more} KiB more than {before} KiB");
    terminate(agent).await;
}
