//! A looping FLV clip in place of a camera.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Duration, Instant, sleep_until};

use crate::flv::{Demuxer, file};
use crate::frame::{CLOCK_HZ, Frame, ticks_to_duration};
use crate::source::{FrameSource, Opener, SourceError};

/// Largest clip in bytes, since a clip is held in memory.
pub const MAX_CLIP: u64 = 64 << 20;
/// A clip that is late by more than this goes on from now instead of catching up.
const MAX_LATE: Duration = Duration::from_secs(1);
/// Longest step between two frames of a clip, in 90 kHz ticks.
const MAX_GAP: i64 = 10 * CLOCK_HZ;
/// 90 kHz ticks in a millisecond, the resolution of FLV.
const MS: i64 = CLOCK_HZ / 1000;
/// Duration of a track's only frame, in 90 kHz ticks.
const LONE_FRAME: i64 = 40 * MS;

/// Opens a clip as often as asked.
#[derive(Clone, Debug)]
pub struct ClipOpener {
    clip: Clip,
    paced: bool,
}

/// A clip that is part of the program: H.264 and AAC, 8 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// 640×360 at 15 fps.
    Main,
    /// 320×180 at 10 fps.
    Sub,
}

#[derive(Clone, Debug)]
enum Clip {
    BuiltIn(BuiltIn),
    File(PathBuf),
}

impl ClipOpener {
    /// A clip of the program.
    pub fn built_in(clip: BuiltIn) -> Self {
        Self { clip: Clip::BuiltIn(clip), paced: true }
    }

    /// A clip from an FLV file, read anew at each opening.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { clip: Clip::File(path.into()), paced: true }
    }

    /// Gives frames as fast as they are taken, not in real time.
    #[must_use]
    pub fn unpaced(self) -> Self {
        Self { paced: false, ..self }
    }

    fn error(&self, reason: impl Into<String>) -> SourceError {
        let name = match &self.clip {
            Clip::BuiltIn(clip) => format!("{clip:?}"),
            Clip::File(path) => path.display().to_string(),
        };
        SourceError::Protocol { peer: format!("clip {name}"), reason: reason.into() }
    }
}

#[async_trait]
impl Opener for ClipOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let data = match &self.clip {
            Clip::BuiltIn(clip) => {
                let absent = || self.error("this program is built without clips: name a file");
                built_in(*clip).map(Bytes::from_static).ok_or_else(absent)?
            }
            Clip::File(path) => {
                let path = path.clone();
                let read = ivt_base::task::spawn_blocking(move || read(&path)).await;
                let read = read.map_err(|error| self.error(error.to_string()))?;
                read.map_err(|error| self.error(format!("cannot be read: {error}")))?
            }
        };
        let frames = demux(data).map_err(|error| self.error(error.to_string()))?;
        let Some(first) = frames.first() else {
            return Err(self.error("expected an FLV file with a key frame, found none"));
        };
        if frames.windows(2).any(|pair| pair[1].dts.abs_diff(pair[0].dts) > MAX_GAP as u64) {
            return Err(self.error("expected frames no more than 10 s apart"));
        }
        Ok(Box::new(ClipSource {
            origin: first.dts,
            length: loop_length(&frames),
            frames,
            next: 0,
            rounds: 0,
            start: self.paced.then(Instant::now),
        }))
    }
}

#[cfg(feature = "clips")]
fn built_in(clip: BuiltIn) -> Option<&'static [u8]> {
    Some(match clip {
        BuiltIn::Main => include_bytes!("../clips/main.flv"),
        BuiltIn::Sub => include_bytes!("../clips/sub.flv"),
    })
}

#[cfg(not(feature = "clips"))]
fn built_in(_clip: BuiltIn) -> Option<&'static [u8]> {
    None
}

struct ClipSource {
    /// Frames in file order; the first is a key frame.
    frames: Vec<Frame>,
    origin: i64,
    /// Ticks from the first frame of a round to the first frame of the next round.
    length: i64,
    next: usize,
    rounds: i64,
    /// When the first frame was due; `None` when unpaced.
    start: Option<Instant>,
}

#[async_trait]
impl FrameSource for ClipSource {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let mut frame = self.frames[self.next].clone();
        let shift = self.rounds.saturating_mul(self.length).saturating_sub(self.origin);
        frame.dts = frame.dts.saturating_add(shift);
        frame.pts = frame.pts.saturating_add(shift);
        match &mut self.start {
            Some(start) => {
                let due = *start + ticks_to_duration(frame.dts);
                let late = Instant::now().saturating_duration_since(due);
                if late > MAX_LATE {
                    *start += late;
                }
                sleep_until(due).await;
            }
            None => tokio::task::yield_now().await,
        }
        frame.received = Instant::now().into_std();
        self.next += 1;
        if self.next == self.frames.len() {
            self.next = 0;
            self.rounds += 1;
        }
        Ok(frame)
    }

    fn has_sound(&self) -> bool {
        self.frames.iter().any(|frame| !frame.is_video())
    }
}

fn read(path: &Path) -> std::io::Result<Bytes> {
    let mut data = Vec::new();
    std::fs::File::open(path)?.take(MAX_CLIP + 1).read_to_end(&mut data)?;
    if data.len() as u64 > MAX_CLIP {
        return Err(std::io::Error::other(format!("larger than {} MiB", MAX_CLIP >> 20)));
    }
    Ok(data.into())
}

/// All frames from the first key frame on.
fn demux(data: Bytes) -> Result<Vec<Frame>, crate::flv::FlvError> {
    let (mut demuxer, mut frames) = (Demuxer::new(), Vec::new());
    for tag in file::tags(data)? {
        frames.extend(demuxer.push(&tag?, Instant::now().into_std())?);
    }
    let video = frames.iter().any(Frame::is_video);
    for frame in frames.iter_mut().filter(|frame| !frame.is_video()) {
        frame.key = !video;
    }
    let first = frames.iter().position(|frame| frame.key).unwrap_or(frames.len());
    frames.drain(..first);
    Ok(frames)
}

/// The time after which the clip begins again: when the longer track would have its next frame.
fn loop_length(frames: &[Frame]) -> i64 {
    let origin = frames.first().map_or(0, |frame| frame.dts);
    let ends = [true, false].into_iter().filter_map(|video| {
        let mut times = frames.iter().filter(|f| f.is_video() == video).map(|f| f.dts);
        let first = times.next()?;
        let (steps, last) = times.fold((0, first), |(steps, _), dts| (steps + 1, dts));
        // The mean step is taken, since FLV rounds each step to a millisecond.
        let step = if steps == 0 { LONE_FRAME } else { (last - first) / steps };
        Some((last + step + MS / 2) / MS * MS - origin)
    });
    ends.max().unwrap_or_default().max(LONE_FRAME)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::frame::{AudioCodec, Track, VideoCodec};

    async fn take(opener: &ClipOpener, count: usize) -> Vec<Frame> {
        let mut source = opener.open().await.unwrap();
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(source.frame().await.unwrap());
        }
        frames
    }

    fn fixture(name: &str) -> ClipOpener {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/");
        ClipOpener::file(format!("{path}{name}")).unpaced()
    }

    #[tokio::test]
    async fn built_in_clips_loop_without_a_seam() {
        for (clip, size, fps) in [(BuiltIn::Main, (640, 360), 15), (BuiltIn::Sub, (320, 180), 10)] {
            // Three rounds of 8 s and a little.
            let count = 3 * (8 * fps + 125) + 10;
            let frames = take(&ClipOpener::built_in(clip).unpaced(), count as usize).await;
            let Track::Video(params) = &frames[0].track else { panic!("want a picture first") };
            assert!(frames[0].key && frames[0].dts == 0);
            assert_eq!((params.codec, params.dimensions), (VideoCodec::H264, size));
            for (video, step) in [(true, CLOCK_HZ / fps), (false, 64 * MS)] {
                let track = frames.iter().filter(|f| f.is_video() == video);
                let times: Vec<_> = track.map(|f| f.dts).collect();
                for pair in times.windows(2) {
                    assert!((pair[1] - pair[0] - step).abs() <= MS, "{pair:?} of {clip:?}");
                }
                let ideal = times[0] + step * (times.len() as i64 - 1);
                assert!((times[times.len() - 1] - ideal).abs() <= MS, "{clip:?} must not drift");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_when_they_are_due() {
        let opener = ClipOpener::built_in(BuiltIn::Main);
        let start = Instant::now();
        let frames = take(&opener, 600).await;
        let last = frames.last().unwrap();
        assert!(last.dts > 16 * CLOCK_HZ, "more than two rounds");
        for frame in frames {
            let at = Instant::from_std(frame.received) - start;
            let late = at.saturating_sub(ticks_to_duration(frame.dts));
            assert!(late <= Duration::from_millis(2), "{late:?} late");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_neglected_clip_goes_on_from_now() {
        let mut source = ClipOpener::built_in(BuiltIn::Sub).open().await.unwrap();
        source.frame().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let start = Instant::now();
        for _ in 0..100 {
            source.frame().await.unwrap();
        }
        assert!(start.elapsed() > Duration::from_secs(3), "no hour of frames in one go");
    }

    #[tokio::test]
    async fn every_codec_of_flv_loops() {
        for (name, video, audio) in [
            ("h264_bframes.flv", VideoCodec::H264, None),
            ("hevc.flv", VideoCodec::H265, None),
            ("pcma.flv", VideoCodec::H264, Some(AudioCodec::Pcma)),
            ("pcmu.flv", VideoCodec::H264, Some(AudioCodec::Pcmu)),
        ] {
            let frames = take(&fixture(name), 1000).await;
            assert!(frames[0].key, "{name}");
            let mut last = [i64::MIN; 2];
            for frame in &frames {
                let last = &mut last[usize::from(frame.is_video())];
                assert!(frame.dts > *last && frame.dts <= frame.pts, "{name}");
                *last = frame.dts;
                match &frame.track {
                    Track::Video(params) => assert_eq!(params.codec, video, "{name}"),
                    Track::Audio(params) => {
                        assert!(audio.is_none_or(|audio| audio == params.codec), "{name}");
                    }
                }
            }
            let silent = frames.iter().all(Frame::is_video);
            assert!(audio.is_none() || !silent, "{name} has sound");
            let again = frames[1..].iter().filter(|f| f.key && f.data == frames[0].data);
            assert!(again.count() > 0, "{name} begins again");
            let reordered = frames.iter().any(|f| f.pts > f.dts);
            assert_eq!(reordered, name.contains("bframes"), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_no_clip_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("noise.flv");
        for content in [&b"RIFF nothing of the kind"[..], b"", b"FLV\x01\x05\0\0\0\x09\0\0\0\0"] {
            std::fs::File::create(&path).unwrap().write_all(content).unwrap();
            let error = ClipOpener::file(&path).open().await.err().expect("an error");
            assert!(error.to_string().contains("noise.flv"), "{error}");
        }
        let missing = ClipOpener::file(dir.path().join("none.flv")).open().await.err();
        assert!(missing.expect("an error").to_string().contains("cannot be read"));
        let huge = std::fs::File::create(&path).unwrap();
        huge.set_len(MAX_CLIP + 1).unwrap();
        let error = ClipOpener::file(&path).open().await.err().expect("an error");
        assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    }
}
