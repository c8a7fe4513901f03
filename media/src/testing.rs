//! Frames for tests.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};

/// A picture of `size` bytes; times in 90 kHz.
pub(crate) fn picture(key: bool, dts: i64, size: usize, received: Instant) -> Frame {
    let params = VideoParams {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1]),
        dimensions: (640, 360),
        frame_rate: None,
    };
    let data = Bytes::from(vec![0; size]);
    let track = Track::Video(Arc::new(params));
    Frame { track, key, discontinuity: false, leading: false, pts: dts, dts, received, data }
}

/// A piece of sound.
pub(crate) fn sound(dts: i64, received: Instant) -> Frame {
    let params = AudioParams {
        codec: AudioCodec::Pcma,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    };
    let data = Bytes::from_static(&[0; 160]);
    let track = Track::Audio(Arc::new(params));
    Frame { track, key: false, discontinuity: false, leading: false, pts: dts, dts, received, data }
}
