//! A stream as fragmented MP4 for somebody who looks at it now: what is late is left out.

use std::ops::DerefMut;
use std::time::Duration;

use tokio::time::Instant;

use crate::fmp4::{Fragment, Muxer, Tracks};
use crate::frame::Track;
use crate::hub::{Item, Reader};

/// A frame is late when it has waited this long for the viewer. The stream then goes on at the newest key frame held.
const LATE: Duration = Duration::from_secs(1);

/// Longest wait for the first sound of a source that declares some, counted from its first picture.
const SOUND: Duration = Duration::from_secs(1);

/// One viewer of a stream. Which tracks there are is settled when the viewing begins.
pub struct Viewer<R> {
    reader: R,
    muxer: Muxer,
    with_sound: bool,
}

impl<R: DerefMut<Target = Reader>> Viewer<R> {
    /// Begins at the first key frame that `reader` gives; `None` once the source has ended. A viewer without sound does
    /// not wait for it. Browsers stop the picture when sound that was announced stays away.
    pub async fn begin(mut reader: R, with_sound: bool) -> Option<Self> {
        let audio = if with_sound { reader.sound(SOUND).await } else { None };
        let mut tracks = Tracks { audio, video: None };
        let first = loop {
            if let Item::Frame(frame) = reader.next().await? {
                break frame;
            }
        };
        tracks.learn(&first.track);
        let mut muxer = Muxer::new(tracks, first.dts);
        muxer.push(first);
        Some(Self { reader, muxer, with_sound })
    }

    /// The tracks that are announced.
    pub fn tracks(&self) -> &Tracks {
        self.muxer.tracks()
    }

    /// The initialisation segment, which comes before all fragments.
    pub fn init(&self) -> bytes::Bytes {
        self.muxer.init()
    }

    /// The next fragment. `None` once the source has ended, or where it goes on with other parameters, so that another
    /// viewing has to begin. Cancel safe.
    pub async fn next(&mut self) -> Option<Fragment> {
        loop {
            let Item::Frame(frame) = self.reader.next().await? else { continue };
            let waited = Instant::now().into_std().saturating_duration_since(frame.received);
            if waited > LATE && self.reader.catch_up() > 0 {
                continue;
            }
            if !self.muxer.tracks().covers(&frame.track) {
                match &frame.track {
                    Track::Audio(_) if !self.with_sound => continue,
                    _ => return None,
                }
            }
            if let Some(fragment) = self.muxer.push(frame) {
                return Some(fragment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures::FutureExt as _;
    use tokio::time::advance;

    use super::*;
    use crate::frame::{AudioCodec, AudioParams, Frame, VideoCodec, VideoParams};
    use crate::hub::{Hub, Start};

    const TICKS: i64 = 3_600;

    fn picture(record: &'static [u8], number: i64, key: bool) -> Frame {
        let params = VideoParams {
            codec: VideoCodec::H264,
            record: Bytes::from_static(record),
            dimensions: (640, 360),
            frame_rate: None,
        };
        frame(Track::Video(Arc::new(params)), number, key)
    }

    fn sound(codec: AudioCodec, number: i64) -> Frame {
        let config = Bytes::from_static(&[0x14, 0x08]);
        let params = AudioParams { codec, sample_rate: 16_000, channels: 1, config };
        frame(Track::Audio(Arc::new(params)), number, false)
    }

    fn frame(track: Track, number: i64, key: bool) -> Frame {
        let (dts, received) = (number * TICKS, Instant::now().into_std());
        let data = Bytes::from(number.to_string());
        let (discontinuity, leading) = (false, false);
        Frame { track, key, discontinuity, leading, pts: dts, dts, received, data }
    }

    /// The data of the fragments that are there, and whether the viewing has ended.
    fn seen<R: DerefMut<Target = Reader>>(viewer: &mut Viewer<R>) -> (Vec<String>, bool) {
        let mut seen = Vec::new();
        loop {
            match viewer.next().now_or_never() {
                Some(Some(part)) => seen.push(String::from_utf8(part.data.to_vec()).unwrap()),
                Some(None) => return (seen, true),
                None => return (seen, false),
            }
        }
    }

    async fn viewer(hub: &Arc<Hub>, with_sound: bool) -> Viewer<Box<Reader>> {
        let reader = Box::new(hub.reader(Start::LastKey));
        Viewer::begin(reader, with_sound).await.expect("it has begun")
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_begins_at_the_last_key_frame_and_goes_on_with_what_comes() {
        let hub = Hub::new(1 << 20);
        for (number, key) in [(0, true), (1, false), (2, true), (3, false), (4, false)] {
            hub.push(picture(b"a", number, key));
        }
        let mut viewer = viewer(&hub, true).await;
        assert_eq!(viewer.tracks().mime().unwrap(), "video/mp4; codecs=\"avc1.000000\"");
        assert_eq!(seen(&mut viewer), (vec!["2".into(), "3".into()], false), "4 may still last");
        hub.push(picture(b"a", 5, false));
        assert_eq!(seen(&mut viewer), (vec!["4".into()], false));
        hub.close();
        assert_eq!(seen(&mut viewer), (vec![], true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_late_goes_on_at_the_newest_key_frame_that_lies_ahead() {
        let hub = Hub::new(1 << 20);
        hub.push(picture(b"a", 0, true));
        let mut viewer = viewer(&hub, false).await;
        for number in 1..100 {
            hub.push(picture(b"a", number, number % 25 == 0));
            advance(Duration::from_millis(40)).await;
        }
        let (seen_now, ended) = seen(&mut viewer);
        assert!(!ended);
        assert_eq!(seen_now[..3], ["0", "75", "76"], "the last key frame is that of 75");
        // A picture a minute: the one key frame is behind, so that nothing can be left out.
        for number in 100..200 {
            hub.push(picture(b"a", number, false));
            advance(Duration::from_millis(40)).await;
        }
        assert_eq!(seen(&mut viewer).0.len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_for_the_ring_loses_a_group_of_pictures_and_no_memory() {
        let hub = Hub::new(10 * 170);
        hub.push(picture(b"a", 0, true));
        let mut viewer = viewer(&hub, false).await;
        for number in 1..50 {
            hub.push(picture(b"a", number, number % 5 == 0));
        }
        let (seen, ended) = seen(&mut viewer);
        assert!(!ended && hub.held_bytes() <= 10 * 170);
        assert_eq!(seen[0], "0");
        assert_eq!(seen[1].parse::<i64>().unwrap() % 5, 0, "a key frame follows the gap");
        assert_eq!(seen.last().unwrap(), "48");
    }

    #[tokio::test(start_paused = true)]
    async fn other_parameters_end_a_viewing_and_equal_ones_do_not() {
        let hub = Hub::new(1 << 20);
        hub.push(picture(b"a", 0, true));
        let mut first = viewer(&hub, false).await;
        hub.push(Frame { discontinuity: true, ..picture(b"a", 100, true) });
        hub.push(picture(b"a", 101, false));
        assert_eq!(seen(&mut first), (vec!["0".into(), "100".into()], false), "opened anew");
        hub.push(picture(b"b", 102, true));
        assert_eq!(seen(&mut first), (vec![], true));
        let mut second = viewer(&hub, false).await;
        hub.push(picture(b"b", 103, false));
        assert_eq!(seen(&mut second), (vec!["102".into()], false));
        assert_ne!(first.init(), second.init());
    }

    #[tokio::test(start_paused = true)]
    async fn sound_is_for_who_asks_and_g711_for_nobody() {
        for (codec, with_sound, want) in [
            (AudioCodec::Aac, true, vec!["0", "1", "2", "3"]),
            (AudioCodec::Aac, false, vec!["0", "2"]),
            (AudioCodec::Pcma, true, vec!["0", "2"]),
        ] {
            let hub = Hub::new(1 << 20);
            hub.expect_sound(true);
            hub.push(picture(b"a", 0, true));
            hub.push(sound(codec, 1));
            let mut viewer = viewer(&hub, with_sound).await;
            for number in [2, 4] {
                hub.push(picture(b"a", number, false));
                hub.push(sound(codec, number + 1));
            }
            assert_eq!(seen(&mut viewer), (want.iter().map(|s| s.to_string()).collect(), false));
            assert_eq!(viewer.tracks().playable_audio().is_some(), want.len() == 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sound_that_comes_late_ends_the_viewing_of_who_asked_for_it() {
        let hub = Hub::new(1 << 20);
        hub.push(picture(b"a", 0, true));
        let (mut hears, mut sees) = (viewer(&hub, true).await, viewer(&hub, false).await);
        hub.push(sound(AudioCodec::Aac, 1));
        hub.push(picture(b"a", 2, false));
        assert_eq!(seen(&mut hears), (vec![], true));
        assert_eq!(seen(&mut sees), (vec!["0".into()], false));
    }
}
