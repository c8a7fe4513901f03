//! ADTS, the framing of AAC in transport streams (ISO/IEC 13818-7, 6.2).

use crate::bits::Bits;
use crate::frame::{AAC_RATES, AudioCodec, AudioParams, CLOCK_HZ};

/// Bytes of an ADTS header.
pub const HEADER: usize = 7;
/// The longest access unit a header can tell.
pub const MAX_UNIT: usize = 0x1fff - HEADER;
/// Samples per access unit at the rate the header tells.
const SAMPLES: i64 = 1024;
/// Object type of spectral band replication, behind which the core tells its own (ISO/IEC 14496-3,
/// 1.6.2.1).
const SBR: u32 = 5;
/// Object type of parametric stereo, behind which the core tells its own.
const PS: u32 = 29;

/// What the headers of one stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adts {
    profile: u8,
    rate_index: u8,
    channels: u8,
}

impl Adts {
    /// The headers of a stream. `None` for sound that ADTS cannot tell: other codecs, low delay
    /// profiles, rates without an index, access units of 960 samples.
    pub fn new(params: &AudioParams) -> Option<Self> {
        if params.codec != AudioCodec::Aac {
            return None;
        }
        let channels = match params.channels {
            1..=6 => params.channels as u8,
            8 => 7,
            _ => return None,
        };
        let (object_type, rate) = read(&params.config)?;
        let rate_index = AAC_RATES.iter().position(|known| *known == rate)? as u8;
        (1..=4).contains(&object_type).then(|| Self {
            profile: object_type as u8 - 1,
            rate_index,
            channels,
        })
    }

    /// The header of an access unit of at most [`MAX_UNIT`] bytes.
    pub fn header(self, unit: usize) -> [u8; HEADER] {
        let len = (unit + HEADER) as u16;
        let Self { profile, rate_index, channels } = self;
        [
            0xff,
            0xf1, // MPEG-4, no CRC
            profile << 6 | rate_index << 2 | channels >> 2,
            channels << 6 | (len >> 11) as u8,
            (len >> 3) as u8,
            (len << 5) as u8 | 0x1f, // buffer fullness: variable rate
            0xfc,
        ]
    }

    /// Time from an access unit to the one `count` later, in 90 kHz ticks.
    pub fn span(self, count: usize) -> i64 {
        count as i64 * SAMPLES * CLOCK_HZ / i64::from(AAC_RATES[usize::from(self.rate_index)])
    }
}

/// Object type and sampling rate of the core in an `AudioSpecificConfig`; `None` where it is cut
/// short or its access units are not of 1024 samples.
fn read(config: &[u8]) -> Option<(u32, u32)> {
    let bits = &mut Bits::plain(config);
    let mut object_type = read_object_type(bits)?;
    let rate = read_rate(bits)?;
    bits.skip(4)?; // channelConfiguration
    if [SBR, PS].contains(&object_type) {
        read_rate(bits)?;
        object_type = read_object_type(bits)?;
    }
    let short = bits.flag()?; // frameLengthFlag
    (!short).then_some((object_type, rate))
}

fn read_object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(32 + bits.read(6)?),
        object_type => Some(object_type),
    }
}

/// Reads a sampling rate in Hz; 0 for an index without a meaning.
fn read_rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(4)? {
        15 => bits.read(24),
        index => Some(AAC_RATES.get(index as usize).copied().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn adts(config: &[u8], channels: u16) -> Option<Adts> {
        let config = Bytes::copy_from_slice(config);
        Adts::new(&AudioParams { codec: AudioCodec::Aac, sample_rate: 0, channels, config })
    }

    #[test]
    fn configurations_become_headers() {
        // AAC-LC, 48 kHz, stereo; then HE-AAC on a core of 24 kHz; then 44.1 kHz written out.
        let lc = Adts { profile: 1, rate_index: 3, channels: 2 };
        assert_eq!(adts(&[0x11, 0x90], 2), Some(lc));
        let he = Adts { profile: 1, rate_index: 6, channels: 2 };
        assert_eq!(adts(&[0x2b, 0x11, 0x88, 0x00], 2), Some(he));
        let explicit = Adts { profile: 1, rate_index: 4, channels: 1 };
        assert_eq!(adts(&[0x17, 0x80, 0x56, 0x22, 0x08], 1), Some(explicit));
        assert_eq!(lc.header(100), [0xff, 0xf1, 0x4c, 0x80, 0x0d, 0x7f, 0xfc]);
        assert_eq!(lc.header(MAX_UNIT)[3..6], [0x83, 0xff, 0xff]);
        assert_eq!(lc.span(3), 3 * 1024 * 90_000 / 48_000);
    }

    #[test]
    fn what_adts_cannot_tell_is_refused() {
        for (config, channels) in [
            (&[0xb9, 0x90][..], 2),               // AAC-LD
            (&[0x11, 0x94], 2),                   // 960 samples
            (&[0x17, 0x80, 0x00, 0x04, 0x88], 1), // 9 Hz
            (&[0x11, 0x90], 7),
            (&[0x11], 2),
            (&[], 2),
        ] {
            assert_eq!(adts(config, channels), None, "{config:x?}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_survived(config in prop::collection::vec(any::<u8>(), 0..12), n in 0u16..10) {
            adts(&config, n);
        }
    }
}
