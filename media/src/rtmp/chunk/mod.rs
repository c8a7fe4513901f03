//! RTMP's chunk stream: messages cut into chunks and joined again. Pure.
//!
//! Adobe's RTMP specification 1.0, chapter 5.3 (chunks) and 5.4 (protocol control messages).

use bytes::Bytes;

mod read;
mod write;

pub use read::{ChunkError, ChunkLimits, ChunkReader};
pub use write::Writer;

/// Chunk size until the peer announces another one, in bytes.
const DEFAULT_CHUNK_SIZE: usize = 128;
/// A 24-bit timestamp of this value says that the real one follows in 32 bits.
const EXTENDED: u32 = 0xff_ffff;

/// One RTMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Type of the message, see [`kind`].
    pub kind: u8,
    /// Number of the message stream: 0 for the connection, else what `createStream` returned.
    pub stream_id: u32,
    /// Time of the message in milliseconds; wraps.
    pub timestamp: u32,
    /// The content of the message.
    pub payload: Bytes,
}

/// Types of messages.
#[allow(missing_docs, reason = "the specification's names")]
pub mod kind {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_ACK_SIZE: u8 = 5;
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const DATA_AMF3: u8 = 15;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA: u8 = 18;
    pub const COMMAND: u8 = 20;
}

/// Chunk streams that we write on, one for each kind of message, as deployed encoders do.
#[allow(missing_docs, reason = "named for the messages they carry")]
pub mod channel {
    pub const CONTROL: u8 = 2;
    pub const COMMAND: u8 = 3;
    pub const AUDIO: u8 = 4;
    pub const DATA: u8 = 5;
    pub const VIDEO: u8 = 6;
}

#[cfg(test)]
mod tests;
