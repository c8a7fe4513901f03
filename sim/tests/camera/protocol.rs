//! RTSP requests by hand.

use std::time::Duration;

use ivt_sim::camera::{CameraOptions, CameraSim, Credentials, Scheme, Stream, Transports};

use crate::client::{Client, Raw};
use crate::player::channel;

async fn camera() -> CameraSim {
    CameraSim::start(CameraOptions::new(vec![channel("main", "sub")])).await.unwrap()
}

/// Sets up the picture, plays it, and returns the session.
pub async fn start(client: &mut Raw, url: &str, transport: &str) -> String {
    let header = format!("Transport: RTP/AVP/TCP;unicast;{transport}\r\n");
    let answer = client.request("SETUP", &format!("{url}/trackID=0"), &header).await;
    assert!(answer.starts_with("RTSP/1.0 200 OK"), "{answer}");
    let session = header_of(&answer, "Session").unwrap();
    let session = session.split(';').next().unwrap().to_owned();
    let answer = client.request("PLAY", url, &format!("Session: {session}\r\n")).await;
    assert!(answer.starts_with("RTSP/1.0 200 OK"), "{answer}");
    session
}

fn header_of<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn a_session_goes_through_its_states() {
    let camera = camera().await;
    let url = camera.rtsp_url(0, Stream::Main);
    let mut client = Raw::connect(&camera).await;
    let answer = client.request("OPTIONS", "*", "").await;
    assert!(header_of(&answer, "Public").unwrap().contains("DESCRIBE"));
    let answer = client.request("DESCRIBE", &url, "").await;
    assert_eq!(header_of(&answer, "Content-Base"), Some(format!("{url}/").as_str()));
    assert!(answer.contains("m=video 0 RTP/AVP 96\r\n") && answer.contains("a=framerate:15\r\n"));
    assert!(answer.contains("m=audio 0 RTP/AVP 97\r\n") && answer.contains("config=1408"));

    let answer = client.request("PLAY", &url, "Session: 1\r\n").await;
    assert!(answer.starts_with("RTSP/1.0 454"), "{answer}");
    let session = start(&mut client, &url, "interleaved=6-7").await;
    assert_eq!(camera.counters().total().sessions, 1);
    let (mut media, mut report) = (None, None);
    while media.is_none() || report.is_none() {
        let (channel, packet) = client.packet().await.unwrap();
        match channel {
            6 => media = media.or(Some(packet)),
            7 => report = report.or(Some(packet)),
            other => panic!("a packet on channel {other}, which was not set up"),
        }
    }
    let (media, report) = (media.unwrap(), report.unwrap());
    assert_eq!(media[8..12], report[4..8], "both halves of a track name the same source");
    let mine = format!("Session: {session}\r\n");
    assert!(client.request("GET_PARAMETER", &url, &mine).await.contains(" 200 OK"));
    assert!(client.request("TEARDOWN", &url, &mine).await.contains(" 200 OK"));
    assert!(client.request("GET_PARAMETER", &url, &mine).await.contains(" 454 "));
    let total = camera.counters().total();
    assert_eq!((total.describes, total.plays, total.sessions), (1, 1, 0));
}

#[tokio::test]
async fn wrong_requests_get_the_status_that_names_the_mistake() {
    let options = CameraOptions {
        transports: Transports { udp: false, tcp: true },
        ..CameraOptions::new(vec![channel("main", "sub")])
    };
    let camera = CameraSim::start(options).await.unwrap();
    let main = camera.rtsp_url(0, Stream::Main);
    let tcp = "Transport: RTP/AVP/TCP;interleaved=0-1\r\n";
    let rows = [
        ("DESCRIBE", format!("{main}x"), "", 404),
        ("DESCRIBE", camera.rtsp_url(1, Stream::Main), "", 404),
        ("DESCRIBE", main.clone(), "Require: funky\r\n", 551),
        ("SETUP", format!("{main}/trackID=0"), "", 400),
        ("SETUP", format!("{main}/trackID=0"), "Transport: RTP/AVP;client_port=9-10\r\n", 461),
        ("SETUP", format!("{main}/trackID=2"), tcp, 404),
        ("SETUP", main.clone(), tcp, 459),
        ("PLAY", main.clone(), "", 454),
        ("RECORD", main.clone(), "", 405),
    ];
    let mut client = Raw::connect(&camera).await;
    for (method, url, headers, status) in rows {
        let answer = client.request(method, &url, headers).await;
        assert!(answer.starts_with(&format!("RTSP/1.0 {status} ")), "{method} {url}: {answer}");
    }
    client.send(b"OPTIONS * RTSP/1.0\r\n\r\n").await;
    assert!(client.answer().await.unwrap().starts_with("RTSP/1.0 400 "), "CSeq is missing");
}

#[tokio::test]
async fn garbage_is_answered_and_ends_the_connection() {
    let camera = camera().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[b'A'; 9000], b"\xff\xff\r\n\r\n"] {
        let mut client = Raw::connect(&camera).await;
        client.send(garbage).await;
        assert!(client.answer().await.is_none_or(|a| a.starts_with("RTSP/1.0 400 ")));
        assert!(client.is_closed().await);
    }
    Client::play(&camera, 0, Stream::Main, "tcp").await.picture().await;
}

#[tokio::test]
async fn silent_clients_are_dropped_and_receiver_reports_keep_one_alive() {
    let options = CameraOptions {
        session_timeout: Duration::from_secs(3),
        ..CameraOptions::new(vec![channel("main", "sub")])
    };
    let camera = CameraSim::start(options).await.unwrap();
    let url = camera.rtsp_url(0, Stream::Main);
    let (mut silent, mut alive) = (Raw::connect(&camera).await, Raw::connect(&camera).await);
    start(&mut silent, &url, "interleaved=0-1").await;
    start(&mut alive, &url, "interleaved=0-1").await;
    let started = tokio::time::Instant::now();
    let mut sent = started;
    while started.elapsed() < Duration::from_secs(5) {
        alive.packet().await.expect("the connection stays");
        if sent.elapsed() > Duration::from_millis(200) {
            alive.send(b"$\x01\x00\x08\x80\xc9\x00\x01abcd").await;
            sent = tokio::time::Instant::now();
        }
    }
    assert!(silent.is_closed().await);
    assert_eq!(camera.counters().total().sessions, 1);
}

#[tokio::test]
async fn a_login_is_asked_for_in_both_schemes() {
    for scheme in [Scheme::Digest, Scheme::Basic] {
        let credentials = Credentials { user: "admin".into(), password: "let me in".into() };
        let options = CameraOptions {
            credentials: Some(credentials),
            scheme,
            ..CameraOptions::new(vec![channel("main", "sub")])
        };
        let camera = CameraSim::start(options).await.unwrap();
        let url = camera.rtsp_url(0, Stream::Main);
        let right = Client::open(&url, "tcp", Some(("admin", "let me in"))).await;
        right.unwrap().picture().await;
        assert!(Client::open(&url, "tcp", Some(("admin", "wrong"))).await.is_err());
        let mut raw = Raw::connect(&camera).await;
        for method in ["DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "TEARDOWN"] {
            let answer = raw.request(method, &url, "").await;
            assert!(answer.starts_with("RTSP/1.0 401 "), "{method}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_old_names_lead_to_channel_zero() {
    let camera = camera().await;
    for (name, size) in [("ufirststream", (640, 360)), ("usecondstream", (320, 180))] {
        let url = format!("rtsp://{}/{name}", camera.addr());
        let client = Client::open(&url, "udp", None).await.unwrap();
        assert_eq!(client.dimensions(), size);
    }
}
