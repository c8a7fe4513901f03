//! Puts RTP packets of a camera that keeps to the rules together to frames (RFC 3550, 3551, 3640, 6184, 7798).

/// A frame that was received.
#[derive(Debug)]
pub struct Received {
    pub video: bool,
    pub key: bool,
    /// Time of the frame, in ticks of the track's own clock.
    pub timestamp: i64,
    /// Number of packets that were missing before the frame.
    pub loss: u16,
    /// The NAL units of a picture with their lengths, without parameter sets.
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    Aac,
    G711,
}

/// Puts the packets of one track together.
pub struct Depacketizer {
    codec: Codec,
    /// The newest SPS.
    pub sps: Vec<u8>,
    next: Option<u16>,
    /// The latest time, counted on past the turns of its 32 bits.
    time: Option<i64>,
    loss: u16,
    /// NAL units of the frame that is being put together.
    nals: Vec<Vec<u8>>,
}

impl Depacketizer {
    pub fn new(codec: Codec, sps: Vec<u8>) -> Self {
        Self { codec, sps, next: None, time: None, loss: 0, nals: Vec::new() }
    }

    /// Takes a packet; the frame, when the packet completes one.
    pub fn push(&mut self, packet: &[u8]) -> Result<Option<Received>, String> {
        let Some((head, payload)) = packet.split_first_chunk::<12>() else {
            return Err(format!("a packet of {} bytes", packet.len()));
        };
        assert_eq!(head[0], 0x80, "no padding, no extension, no CSRC");
        let sequence = u16::from_be_bytes([head[2], head[3]]);
        let missing = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        self.next = Some(sequence.wrapping_add(1));
        self.loss = self.loss.saturating_add(missing);
        if missing > 0 {
            self.nals.clear();
        }
        let time = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let last = self.time.unwrap_or(time.into());
        let timestamp = last + i64::from(time.wrapping_sub(last as u32) as i32);
        self.time = Some(timestamp);
        let complete = match self.codec {
            Codec::H264 | Codec::H265 => {
                self.video(payload);
                head[1] & 0x80 != 0
            }
            Codec::Aac => {
                self.aac(payload);
                head[1] & 0x80 != 0
            }
            Codec::G711 => {
                self.nals.push(payload.to_vec());
                true
            }
        };
        Ok(if complete { self.finish(timestamp) } else { None })
    }

    fn video(&mut self, payload: &[u8]) {
        let (fragment, header) = match (self.codec, payload) {
            (Codec::H264, [a, b, ..]) => (a & 0x1f == 28, vec![a & 0xe0 | b & 0x1f]),
            (Codec::H265, [a, b, c, ..]) => {
                (a >> 1 & 0x3f == 49, vec![a & 0x81 | (c & 0x3f) << 1, *b])
            }
            _ => panic!("a payload of {} bytes", payload.len()),
        };
        if !fragment {
            return self.nals.push(payload.to_vec());
        }
        let fu = payload[header.len()];
        let body = &payload[header.len() + 1..];
        if fu & 0x80 != 0 {
            self.nals.push([&header, body].concat());
        } else if let Some(nal) = self.nals.last_mut() {
            nal.extend_from_slice(body);
        }
    }

    fn aac(&mut self, payload: &[u8]) {
        assert_eq!(payload[..2], [0, 16], "one unit, or a part of one");
        match self.nals.last_mut() {
            Some(unit) => unit.extend_from_slice(&payload[4..]),
            None => self.nals.push(payload[4..].to_vec()),
        }
    }

    fn finish(&mut self, timestamp: i64) -> Option<Received> {
        let nals = std::mem::take(&mut self.nals);
        let loss = std::mem::take(&mut self.loss);
        let video = matches!(self.codec, Codec::H264 | Codec::H265);
        if !video {
            let data = nals.into_iter().next()?;
            return Some(Received { video, key: true, timestamp, loss, data });
        }
        let (mut key, mut data) = (false, Vec::new());
        for nal in nals {
            let kind = if self.codec == Codec::H264 { nal[0] & 0x1f } else { nal[0] >> 1 & 0x3f };
            match (self.codec, kind) {
                (Codec::H264, 7) | (Codec::H265, 33) => self.sps = nal,
                (Codec::H264, 8) | (Codec::H265, 32 | 34) => {}
                _ => {
                    key |= kind == 5 && self.codec == Codec::H264;
                    key |= (16..=21).contains(&kind) && self.codec == Codec::H265;
                    data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                    data.extend_from_slice(&nal);
                }
            }
        }
        (!data.is_empty()).then_some(Received { video, key, timestamp, loss, data })
    }
}
