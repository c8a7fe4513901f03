//! H.264 over RTP (RFC 6184) back to length-prefixed NAL units, and AAC (RFC 3640) to access units.

/// One access unit that is being joined.
#[derive(Default)]
pub struct AccessUnit {
    /// NAL units, each after its 4-byte length.
    pub data: Vec<u8>,
    pub key: bool,
    fragment: usize,
}

impl AccessUnit {
    /// Adds the payload of one RTP packet.
    pub fn push(&mut self, payload: &[u8]) {
        match payload {
            [head, ..] if head & 0x1f == 24 => {
                let mut rest = &payload[1..];
                while let [high, low, tail @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
                    self.nal(&tail[..length]);
                    rest = &tail[length..];
                }
            }
            [indicator, head, body @ ..] if indicator & 0x1f == 28 => {
                if head & 0x80 != 0 {
                    self.nal(&[indicator & 0xe0 | head & 0x1f]);
                    self.fragment = self.data.len() - 1;
                }
                self.data.extend_from_slice(body);
                let at = self.fragment;
                let length = (self.data.len() - at) as u32;
                if head & 0x40 != 0 && at >= 4 {
                    self.data[at - 4..at].copy_from_slice(&length.to_be_bytes());
                }
            }
            _ => self.nal(payload),
        }
    }

    fn nal(&mut self, nal: &[u8]) {
        let Some(kind) = nal.first().map(|head| head & 0x1f) else { return };
        // Parameter sets are sent in the sequence header.
        if kind == 7 || kind == 8 {
            return;
        }
        self.key |= kind == 5;
        self.data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        self.data.extend_from_slice(nal);
    }
}

/// The payload of an RTP packet, its marker and its timestamp.
pub fn rtp(packet: &[u8]) -> Option<(&[u8], bool, u32)> {
    let [first, second, _, _, a, b, c, d, ..] = packet else { return None };
    let payload = packet.get(12 + 4 * usize::from(first & 0x0f)..)?;
    Some((payload, second & 0x80 != 0, u32::from_be_bytes([*a, *b, *c, *d])))
}

/// The access units of an RFC 3640 payload in AAC-hbr mode.
pub fn aac(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bits =
        payload.get(..2).map_or(0, |head| usize::from(u16::from_be_bytes([head[0], head[1]])));
    let (headers, mut data) =
        payload.get(2..).and_then(|rest| rest.split_at_checked(bits / 8)).unwrap_or_default();
    headers.chunks_exact(2).map_while(move |head| {
        let (unit, rest) =
            data.split_at_checked(usize::from(u16::from_be_bytes([head[0], head[1]]) >> 3))?;
        data = rest;
        Some(unit)
    })
}

/// `AVCDecoderConfigurationRecord` and `AudioSpecificConfig` of a description.
pub fn parameters(sdp: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = |name: &str| {
        let rest = &sdp[sdp.find(name)? + name.len()..];
        rest.split(['\r', '\n', ';', ' ']).next()
    };
    let sets: Vec<_> = value("sprop-parameter-sets=")?.split(',').map(base64).collect();
    let [sps, pps] = sets.as_slice() else { return None };
    let mut record = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    for set in [sps, pps] {
        record.extend_from_slice(&(set.len() as u16).to_be_bytes());
        record.extend_from_slice(set);
        if set == sps {
            record.push(1);
        }
    }
    let config = value("config=")?.as_bytes().chunks(2);
    let config = config
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Some((record, config))
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(|c| ALPHABET.iter().position(|a| *a == c)) {
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
