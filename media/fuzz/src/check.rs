//! Checks of what must hold for all that comes out.

use std::time::Instant;

use ivt_media::annexb::MAX_UNIT;
use ivt_media::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};
use ivt_media::timeline::Timeline;

/// Asserts that a picture is NAL units that fill it, none of a kind that is left out.
pub fn picture(params: &VideoParams, data: &[u8]) {
    assert!(!params.record.is_empty());
    assert!(!data.is_empty() && data.len() <= MAX_UNIT, "{} bytes", data.len());
    let mut rest = data;
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>().expect("a length");
        let len = u32::from_be_bytes(*len) as usize;
        assert!(len > 0 && len <= tail.len(), "{len} of {} bytes", tail.len());
        let (nal, tail) = tail.split_at(len);
        let left_out = match params.codec {
            VideoCodec::H264 => matches!(nal[0] & 31, 7..=9 | 12),
            VideoCodec::H265 => matches!(nal[0] >> 1 & 63, 32..=35 | 38),
        };
        assert!(!left_out, "{nal:?}");
        rest = tail;
    }
}

/// Asserts that a piece of sound is not empty and can be told in every form we write.
pub fn sound(params: &AudioParams, data: &[u8]) {
    assert!(!data.is_empty() && data.len() <= 64 << 10, "{} bytes", data.len());
    assert!(params.sample_rate > 0 && params.channels > 0, "{params:?}");
    assert_eq!(params.config.is_empty(), params.codec != AudioCodec::Aac);
}

/// The frames of one source on its timeline.
#[derive(Default)]
pub struct Line {
    timeline: Timeline,
    /// Newest decode time of sound and of picture.
    dts: [Option<i64>; 2],
}

impl Line {
    /// Notes that another source follows.
    pub fn reopen(&mut self) {
        self.timeline.reopen();
    }

    /// Checks a frame and what becomes of it on the timeline.
    pub fn take(&mut self, mut frame: Frame, now: Instant) {
        assert!(frame.dts <= frame.pts, "{} before {}", frame.pts, frame.dts);
        assert!(frame.received <= now);
        match &frame.track {
            Track::Video(params) => picture(params, &frame.data),
            Track::Audio(params) => sound(params, &frame.data),
        }
        self.place(&mut frame);
    }

    /// Gives a frame its place, and checks the place.
    pub fn place(&mut self, frame: &mut Frame) {
        self.timeline.place(frame);
        assert!(frame.dts <= frame.pts, "{} before {}", frame.pts, frame.dts);
        assert!(!frame.discontinuity || frame.key);
        let last = self.dts[usize::from(frame.is_video())].replace(frame.dts);
        assert!(last.is_none_or(|last| last < frame.dts), "{} after {last:?}", frame.dts);
    }
}
