//! Headers of PES packets, and the times in them.

/// Stream id of the first stream of pictures.
pub const VIDEO: u8 = 0xe0;
/// Stream id of the first stream of sound.
pub const AUDIO: u8 = 0xc0;
/// Longest payload whose length a header can tell, in bytes. Only payloads of pictures may be
/// longer.
pub const MAX_SIZED: usize = 0xffff - 13;

/// Header of a PES packet; at most 19 bytes.
#[derive(Clone, Copy)]
pub struct Header {
    bytes: [u8; 19],
    len: usize,
}

impl Header {
    /// The header of a packet with `payload` bytes, which begin an access unit.
    pub fn new(stream: u8, payload: usize, pts: i64, dts: i64) -> Self {
        let both = wrap(pts) != wrap(dts);
        let times = if both { 10 } else { 5 };
        let sized = u16::try_from(payload + 3 + times).unwrap_or(0);
        let [high, low] = sized.to_be_bytes();
        let mut bytes = [0; 19];
        let flags = if both { 0xc0 } else { 0x80 };
        bytes[..9].copy_from_slice(&[0, 0, 1, stream, high, low, 0x84, flags, times as u8]);
        bytes[9..14].copy_from_slice(&stamp(if both { 3 } else { 2 }, pts));
        bytes[14..].copy_from_slice(&stamp(1, dts));
        Self { bytes, len: 9 + times }
    }

    /// The bytes of the header.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A time cut to the 33 bits that a transport stream has for it.
pub fn wrap(ticks: i64) -> u64 {
    ticks as u64 & ((1 << 33) - 1)
}

fn stamp(prefix: u8, ticks: i64) -> [u8; 5] {
    let t = wrap(ticks);
    let (high, middle, low) = (t >> 30, t >> 15 & 0x7fff, t & 0x7fff);
    let bits =
        u64::from(prefix) << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1;
    let [.., a, b, c, d, e] = bits.to_be_bytes();
    [a, b, c, d, e]
}
