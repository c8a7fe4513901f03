//! Rewrites parameter sets bit by bit (ITU-T H.264 7.3, H.265 7.3; Exp-Golomb codes of 9.1).

/// A raw byte sequence as single bits, without emulation prevention and stop bit.
#[derive(Debug)]
struct Bits {
    bits: Vec<bool>,
    at: usize,
}

impl Bits {
    /// The bits behind the first `header` bytes of a NAL unit.
    fn of(nal: &[u8], header: usize) -> Option<Self> {
        let mut zeros = 0;
        let mut bits = Vec::with_capacity(8 * nal.len());
        for &byte in nal.get(header..)? {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bits.extend((0..8).rev().map(|i| byte >> i & 1 == 1));
        }
        let end = bits.iter().rposition(|bit| *bit)?;
        bits.truncate(end);
        Some(Self { bits, at: 0 })
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bits.len()).then_some(())
    }

    /// Reads a number coded as `ue(v)`.
    fn ue(&mut self) -> Option<u32> {
        let zeros = self.bits.get(self.at..)?.iter().position(|bit| *bit)?;
        let code = self.bits.get(self.at + zeros..self.at + 2 * zeros + 1)?;
        let value = code.iter().fold(0u32, |value, bit| value << 1 | u32::from(*bit));
        self.at += 2 * zeros + 1;
        value.checked_sub(1)
    }

    /// Replaces the next number coded as `ue(v)`.
    fn replace_ue(&mut self, value: u32) -> Option<()> {
        let start = self.at;
        self.ue()?;
        let code = value + 1;
        let length = (32 - code.leading_zeros()) as usize;
        let new =
            (0..length - 1).map(|_| false).chain((0..length).rev().map(|i| code >> i & 1 == 1));
        self.bits.splice(start..self.at, new);
        self.at = start + 2 * length - 1;
        Some(())
    }

    /// The NAL unit of these bits, with this header.
    fn nal(mut self, header: &[u8]) -> Vec<u8> {
        self.bits.push(true);
        let mut nal = header.to_vec();
        let mut zeros = 0;
        for chunk in self.bits.chunks(8) {
            let byte =
                (0..8).fold(0u8, |byte, i| byte << 1 | u8::from(chunk.get(i) == Some(&true)));
            if zeros >= 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

/// A PPS of H.264 with another `pic_parameter_set_id`.
pub fn pps_with_id(pps: &[u8], id: u32) -> Option<Vec<u8>> {
    let mut bits = Bits::of(pps, 1)?;
    bits.replace_ue(id)?;
    Some(bits.nal(pps.get(..1)?))
}

/// An SPS of H.265, of one layer, that allows two pictures to be shown after one decoded later.
pub fn sps_with_reordering(sps: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits::of(sps, 2)?;
    bits.skip(8 + 96)?; // Ids and flags, profile and level.
    bits.ue()?;
    if bits.ue()? == 3 {
        bits.skip(1)?;
    }
    bits.ue()?;
    bits.ue()?;
    let window = *bits.bits.get(bits.at)?;
    bits.skip(1)?;
    for _ in 0..if window { 4 } else { 0 } {
        bits.ue()?;
    }
    for _ in 0..3 {
        bits.ue()?; // Bit depths, and the length of the picture order count.
    }
    bits.skip(1)?;
    bits.replace_ue(4)?; // Number of pictures held.
    bits.replace_ue(2)?; // Number of pictures reordered.
    Some(bits.nal(sps.get(..2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pps_gets_another_id_and_keeps_the_rest() {
        // The bits are ue(0), 1010 1 and the stop bit; ue(1) is 010.
        let pps = [0x68, 0b1101_0110];
        assert_eq!(pps_with_id(&pps, 0).unwrap(), pps);
        assert_eq!(pps_with_id(&pps, 1).unwrap(), [0x68, 0b0101_0101, 0b1000_0000]);
        let back = pps_with_id(&pps_with_id(&pps, 9).unwrap(), 0);
        assert_eq!(back.unwrap(), pps);
    }

    #[test]
    fn emulation_prevention_is_undone_and_made_again() {
        let nal = [0x68, 0x80, 0, 0, 3, 1, 0x80];
        let bits = Bits::of(&nal, 1).unwrap();
        assert_eq!(bits.bits.len(), 4 * 8);
        assert_eq!(bits.nal(&nal[..1]), nal);
    }

    #[test]
    fn damaged_sets_give_nothing() {
        for nal in [&[][..], &[0x68], &[0x68, 0], &[0x68, 0, 0, 1]] {
            assert_eq!(pps_with_id(nal, 1), None);
            assert_eq!(sps_with_reordering(nal), None);
        }
    }
}
