//! All faults as a client sees them.

use std::time::Duration;

use ivt_sim::camera::{CameraOptions, CameraSim, Credentials, Fault, Stream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::client::{Client, DEADLINE, Raw};
use crate::player::{SPEED, channel};

async fn camera() -> CameraSim {
    let channels = vec![channel("main", "sub"), channel("h264_bframes", "hevc")];
    CameraSim::start(CameraOptions::new(channels)).await.unwrap()
}

/// Takes frames until the session ends, and returns why.
async fn ends(client: &mut Client) -> String {
    let started = Instant::now();
    loop {
        if let Err(error) = client.next().await {
            return error;
        }
        assert!(started.elapsed() < DEADLINE, "the session goes on");
    }
}

/// The SSRC of the picture, as `SETUP` tells it.
async fn source(camera: &CameraSim) -> String {
    let url = format!("{}/trackID=0", camera.rtsp_url(0, Stream::Main));
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let answer = Raw::connect(camera).await.request("SETUP", &url, transport).await;
    let (_, ssrc) = answer.split_once("ssrc=").expect("an SSRC");
    ssrc[..8].to_owned()
}

#[tokio::test]
async fn a_reboot_drops_all_and_comes_back_at_the_same_address() {
    let camera = camera().await;
    let mut clients = [
        Client::play(&camera, 0, Stream::Main, "tcp").await,
        Client::play(&camera, 1, Stream::Main, "tcp").await,
    ];
    for client in &mut clients {
        client.picture().await;
    }
    let before = source(&camera).await;
    camera.reboot(Duration::from_secs(2));
    for client in &mut clients {
        ends(client).await;
    }
    let down = Instant::now();
    let mut refused = 0;
    while TcpStream::connect(camera.addr()).await.is_err() {
        refused += 1;
        assert!(down.elapsed() < DEADLINE, "the camera comes back");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(refused > 0, "the listener is closed meanwhile");
    assert_ne!(source(&camera).await, before, "it has a new identity");
    Client::play(&camera, 0, Stream::Main, "tcp").await.picture().await;
}

#[tokio::test]
async fn one_channel_reboots_while_the_other_plays_on() {
    let camera = camera().await;
    let mut lost = Client::play(&camera, 0, Stream::Main, "tcp").await;
    let mut kept = Client::play(&camera, 1, Stream::Main, "tcp").await;
    lost.picture().await;
    camera.inject(Some(0), Fault::Reboot(Duration::from_secs(2))).unwrap();
    ends(&mut lost).await;
    let mut raw = Raw::connect(&camera).await;
    let answer = raw.request("DESCRIBE", &camera.rtsp_url(0, Stream::Main), "").await;
    assert!(answer.starts_with("RTSP/1.0 503 "), "{answer}");
    for _ in 0..50 {
        assert_eq!(kept.picture().await.loss, 0);
    }
    while Client::open(&camera.rtsp_url(0, Stream::Main), "tcp", None).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_freeze_keeps_the_connection_and_resumes_at_a_key_frame() {
    let camera = camera().await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    let mut last = client.picture().await.timestamp;
    camera.freeze(Duration::from_secs(3));
    // The time of the stream runs on while it is frozen.
    for _ in 0..1000 {
        let frame = client.picture().await;
        let gap = frame.timestamp - last;
        last = frame.timestamp;
        if gap > 90_000 {
            assert!(frame.key, "the picture starts with a key frame");
            assert!(gap >= 3 * i64::from(SPEED) * 90_000, "a gap of {gap} ticks");
            return;
        }
    }
    panic!("nothing was held back");
}

#[tokio::test]
async fn new_parameters_of_the_same_codec_come_in_the_stream() {
    let camera = camera().await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    let first = client.picture().await;
    assert_eq!(client.dimensions(), (640, 360));
    camera.change_parameters();
    let mut last = first.timestamp;
    loop {
        let frame = client.picture().await;
        assert!((1..=90_000).contains(&(frame.timestamp - last)), "time runs on");
        last = frame.timestamp;
        if client.dimensions() == (320, 180) {
            assert!(frame.key, "and they come with a key frame");
            break;
        }
    }
    camera.change_parameters();
    while client.dimensions() != (640, 360) {
        client.picture().await;
    }
}

#[tokio::test]
async fn another_codec_ends_the_stream_and_is_described_anew() {
    let camera = camera().await;
    let mut client = Client::play(&camera, 1, Stream::Main, "tcp").await;
    client.picture().await;
    camera.inject(Some(1), Fault::ChangeParameters).unwrap();
    ends(&mut client).await;
    let mut raw = Raw::connect(&camera).await;
    let answer = raw.request("DESCRIBE", &camera.rtsp_url(1, Stream::Main), "").await;
    assert!(answer.contains("H265/90000"), "{answer}");
    Client::play(&camera, 1, Stream::Main, "udp").await.picture().await;
}

#[tokio::test]
async fn time_jumps_forwards_and_backwards() {
    for ticks in [90_000 * 3600, -90_000 * 3600] {
        let camera = camera().await;
        let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
        let mut last = client.picture().await.timestamp;
        camera.inject(Some(0), Fault::Jump(ticks)).unwrap();
        loop {
            let now = client.picture().await.timestamp;
            if (now - last).abs() > 90_000 {
                assert!((now - last - ticks).abs() <= 90_000, "{} for {ticks}", now - last);
                break;
            }
            last = now;
        }
    }
}

#[tokio::test]
async fn garbage_breaks_the_session_but_not_the_camera() {
    let camera = camera().await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    client.picture().await;
    camera.inject(None, Fault::Garbage).unwrap();
    ends(&mut client).await;
    Client::play(&camera, 0, Stream::Main, "tcp").await.picture().await;
}

#[tokio::test]
async fn nothing_is_answered_after_a_description() {
    let camera = camera().await;
    camera.inject(Some(0), Fault::SilenceAfterDescribe(true)).unwrap();
    let mut raw = Raw::connect(&camera).await;
    let url = camera.rtsp_url(0, Stream::Main);
    assert!(raw.request("DESCRIBE", &url, "").await.starts_with("RTSP/1.0 200 "));
    raw.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n").await;
    let wait = Duration::from_millis(500);
    assert!(tokio::time::timeout(wait, raw.answer()).await.is_err(), "it says nothing");
    Client::play(&camera, 1, Stream::Main, "tcp").await.picture().await;
    camera.inject(Some(0), Fault::SilenceAfterDescribe(false)).unwrap();
    Client::play(&camera, 0, Stream::Main, "tcp").await.picture().await;
}

#[tokio::test]
async fn the_right_login_can_be_refused() {
    let credentials = Credentials { user: "admin".into(), password: "secret".into() };
    let options = CameraOptions {
        credentials: Some(credentials),
        ..CameraOptions::new(vec![channel("main", "sub")])
    };
    let camera = CameraSim::start(options).await.unwrap();
    let url = camera.rtsp_url(0, Stream::Main);
    let login = Some(("admin", "secret"));
    camera.inject(None, Fault::RefuseLogin(true)).unwrap();
    let refused = Client::open(&url, "tcp", login).await.err().expect("a refusal");
    assert!(refused.to_string().contains("401"), "{refused}");
    camera.inject(None, Fault::RefuseLogin(false)).unwrap();
    Client::open(&url, "tcp", login).await.unwrap().picture().await;
}

#[tokio::test]
async fn an_open_channel_can_be_shut_while_the_other_stays_open() {
    let camera = camera().await;
    camera.inject(Some(1), Fault::RefuseLogin(true)).unwrap();
    assert!(Client::open(&camera.rtsp_url(1, Stream::Main), "tcp", None).await.is_err());
    Client::play(&camera, 0, Stream::Main, "tcp").await.picture().await;
}

#[tokio::test]
async fn a_fault_for_a_channel_that_is_not_there_is_an_error() {
    let error = camera().await.inject(Some(2), Fault::Garbage).unwrap_err();
    assert_eq!(error.to_string(), "the camera has 2 channels; there is no channel 2");
}
