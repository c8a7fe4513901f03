//! Writes fragmented MP4 (ISO/IEC 14496-12) for Media Source Extensions: one initialisation segment, then one
//! fragment for each frame. Pure. Which frames are played is decided by whoever plays, such as `viewer`.

mod boxes;
mod init;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::{AudioCodec, AudioParams, CLOCK_HZ, Frame, Track, VideoParams};
use boxes::{boxed, full_box};

/// Duration in ticks of a frame whose successor is not later.
const MIN_DURATION: i64 = 1;
/// Longest duration written, in ticks: a longer pause is a hole, which the player skips.
const MAX_DURATION: i64 = 2 * CLOCK_HZ;

/// The tracks that an initialisation segment announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    /// The picture; `None` without one.
    pub video: Option<Arc<VideoParams>>,
    /// The sound; `None` without one.
    pub audio: Option<Arc<AudioParams>>,
}

impl Tracks {
    /// Takes over the parameters of a frame's track. True if they are new.
    pub fn learn(&mut self, track: &Track) -> bool {
        match track {
            Track::Video(params) => replace(&mut self.video, params),
            Track::Audio(params) => replace(&mut self.audio, params),
        }
    }

    /// Whether frames of this track can follow this announcement.
    pub fn covers(&self, track: &Track) -> bool {
        match track {
            Track::Video(params) => same(&self.video, params),
            Track::Audio(params) => same(&self.audio, params),
        }
    }

    /// The type for `MediaSource.isTypeSupported`; `None` when no track fits into MP4 as browsers play it.
    pub fn mime(&self) -> Option<String> {
        let video = self.video.as_deref().map(init::video_codec);
        let audio = self.playable_audio().map(init::audio_codec);
        let kind = if video.is_some() { "video" } else { "audio" };
        let codecs: Vec<String> = [video, audio].into_iter().flatten().collect();
        (!codecs.is_empty()).then(|| format!("{kind}/mp4; codecs=\"{}\"", codecs.join(", ")))
    }

    /// The sound, if a browser can play it: Media Source Extensions know no G.711.
    pub fn playable_audio(&self) -> Option<&AudioParams> {
        self.audio.as_deref().filter(|audio| audio.codec == AudioCodec::Aac)
    }
}

fn replace<T: PartialEq>(slot: &mut Option<Arc<T>>, params: &Arc<T>) -> bool {
    let new = !same(slot, params);
    if new {
        *slot = Some(params.clone());
    }
    new
}

fn same<T: PartialEq>(slot: &Option<Arc<T>>, params: &Arc<T>) -> bool {
    slot.as_ref().is_some_and(|held| Arc::ptr_eq(held, params) || held == params)
}

/// One frame as MP4, in two parts, so that the frame's data need not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The `moof`, and the header of the `mdat`.
    pub head: Bytes,
    /// The contents of the `mdat`: the data of the frame.
    pub data: Bytes,
}

impl Fragment {
    /// Both parts in one piece.
    pub fn joined(&self) -> Bytes {
        [&self.head[..], &self.data].concat().into()
    }
}

/// Turns frames into fragments. One frame of each track is held back, so that it is written with its true
/// duration: a player takes a wrong one for a hole.
#[derive(Debug)]
pub struct Muxer {
    tracks: Tracks,
    /// The decode time that is written as 0, in ticks.
    origin: i64,
    sequence: u32,
    video: Option<Arc<Frame>>,
    audio: Option<Arc<Frame>>,
}

impl Muxer {
    /// A muxer whose timeline begins at `origin`, in ticks of 90 kHz. Earlier frames are left out.
    pub fn new(tracks: Tracks, origin: i64) -> Self {
        Self { tracks, origin, sequence: 0, video: None, audio: None }
    }

    /// The tracks that the muxer announces.
    pub fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    /// The initialisation segment: `ftyp` and `moov`.
    pub fn init(&self) -> Bytes {
        init::segment(self.tracks.video.as_deref(), self.tracks.playable_audio())
    }

    /// Takes a frame, and returns the fragment of the frame before on the same track.
    pub fn push(&mut self, frame: Arc<Frame>) -> Option<Fragment> {
        let playable = match &frame.track {
            Track::Video(_) => self.tracks.video.is_some(),
            Track::Audio(_) => self.tracks.playable_audio().is_some(),
        };
        if !playable || frame.dts < self.origin {
            return None;
        }
        let next = frame.dts;
        let held = if frame.is_video() { &mut self.video } else { &mut self.audio };
        let frame = held.replace(frame)?;
        Some(self.write(&frame, next))
    }

    /// The fragments of the frames held back: the last picture lasts until `end` in ticks of 90 kHz, the last
    /// sound as long as its samples.
    pub fn finish(&mut self, end: i64) -> impl Iterator<Item = Fragment> {
        let (video, audio) = (self.video.take(), self.audio.take());
        let video = video.map(|frame| self.write(&frame, end));
        let audio = audio.map(|frame| self.write(&frame, frame.dts.saturating_add(sound(&frame))));
        video.into_iter().chain(audio)
    }

    fn write(&mut self, frame: &Frame, next: i64) -> Fragment {
        self.sequence = self.sequence.wrapping_add(1);
        let duration = next.saturating_sub(frame.dts).clamp(MIN_DURATION, MAX_DURATION);
        fragment(self.sequence, frame, self.origin, duration)
    }
}

/// Duration of a frame of AAC, in ticks.
fn sound(frame: &Frame) -> i64 {
    match &frame.track {
        Track::Audio(params) => 1024 * CLOCK_HZ / i64::from(params.sample_rate.max(1)),
        Track::Video(_) => 0,
    }
}

const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;

/// Flag of `tfhd`: offsets count from the start of the `moof`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// Flags of `trun`: data offset, then duration, size, flags and composition offset of each sample.
const TRUN_FIELDS: u32 = 0x0001 | 0x0100 | 0x0200 | 0x0400 | 0x0800;
/// Flags of a sample that depends on no other and may be depended on.
const SYNC_SAMPLE: u32 = 0x0200_0000;
const OTHER_SAMPLE: u32 = 0x0101_0000;

/// Length of a box's header.
const HEADER: usize = 8;

fn fragment(sequence: u32, frame: &Frame, origin: i64, duration: i64) -> Fragment {
    let length = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
    let mut out = BytesMut::with_capacity(128);
    let mut offset_at = 0;
    boxed(&mut out, b"moof", |out| {
        full_box(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
        boxed(out, b"traf", |out| {
            full_box(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF, |out| {
                out.put_u32(if frame.is_video() { VIDEO_TRACK } else { AUDIO_TRACK });
            });
            full_box(out, b"tfdt", 1, 0, |out| {
                out.put_u64(frame.dts.saturating_sub(origin).max(0).unsigned_abs());
            });
            full_box(out, b"trun", 1, TRUN_FIELDS, |out| {
                out.put_u32(1);
                offset_at = out.len();
                out.put_i32(0);
                out.put_u32(u32::try_from(duration).unwrap_or(0));
                out.put_u32(length);
                let sync = !frame.is_video() || frame.key;
                out.put_u32(if sync { SYNC_SAMPLE } else { OTHER_SAMPLE });
                out.put_i32(i32::try_from(frame.pts.saturating_sub(frame.dts)).unwrap_or(0));
            });
        });
    });
    // The data begins behind the header of the `mdat`.
    let offset = i32::try_from(out.len() + HEADER).unwrap_or(0);
    out[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    out.put_u32(length.saturating_add(HEADER as u32));
    out.put_slice(b"mdat");
    Fragment { head: out.freeze(), data: frame.data.clone() }
}

#[cfg(test)]
mod tests;
