//! `ivt-agent probe` and `ivt-agent profile` as their user meets them.
#![cfg(all(feature = "onvif", feature = "profiles"))]
#![allow(clippy::unwrap_used)] // Helpers fail the test they help.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const PASSWORD: &str = "canary-password";

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ivt-agent"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("IVT_CAMERA_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A web server that gives every request the same answer, and the requests it was sent.
fn server(answer: &'static [u8]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && tcp.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            seen.lock().unwrap().push(text(&request));
            // Who has read enough hangs up.
            let _ = tcp.write_all(answer);
        }
    });
    (address, requests)
}

#[test]
fn a_web_server_of_no_camera_is_told_and_is_a_failure() {
    let (address, _) = server(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let output = agent(&["probe", &address]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for want in ["HTTP 404", "family: none of ", "ONVIF: "] {
        assert!(said.contains(want), "want {want}\ngot  {said}");
    }
    assert!(!said.contains("[[channel]]"), "nothing can be suggested: {said}");
}

#[test]
fn nonsense_silence_and_nobody_are_told_in_time() {
    let (garbage, _) = server(b"\x00\xff\xfeSSH-2.0-camera\r\n\r\n<a><a><a>");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let quiet = silent.local_addr().unwrap().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap().to_string();
    drop(closed);
    for address in [garbage, quiet, nobody] {
        let start = Instant::now();
        let output = agent(&["probe", &address]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{address}: {said}");
        assert!(said.contains(&format!("web server at {address}: ")), "{said}");
        // The limit for a camera, and as much again for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }
}

#[test]
fn a_login_that_is_refused_once_is_not_tried_again() {
    let (address, requests) = server(
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\
          Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let output = agent(&["probe", &address, "--username", "admin"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("refused the login") && !said.contains(PASSWORD), "{said}");
    let requests = requests.lock().unwrap();
    let tried = requests.iter().filter(|head| head.contains("\r\nauthorization: ")).count();
    assert_eq!(tried, 1, "{requests:#?}");
}

#[test]
fn no_channel_tries_a_login_again_that_its_recorder_has_refused() {
    let (address, requests) = server(
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\
          Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    let channel = |input| {
        format!(
            "[[channel]]\nbackend = ['cgi', 'onvif']\nprofile = 'hikvision'\nweb = 'http://{address}'\n\
             main = 'rtsp://{address}/user=admin&password=canary-path'\n\
             username = 'admin'\npassword = '{PASSWORD}'\ninput = {input}\n"
        )
    };
    let channels: String = (1..=3).map(channel).collect();
    let config = format!(
        "[cloud]\nurl = 'ws://127.0.0.1:9/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [device]\nmodel = 'nvr'\n{channels}"
    );
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = agent(&["probe", "--config", file.to_str().unwrap()]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("channel 2\nits host has refused this login before"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let requests = requests.lock().unwrap();
    let tried = requests.iter().filter(|head| head.contains("\r\nauthorization: ")).count();
    assert_eq!(tried, 1, "{requests:#?}");
}

#[test]
fn a_configured_channel_is_named_and_a_number_too_high_is_refused() {
    let (address, _) = server(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    let config = format!(
        "[cloud]\nurl = 'ws://127.0.0.1:9/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [device]\nmodel = 'nvr'\n[[channel]]\nbackend = 'emulator'\n\
         [[channel]]\nbackend = 'onvif'\nonvif = '{address}'\n"
    );
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let output = agent(&["probe", "--config", file]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for want in ["channel 0: not on the network", "channel 1\n", "CtrlPTZ", "GetNetConfig"] {
        assert!(said.contains(want), "want {want}\ngot  {said}");
    }
    let output = agent(&["probe", "--config", file, "--channel", "0"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let output = agent(&["probe", "--config", file, "--channel", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no channel 2"), "{}", text(&output.stderr));
}

#[test]
fn every_built_in_profile_is_listed_shown_and_good() {
    let output = agent(&["profile", "list"]);
    let list = text(&output.stdout);
    let names: Vec<_> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"hikvision") && names.contains(&"uapi"), "{list}");
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let output = agent(&["profile", "show", name]);
        assert!(output.status.success());
        let file = dir.path().join(format!("{name}.toml"));
        std::fs::write(&file, &output.stdout).unwrap();
        let output = agent(&["profile", "check", file.to_str().unwrap()]);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{name}: {said}{}", text(&output.stderr));
        assert!(said.contains("good") && said.contains(" /"), "every request: {said}");
    }
}

#[test]
fn what_is_wrong_with_a_profile_is_said_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    let text_of = |name: &str| text(&agent(&["profile", "show", name]).stdout);
    std::fs::write(&file, format!("{}\n[frobnicate]\nx = 1\n", text_of("hikvision"))).unwrap();
    let output = agent(&["profile", "check", file.to_str().unwrap()]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("mine.toml:") && error.contains("frobnicate"), "{error}");
    let output = agent(&["profile", "check", "/nonexistent/a.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let output = agent(&["profile", "show", "hikvison"]);
    assert!(text(&output.stderr).contains("did you mean \"hikvision\"?"));
}
