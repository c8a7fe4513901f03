//! The actions that a ledger asks for, and its counts.

use std::time::Duration;

use tokio::time::Instant;

use super::entry::Source;
use super::losses::Dropped;
use crate::config::SpoolMode;
use crate::record::{Segment, Start};

/// What an uploader has to do.
#[derive(Clone, Debug)]
pub enum Next {
    /// Upload this segment.
    Upload(Upload),
    /// Wait until something changes or, if there is a time, until then.
    Wait(Option<Instant>),
    /// End: no more segments will come.
    Over,
}

/// A segment that is to be uploaded next.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The segment's number.
    pub number: u64,
    /// When the segment's first frame was taken.
    pub start: Start,
    /// Time from the segment's first frame to that of the next segment.
    pub duration: Duration,
    /// Whether the segment does not continue the one uploaded before.
    pub discontinuity: bool,
    /// Length of the segment in bytes.
    pub bytes: u64,
    /// Where the segment's bytes are read.
    pub source: Source,
    /// Whether no other segment waits and this one has only just been completed.
    pub alone: bool,
}

/// Work on the card.
#[derive(Clone, Debug)]
pub enum Action {
    /// Store a segment. [`found`](super::Ledger::found) has to be told of the outcome.
    Store(Segment),
    /// Remove what the card has of a segment.
    Remove(u64),
}

/// The counts of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingStats {
    /// Number of segments that wait, in memory and on the card.
    pub waiting: usize,
    /// Bytes in memory, the segment that is being cut among them.
    pub bytes: u64,
    /// Number of segments uploaded.
    pub uploaded: u64,
    /// Segments that are lost.
    pub dropped: Dropped,
    /// Whether the service wants nothing yet.
    pub not_now: bool,
    /// Why uploads fail; `None` while they do not.
    pub last_error: Option<String>,
}

/// How many segments, the one being cut among them, a session must have memory for: one is
/// uploaded, and another may be on its way to the spool.
pub fn least_segments(mode: Option<SpoolMode>) -> u32 {
    match mode {
        Some(SpoolMode::Overflow) => 3,
        Some(SpoolMode::Always) | None => 2,
    }
}
