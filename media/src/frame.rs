//! A frame as every room downstream of a camera sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Ticks per second of every timestamp in this crate.
pub const CLOCK_HZ: i64 = 90_000;

/// One access unit or audio frame. Shared as `Arc<Frame>`; nothing copies it until a muxer writes.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What `data` holds, with the parameters needed to decode it.
    pub track: Track,
    /// A decoder may start here. In a stream without video every audio frame is a key.
    pub key: bool,
    /// Whether the timestamps do not continue those of the frame before: after a reconnect or a
    /// jump. Only ever set on a key frame.
    pub discontinuity: bool,
    /// The picture refers to one from before the key frame that it follows in decode order (RASL
    /// pictures of H.265, B-frames of an open GOP): who begins at that key frame leaves it out.
    pub leading: bool,
    /// Presentation time, 90 kHz.
    pub pts: i64,
    /// Decode time, 90 kHz: strictly increasing within a track of one stream; `dts <= pts`.
    pub dts: i64,
    /// When the frame's last byte came from the camera.
    pub received: Instant,
    /// Video: NAL units, each after its 4-byte big-endian length, without parameter sets. AAC: one
    /// raw access unit. G.711: the samples.
    pub data: Bytes,
}

/// The elementary stream of a frame. Parameters are shared: a changed pointer is a changed
/// parameter set.
#[derive(Clone, Debug)]
pub enum Track {
    /// A picture.
    Video(Arc<VideoParams>),
    /// Sound.
    Audio(Arc<AudioParams>),
}

/// What a decoder must know before the first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoParams {
    /// The compression.
    pub codec: VideoCodec,
    /// `AVCDecoderConfigurationRecord` or `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15).
    pub record: Bytes,
    /// Width and height in pixels, as shown.
    pub dimensions: (u32, u32),
    /// Frames per second as a fraction, where the stream says so.
    pub frame_rate: Option<(u32, u32)>,
}

/// Sampling rates of AAC in Hz, by the index that stands for them (ISO/IEC 14496-3 table 1.18).
pub(crate) const AAC_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Video compressions the agent carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
}

/// What a decoder must know before the first audio frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioParams {
    /// The compression.
    pub codec: AudioCodec,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
    /// AAC: `AudioSpecificConfig` (ISO/IEC 14496-3). G.711: empty.
    pub config: Bytes,
}

/// Audio compressions the agent carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// MPEG-4 AAC.
    Aac,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

impl Frame {
    /// True for a picture.
    pub fn is_video(&self) -> bool {
        matches!(self.track, Track::Video(_))
    }
}

/// A span in 90 kHz ticks as a duration; negative spans are zero.
pub fn ticks_to_duration(ticks: i64) -> Duration {
    Duration::from_micros((ticks.max(0) as u64).saturating_mul(100) / 9)
}

/// A duration in 90 kHz ticks.
pub fn duration_to_ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().saturating_mul(9) / 100).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_durations_agree() {
        assert_eq!(ticks_to_duration(CLOCK_HZ), Duration::from_secs(1));
        assert_eq!(duration_to_ticks(Duration::from_millis(40)), 3600);
        assert_eq!(ticks_to_duration(-5), Duration::ZERO);
    }
}
