//! Reads fields of audio headers that do not begin at byte boundaries, and tells where it is.

/// Why a configuration or a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end too early.
    Cut,
    /// The bytes contradict their specification.
    Broken,
    /// An MPEG-4 audio object type other than AAC.
    Foreign(u32),
    /// A way of multiplexing that no camera is known to use.
    Complex,
}

/// A position among the bits of a slice, most significant first.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitCursor<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> BitCursor<'a> {
    /// A reader at the first bit of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len().saturating_mul(8) }
    }

    /// A reader of only the first `end` bits of `bytes`.
    pub(super) fn limited(bytes: &'a [u8], end: usize) -> Self {
        let all = Self::new(bytes);
        Self { end: end.min(all.end), ..all }
    }

    /// The next `count` bits, 32 at most.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, Fault> {
        let (first, shift) = (self.at / 8, (self.at % 8) as u32);
        self.skip(count as usize)?;
        let mut word = 0;
        for byte in self.bytes.iter().skip(first).take(5) {
            word = word << 8 | u64::from(*byte);
        }
        let missing = 5 - self.bytes.len().saturating_sub(first).min(5);
        let value = (word << (8 * missing)) >> (40 - shift - count.min(32));
        Ok((value & ((1 << count.min(32)) - 1)) as u32)
    }

    /// The next bit.
    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        Ok(self.read(1)? == 1)
    }

    /// Leaves out `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Fault> {
        if count > self.left() {
            return Err(Fault::Cut);
        }
        self.at += count;
        Ok(())
    }

    /// Bits read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bits not read yet.
    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }
}

/// The bytes that begin at bit `at`, as far as `bytes` reach; zeros fill the last one.
pub(super) fn shifted(bytes: &[u8], at: usize) -> impl Iterator<Item = u8> {
    let (rest, shift) = (bytes.get(at / 8..).unwrap_or_default(), (at % 8) as u32);
    let next = rest.iter().skip(1).map(|byte| u16::from(*byte)).chain([0]);
    rest.iter()
        .zip(next)
        .map(move |(byte, next)| ((u16::from(*byte) << 8 | next) << shift >> 8) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_of_any_width_are_those_of_the_number(
            value in any::<u128>(),
            widths in prop::collection::vec(0u32..=32, 1..20),
        ) {
            let bytes = value.to_be_bytes();
            let (mut bits, mut at) = (BitCursor::new(&bytes), 0);
            for width in widths {
                if at + width > 128 {
                    prop_assert_eq!(bits.read(width), Err(Fault::Cut));
                    break;
                }
                let want = if width == 0 { 0 } else { (value << at >> (128 - width)) as u32 };
                prop_assert_eq!(bits.read(width), Ok(want));
                at += width;
                prop_assert_eq!(bits.left() as u32, 128 - at);
            }
        }

        #[test]
        fn bytes_from_any_bit_on(value in any::<u64>(), at in 0usize..80) {
            let got: Vec<u8> = shifted(&value.to_be_bytes(), at).collect();
            let want = value.checked_shl(at as u32).unwrap_or(0).to_be_bytes();
            prop_assert_eq!(&got[..], &want[..8usize.saturating_sub(at / 8)]);
        }
    }

    #[test]
    fn a_limit_in_the_middle_of_a_byte_holds() {
        let mut bits = BitCursor::limited(&[0xff, 0xff], 11);
        assert_eq!((bits.read(11), bits.read(1)), (Ok(0x7ff), Err(Fault::Cut)));
    }
}
