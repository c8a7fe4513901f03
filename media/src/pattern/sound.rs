//! The sound of the test pattern.

use std::f32::consts::TAU;
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{AudioCodec, AudioParams, CLOCK_HZ};
use crate::g711::Law;

/// What is to be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sound {
    /// Nothing, as AAC of 16 kHz.
    #[default]
    Silent,
    /// A soft tone of 400 Hz, as G.711 A-law of 8 kHz.
    Tone,
    /// The stream has no sound.
    None,
}

/// A frame that is repeated.
pub(super) struct Loop {
    pub(super) params: Arc<AudioParams>,
    pub(super) data: Bytes,
    /// 90 kHz ticks from one to the next.
    pub(super) step: i64,
}

impl Sound {
    pub(super) fn looped(self) -> Option<Loop> {
        let (codec, sample_rate, samples, config, data) = match self {
            Self::None => return None,
            // AAC LC, index 8 of the rates, one channel. A channel element without bands, then the end.
            Self::Silent => (AudioCodec::Aac, 16_000, 1024, &[0x14, 0x08][..], vec![0, 0, 0, 7]),
            Self::Tone => (AudioCodec::Pcma, 8000, 320, &[][..], tone(320)),
        };
        let config = Bytes::from_static(config);
        let params = Arc::new(AudioParams { codec, sample_rate, channels: 1, config });
        let step = samples * CLOCK_HZ / i64::from(sample_rate);
        Some(Loop { params, data: data.into(), step })
    }
}

/// Whole waves of 20 samples.
fn tone(samples: usize) -> Vec<u8> {
    let wave = |at: usize| (1500.0 * (at as f32 * TAU / 20.0).sin()) as i16;
    (0..samples).map(|at| Law::A.encode(wave(at))).collect()
}
