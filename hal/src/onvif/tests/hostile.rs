//! Cameras that are broken or mean harm: the right kind of failure, in time.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::{Direction, Encoder, Movement, Network, Power, Presets, Ptz, Snapshot, Stream, Tours};

/// Every question of every ability.
async fn ask_everything(onvif: &Onvif) -> Vec<(&'static str, Kind)> {
    let movement = Movement { direction: Direction::Up, speed: 50 };
    vec![
        ("source", kind(onvif.source(Stream::Main).await)),
        ("bitrate", kind(onvif.bitrate(Stream::Main).await)),
        ("jpeg", kind(onvif.jpeg(Stream::Main).await)),
        ("start", kind(Ptz::start(onvif, movement).await)),
        ("stop", kind(Ptz::stop(onvif).await)),
        ("presets", kind(Presets::list(onvif).await)),
        ("go_to", kind(onvif.go_to("1").await)),
        ("tours", kind(Tours::list(onvif).await)),
        ("tour start", kind(Tours::start(onvif, "1").await)),
        ("tour stop", kind(Tours::stop(onvif, None).await)),
        ("interfaces", kind(onvif.interfaces().await)),
        ("reboot", kind(onvif.reboot().await)),
    ]
}

#[tokio::test]
async fn what_is_no_answer_is_told_by_its_kind() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'xxxxxxxxxx'><!ENTITY y '&x;&x;&x;&x;'>]><a>&y;</a>";
    let deep = format!("<?xml version='1.0'?>{}", "<a>".repeat(50_000));
    for (status, text, expected) in [
        (200, "garbage", Kind::Other),
        (200, "<?xml version='1.0'?><html/>", Kind::Other),
        (200, bomb, Kind::Other),
        (200, &deep, Kind::Other),
        (401, "", Kind::Refused),
        (403, "no", Kind::Refused),
        (404, "no", Kind::Unsupported),
        (500, "no", Kind::Refused),
    ] {
        let text = text.to_owned();
        let camera = Camera::start(move |_| (status, text.clone())).await;
        for (what, kind) in ask_everything(&camera.onvif()).await {
            assert_eq!(kind, expected, "{what} {status}");
        }
    }
}

/// A camera that sends `first`, and `again` until the client hangs up, with a pause.
async fn endless(first: &'static str, again: &'static str, pause: Duration) -> Arc<Onvif> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let again = if pause.is_zero() { again.repeat(1_000) } else { again.to_owned() };
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let again = again.clone();
            tokio::spawn(async move {
                let mut request = [0; 8192];
                let _ = tcp.read(&mut request).await;
                tcp.write_all(first.as_bytes()).await.ok();
                while !again.is_empty() && tcp.write_all(again.as_bytes()).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                let _ = tcp.read(&mut request).await;
            });
        }
    });
    let login = Credentials { username: "root".into(), password: "right".into() };
    let http = Http::new("127.0.0.1", port, Some(login.clone()), crate::http::Limits::default());
    Onvif::new(http, DEVICE_PATH, Some(login), Options::default())
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_silent_or_slow_is_given_up_within_eight_seconds() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n<a>";
    for (first, again) in
        [("", ""), (HEAD, ""), (HEAD, "<b/>"), ("HTTP/1.1 200 OK\r\n\r\n<a>", "x")]
    {
        let onvif = endless(first, again, Duration::from_millis(500)).await;
        let movement = Movement { direction: Direction::Up, speed: 50 };
        for what in 0..6 {
            let start = Instant::now();
            let kind = match what {
                0 => kind(onvif.source(Stream::Main).await),
                1 => kind(Ptz::start(&*onvif, movement).await),
                2 => kind(Ptz::stop(&*onvif).await),
                3 => kind(Presets::list(&*onvif).await),
                4 => kind(onvif.interfaces().await),
                _ => kind(onvif.reboot().await),
            };
            assert_eq!(kind, Kind::Timeout, "{first}{again} {what}");
            assert!(start.elapsed() <= Duration::from_secs(8), "{:?}", start.elapsed());
        }
        let start = Instant::now();
        assert_eq!(kind(onvif.reach().await), Kind::Timeout);
        assert!(start.elapsed() <= Duration::from_secs(5));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_at_its_limit() {
    const LONG: &str =
        concat!("<b>0123456789012345678901234567890123456789012345678901234567890123", "</b>");
    let onvif = endless("HTTP/1.1 200 OK\r\n\r\n<a>", LONG, Duration::ZERO).await;
    assert_eq!(kind(onvif.interfaces().await), Kind::Other);
    assert_eq!(kind(Presets::list(&*onvif).await), Kind::Other);
}

#[tokio::test]
async fn names_that_are_no_utf8_are_read() {
    let camera = fake::Camera::start(|request| {
        let mut text = usual_answer(request);
        if request.contains("<GetPresets") {
            // The byte of Latin-1 in the place of a letter, of the same length.
            let at = text.windows(4).position(|name| name == b"Door").unwrap();
            text[at + 1] = 0xf6;
        }
        text
    })
    .await;
    let onvif = Onvif::new(camera.http(), DEVICE_PATH, None, Options::default());
    assert_eq!(Presets::list(&*onvif).await.unwrap()[0].name, "D\u{fffd}or");
}
