//! Why the spool did not do something, and what someone can do about it.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Why the spool did not do it. Recording goes on in memory.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk refused.
    #[error("the spool cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk failed less than 30 s ago and is not tried yet.
    #[error("the spool's disk failed a moment ago; it is tried again 30 s later")]
    Resting,
    /// The disk did not answer in time. It is asked for nothing more until it has.
    #[error("the spool's disk has not answered for 30 s")]
    Stalled,
    /// Does not fit, even with all that may go deleted.
    #[error("{asked} bytes do not fit into the spool of {limit}: raise its limit")]
    Full {
        /// Bytes that had to fit.
        asked: u64,
        /// Bytes that the spool may hold.
        limit: u64,
    },
    /// There is no such segment, or not any more.
    #[error("the spool has no segment {0}")]
    Missing(u64),
    /// The segment was cut to its last complete group, or removed when it has none: ask
    /// [`stored`](super::SpoolSession::stored) again.
    #[error("segment {0} was damaged on the disk, and is cut to what can be read")]
    Damaged(u64),
    /// A name or URL of more than 64 KiB.
    #[error("a name or URL is too long for the spool")]
    TooLong,
}

impl SpoolError {
    /// What someone can do about it.
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
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room",
            _ => "look at the disk and how it is mounted",
        }
    }

    /// The segment is not there any more, or not all of it.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Damaged(_))
    }

    /// There is no room on the disk, whatever the limit allows.
    pub(super) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

/// There is no room on the disk.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
