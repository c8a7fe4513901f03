//! Tags to frames. Input may be hostile: a bad tag is an error, and the next may be good.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::flv::metadata::{self, Metadata};
use crate::flv::{
    AVC1, ENHANCED, FlvError, HVC1, Tag, TagKind, config, frame_type, packet_type, sound_format,
    video_codec,
};
use crate::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};

/// 90 kHz ticks in a millisecond.
const TICKS_PER_MS: i64 = 90;

/// Turns the tags of one stream into frames, in order. Frames before their sequence header are
/// dropped: nothing could decode them.
#[derive(Debug, Default)]
pub struct Demuxer {
    clock: TagClock,
    metadata: Metadata,
    video: Option<Arc<VideoParams>>,
    audio: Option<Arc<AudioParams>>,
    last_dts: [Option<i64>; 2],
}

impl Demuxer {
    /// A demuxer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frame a tag holds, if it holds one; `received` becomes its arrival time.
    ///
    /// # Errors
    ///
    /// The tag is malformed or holds what the agent does not carry. The next tag may be good.
    pub fn push(&mut self, tag: &Tag, received: Instant) -> Result<Option<Frame>, FlvError> {
        let ms = self.clock.unwrap(tag.timestamp_ms);
        let payload = tag.payload();
        let packet = match tag.kind {
            TagKind::Script => {
                self.metadata = metadata::parse(&payload).unwrap_or(self.metadata);
                None
            }
            TagKind::Video => self.video_packet(payload)?,
            TagKind::Audio => self.audio_packet(payload)?,
        };
        Ok(packet.map(|packet| self.frame(packet, ms, received)))
    }

    fn video_packet(&mut self, mut payload: Bytes) -> Result<Option<Packet>, FlvError> {
        let truncated = FlvError::Truncated { what: "video tag" };
        // An empty tag ends some recordings.
        let Some(&first) = payload.first() else { return Ok(None) };
        let kind = first >> 4 & 7;
        if kind == frame_type::COMMAND {
            return Ok(None);
        }
        let (codec, packet, composed) = if first & ENHANCED != 0 {
            let codec: [u8; 5] = *payload.first_chunk().ok_or(truncated.clone())?;
            payload.advance(codec.len());
            let codec = match [codec[1], codec[2], codec[3], codec[4]] {
                HVC1 => VideoCodec::H265,
                AVC1 => VideoCodec::H264,
                other => {
                    let got = u64::from(u32::from_be_bytes(other));
                    return Err(FlvError::Unsupported { what: "video codec", got });
                }
            };
            let packet = first & 0xf;
            (codec, packet, packet == packet_type::CODED_FRAMES)
        } else {
            let codec = match first & 0xf {
                video_codec::AVC => VideoCodec::H264,
                video_codec::HEVC => VideoCodec::H265,
                other => {
                    return Err(FlvError::Unsupported { what: "video codec", got: other.into() });
                }
            };
            let packet = *payload.get(1).ok_or(truncated.clone())?;
            payload.advance(2);
            (codec, packet, true)
        };
        let mut composition_ms = 0;
        if composed {
            let [a, b, c] = *payload.first_chunk().ok_or(truncated)?;
            composition_ms = i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8);
            payload.advance(3);
        }
        match packet {
            packet_type::SEQUENCE_START => {
                self.adopt_video(codec, payload)?;
                Ok(None)
            }
            packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X => {
                let Some(params) = self.video.clone().filter(|params| params.codec == codec) else {
                    return Ok(None);
                };
                check_lengths(&payload)?;
                let key = kind == frame_type::KEY;
                let track = Track::Video(params);
                Ok(Some(Packet { track, key, composition_ms, data: payload }))
            }
            _ => Ok(None),
        }
    }

    fn adopt_video(&mut self, codec: VideoCodec, record: Bytes) -> Result<(), FlvError> {
        config::check_record(codec, &record)?;
        let dimensions =
            config::dimensions(codec, &record).or(self.metadata.dimensions).unwrap_or_default();
        let frame_rate = self.metadata.frame_rate.map(|rate| ((rate * 1000.0) as u32, 1000));
        adopt(&mut self.video, VideoParams { codec, record, dimensions, frame_rate });
        Ok(())
    }

    fn audio_packet(&mut self, mut payload: Bytes) -> Result<Option<Packet>, FlvError> {
        let Some(&first) = payload.first() else { return Ok(None) };
        payload.advance(1);
        match first >> 4 {
            sound_format::AAC => {
                let truncated = FlvError::Truncated { what: "AAC tag" };
                let packet = *payload.first().ok_or(truncated)?;
                payload.advance(1);
                // ffmpeg sends an empty configuration while it does not know the real one yet.
                if packet == 0 && payload.is_empty() {
                    return Ok(None);
                }
                if packet == 0 {
                    adopt(&mut self.audio, config::aac_params(payload)?);
                    return Ok(None);
                }
            }
            format @ (sound_format::PCMA | sound_format::PCMU) => {
                let pcma = format == sound_format::PCMA;
                let codec = if pcma { AudioCodec::Pcma } else { AudioCodec::Pcmu };
                let channels = 1 + u16::from(first & 1);
                // The rate bits cannot say 8 kHz, which is the only rate of G.711 in RTMP.
                let params =
                    AudioParams { codec, sample_rate: 8000, channels, config: Bytes::new() };
                adopt(&mut self.audio, params);
            }
            other => return Err(FlvError::Unsupported { what: "sound format", got: other.into() }),
        }
        let aac = first >> 4 == sound_format::AAC;
        let params = self.audio.clone().filter(|held| (held.codec == AudioCodec::Aac) == aac);
        let key = self.video.is_none() && !self.metadata.video;
        Ok(params.filter(|_| !payload.is_empty()).map(|params| Packet {
            track: Track::Audio(params),
            key,
            composition_ms: 0,
            data: payload,
        }))
    }

    fn frame(&mut self, packet: Packet, ms: i64, received: Instant) -> Frame {
        let Packet { track, key, composition_ms, data } = packet;
        let last = &mut self.last_dts[usize::from(matches!(track, Track::Audio(_)))];
        let due = ms.saturating_mul(TICKS_PER_MS);
        let dts = last.map_or(due, |last| due.max(last.saturating_add(1)));
        *last = Some(dts);
        let pts = due.saturating_add(composition_ms * TICKS_PER_MS).max(dts);
        Frame { track, key, discontinuity: false, leading: false, pts, dts, received, data }
    }
}

/// A frame without its times.
struct Packet {
    track: Track,
    key: bool,
    composition_ms: i64,
    data: Bytes,
}

/// Follows the 32-bit milliseconds of tags across their wrap.
#[derive(Debug, Default)]
struct TagClock {
    last: Option<(u32, i64)>,
}

impl TagClock {
    fn unwrap(&mut self, stamp: u32) -> i64 {
        let ms = match self.last {
            None => i64::from(stamp),
            Some((last, ms)) => ms.saturating_add(i64::from(stamp.wrapping_sub(last) as i32)),
        };
        self.last = Some((stamp, ms));
        ms
    }
}

/// Keeps the shared parameters while their content is the same.
fn adopt<P: PartialEq>(held: &mut Option<Arc<P>>, params: P) {
    if held.as_deref() != Some(&params) {
        *held = Some(Arc::new(params));
    }
}

/// Checks that the lengths of the NAL units add up to the payload.
fn check_lengths(mut rest: &[u8]) -> Result<(), FlvError> {
    let truncated = FlvError::Truncated { what: "NAL unit" };
    while let Some((len, tail)) = rest.split_first_chunk() {
        rest = tail.get(u32::from_be_bytes(*len) as usize..).ok_or(truncated.clone())?;
    }
    if rest.is_empty() { Ok(()) } else { Err(truncated) }
}

#[cfg(test)]
#[path = "demux_tests.rs"]
mod tests;
