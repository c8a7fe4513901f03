//! The streams that the RTMP server receives, by key: counters for tests, and a ring for players.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use ivt_media::fmp4::{Muxer, Tracks};
use ivt_media::frame::{AudioCodec, CLOCK_HZ, Frame, VideoCodec};
use ivt_media::hub::Hub;
use serde::Serialize;
use tokio::sync::watch;

use super::now;
use crate::registry::{Named, Registry};

/// Most keys remembered; beyond them, one that is neither live nor watched makes room.
const MAX_STREAMS: usize = 64;
/// Most bytes of all rings together.
const MAX_RING_BYTES: usize = 32 << 20;

/// Largest key picture that is kept beside the ring, in bytes.
const MAX_STILL: usize = 256 << 10;

/// One stream key. It outlives its publishers, so that a player stays from one publish to the next.
pub struct Stream {
    pub(super) hub: Arc<Hub>,
    /// The parameters of the present publish.
    pub(super) tracks: watch::Sender<Tracks>,
    info: watch::Sender<StreamInfo>,
    /// The last key picture that was small enough; it stays when the publish ends.
    still: Mutex<Option<Arc<Frame>>>,
}

/// The state of a stream. Counters run from its first publish on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamInfo {
    /// The last part of the URL it was published to.
    pub key: String,
    /// Whether a publisher is connected.
    pub live: bool,
    /// Number of publishes so far.
    pub publishes: u64,
    /// Number of pictures and sound frames.
    pub frames: u64,
    /// Number of pictures.
    pub video_frames: u64,
    /// Number of key pictures.
    pub key_frames: u64,
    /// Number of key pictures that differ from the one before: it stays the same while nothing moves.
    pub changes: u64,
    /// A checksum of the last key picture.
    #[serde(skip)]
    pub last_key: Option<u64>,
    /// Length of all frames in bytes.
    pub bytes: u64,
    /// Compression of the picture: `H.264`, `H.265`.
    pub video: Option<&'static str>,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Compression of the sound: `AAC`, `G.711 A-law`, `G.711 µ-law`.
    pub audio: Option<&'static str>,
    /// Samples of the sound in a second.
    pub sample_rate: Option<u32>,
    /// RTMP timestamp of the last picture, in milliseconds.
    pub last_timestamp_ms: Option<u32>,
    /// Number of pictures whose timestamp was not after that of the picture before.
    pub dts_violations: u64,
    /// Number of messages that were no FLV.
    pub malformed: u64,
    /// When the present or last publish began.
    #[serde(skip)]
    pub published_at: Option<Instant>,
    /// When the first frame of the publish came.
    #[serde(skip)]
    pub first_frame_at: Option<Instant>,
    /// When the first key picture of the publish came.
    #[serde(skip)]
    pub first_key_at: Option<Instant>,
    /// Why the last publish ended.
    pub ended: Option<String>,
}

impl Stream {
    fn new(key: &str, ring_bytes: usize) -> Self {
        let info = StreamInfo { key: key.to_owned(), ..StreamInfo::default() };
        Self {
            hub: Hub::new(ring_bytes),
            tracks: watch::Sender::default(),
            info: watch::Sender::new(info),
            still: Mutex::default(),
        }
    }

    /// The state at this moment.
    pub fn info(&self) -> StreamInfo {
        self.info.borrow().clone()
    }

    /// The state as it changes.
    pub fn watch(&self) -> watch::Receiver<StreamInfo> {
        self.info.subscribe()
    }

    /// Returns the state once it satisfies `condition`.
    pub async fn wait_for(&self, condition: impl FnMut(&StreamInfo) -> bool) -> StreamInfo {
        let mut info = self.info.subscribe();
        // The sender lives in `self`, so the watch cannot close.
        info.wait_for(condition).await.map_or_else(|_| self.info(), |info| info.clone())
    }

    /// Returns the state once `frames` pictures and sound frames have come since the start.
    pub async fn wait_frames(&self, frames: u64) -> StreamInfo {
        self.wait_for(|info| info.frames >= frames).await
    }

    /// Begins a publish and returns its number. An older publish on the same key has to end.
    pub(super) fn begin(&self) -> u64 {
        self.hub.clear();
        self.tracks.send_replace(Tracks::default());
        self.info.send_modify(|info| {
            info.live = true;
            info.publishes += 1;
            (info.first_frame_at, info.first_key_at) = (None, None);
            (info.last_timestamp_ms, info.ended) = (None, None);
            info.published_at = Some(now());
        });
        self.info.borrow().publishes
    }

    /// Counts a frame; `timestamp_ms` is the timestamp that the publisher wrote.
    pub(super) fn count(&self, frame: &Frame, timestamp_ms: u32) {
        self.tracks.send_if_modified(|tracks| tracks.learn(&frame.track));
        self.info.send_modify(|info| {
            info.count(frame, timestamp_ms);
            info.describe(&self.tracks.borrow());
        });
    }

    /// Hands a frame to the players.
    pub(super) fn show(&self, frame: Frame) {
        let frame = Arc::new(frame);
        if frame.is_video() && frame.key && frame.data.len() <= MAX_STILL {
            let still = frame.clone();
            *self.still.lock().unwrap_or_else(PoisonError::into_inner) = Some(still);
        }
        self.hub.push(frame);
    }

    /// The last key picture as MP4 of this single picture, which browsers show; `None` before the first.
    pub fn still(&self) -> Option<Bytes> {
        let frame = self.still.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut tracks = Tracks::default();
        tracks.learn(&frame.track);
        let (begin, mut muxer) = (frame.dts, Muxer::new(tracks, frame.dts));
        let mut mp4 = muxer.init().to_vec();
        muxer.push(frame);
        for fragment in muxer.finish(begin.saturating_add(CLOCK_HZ)) {
            mp4.extend_from_slice(&fragment.joined());
        }
        Some(mp4.into())
    }

    /// Counts a message that was no FLV.
    pub(super) fn malformed(&self) {
        self.info.send_modify(|info| info.malformed += 1);
    }

    /// Ends the publish of this number. The frames in the ring are not for players that come later.
    pub(super) fn end(&self, publish: u64, why: &str) {
        self.info.send_if_modified(|info| {
            let current = info.publishes == publish;
            if current {
                self.hub.clear();
                info.live = false;
                info.ended = Some(why.to_owned());
            }
            current
        });
    }
}

impl StreamInfo {
    fn count(&mut self, frame: &Frame, timestamp_ms: u32) {
        self.frames += 1;
        self.bytes += frame.data.len() as u64;
        self.first_frame_at.get_or_insert_with(now);
        if !frame.is_video() {
            return;
        }
        self.video_frames += 1;
        if frame.key {
            self.key_frames += 1;
            let mut sum = DefaultHasher::new();
            frame.data.hash(&mut sum);
            let sum = sum.finish();
            self.changes += u64::from(self.last_key.replace(sum).is_some_and(|last| last != sum));
            self.first_key_at.get_or_insert_with(now);
        }
        // A timestamp wraps after 49.7 days: later ones are those ahead by less than half of that.
        let after = |last: u32| (1..1 << 31).contains(&timestamp_ms.wrapping_sub(last));
        if self.last_timestamp_ms.is_some_and(|last| !after(last)) {
            self.dts_violations += 1;
        }
        self.last_timestamp_ms = Some(timestamp_ms);
    }

    fn describe(&mut self, tracks: &Tracks) {
        self.video = tracks.video.as_ref().map(|video| match video.codec {
            VideoCodec::H264 => "H.264",
            VideoCodec::H265 => "H.265",
        });
        self.dimensions = tracks.video.as_ref().map(|video| video.dimensions);
        self.audio = tracks.audio.as_ref().map(|audio| match audio.codec {
            AudioCodec::Aac => "AAC",
            AudioCodec::Pcma => "G.711 A-law",
            AudioCodec::Pcmu => "G.711 µ-law",
        });
        self.sample_rate = tracks.audio.as_ref().map(|audio| audio.sample_rate);
    }
}

impl Named for Stream {
    fn is_named(&self, key: &str) -> bool {
        self.info.borrow().key == key
    }
}

/// All stream keys seen.
pub(super) struct Streams {
    ring_bytes: usize,
    all: Registry<Stream>,
}

impl Streams {
    /// No streams yet; each will have a ring of `ring_bytes`.
    pub(super) fn new(ring_bytes: usize) -> Self {
        Self { ring_bytes, all: Registry::new(MAX_STREAMS) }
    }

    /// The stream of this key, made if it is not known; `None` when too many are known already.
    pub(super) fn open(&self, key: &str) -> Option<Arc<Stream>> {
        let rank = |stream: &Stream| Some(stream.info().published_at);
        self.all.open(key, rank, || Stream::new(key, self.ring_bytes))
    }

    /// Drops the oldest frames of the fullest rings while all of them together are too large, and a whole ring only
    /// where each holds a single frame. Players that have kept up notice nothing.
    pub(super) fn bound_rings(&self) {
        let mut all = self.all.list();
        let held = |stream: &Arc<Stream>| stream.hub.held_bytes();
        let mut excess = all.iter().map(held).sum::<usize>().saturating_sub(MAX_RING_BYTES);
        if excess == 0 {
            return;
        }
        all.sort_by_cached_key(|stream| Reverse(held(stream)));
        for stream in &all {
            excess = stream.hub.drop_oldest(excess);
        }
        if excess > 0 {
            all[0].hub.clear();
        }
    }

    /// The state of all streams, by key.
    pub(super) fn list(&self) -> Vec<StreamInfo> {
        let mut list: Vec<_> = self.all.list().iter().map(|stream| stream.info()).collect();
        list.sort_by(|a, b| a.key.cmp(&b.key));
        list
    }
}

#[cfg(test)]
mod tests {
    use ivt_media::frame::{Track, VideoParams};
    use ivt_media::hub::{Item, Start};

    use super::*;

    fn push(stream: &Stream, ms: u32, key: bool) {
        push_bytes(stream, ms, key, Bytes::from_static(&[0; 10]));
    }

    fn push_bytes(stream: &Stream, ms: u32, key: bool, data: Bytes) {
        let params = VideoParams {
            codec: VideoCodec::H264,
            record: Bytes::from_static(&[1, 0x64, 0, 0x28]),
            dimensions: (640, 360),
            frame_rate: None,
        };
        let track = Track::Video(Arc::new(params));
        let (dts, received) = (i64::from(ms) * 90, Instant::now());
        let frame = Frame {
            track,
            key,
            discontinuity: false,
            leading: false,
            pts: dts,
            dts,
            received,
            data,
        };
        stream.count(&frame, ms);
        stream.show(frame);
    }

    #[test]
    fn the_last_key_picture_stays_when_the_publish_ends_and_is_bounded() {
        let stream = Stream::new("a", 1 << 20);
        let publish = stream.begin();
        assert_eq!(stream.still(), None);
        let picture = |byte: u8, length: usize| Bytes::from(vec![byte; length]);
        push_bytes(&stream, 0, true, picture(7, 100));
        push_bytes(&stream, 40, false, picture(8, 100));
        stream.end(publish, "over");
        let mp4 = stream.still().unwrap();
        assert!(mp4[4..8] == *b"ftyp" && mp4.ends_with(&picture(7, 100)), "{mp4:?}");
        assert_eq!(mp4.windows(4).filter(|name| name == b"moof").count(), 1);
        push_bytes(&stream, 80, true, picture(9, MAX_STILL + 1));
        assert_eq!(stream.still(), Some(mp4));
    }

    #[tokio::test]
    async fn counters_tell_frames_keys_and_times_that_go_back() {
        let stream = Stream::new("a", 1 << 20);
        stream.begin();
        let start = u32::MAX - 50;
        for (ms, key) in [(0, true), (40, false), (40, false), (30, false), (80, true)] {
            push(&stream, start.wrapping_add(ms), key);
        }
        let info = stream.wait_frames(5).await;
        assert_eq!((info.frames, info.key_frames, info.bytes), (5, 2, 50));
        assert_eq!(info.changes, 0, "both key pictures are the same");
        push_bytes(&stream, start.wrapping_add(120), true, Bytes::from_static(&[1; 10]));
        assert_eq!(stream.info().changes, 1);
        assert_eq!((info.dts_violations, info.last_timestamp_ms), (2, Some(29)));
        assert_eq!(
            (info.video, info.dimensions, info.audio),
            (Some("H.264"), Some((640, 360)), None)
        );
        assert!(info.live && info.first_key_at.is_some());
    }

    #[test]
    fn a_new_publish_starts_its_own_clock_and_keeps_the_count() {
        let stream = Stream::new("a", 1 << 20);
        let first = stream.begin();
        push(&stream, 1000, true);
        stream.end(first, "gone");
        assert_eq!(stream.hub.held_bytes(), 0, "newcomers do not see an old picture");
        assert!(!stream.info().live);
        stream.begin();
        assert!(stream.info().first_frame_at.is_none());
        push(&stream, 0, true);
        let info = stream.info();
        assert_eq!((info.publishes, info.frames, info.dts_violations), (2, 2, 0));
    }

    #[test]
    fn an_older_publisher_that_leaves_late_does_not_end_the_newer_one() {
        let stream = Stream::new("a", 1 << 20);
        let older = stream.begin();
        stream.begin();
        push(&stream, 0, true);
        stream.end(older, "gone");
        assert!(stream.info().live);
        assert_ne!(stream.hub.held_bytes(), 0);
    }

    #[test]
    fn all_rings_together_are_bounded() {
        let streams = Streams::new(8 << 20);
        let all: Vec<_> = (0..40).map(|n| streams.open(&n.to_string()).unwrap()).collect();
        let held = || all.iter().map(|stream| stream.hub.held_bytes()).sum::<usize>();
        for second in 0..5 {
            for stream in &all {
                push_bytes(stream, second * 1000, true, Bytes::from_static(&[0; 1 << 20]));
                streams.bound_rings();
                assert!(held() <= MAX_RING_BYTES, "{}", held());
            }
        }
        assert!(held() > MAX_RING_BYTES / 2, "{}", held());
    }

    #[test]
    fn many_streams_at_a_time_cost_players_that_keep_up_nothing() {
        for count in [5, 40] {
            let streams = Streams::new(8 << 20);
            let all: Vec<_> = (0..count).map(|n| streams.open(&n.to_string()).unwrap()).collect();
            let reader = |stream: &Arc<Stream>| stream.hub.reader(Start::LastKey);
            let mut readers: Vec<_> = all.iter().map(reader).collect();
            // Four megabits a second, a key frame each two seconds.
            for picture in 0..2_500 {
                for (stream, reader) in all.iter().zip(&mut readers) {
                    let data = Bytes::from_static(&[0; 20_000]);
                    push_bytes(stream, picture * 40, picture % 50 == 0, data);
                    streams.bound_rings();
                    let item = reader.try_next();
                    assert!(matches!(item, Some(Item::Frame(_))), "{count}, {picture}: {item:?}");
                }
            }
            let least = all.iter().map(|stream| stream.hub.held_bytes()).min().unwrap();
            assert!(least > MAX_RING_BYTES / count / 2, "{count}: {least}");
        }
    }

    #[test]
    fn keys_are_bounded_and_idle_ones_make_room() {
        let streams = Streams::new(1 << 10);
        let held = streams.open("0").unwrap();
        for n in 1..MAX_STREAMS + 5 {
            assert!(streams.open(&n.to_string()).is_some());
        }
        assert_eq!(streams.list().len(), MAX_STREAMS);
        assert!(Arc::ptr_eq(&held, &streams.open("0").unwrap()));
    }
}
