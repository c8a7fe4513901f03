//! What is due, and what is counted.

use std::time::Duration;

use tokio::time::Instant;

use super::entry::Source;
use crate::record::{Segment, Start};

/// What an uploader has to do.
#[derive(Clone, Debug)]
pub enum Next {
    /// Upload this segment.
    Upload(Upload),
    /// Wait until something changes, or until this time.
    Wait(Option<Instant>),
    /// End: no more segments will come.
    Over,
}

/// A segment whose turn it is.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The segment's number.
    pub number: u64,
    /// When its first frame was.
    pub start: Start,
    /// Up to the next segment.
    pub duration: Duration,
    /// The segment does not continue the one uploaded before.
    pub discontinuity: bool,
    /// Length of the segment.
    pub bytes: u64,
    /// Where it is read.
    pub source: Source,
    /// No other waits, and this one is as new as can be.
    pub alone: bool,
}

/// What is to be done on the card.
#[derive(Clone, Debug)]
pub enum Action {
    /// Store a segment; [`found`](super::Ledger::found) is to hear what came of it.
    Store(Segment),
    /// Remove what there is of a segment.
    Remove(u64),
}

/// Segments that are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub number: u64,
    /// Their durations together.
    pub time: Duration,
}

/// How a session is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingStats {
    /// Segments that wait, in memory and on the disk.
    pub waiting: usize,
    /// Bytes in memory, the segment being cut among them.
    pub bytes: u64,
    /// Segments uploaded.
    pub uploaded: u64,
    /// Segments lost.
    pub dropped: Dropped,
    /// The service wants nothing yet.
    pub not_now: bool,
    /// Why uploads fail, while they do.
    pub last_error: Option<String>,
}

impl Dropped {
    /// What came after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { number: self.number - earlier.number, time: self.time - earlier.time }
    }
}
