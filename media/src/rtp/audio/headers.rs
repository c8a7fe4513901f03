//! What stands before the access units of a packet of RFC 3640: their headers and an auxiliary section.

use super::Parameters;
use super::bits::{BitCursor, Fault};

/// Widths in bits of the fields before the access units (RFC 3640 3.2.1 and 4.1).
#[derive(Debug)]
pub(super) struct Layout {
    size: u32,
    index: u32,
    delta: u32,
    composition: u32,
    decoding: u32,
    random_access: u32,
    state: u32,
    auxiliary: u32,
    /// Bytes of every unit, where the headers do not say the size.
    constant: Option<usize>,
}

impl Layout {
    /// The widths that the parameters say. Others are as in the mode, and without a mode as in
    /// AAC-hbr, which all cameras use.
    pub(super) fn new(mode: &str, parameter: &Parameters<'_>) -> Self {
        let (size, index) = if mode == "aac-lbr" { (6, 2) } else { (13, 3) };
        let number = |name: &str| parameter(name).and_then(|text| unquoted(text).parse().ok());
        let width = |name: &str, default: u32| number(name).filter(|n| *n <= 32).unwrap_or(default);
        Self {
            size: width("sizelength", size),
            index: width("indexlength", index),
            delta: width("indexdeltalength", index),
            composition: width("ctsdeltalength", 0),
            decoding: width("dtsdeltalength", 0),
            random_access: width("randomaccessindication", 0).min(1),
            state: width("streamstateindication", 0),
            auxiliary: width("auxiliarydatasizelength", 0),
            constant: number("constantsize").filter(|n| *n > 0).map(|n| n as usize),
        }
    }

    /// Bits of the shortest header.
    fn least(&self, first: bool) -> usize {
        let index = if first { self.index } else { self.delta };
        let flags = u32::from(self.composition > 0) + u32::from(self.decoding > 0);
        (self.size + index + flags + self.random_access + self.state) as usize
    }

    /// Splits a payload into headers and access units. `None` where the two contradict each other.
    pub(super) fn sections<'d>(&self, payload: &'d [u8]) -> Option<(BitCursor<'d>, &'d [u8])> {
        let least = self.least(true);
        let (headers, rest) = if least == 0 {
            (BitCursor::new(&[]), payload)
        } else {
            let (len, rest) = payload.split_first_chunk()?;
            let mut len = usize::from(u16::from_be_bytes(*len));
            // Some cameras count the headers in bytes instead of bits.
            if len < least && len * 8 >= least {
                len *= 8;
            }
            // Such a length of headers is the beginning of an ADTS header.
            if len < least || len >= 0xfff0 {
                return None;
            }
            let (headers, rest) = rest.split_at_checked(len.div_ceil(8))?;
            (BitCursor::limited(headers, len), rest)
        };
        if self.auxiliary == 0 {
            return Some((headers, rest));
        }
        let mut bits = BitCursor::new(rest);
        let size = bits.read(self.auxiliary).ok()?;
        bits.skip(size as usize).ok()?;
        Some((headers, rest.get(bits.at().div_ceil(8)..)?))
    }

    /// Whether another header follows.
    pub(super) fn has_header(&self, headers: &BitCursor<'_>) -> bool {
        let least = self.least(false);
        least > 0 && headers.left() >= least
    }

    /// Reads a header: the bytes of its unit, if it says them, and how many units belong between it
    /// and the unit before.
    pub(super) fn header(
        &self,
        bits: &mut BitCursor<'_>,
        first: bool,
    ) -> Result<(Option<usize>, u32), Fault> {
        if !first && !self.has_header(bits) {
            return Err(Fault::Cut);
        }
        let size = bits.read(self.size)? as usize;
        let index = bits.read(if first { self.index } else { self.delta })?;
        for width in [self.composition, self.decoding] {
            if width > 0 && bits.flag()? {
                bits.read(width)?;
            }
        }
        bits.read(self.random_access)?;
        bits.read(self.state)?;
        Ok((if self.size > 0 { Some(size) } else { self.constant }, index))
    }
}

/// A value without the quotes and spaces that some cameras put around it.
pub(super) fn unquoted(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'')
}
