//! Writes fields that do not begin at byte boundaries.

/// Bits in the order of writing, most significant first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    byte: u8,
    /// Bits in `byte`, 0 to 7.
    used: u8,
}

impl BitWriter {
    /// The lowest `count` bits of `value`.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.byte = self.byte << 1 | (value >> bit & 1) as u8;
            self.used += 1;
            if self.used == 8 {
                self.bytes.push(self.byte);
                (self.byte, self.used) = (0, 0);
            }
        }
    }

    /// An Exp-Golomb code (ITU-T H.264 9.1).
    pub(super) fn ue(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(0, length);
        self.put(value + 1, length + 1);
    }

    /// Fills the byte at hand with this bit.
    pub(super) fn align(&mut self, bit: u32) {
        while self.used > 0 {
            self.put(bit, 1);
        }
    }

    /// Whole bytes; the byte at hand has to be full.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.used, 0, "bytes begin at a byte's start");
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written, without the bits of a byte that is not full.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
