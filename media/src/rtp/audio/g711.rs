//! G.711 in RTP (RFC 3551, 4.5.14). RTMP, FLV and recordings know G.711 at 8 kHz with one channel
//! only: other rates and channels become that.

use std::time::Instant;

use super::Unsupported;
use super::units::{UnitTime, Units};
use crate::frame::{AudioCodec, AudioParams};
use crate::g711::Law;
use crate::rtp::Packet;

/// Samples per second that come out.
const RATE: u32 = 8000;
/// Highest sampling rate that is taken, in Hz.
const MAX_RATE: u32 = 192_000;
/// Most channels that are taken.
const MAX_CHANNELS: u16 = 8;

/// Takes samples of G.711 out of packets.
#[derive(Debug)]
pub(super) struct G711 {
    law: Law,
    channels: u16,
    /// Makes 8 kHz and one channel of other sound; `None` where the samples have these already.
    mixer: Option<Mixer>,
}

/// Makes samples of [`RATE`] out of more. Each is the mean of the time it stands for, of which a
/// sample of the camera may cover a part only.
#[derive(Debug)]
struct Mixer {
    rate: u32,
    /// Sum of the samples so far, each times the share of it that counts: a whole sample has
    /// [`RATE`] shares, and `rate` shares make one sample that comes out.
    sum: i64,
    /// Shares that the next sample still lacks.
    missing: u32,
}

impl G711 {
    /// A depacketiser for sound of `clock_rate` Hz and `channels`, each 0 where it is not said.
    /// Fails for rates and channels outside of the bounds.
    pub(super) fn new(
        law: Law,
        clock_rate: u32,
        channels: u16,
    ) -> Result<(Self, Units), Unsupported> {
        let rate = if clock_rate == 0 { RATE } else { clock_rate };
        let channels = channels.max(1);
        if !(RATE..=MAX_RATE).contains(&rate) || channels > MAX_CHANNELS {
            let offer = format!("G.711 at {rate} Hz with {channels} channels");
            return Err(Unsupported { offer, instead: "8000 Hz with one channel" });
        }
        let codec = match law {
            Law::A => AudioCodec::Pcma,
            Law::Mu => AudioCodec::Pcmu,
        };
        let params =
            AudioParams { codec, sample_rate: RATE, channels: 1, config: Default::default() };
        let mixer = (rate != RATE || channels != 1).then(|| Mixer::new(rate));
        Ok((Self { law, channels, mixer }, Units::new(rate, Some(params))))
    }

    /// Takes a packet with a payload.
    pub(super) fn push(&mut self, packet: &Packet<'_>, received: Instant, units: &mut Units) {
        let (law, channels) = (self.law, self.channels);
        match &mut self.mixer {
            None => {
                units.reserve(packet.payload.len());
                units.append(packet.payload);
            }
            Some(mixer) => {
                let groups = packet.payload.chunks_exact(channels.into());
                units.reserve(groups.len());
                units.extend(groups.filter_map(|group| {
                    let sum: i32 = group.iter().map(|byte| i32::from(law.decode(*byte))).sum();
                    mixer.push(sum / i32::from(channels)).map(|sample| law.encode(sample))
                }));
            }
        }
        units.finish(UnitTime { timestamp: packet.timestamp, index: 0 }, received);
    }

    /// Notes that the next packet does not go on where the last one ended.
    pub(super) fn lose(&mut self) {
        if let Some(mixer) = &mut self.mixer {
            *mixer = Mixer::new(mixer.rate);
        }
    }
}

impl Mixer {
    fn new(rate: u32) -> Self {
        Self { rate, sum: 0, missing: rate }
    }

    /// Takes a sample; gives one each time enough went in. The rate is at least [`RATE`], so that
    /// one sample completes one at most.
    fn push(&mut self, sample: i32) -> Option<i16> {
        let sample = i64::from(sample);
        if self.missing > RATE {
            self.sum += sample * i64::from(RATE);
            self.missing -= RATE;
            return None;
        }
        let mean = (self.sum + sample * i64::from(self.missing)) / i64::from(self.rate);
        let rest = RATE - self.missing;
        self.sum = sample * i64::from(rest);
        self.missing = self.rate - rest;
        Some(mean.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
    }
}

#[cfg(test)]
#[path = "g711_tests.rs"]
mod tests;
