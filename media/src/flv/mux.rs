//! Frames to tags: headers where they are due, times that never stand still.

use std::mem;
use std::sync::Arc;

use crate::flv::{
    ENHANCED, HVC1, Head, Tag, TagKind, frame_type, metadata, packet_type, sound_format,
    video_codec,
};
use crate::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};

/// 90 kHz ticks in a millisecond.
const TICKS_PER_MS: i64 = 90;
/// Composition times are signed 24-bit milliseconds.
const MAX_COMPOSITION_MS: i64 = 0x7f_ffff;

/// Turns the frames of one stream into tags. Timestamps start at 0 with the first frame and grow
/// by at least a millisecond from tag to tag of a track, whatever the camera's clock does.
#[derive(Debug, Default)]
pub struct Muxer {
    /// Decode time of the first frame, whose timestamp is 0 ms.
    base: Option<i64>,
    video: MuxedTrack<VideoParams>,
    audio: MuxedTrack<AudioParams>,
    /// Whether tags were made, so that the metadata has been said once.
    begun: bool,
}

/// What a frame became; iterate for the tags in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameTags {
    /// Metadata and sequence header, where a track begins or changes; else empty.
    pub headers: Vec<Tag>,
    /// The frame itself.
    pub media: Tag,
}

#[derive(Debug)]
struct MuxedTrack<P> {
    params: Option<Arc<P>>,
    /// Unwrapped milliseconds of the newest tag.
    last_ms: Option<i64>,
}

impl Muxer {
    /// A muxer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// A muxer at the start of a stream whose sound, where it is known, is announced with the first
    /// frame, before the first of the sound has come.
    pub fn announcing(sound: Option<Arc<AudioParams>>) -> Self {
        let mut muxer = Self::default();
        muxer.audio.params = sound.filter(|params| carries(params));
        muxer
    }

    /// The frame's tags; `None` for a frame that lies before the first one, and for sound FLV has
    /// no way to say: G.711 other than at 8 kHz, more than two channels of it, AAC without
    /// configuration.
    pub fn tags(&mut self, frame: &Frame) -> Option<FrameTags> {
        if let Track::Audio(params) = &frame.track
            && !carries(params)
        {
            return None;
        }
        let base = *self.base.get_or_insert(frame.dts);
        let due_ms = frame.dts.saturating_sub(base).div_euclid(TICKS_PER_MS);
        if due_ms < 0 {
            return None;
        }
        match &frame.track {
            Track::Video(params) => {
                let changed = self.video.adopt(params);
                let stamp = self.video.stamp(due_ms);
                let shown_ms = frame.pts.saturating_sub(base).div_euclid(TICKS_PER_MS);
                let composition = (shown_ms - stamp).clamp(0, MAX_COMPOSITION_MS) as u32;
                let head = picture_head(params.codec, frame.key, composition);
                Some(self.assemble(changed, TagKind::Video, stamp, head, frame))
            }
            Track::Audio(params) => {
                let changed = self.audio.adopt(params);
                let stamp = self.audio.stamp(due_ms);
                let head = sound_head(params);
                Some(self.assemble(changed, TagKind::Audio, stamp, head, frame))
            }
        }
    }

    fn assemble(
        &mut self,
        changed: bool,
        kind: TagKind,
        stamp: i64,
        head: Head,
        frame: &Frame,
    ) -> FrameTags {
        let timestamp_ms = stamp as u32; // Wraps as RTMP does.
        let mut headers = Vec::new();
        let begins = !mem::replace(&mut self.begun, true);
        if begins || changed {
            let (video, audio) = (self.video.params.as_deref(), self.audio.params.as_deref());
            headers.push(metadata::tag(video, audio, timestamp_ms));
            // At the start every track is announced, later the one that has changed.
            let told = |track| begins || kind == track;
            let video = video.filter(|_| told(TagKind::Video));
            let audio = audio.filter(|_| told(TagKind::Audio));
            headers.extend(video.map(|params| video_header(params, timestamp_ms)));
            headers.extend(audio.and_then(|params| audio_header(params, timestamp_ms)));
        }
        FrameTags { headers, media: Tag { kind, timestamp_ms, head, body: frame.data.clone() } }
    }
}

impl IntoIterator for FrameTags {
    type Item = Tag;
    type IntoIter = std::iter::Chain<std::vec::IntoIter<Tag>, std::iter::Once<Tag>>;

    fn into_iter(self) -> Self::IntoIter {
        self.headers.into_iter().chain(std::iter::once(self.media))
    }
}

impl<P: PartialEq> MuxedTrack<P> {
    /// True when the parameters are new or differ.
    fn adopt(&mut self, params: &Arc<P>) -> bool {
        let held = self.params.as_ref();
        if held.is_some_and(|held| Arc::ptr_eq(held, params)) {
            return false;
        }
        let changed = held != Some(params);
        self.params = Some(params.clone());
        changed
    }

    fn stamp(&mut self, due_ms: i64) -> i64 {
        let stamp = self.last_ms.map_or(due_ms, |last| due_ms.max(last + 1));
        self.last_ms = Some(stamp);
        stamp
    }
}

impl<P> Default for MuxedTrack<P> {
    fn default() -> Self {
        Self { params: None, last_ms: None }
    }
}

fn carries(params: &AudioParams) -> bool {
    match params.codec {
        AudioCodec::Aac => !params.config.is_empty(),
        AudioCodec::Pcma | AudioCodec::Pcmu => {
            params.sample_rate == 8000 && (1..=2).contains(&params.channels)
        }
    }
}

fn video_header(params: &VideoParams, timestamp_ms: u32) -> Tag {
    let head = match params.codec {
        VideoCodec::H264 => Head::new([
            frame_type::KEY << 4 | video_codec::AVC,
            packet_type::SEQUENCE_START,
            0,
            0,
            0,
        ]),
        VideoCodec::H265 => {
            enhanced_head(ENHANCED | frame_type::KEY << 4 | packet_type::SEQUENCE_START)
        }
    };
    Tag { kind: TagKind::Video, timestamp_ms, head, body: params.record.clone() }
}

fn picture_head(codec: VideoCodec, key: bool, composition_ms: u32) -> Head {
    let kind = if key { frame_type::KEY } else { frame_type::INTER };
    let [_, a, b, c] = composition_ms.to_be_bytes();
    match codec {
        VideoCodec::H264 => {
            Head::new([kind << 4 | video_codec::AVC, packet_type::CODED_FRAMES, a, b, c])
        }
        VideoCodec::H265 if composition_ms == 0 => {
            enhanced_head(ENHANCED | kind << 4 | packet_type::CODED_FRAMES_X)
        }
        VideoCodec::H265 => {
            let [h, v, c1, one] = HVC1;
            let first = ENHANCED | kind << 4 | packet_type::CODED_FRAMES;
            Head::new([first, h, v, c1, one, a, b, c])
        }
    }
}

fn enhanced_head(first: u8) -> Head {
    let [h, v, c, one] = HVC1;
    Head::new([first, h, v, c, one])
}

/// The sequence header of AAC; G.711 needs none.
fn audio_header(params: &AudioParams, timestamp_ms: u32) -> Option<Tag> {
    (params.codec == AudioCodec::Aac).then(|| Tag {
        kind: TagKind::Audio,
        timestamp_ms,
        head: Head::new([AAC_FIRST, 0]),
        body: params.config.clone(),
    })
}

/// AAC always says 44 kHz, 16 bit, stereo; the truth is in the configuration.
const AAC_FIRST: u8 = sound_format::AAC << 4 | 0b1111;

fn sound_head(params: &AudioParams) -> Head {
    const SIXTEEN_BIT: u8 = 0b10;
    let stereo = u8::from(params.channels > 1);
    match params.codec {
        AudioCodec::Aac => Head::new([AAC_FIRST, 1]),
        AudioCodec::Pcma => Head::new([sound_format::PCMA << 4 | SIXTEEN_BIT | stereo]),
        AudioCodec::Pcmu => Head::new([sound_format::PCMU << 4 | SIXTEEN_BIT | stereo]),
    }
}

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
