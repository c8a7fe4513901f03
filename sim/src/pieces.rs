//! A message of a WebSocket in several frames (RFC 6455, 5.4), which the server's library has no way to send.

/// Bytes of a message in each frame: few, so that a character of several bytes is cut now and then.
const PIECE: usize = 7;
/// The first byte of a whole text, of the first frame of one, of a frame within, and of the last.
const WHOLE: u8 = 0x81;
const FIRST: u8 = 0x01;
const WITHIN: u8 = 0x00;
const LAST: u8 = 0x80;

/// The frames that carry the text of `frame`; `None` where that is no whole text in one frame of a server.
pub(crate) fn split(frame: &[u8]) -> Option<Vec<u8>> {
    let (&[WHOLE, length], rest) = frame.split_first_chunk()? else { return None };
    let (length, text) = match length {
        0..126 => (usize::from(length), rest),
        126 => {
            let (length, text) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), text)
        }
        // A mask, or more than a packet has.
        _ => return None,
    };
    if text.len() != length || text.is_empty() {
        return None;
    }
    let count = length.div_ceil(PIECE);
    let mut frames = Vec::with_capacity(length + 2 * count);
    for (n, piece) in text.chunks(PIECE).enumerate() {
        let head = match n {
            0 if count == 1 => WHOLE,
            0 => FIRST,
            _ if n + 1 == count => LAST,
            _ => WITHIN,
        };
        frames.extend([head, piece.len() as u8]);
        frames.extend(piece);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_frames_and_nothing_else_is() {
        assert_eq!(split(b"\x81\x02hi").unwrap(), b"\x81\x02hi");
        assert_eq!(split(b"\x81\x09123456789").unwrap(), b"\x01\x071234567\x80\x0289");
        let long = [&[0x81, 126, 0x01, 0x00][..], &[b'x'; 256]].concat();
        let frames = split(&long).unwrap();
        assert_eq!(frames.len(), 256 + 2 * 37);
        assert_eq!((&frames[..2], &frames[9..11]), (&[0x01, 7][..], &[0x00, 7][..]));
        for other in
            [&b""[..], b"\x81", b"\x82\x02hi", b"\x81\x03hi", b"\x81\x02hi\x89\x00", b"\x81\x00"]
        {
            assert_eq!(split(other), None, "{other:?}");
        }
    }
}
