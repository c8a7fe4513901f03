//! Frames and bits for tests.

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

/// Writes bits, most significant first.
#[derive(Default)]
pub(crate) struct Writer(String);

impl Writer {
    /// Writes a number of so many bits: u(n).
    pub(crate) fn u(mut self, value: u32, count: usize) -> Self {
        self.0 += &format!("{value:0count$b}");
        self
    }

    /// Writes an Exp-Golomb code: ue(v).
    pub(crate) fn ue(self, value: u32) -> Self {
        let bits = 32 - (value + 1).leading_zeros() as usize;
        self.u(value + 1, 2 * bits - 1)
    }

    /// A NAL unit: `header`, the bits with emulation prevention and their stop bit, then `tail`.
    pub(crate) fn nal(mut self, header: &[u8], tail: &[u8]) -> Vec<u8> {
        self.0 += "1";
        while !self.0.len().is_multiple_of(8) {
            self.0 += "0";
        }
        let mut nal = header.to_vec();
        let bits = self.0.as_bytes().chunks(8);
        let bytes = bits.map(|b| u8::from_str_radix(str::from_utf8(b).unwrap(), 2).unwrap());
        for byte in bytes.chain(tail.iter().copied()) {
            if nal.ends_with(&[0, 0]) && byte <= 3 {
                nal.push(3);
            }
            nal.push(byte);
        }
        nal
    }
}
