//! RTP (RFC 3550): packets in, access units and pieces of sound out. No I/O and no clock. Not here: how
//! packets travel and what a session is, see [`crate::rtsp`].

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
    /// Without contributing sources, extension and padding; may be empty.
    pub payload: &'a [u8],
}

/// A picture, complete.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Parameters in force.
    pub params: Arc<VideoParams>,
    /// A decoder may start here.
    pub key: bool,
    /// As in [`crate::frame::Frame::leading`].
    pub leading: bool,
    /// RTP timestamp of its first slice.
    pub timestamp: u32,
    /// When its last packet came.
    pub received: Instant,
    /// NAL units, each after its 4-byte big-endian length, without parameter sets, delimiters and filler.
    pub data: Bytes,
}

/// A piece of sound, complete.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Parameters in force.
    pub params: Arc<AudioParams>,
    /// RTP timestamp of its first sample.
    pub timestamp: u32,
    /// When its last packet came.
    pub received: Instant,
    /// AAC: one raw access unit. G.711: the samples.
    pub data: Bytes,
}
