//! Live play: a stream goes in as FLV, fragmented MP4 comes out of a WebSocket.

use ivt_media::flv::{self, Tag, TagKind};

use super::super::ingest::Receiver;
use super::*;

pub(super) const CLIP: &[u8] = include_bytes!("../../../../media/clips/sub.flv");
const G711: &[u8] = include_bytes!("../../../../tests/fixtures/pcma.flv");
pub(super) const HEVC: &[u8] = include_bytes!("../../../../tests/fixtures/hevc.flv");

pub(super) fn tags(file: &'static [u8]) -> Vec<Tag> {
    flv::file::tags(bytes::Bytes::from_static(file)).unwrap().map(Result::unwrap).collect()
}

struct Page(FakeDevice);

enum Heard {
    Text(Value),
    Mp4(Vec<u8>),
}

impl Page {
    async fn open(cloud: &CloudSim, key: &str) -> Self {
        let url = format!("ws://{}/play/{key}", cloud.http_addr());
        let mut page = Self(FakeDevice(connect_async(url).await.unwrap().0));
        let Heard::Text(first) = page.next().await else { panic!("counters come first") };
        assert!(first.get("stats").is_some(), "{first}");
        page
    }

    async fn next(&mut self) -> Heard {
        loop {
            match timeout(LONG, self.0.0.next()).await.expect("something comes").unwrap().unwrap() {
                Message::Text(text) => return Heard::Text(serde_json::from_str(&text).unwrap()),
                Message::Binary(bytes) => return Heard::Mp4(bytes.to_vec()),
                _ => {}
            }
        }
    }

    /// The announcements, and the kinds of boxes, that came until `fragments` fragments were there.
    async fn hear(&mut self, fragments: usize) -> (Vec<String>, Vec<String>) {
        let (mut mimes, mut boxes) = (Vec::new(), Vec::new());
        while boxes.iter().filter(|name| *name == "moof").count() < fragments {
            match self.next().await {
                Heard::Text(text) => {
                    if let Some(init) = text.get("init") {
                        mimes.push(init["mime"].as_str().unwrap_or("none").to_owned());
                    }
                }
                Heard::Mp4(bytes) => boxes.push(String::from_utf8(bytes[4..8].to_vec()).unwrap()),
            }
        }
        (mimes, boxes)
    }
}

#[tokio::test]
async fn a_page_plays_a_stream_from_its_first_key_frame() {
    let cloud = cloud().await;
    let mut page = Page::open(&cloud, "k").await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    tags(CLIP).iter().for_each(|tag| receiver.take(tag));
    let (mimes, boxes) = page.hear(100).await;
    assert_eq!(mimes.len(), 1);
    assert!(mimes[0].starts_with("video/mp4; codecs=\"avc1."), "{mimes:?}");
    assert!(mimes[0].contains("mp4a.40.2"), "sound that starts later is in it: {mimes:?}");
    assert_eq!(boxes[0], "ftyp");
    assert!(boxes[1..].iter().all(|name| name == "moof"));
}

#[tokio::test]
async fn a_late_page_starts_at_the_last_key_frame() {
    let cloud = cloud().await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    tags(CLIP).iter().for_each(|tag| receiver.take(tag));
    let held = stream.info();
    assert!(held.key_frames > 1);
    let mut page = Page::open(&cloud, "k").await;
    let (mimes, boxes) = page.hear(1).await;
    assert_eq!((mimes.len(), boxes[0].as_str()), (1, "ftyp"));
}

#[tokio::test]
async fn a_new_publish_of_the_key_is_announced_anew_on_the_same_page() {
    let cloud = cloud().await;
    let mut page = Page::open(&cloud, "k").await;
    let stream = cloud.stream("k");
    let mut first = Receiver::new(&stream);
    tags(CLIP).iter().for_each(|tag| first.take(tag));
    page.hear(1).await;
    drop(first);
    assert!(!stream.info().live);
    let mut second = Receiver::new(&stream);
    tags(HEVC).iter().for_each(|tag| second.take(tag));
    let mut mime = String::new();
    while !mime.contains("hvc1") {
        if let Heard::Text(text) = page.next().await
            && let Some(init) = text.get("init")
        {
            mime = init["mime"].as_str().unwrap().to_owned();
        }
    }
    assert_eq!(stream.info().publishes, 2);
}

#[tokio::test]
async fn g711_is_named_in_the_counters_and_absent_from_the_mp4() {
    let cloud = cloud().await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    tags(G711).iter().for_each(|tag| receiver.take(tag));
    assert_eq!(stream.info().audio, Some("G.711 A-law"));
    let (mimes, _) = Page::open(&cloud, "k").await.hear(5).await;
    assert!(!mimes[0].contains(','), "{mimes:?}");
}

#[tokio::test]
async fn pictures_before_the_first_key_frame_are_counted_and_not_shown() {
    let cloud = cloud().await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    let mut keys = 0;
    for tag in tags(CLIP) {
        let payload = tag.payload();
        let (is_key, header) = (payload[0] >> 4 == 1, payload[1] == 0);
        let picture = tag.kind == TagKind::Video && !header;
        keys += usize::from(picture && is_key);
        if picture && is_key && keys == 1 {
            continue;
        }
        receiver.take(&tag);
        if keys == 1 {
            assert_eq!(stream.hub.held_bytes(), 0);
        }
    }
    assert!(keys > 1 && stream.info().frames > 10);
    assert_ne!(stream.hub.held_bytes(), 0);
}

#[tokio::test]
async fn malformed_messages_are_counted_and_harm_nobody() {
    let cloud = cloud().await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    let body = bytes::Bytes::from_static(&[0x17]);
    let bad = Tag { kind: TagKind::Video, timestamp_ms: 0, head: Default::default(), body };
    receiver.take(&bad);
    tags(CLIP).iter().for_each(|tag| receiver.take(tag));
    let info = stream.info();
    assert_eq!(info.malformed, 1);
    assert!(info.key_frames > 0);
}

#[tokio::test]
async fn changed_parameters_and_late_sound_are_announced_mid_stream() {
    let cloud = cloud().await;
    let mut page = Page::open(&cloud, "k").await;
    let stream = cloud.stream("k");
    let mut receiver = Receiver::new(&stream);
    let (sound, pictures): (Vec<_>, Vec<_>) =
        tags(CLIP).into_iter().partition(|tag| tag.kind == TagKind::Audio);
    pictures.iter().for_each(|tag| receiver.take(tag));
    let (mimes, _) = page.hear(1).await;
    assert!(!mimes[0].contains("mp4a"), "{mimes:?}");
    sound.iter().for_each(|tag| receiver.take(tag));
    let mut last = String::new();
    while !last.contains("mp4a") {
        last = page.hear(1).await.0.pop().unwrap_or(last);
    }
    assert!(last.contains("avc1"), "{last}");
    tags(HEVC).iter().for_each(|tag| receiver.take(tag));
    while !last.contains("hvc1") {
        last = page.hear(1).await.0.pop().unwrap_or(last);
    }
    assert_eq!(stream.info().publishes, 1);
}
