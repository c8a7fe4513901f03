//! RTP (RFC 3550): packets in, access units and pieces of sound out. No I/O and no clock. How
//! packets travel, and what a session is, is in [`crate::rtsp`].

pub mod audio;
pub mod clock;
pub mod rtcp;
pub mod sequence;
pub mod video;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::frame::{AudioParams, VideoParams};

/// A data packet, its header taken apart (RFC 3550 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The marker bit.
    pub marker: bool,
    /// What the payload is, as the session description numbers it.
    pub payload_type: u8,
    /// Number of the packet, modulo 2¹⁶.
    pub sequence: u16,
    /// Sampling time in ticks of the payload's clock, modulo 2³².
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The payload without contributing sources, extension and padding; may be empty.
    pub payload: &'a [u8],
}

/// Why bytes are no data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The packet ends within its header. Holds its length in bytes.
    #[error("an RTP packet of {0} bytes ends within its header")]
    Short(usize),
    /// The packet is of this other version.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
}

impl<'a> Packet<'a> {
    /// Takes a packet apart. A padding count that cannot be right is no error.
    ///
    /// # Errors
    ///
    /// The bytes end within the header, or are of another version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let short = Malformed::Short(bytes.len());
        let (&[first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3], rest) =
            bytes.split_first_chunk().ok_or(short)?;
        if first >> 6 != 2 {
            return Err(Malformed::Version(first >> 6));
        }
        let sources = 4 * usize::from(first & 0x0F);
        let (_, mut payload) = rest.split_at_checked(sources).ok_or(short)?;
        if first & 0x10 != 0 {
            let (&[_, _, w0, w1], rest) = payload.split_first_chunk().ok_or(short)?;
            let extension = 4 * usize::from(u16::from_be_bytes([w0, w1]));
            (_, payload) = rest.split_at_checked(extension).ok_or(short)?;
        }
        if first & 0x20 != 0 {
            payload = unpad(payload);
        }
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            payload,
        })
    }
}

/// Whether bytes from a data channel are a control packet in truth (RFC 5761 4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80..=0xBF, 192..=223, ..])
}

/// The payload without its padding. Where the padding count is zero or larger than the payload, the
/// padding bit is wrong, and the payload is taken whole. Zeros before such a count are nothing but
/// padding.
fn unpad(payload: &[u8]) -> &[u8] {
    let Some((&count, before)) = payload.split_last() else { return payload };
    match payload.len().checked_sub(count.into()) {
        Some(kept) if count != 0 => payload.get(..kept).unwrap_or_default(),
        _ if before.iter().all(|&byte| byte == 0) => &[],
        _ => payload,
    }
}

/// A complete picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Parameters that the picture is decoded with.
    pub params: Arc<VideoParams>,
    /// A decoder may start here.
    pub key: bool,
    /// Whether the picture refers to one from before its key picture, see
    /// [`crate::frame::Frame::leading`].
    pub leading: bool,
    /// RTP timestamp of the picture's first slice.
    pub timestamp: u32,
    /// When the picture's last packet came.
    pub received: Instant,
    /// NAL units, each after its 4-byte big-endian length, without parameter sets, delimiters and filler.
    pub data: Bytes,
}

/// A complete piece of sound.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Parameters that the sound is decoded with.
    pub params: Arc<AudioParams>,
    /// RTP timestamp of the first sample.
    pub timestamp: u32,
    /// When the sound's last packet came.
    pub received: Instant,
    /// AAC: one raw access unit. G.711: the samples.
    pub data: Bytes,
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
