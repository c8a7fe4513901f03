//! Finds the pictures in what an RTSP server writes.

use crate::h264::rtp;

/// How many last bytes of a picture tell it apart from the other pictures of a few seconds.
pub const TAIL: usize = 16;

/// The end of one picture.
pub struct Picture {
    pub tail: [u8; TAIL],
    pub key: bool,
}

/// An incremental reader of RTSP with interleaved RTP; video is on channel 0.
#[derive(Default)]
pub struct Pictures {
    buffer: Vec<u8>,
    key: bool,
}

impl Pictures {
    /// The ends of the pictures that end within these bytes.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Picture> {
        self.buffer.extend_from_slice(bytes);
        let mut pictures = Vec::new();
        let mut at = 0;
        while let Some(length) = element(&self.buffer[at..]) {
            let whole = &self.buffer[at..at + length];
            if let [b'$', 0, _, _, packet @ ..] = whole {
                pictures.extend(Self::packet(&mut self.key, packet));
            }
            at += length;
        }
        self.buffer.drain(..at);
        pictures
    }

    fn packet(key: &mut bool, packet: &[u8]) -> Option<Picture> {
        let (payload, marker, _) = rtp(packet)?;
        *key |= match payload {
            [indicator, head, ..] if indicator & 0x1f == 28 => head & 0x1f == 5,
            [head, ..] => head & 0x1f == 5,
            [] => false,
        };
        if !marker {
            return None;
        }
        let key = std::mem::take(key);
        Some(Picture { tail: *payload.last_chunk()?, key })
    }
}

/// The length of the interleaved packet or RTSP message at the start, if all of it is there.
fn element(bytes: &[u8]) -> Option<usize> {
    let length = match bytes {
        [b'$', _, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [b'$', ..] => return None,
        _ => {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let body = head.lines().find_map(|line| {
                line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            end + body.unwrap_or(0)
        }
    };
    (bytes.len() >= length).then_some(length)
}
