//! An RTP packet of the camera, taken apart so that quirks can change it.

/// A packet without its sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Marker bit.
    pub marker: bool,
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP time.
    pub timestamp: u32,
    /// Identity of the source.
    pub ssrc: u32,
    /// The bytes behind the header.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Takes apart a packet of the camera's packetizer, whose header is 12 bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<12>()?;
        let [_, kind, _, _, t0, t1, t2, t3, s0, s1, s2, s3] = *head;
        Some(Self {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7f,
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            payload: payload.to_vec(),
        })
    }

    /// The bytes of the packet with this sequence number.
    pub fn encode(&self, sequence: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.payload.len());
        bytes.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type]);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrc.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// A packet of the same source and time with another payload, and without marker.
    pub fn beside(&self, payload: impl Into<Vec<u8>>) -> Self {
        let Self { payload_type, timestamp, ssrc, .. } = *self;
        Self { marker: false, payload_type, timestamp, ssrc, payload: payload.into() }
    }
}
