//! G.711 to AAC, for transport streams, which have no place for G.711.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};

use crate::frame::{AudioCodec, AudioParams, CLOCK_HZ, Frame, Track};
use crate::g711::Law;

/// Largest difference, in ticks, between the camera's times and its count of samples that is taken
/// for jitter.
const JITTER: i64 = CLOCK_HZ / 50;
/// Longest lost sound that becomes silence, in ticks. After more, the encoder begins anew.
const MAX_SILENCE: i64 = CLOCK_HZ;
/// Furthest, in ticks, that the camera's clock may fall behind the count of samples and be
/// followed. Beyond that the encoder begins anew.
const MAX_EARLY: i64 = CLOCK_HZ / 10;
/// Bits of AAC for each sample: more than speech at telephone quality needs.
const BITS_PER_SAMPLE: u32 = 3;
/// Largest access unit in bytes: AAC-LC has at most 6144 bits per channel.
const MAX_UNIT: usize = 6144 / 8 * 2;

/// Encodes a stream's G.711 as it comes. What comes out lies some 400 ms behind what went in, with
/// the times at which it is to be heard.
#[derive(Debug, Default)]
pub struct Transcoder {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    source: Arc<AudioParams>,
    output: Arc<AudioParams>,
    encoder: Encoder,
    /// Samples per channel in an access unit.
    unit: i64,
    /// Samples by which the encoder is behind.
    delay: i64,
    /// Time of the first sample, 90 kHz.
    base: i64,
    /// Samples per channel that went in.
    samples: i64,
    /// Access units that came out.
    units: i64,
    last: Option<i64>,
    /// Whether the newest frame that went in was a key.
    key: bool,
    /// When the newest frame that went in came.
    received: Instant,
    /// Samples the encoder did not take yet.
    waiting: Vec<i16>,
}

impl Transcoder {
    /// The AAC that a frame of G.711 completes. `None` for other frames, and for G.711 that AAC has
    /// no sampling rate for.
    pub fn frames(&mut self, frame: &Frame) -> Option<Vec<Frame>> {
        let Track::Audio(params) = &frame.track else { return None };
        let law = match params.codec {
            AudioCodec::Pcma => Law::A,
            AudioCodec::Pcmu => Law::Mu,
            AudioCodec::Aac => return None,
        };
        self.running.take_if(|running| !running.continues(params, frame.dts));
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::new(params, frame)?,
        };
        let running = self.running.insert(running);
        running.align(frame.dts);
        running.feed(frame.data.iter().map(|byte| law.decode(*byte)));
        (running.key, running.received) = (frame.key, frame.received);
        Some(running.units())
    }

    /// Ends the stream and gives the rest of its AAC: what comes next does not continue it.
    pub fn finish(&mut self) -> Vec<Frame> {
        let Some(mut running) = self.running.take() else { return Vec::new() };
        let end = running.expected();
        running.feed_silence(running.delay + running.unit);
        let mut rest = running.units();
        rest.retain(|frame| frame.dts < end);
        rest
    }
}

impl Running {
    fn new(source: &Arc<AudioParams>, first: &Frame) -> Option<Self> {
        let channels = match source.channels {
            1 => ChannelMode::Mono,
            2 => ChannelMode::Stereo,
            _ => return None,
        };
        let encoder = Encoder::new(EncoderParams {
            bit_rate: BitRate::Cbr(
                source.sample_rate.checked_mul(BITS_PER_SAMPLE * u32::from(source.channels))?,
            ),
            sample_rate: source.sample_rate,
            transport: Transport::Raw,
            channels,
            audio_object_type: AudioObjectType::Mpeg4LowComplexity,
        })
        .ok()?;
        let info = encoder.info().ok()?;
        let config = info.confBuf.get(..info.confSize as usize)?;
        let output = AudioParams {
            codec: AudioCodec::Aac,
            config: Bytes::copy_from_slice(config),
            ..AudioParams::clone(source)
        };
        Some(Self {
            source: Arc::clone(source),
            output: Arc::new(output),
            unit: info.frameLength.into(),
            delay: info.nDelay.into(),
            encoder,
            base: first.dts,
            samples: 0,
            units: 0,
            last: None,
            key: first.key,
            received: first.received,
            waiting: Vec::new(),
        })
    }

    /// Whether sound of these parameters at this time can be encoded on.
    fn continues(&self, params: &Arc<AudioParams>, at: i64) -> bool {
        let off = at.saturating_sub(self.expected());
        (Arc::ptr_eq(params, &self.source) || *params == self.source)
            && (-MAX_EARLY..=MAX_SILENCE).contains(&off)
    }

    /// Follows the camera's clock where that is off by more than jitter.
    fn align(&mut self, at: i64) {
        let off = at.saturating_sub(self.expected());
        if off > JITTER {
            self.feed_silence(off * i64::from(self.source.sample_rate) / CLOCK_HZ);
        } else if off < -JITTER {
            self.base = self.base.saturating_add(off);
        }
    }

    fn feed(&mut self, samples: impl Iterator<Item = i16>) {
        let before = self.waiting.len();
        self.waiting.extend(samples);
        self.samples += (self.waiting.len() - before) as i64 / i64::from(self.source.channels);
    }

    fn feed_silence(&mut self, samples: i64) {
        self.feed((0..samples * i64::from(self.source.channels)).map(|_| 0));
    }

    /// The access units that the encoder makes of the samples that wait.
    fn units(&mut self) -> Vec<Frame> {
        let (key, received) = (self.key, self.received);
        let (mut frames, mut taken, mut unit) = (Vec::new(), 0, [0; MAX_UNIT]);
        while taken < self.waiting.len() {
            let made = self.encoder.encode(&self.waiting[taken..], &mut unit);
            let Some(made) = made.ok().filter(|made| made.input_consumed > 0) else {
                // Samples must not pile up before an encoder that stopped.
                taken = self.waiting.len();
                break;
            };
            taken += made.input_consumed;
            let Some(data) = unit.get(..made.output_size).filter(|data| !data.is_empty()) else {
                continue;
            };
            let dts = self.time(self.units * self.unit - self.delay);
            self.units += 1;
            // The first units hold what was before the first sample.
            if dts >= self.base && self.last.is_none_or(|last| dts > last) {
                self.last = Some(dts);
                let track = Track::Audio(Arc::clone(&self.output));
                let data = Bytes::copy_from_slice(data);
                frames.push(Frame {
                    track,
                    key,
                    discontinuity: false,
                    leading: false,
                    pts: dts,
                    dts,
                    received,
                    data,
                });
            }
        }
        self.waiting.drain(..taken);
        frames
    }

    fn expected(&self) -> i64 {
        self.time(self.samples)
    }

    fn time(&self, sample: i64) -> i64 {
        self.base.saturating_add(sample * CLOCK_HZ / i64::from(self.source.sample_rate))
    }
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;
