//! Reads fields that do not begin at byte boundaries.

/// Reads the bits of a slice, most significant first. Every read is `None` past the end.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    /// Whether the bytes are a NAL unit, whose emulation prevention bytes are left out (ITU-T H.264
    /// 7.4.1).
    nal: bool,
    /// Zero bytes just before `rest`.
    zeros: u8,
    byte: u8,
    /// Bits of `byte` not read yet.
    left: u8,
}

impl<'a> Bits<'a> {
    /// A reader at the start of `payload`, which follows a NAL unit's header.
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { nal: true, ..Self::plain(payload) }
    }

    /// A reader of bytes that are no NAL unit.
    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, nal: false, zeros: 0, byte: 0, left: 0 }
    }

    /// One bit.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    /// The next `count` bits, at most 32: u(n).
    pub(crate) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// An Exp-Golomb code of at most 32 bits of value: ue(v), 9.1.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.read(zeros)?)
    }

    /// An Exp-Golomb code; `None` for a value above `most`.
    pub(crate) fn ue_up_to(&mut self, most: u32) -> Option<u32> {
        self.ue().filter(|value| *value <= most)
    }

    /// A signed Exp-Golomb code: se(v), 9.1.1.
    pub(crate) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }

    /// Leaves out `count` bits.
    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// Leaves out `count` whole bytes, at a byte's start.
    pub(crate) fn skip_bytes(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.next_byte().map(drop))
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        if self.nal && self.zeros >= 2 && *byte == 3 {
            self.zeros = 0;
            (byte, rest) = rest.split_first()?;
        }
        self.zeros = if *byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        self.rest = rest;
        Some(*byte)
    }
}
