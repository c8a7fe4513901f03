//! `AudioSpecificConfig`: what a decoder of AAC must know (ISO/IEC 14496-3, 1.6.2.1).

use super::bits::{BitCursor, Fault};
use crate::frame::AAC_RATES;

/// Longest configuration, in bytes.
const MAX_BYTES: usize = 512;

/// Sampling rates in Hz that may be written out instead of by index.
const ANY_RATE: std::ops::RangeInclusive<u32> = 4000..=192_000;

/// Audio object types, ISO/IEC 14496-3 table 1.17.
mod object {
    /// Low complexity, which every camera uses.
    pub(super) const LC: u32 = 2;
    /// Spectral band replication: HE-AAC.
    pub(super) const SBR: u32 = 5;
    /// Low complexity with error resilience.
    pub(super) const ER_LC: u32 = 17;
    /// Bit-sliced arithmetic coding, which is not carried.
    pub(super) const ER_BSAC: u32 = 22;
    /// Low delay.
    pub(super) const ER_LD: u32 = 23;
    /// Parametric stereo: HE-AAC version 2.
    pub(super) const PS: u32 = 29;
    /// A further 6 bits tell a larger number.
    pub(super) const ESCAPE: u32 = 31;
}

/// What an `AudioSpecificConfig` says of the core of its sound, which is all of it unless bands
/// are replicated (HE-AAC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Number of the core's audio object type.
    pub(super) object_type: u32,
    /// Samples per second.
    pub(super) rate: u32,
    /// Number of channels.
    pub(super) channels: u16,
    /// Samples per channel in an access unit.
    pub(super) samples: u32,
}

impl Config {
    /// Reads a configuration up to its last bit, but for an extension behind it.
    pub(super) fn read(bits: &mut BitCursor<'_>) -> Result<Self, Fault> {
        let start = bits.at();
        let mut object_type = read_object_type(bits)?;
        let rate = read_rate(bits)?;
        let layout = bits.read(4)?;
        if [object::SBR, object::PS].contains(&object_type) {
            read_rate(bits)?;
            object_type = read_object_type(bits)?;
            if object_type == object::ER_BSAC {
                bits.read(4)?;
            }
        }
        let resilient = [object::ER_LC, object::ER_LD].contains(&object_type);
        match object_type {
            0 => return Err(Fault::Broken),
            1..=4 => {}
            _ if resilient => {}
            _ => return Err(Fault::Foreign(object_type)),
        }
        // GASpecificConfig, ISO/IEC 14496-3, 4.4.1.
        let short = bits.flag()?;
        if bits.flag()? {
            bits.read(14)?;
        }
        let extended = bits.flag()?;
        let channels = match layout {
            0 => read_program(bits, start)?,
            1..=6 => layout as u16,
            11 => 7,
            7 | 12 | 14 => 8,
            _ => return Err(Fault::Broken),
        };
        if extended {
            if resilient {
                bits.read(3)?;
            }
            bits.read(1)?;
        }
        if resilient && bits.read(2)? > 1 {
            return Err(Fault::Complex);
        }
        let samples = match (object_type == object::ER_LD, short) {
            (true, true) => 480,
            (true, false) => 512,
            (false, true) => 960,
            (false, false) => 1024,
        };
        Ok(Self { object_type, rate, channels, samples })
    }
}

/// A configuration of AAC-LC with this rate in Hz and so many channels.
pub(super) fn make(rate: u32, channels: u16) -> Vec<u8> {
    let layout = match channels {
        1..=6 => channels as u8,
        8 => 7,
        0 => 1,
        _ => 2,
    };
    match AAC_RATES.iter().position(|known| *known == rate) {
        Some(index) => indexed(object::LC, index as u8, layout).to_vec(),
        None => {
            let rate = u64::from(rate.min(0xff_ffff));
            let word = u64::from(object::LC) << 35 | 15 << 31 | rate << 7 | u64::from(layout) << 3;
            let [_, _, _, bytes @ ..] = word.to_be_bytes();
            bytes.to_vec()
        }
    }
}

/// A configuration of a sampling frequency and channels by their numbers in tables 1.18 and 1.19.
pub(super) fn indexed(object_type: u32, rate_index: u8, layout: u8) -> [u8; 2] {
    let word = (object_type as u16 & 0x1f) << 11
        | u16::from(rate_index & 0xf) << 7
        | u16::from(layout & 0xf) << 3;
    word.to_be_bytes()
}

/// Bytes written in hexadecimal, as `config=` has them. A last odd digit is the first of its byte.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let (mut bytes, mut high) = (Vec::new(), None);
    for digit in text.chars().filter(|c| !c.is_whitespace()) {
        let digit = digit.to_digit(16)? as u8;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
        if bytes.len() > MAX_BYTES {
            return None;
        }
    }
    bytes.extend(high);
    (!bytes.is_empty()).then_some(bytes)
}

fn read_object_type(bits: &mut BitCursor<'_>) -> Result<u32, Fault> {
    match bits.read(5)? {
        object::ESCAPE => Ok(32 + bits.read(6)?),
        object_type => Ok(object_type),
    }
}

fn read_rate(bits: &mut BitCursor<'_>) -> Result<u32, Fault> {
    let rate = match bits.read(4)? {
        15 => Some(bits.read(24)?).filter(|rate| ANY_RATE.contains(rate)),
        index => AAC_RATES.get(index as usize).copied(),
    };
    rate.ok_or(Fault::Broken)
}

/// Channels of a program config element (ISO/IEC 14496-3, 4.4.1.1) in a configuration that begins
/// at bit `start`.
fn read_program(bits: &mut BitCursor<'_>, start: usize) -> Result<u16, Fault> {
    bits.read(10)?;
    let elements = bits.read(4)? + bits.read(4)? + bits.read(4)?;
    let low = bits.read(2)?;
    let other = bits.read(3)?;
    let coupled = bits.read(4)?;
    for mixdown in [4, 4, 3] {
        if bits.flag()? {
            bits.read(mixdown)?;
        }
    }
    let mut channels = low;
    for _ in 0..elements {
        channels += 1 + bits.read(1)?;
        bits.read(4)?;
    }
    bits.skip((4 * (low + other) + 5 * coupled) as usize)?;
    bits.skip((bits.at() - start).wrapping_neg() % 8)?;
    let comment = bits.read(8)?;
    bits.skip(8 * comment as usize)?;
    u16::try_from(channels).ok().filter(|n| *n > 0).ok_or(Fault::Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(hex: &str) -> Result<(u32, u32, u16, u32), Fault> {
        let bytes = from_hex(hex).unwrap();
        Config::read(&mut BitCursor::new(&bytes))
            .map(|config| (config.object_type, config.rate, config.channels, config.samples))
    }

    #[test]
    fn configurations_are_read() {
        for (hex, want) in [
            ("1408", (2, 16000, 1, 1024)),
            ("1190", (2, 48000, 2, 1024)),
            ("140c", (2, 16000, 1, 960)),
            // A rate that is written out; SBR and PS, which tell their core; low delay; 7.1
            // channels.
            ("17801f4008", (2, 16000, 1, 1024)),
            ("2c0a8800", (2, 16000, 1, 1024)),
            ("ec0a8800", (2, 16000, 1, 1024)),
            ("b98800", (23, 48000, 1, 512)),
            ("11b8", (2, 48000, 8, 1024)),
            // An extension behind the configuration, as encoders write SBR for readers that do not
            // know it.
            ("140856e5a0", (2, 16000, 1, 1024)),
        ] {
            assert_eq!(read(hex), Ok(want), "{hex}");
        }
    }

    #[test]
    fn channels_may_be_counted_from_a_program() {
        use super::super::testing::Writer;
        // Two channels in front, one behind, a deep one; a comment of one byte.
        let bits = Writer::default().put(5, 2).put(4, 8).put(4, 0).put(3, 0);
        let bits = bits.put(10, 0).put(4, 1).put(4, 0).put(4, 1).put(2, 1).put(3, 0).put(4, 0);
        let bits = bits.put(1, 0).put(1, 1).put(4, 9).put(1, 0).put(5, 0b10000).put(5, 0).put(4, 0);
        let pad = bits.bits().wrapping_neg() % 8;
        let bits = bits.put(pad as u32, 0).put(8, 1).put(8, 0x55);
        let mut reader = BitCursor::new(&bits.bytes);
        assert_eq!(Config::read(&mut reader).map(|config| config.channels), Ok(4));
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn what_is_no_configuration_of_aac_says_why() {
        assert_eq!(read("14"), Err(Fault::Cut));
        assert_eq!(read("0000"), Err(Fault::Broken));
        assert_eq!(read("1688"), Err(Fault::Broken), "a rate of index 13");
        assert_eq!(read("1780000008"), Err(Fault::Broken), "of no Hz");
        assert_eq!(read("1448"), Err(Fault::Broken), "channels of index 9");
        assert_eq!(read("f8e850"), Err(Fault::Foreign(39)));
        assert_eq!(read("b98880"), Err(Fault::Complex));
    }

    #[test]
    fn hexadecimal_is_read_as_cameras_write_it() {
        for text in ["1408", " \"1408\" ", "14 08", "0x1408", "'1408'"] {
            assert_eq!(from_hex(text), Some(vec![0x14, 0x08]), "{text}");
        }
        assert_eq!(from_hex("119"), Some(vec![0x11, 0x90]));
        assert_eq!(from_hex("1A2b"), Some(vec![0x1a, 0x2b]));
        for text in ["", "\"\"", "1z", "14,08"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
        assert_eq!(from_hex(&"ab".repeat(513)), None);
    }

    #[test]
    fn a_configuration_is_made_where_there_is_none() {
        for rate in AAC_RATES.into_iter().chain([18900, 30000, 50000, 90000]) {
            for (channels, want) in [(0, 1), (1, 1), (2, 2), (6, 6), (8, 8), (77, 2)] {
                let config = Config::read(&mut BitCursor::new(&make(rate, channels))).unwrap();
                assert_eq!((config.rate, config.channels, config.samples), (rate, want, 1024));
            }
        }
        assert_eq!(make(48000, 2), [0x11, 0x90]);
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_text_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            text in ".{0,40}",
            rate in any::<u32>(),
            channels in any::<u16>(),
        ) {
            let _ = Config::read(&mut BitCursor::new(&bytes));
            let _ = from_hex(&text);
            make(rate, channels);
        }
    }
}
