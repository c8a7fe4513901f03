use std::pin::Pin;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode};

use super::*;
use crate::web::seats::SNAPSHOTS;
use crate::web::testing::Bench;

const PAGE: &str = "[web]\nenable = true\n";
const EMULATOR: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";
const LONG: Duration = Duration::from_secs(20);

/// The pieces of a live stream as they come.
struct Watching(Pin<Box<dyn Send + futures::Stream<Item = Bytes>>>);

impl Watching {
    /// Begins to look, and returns the type that the reply names.
    async fn start(bench: &Bench, path: &str) -> (Self, String) {
        let response = bench.open(Method::GET, path, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let data = response.into_body().into_data_stream();
        let data = data.map(|piece| {
            let mut piece = piece.unwrap();
            piece.copy_to_bytes(piece.remaining())
        });
        (Self(Box::pin(data)), kind)
    }

    async fn next(&mut self) -> Option<Bytes> {
        timeout(LONG, self.0.next()).await.expect("something comes in time")
    }
}

#[tokio::test]
async fn each_stream_is_read_from_the_pull_that_is_there() {
    let bench = Bench::start(EMULATOR);
    let (status, list) = bench.call(Method::GET, "/api/v1/live", "").await;
    assert_eq!(status, StatusCode::OK);
    let every =
        json!({ "snapshot": true, "ptz": true, "presets": true, "tours": true, "patrol": true });
    assert_eq!(list["channels"], json!([{ "number": 0, "abilities": every }]));

    let path = "/api/v1/channels/0/live.mp4?stream=";
    let (mut main, kind) = Watching::start(&bench, &format!("{path}main")).await;
    assert!(kind.starts_with("video/mp4; codecs=\"avc1.") && !kind.contains("mp4a"), "{kind}");
    let (mut again, with_sound) = Watching::start(&bench, &format!("{path}main&sound=true")).await;
    assert!(with_sound.contains("mp4a"), "{with_sound}");
    let (mut sub, _) = Watching::start(&bench, &format!("{path}sub")).await;
    for watching in [&mut main, &mut again, &mut sub] {
        assert_eq!(&watching.next().await.unwrap()[4..8], b"ftyp");
        let fragment = watching.next().await.unwrap();
        let data = u32::from_be_bytes(fragment[..4].try_into().unwrap()) as usize;
        assert_eq!((&fragment[4..8], &fragment[data + 4..data + 8]), (&b"moof"[..], &b"mdat"[..]));
    }
    let (_, facts) = bench.call(Method::GET, "/api/v1/channels/0/live", "").await;
    assert_eq!((&facts["viewers"], &facts["most_viewers"]), (&json!(3), &json!(VIEWERS)));
    let response = bench.open(Method::GET, "/api/v1/channels/0/live/events", "").await;
    let mut events = response.into_body().into_data_stream();
    for _ in 0..2 {
        let mut event = timeout(LONG, events.next()).await.unwrap().unwrap().unwrap();
        let event = String::from_utf8(event.copy_to_bytes(event.remaining()).into()).unwrap();
        assert!(
            event.starts_with("event: state\ndata: {") && event.contains("\"live\""),
            "{event}"
        );
    }
    let (main_facts, sub_facts) = (&facts["streams"][0], &facts["streams"][1]);
    assert_eq!(main_facts["state"], "live");
    assert_eq!(main_facts["video"], json!({ "codec": "H.264", "width": 640, "height": 360 }));
    assert_eq!(main_facts["audio"]["codec"], "AAC");
    assert_eq!(main_facts["type"].as_str(), Some(with_sound.as_str()));
    assert_eq!((&sub_facts["stream"], &sub_facts["video"]["width"]), (&json!("sub"), &json!(320)));
    let opened = bench.site.console().unwrap().channels[0].stats(Stream::Main);
    assert_eq!(opened.reconnects, 0);

    // A viewer who leaves makes room, and all go when the agent ends.
    drop((again, sub));
    assert_eq!(bench.site.seats.taken(), 1);
    bench.agent.stop().await;
    while main.next().await.is_some() {}
}

#[tokio::test]
async fn one_viewer_too_many_is_told_so() {
    let bench = Bench::start(EMULATOR);
    let path = "/api/v1/channels/0/live.mp4";
    let mut all = Vec::new();
    for _ in 0..VIEWERS {
        all.push(Watching::start(&bench, path).await);
    }
    let (status, error) = bench.call(Method::GET, path, "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("viewers"))
    );
    all.pop();
    Watching::start(&bench, path).await;
}

#[tokio::test]
async fn a_camera_that_is_away_is_told_with_its_reason() {
    let bench = Bench::start(&format!(
        "{PAGE}[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://127.0.0.1:1/a'\n\
         username = 'u'\npassword = 'wq7-Live-secret'\n"
    ));
    let (status, error) = bench.call(Method::GET, "/api/v1/channels/0/live.mp4", "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_GATEWAY, &json!("camera_offline"))
    );
    assert!(error["error"]["message"].as_str().unwrap().contains("127.0.0.1:1"), "{error}");
    let (_, facts) = bench.call(Method::GET, "/api/v1/channels/0/live", "").await;
    assert_eq!(facts["streams"][0]["state"], "failed");
    assert!(!format!("{error}{facts}").contains("wq7-Live-secret"));
    assert_eq!(bench.site.seats.taken(), 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let bench = Bench::start(EMULATOR);
    for (path, status) in [
        ("/api/v1/channels/1/live", 404),
        ("/api/v1/channels/-1/live", 404),
        ("/api/v1/channels/1/live/events", 404),
        ("/api/v1/channels/x/live.mp4", 404),
        ("/api/v1/channels/1/snapshot.jpg", 404),
        ("/api/v1/channels/0/live.mp4?stream=third", 422),
        ("/api/v1/channels/0/live.mp4?sound=1", 422),
        ("/api/v1/channels/0/snapshot.jpg?stream=", 422),
    ] {
        assert_eq!(bench.call(Method::GET, path, "").await.0.as_u16(), status, "{path}");
    }
    let none = Bench::start(PAGE);
    assert_eq!(none.call(Method::GET, "/api/v1/live", "").await.1, json!({ "channels": [] }));
}

#[tokio::test]
async fn a_picture_is_that_of_the_camera() {
    let bench = Bench::start(EMULATOR);
    let path = "/api/v1/channels/0/snapshot.jpg";
    let (status, jpeg) = bench.bytes(Method::GET, path, "").await;
    assert_eq!((status, &jpeg[..3]), (StatusCode::OK, &b"\xff\xd8\xff"[..]));
    let _others = [(); SNAPSHOTS].map(|()| bench.site.seats.snapshot().unwrap());
    let (status, error) = bench.call(Method::GET, path, "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("busy"))
    );
    let bare = Bench::start(&format!("{PAGE}[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\n"));
    let (status, error) = bare.call(Method::GET, path, "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::NOT_IMPLEMENTED, &json!("unsupported"))
    );
}
