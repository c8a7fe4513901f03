//! Why the spool did not do something, and what a person can do about it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Why the spool did not do something. Recording goes on in memory.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk refused an operation.
    #[error("the spool cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file or folder of the operation.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk failed less than 30 s ago and is not tried yet.
    #[error("the spool's disk failed a moment ago; it is tried again 30 s later")]
    Resting,
    /// The disk did not answer in time. It is asked for nothing more until it has answered.
    #[error("the spool's disk has not answered for 30 s")]
    Stalled,
    /// The data does not fit, even after removing everything that may be removed.
    #[error("{asked} bytes do not fit into the spool of {limit}: raise its limit")]
    Full {
        /// Bytes that had to fit.
        asked: u64,
        /// Bytes that the spool may hold.
        limit: u64,
    },
    /// There is no such segment, or no longer.
    #[error("the spool has no segment {0}")]
    Missing(u64),
    /// The segment was cut to its last complete group, or removed if it has none: ask
    /// [`stored`](super::SpoolSession::stored) again.
    #[error("segment {0} was damaged on the disk, and is cut to what can be read")]
    Damaged(u64),
    /// A name or address is longer than 64 KiB.
    #[error("a name or URL is too long for the spool")]
    TooLong,
}

impl SpoolError {
    /// What a person can do about the error.
    pub fn cure(&self) -> &'static str {
        let Self::Io { source, .. } = self else { return "try another disk" };
        match source.kind() {
            ErrorKind::ReadOnlyFilesystem => "mount it writable",
            ErrorKind::PermissionDenied => "let the agent's user write there",
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                "record.spool_dir must name a directory"
            }
            ErrorKind::ResourceBusy => "give each agent a record.spool_dir of its own",
            ErrorKind::NotFound => "put the card back, or mount it",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "other files fill it, remove them or take a larger card"
            }
            _ => "look at the disk and how it is mounted",
        }
    }

    /// Whether the segment is missing, wholly or in part.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Damaged(_))
    }

    /// Whether the disk is full, whatever the limit allows.
    pub(super) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

/// Whether the system says that the disk is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
