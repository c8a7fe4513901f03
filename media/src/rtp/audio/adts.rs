//! ADTS headers (ISO/IEC 13818-7, 6.2), which some cameras leave before their access units.

use super::config;

/// What an ADTS header says of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header, with its CRC.
    pub(super) len: usize,
    /// Bytes of the frame, header included; not less than `len`.
    pub(super) frame: usize,
    /// The frame is one access unit.
    pub(super) single: bool,
    /// The frame's `AudioSpecificConfig`; `None` where only the frame itself tells its channels.
    pub(super) config: Option<[u8; 2]>,
}

impl Header {
    /// The header that `bytes` begin with.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [sync, b1, b2, b3, b4, b5, b6] = *bytes.first_chunk()?;
        let (rate_index, layout) = (b2 >> 2 & 0xf, (b2 & 1) << 2 | b3 >> 6);
        if sync != 0xff || b1 & 0xf6 != 0xf0 || rate_index > 12 {
            return None;
        }
        let len = if b1 & 1 == 0 { 9 } else { 7 };
        let frame = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
        let object_type = u32::from(b2 >> 6) + 1;
        let config = (layout > 0).then(|| config::indexed(object_type, rate_index, layout));
        (frame >= len).then_some(Self { len, frame, single: b6 & 3 == 0, config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AAC-LC, 48 kHz, stereo, 707 bytes.
    const GOOD: [u8; 7] = [0xff, 0xf1, 0x4c, 0x80, 0x58, 0x7f, 0xfc];

    #[test]
    fn a_header_tells_where_its_frame_ends_and_what_it_is() {
        let want = Header { len: 7, frame: 707, single: true, config: Some([0x11, 0x90]) };
        assert_eq!(Header::read(&GOOD), Some(want));
        assert_eq!(Header::read(&GOOD[..6]), None);
        let mut bytes = GOOD;
        bytes[1] = 0xf0;
        assert_eq!(Header::read(&bytes), Some(Header { len: 9, ..want }), "with a CRC");
        bytes[6] |= 1;
        assert!(!Header::read(&bytes).unwrap().single);
        bytes[3] &= 0x3f;
        assert_eq!(Header::read(&bytes).unwrap().config, None, "the frame says its channels");
    }

    #[test]
    fn what_is_no_header_is_none() {
        for (at, byte) in [(0, 0xfe), (1, 0xe1), (1, 0xf3), (2, 0x7c), (4, 0x00)] {
            let mut bad = GOOD;
            bad[at] = byte;
            assert_eq!(Header::read(&bad), None, "{bad:x?}");
        }
    }
}
