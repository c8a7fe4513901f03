//! Flash Video: frames to tags and back, the payload format of RTMP. Pure, and shared with files.
//!
//! Payloads are the tag bodies of the FLV file format 10.1, with the `hvc1` part of enhanced RTMP.

use bytes::{BufMut, Bytes, BytesMut};

mod config;
mod demux;
pub mod file;
pub mod metadata;
mod mux;

pub use demux::Demuxer;
pub use mux::{FrameTags, Muxer};

/// One FLV tag, or the RTMP message that carries the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What the payload is.
    pub kind: TagKind,
    /// Decode time in milliseconds; wraps after 49.7 days.
    pub timestamp_ms: u32,
    /// The payload's first bytes, when they were made here; empty in tags that were read.
    pub head: Head,
    /// The rest of the payload, shared with the frame it came from.
    pub body: Bytes,
}

/// Kinds of tags, numbered as RTMP message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TagKind {
    /// Sound.
    Audio = 8,
    /// Pictures.
    Video = 9,
    /// AMF0 values: metadata.
    Script = 18,
}

/// Up to eight bytes before a body, kept apart so that the body needs no copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 8],
    len: u8,
}

/// Why bytes are no FLV.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The bytes end too early.
    #[error("{what} is cut short")]
    Truncated {
        /// The part that was being read.
        what: &'static str,
    },
    /// A field has a value the format forbids.
    #[error("{what}: expected {expected}, got {got}")]
    Malformed {
        /// The field.
        what: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        got: u64,
    },
    /// Valid, but nothing the agent carries.
    #[error("unsupported {what}: {got}")]
    Unsupported {
        /// The field.
        what: &'static str,
        /// Value of the field.
        got: u64,
    },
}

impl Tag {
    /// Number of payload bytes.
    pub fn len(&self) -> usize {
        self.head.as_slice().len() + self.body.len()
    }

    /// True for a tag without payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Head and body in one piece: shared where the head is empty, else copied.
    pub fn payload(&self) -> Bytes {
        if self.head.as_slice().is_empty() {
            return self.body.clone();
        }
        let mut payload = BytesMut::with_capacity(self.len());
        payload.put_slice(self.head.as_slice());
        payload.put_slice(&self.body);
        payload.freeze()
    }
}

impl TagKind {
    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Audio, Self::Video, Self::Script].into_iter().find(|kind| *kind as u8 == number)
    }
}

impl Head {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// A head of at most eight bytes, which the compiler checks.
    fn new<const N: usize>(head: [u8; N]) -> Self {
        const { assert!(N <= 8) };
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&head);
        Self { bytes, len: N as u8 }
    }
}

/// Upper half of the first byte of a legacy video tag; enhanced ones set the top bit too.
mod frame_type {
    /// A decoder may start here.
    pub const KEY: u8 = 1;
    /// The picture refers to others.
    pub const INTER: u8 = 2;
    /// A command to the player, without a picture.
    pub const COMMAND: u8 = 5;
}

/// Lower half of the first byte of a legacy video tag.
mod video_codec {
    /// H.264.
    pub const AVC: u8 = 7;
    /// H.265: never standardised, widely written by Chinese cameras and clouds.
    pub const HEVC: u8 = 12;
}

/// Upper half of the first byte of an audio tag.
mod sound_format {
    /// G.711 A-law.
    pub const PCMA: u8 = 7;
    /// G.711 µ-law.
    pub const PCMU: u8 = 8;
    /// AAC, whatever rate and channels the other bits say.
    pub const AAC: u8 = 10;
}

const ENHANCED: u8 = 0x80;
const HVC1: [u8; 4] = *b"hvc1";
const AVC1: [u8; 4] = *b"avc1";

/// Packet types of video; 2, the end of a sequence, is neither written nor needed.
mod packet_type {
    /// A decoder configuration record.
    pub const SEQUENCE_START: u8 = 0;
    /// Coded frames after their composition time.
    pub const CODED_FRAMES: u8 = 1;
    /// Coded frames without composition time; enhanced tags only.
    pub const CODED_FRAMES_X: u8 = 3;
}
