//! Samples of telephone sound (ITU-T G.711): 16 bits in a byte.

/// How a sample is written in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    /// A-law, ITU-T G.711 table 1.
    A,
    /// µ-law, ITU-T G.711 table 2.
    Mu,
}

impl Law {
    /// What µ-law adds to a size, on a scale of 16 bits.
    const BIAS: i32 = 0x84;

    /// The sample that a byte stands for, on a scale of 16 bits.
    pub(crate) fn decode(self, byte: u8) -> i16 {
        let code = match self {
            Self::A => byte ^ 0x55,
            Self::Mu => !byte,
        };
        let (segment, step) = (u32::from(code >> 4 & 7), i32::from(code & 0xf));
        let size = match (self, segment) {
            (Self::A, 0) => step << 4 | 8,
            (Self::A, _) => (step << 4 | 0x108) << (segment - 1),
            (Self::Mu, _) => ((step << 3 | 0x84) << segment) - Self::BIAS,
        };
        // A-law's bit says plus, µ-law's, which was inverted with the others, minus.
        let minus = (code & 0x80 == 0) == (self == Self::A);
        (if minus { -size } else { size }) as i16
    }

    /// The byte that stands for a sample on a scale of 16 bits.
    pub(crate) fn encode(self, sample: i16) -> u8 {
        let (sample, minus) = (i32::from(sample), sample < 0);
        let (size, inverted, sign) = match self {
            Self::A => (if minus { !sample } else { sample }, 0x55, !minus),
            Self::Mu => (sample.abs().min(0x7fff - Self::BIAS) + Self::BIAS, 0xff, minus),
        };
        let segment = (size | 0x80).ilog2() - 7;
        let shift = if self == Self::A { segment.max(1) + 3 } else { segment + 3 };
        let code = (segment << 4) as u8 | (size >> shift & 0xf) as u8;
        (code | if sign { 0x80 } else { 0 }) ^ inverted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_the_standard() {
        // ITU-T G.711 tables 1 and 2, on a scale of 16 bits.
        for (byte, value) in
            [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0xc5, 264), (0x80, 5504)]
        {
            assert_eq!(Law::A.decode(byte), value, "{byte:x}");
        }
        for (byte, value) in [
            (0xff, 0),
            (0x7f, 0),
            (0x80, 32124),
            (0x00, -32124),
            (0xfe, 8),
            (0x7e, -8),
            (0xf0, 120),
        ] {
            assert_eq!(Law::Mu.decode(byte), value, "{byte:x}");
        }
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255 {
            assert_eq!(Law::A.encode(Law::A.decode(byte)), byte);
            // µ-law has two zeros.
            let want = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(byte)), want);
        }
    }

    proptest! {
        #[test]
        fn encoding_is_off_by_less_than_a_step(sample in any::<i16>()) {
            for law in [Law::A, Law::Mu] {
                let back = i32::from(law.decode(law.encode(sample)));
                let size = i32::from(sample).abs();
                // A step is a sixteenth of the highest bit; samples beyond the last step become the
                // last one.
                let step = (size + Law::BIAS).max(256) / 16;
                let off = (back - i32::from(sample)).abs();
                prop_assert!(off <= step.min(1024).max(if size > 32_000 { 800 } else { 0 }),
                    "{law:?} {sample} {back}");
            }
        }
    }
}
