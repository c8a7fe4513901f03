//! RTMP, both sides of it: one codec, a publisher and an ingest server.
//!
//! Not here: what to send when, and what to drop, see [`crate::publish`].

use std::io;

pub mod amf;
mod amf3;
pub mod chunk;
mod client;
mod command;
mod connection;
mod dial;
mod dialogue;
mod error;
pub mod handshake;
mod login;
mod options;
pub mod server;
#[cfg(all(test, feature = "tls"))]
mod tls_tests;
mod url;

pub use client::Publisher;
pub use error::{PublishError, Step};
pub use options::Options;
pub use url::{RtmpUrl, UrlError};

/// Why a connection is no RTMP connection any more.
#[derive(Debug, thiserror::Error)]
pub enum RtmpError {
    /// The transport failed.
    #[error("{0}")]
    Io(io::Error),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer said nothing for too long.
    #[error("the peer is silent")]
    Silent,
    /// The peer speaks another protocol or version.
    #[error("expected RTMP version 3, got {got:#04x}")]
    Version {
        /// The peer's first byte.
        got: u8,
    },
    /// The bytes are no chunk stream.
    #[error("{0}")]
    Chunk(#[from] chunk::ChunkError),
    /// A command that is no AMF0.
    #[error("{0}")]
    Amf(#[from] amf::AmfError),
    /// A command that does not belong there.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What should have come.
        expected: &'static str,
        /// What came, shortened.
        got: String,
    },
}

impl From<io::Error> for RtmpError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            UnexpectedEof | ConnectionReset | BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
