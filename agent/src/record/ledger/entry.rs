//! One segment in the ledger: its place and its fate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::record::spool::Stored;
use crate::record::{Segment, Start};

/// One segment.
#[derive(Debug)]
pub(super) struct Entry {
    /// When its first frame was.
    pub(super) start: Start,
    /// Up to the next segment.
    pub(super) duration: Duration,
    /// The segment does not continue the one before.
    pub(super) discontinuity: bool,
    /// Length of the segment.
    pub(super) bytes: u64,
    /// The segment itself, while it is in memory.
    pub(super) chunks: Option<Arc<[Bytes]>>,
    /// What the card has of the segment.
    pub(super) card: OnCard,
    /// How the service and the segment stand.
    pub(super) fate: Fate,
}

/// What the card has of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCard {
    /// The card has nothing.
    Nothing,
    /// The segment is on its way to the disk.
    Writing,
    /// The card has a beginning, of use after a crash only.
    Part,
    /// The card has the whole segment.
    Whole,
}

/// How the service and a segment stand. One that is lost has no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not uploaded yet.
    Waiting,
    /// Being uploaded.
    Sending,
    /// Uploaded under this name of the service's, and not yet confirmed.
    Sent(String),
    /// Refused, and not to be asked about now: perhaps the service refuses everything.
    Deferred,
}

/// What a segment's bytes are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From memory.
    Memory,
    /// From the spool.
    Card,
}

impl Entry {
    /// A segment that is on the card already.
    pub(super) fn stored(whole: &Stored) -> Self {
        Self {
            start: Start::Unix(whole.head.start_micros),
            duration: whole.duration,
            discontinuity: whole.head.discontinuity,
            bytes: whole.bytes,
            chunks: None,
            card: OnCard::Whole,
            fate: Fate::Waiting,
        }
    }

    /// The card has the segment, or gets it.
    pub(super) fn will_be_stored(&self) -> bool {
        matches!(self.card, OnCard::Writing | OnCard::Whole)
    }

    /// The segment waits, and only the card has it.
    pub(super) fn waits_on_card(&self) -> bool {
        self.source() == Some(Source::Card) && self.fate == Fate::Waiting
    }

    /// Where the segment can be read.
    pub(super) fn source(&self) -> Option<Source> {
        match (&self.chunks, self.card) {
            (Some(_), _) => Some(Source::Memory),
            (None, OnCard::Whole) => Some(Source::Card),
            (None, _) => None,
        }
    }

    /// The segment itself, when it is in memory.
    pub(super) fn segment(&self, number: u64) -> Option<Segment> {
        Some(Segment {
            number,
            start: self.start,
            duration: self.duration,
            discontinuity: self.discontinuity,
            bytes: self.bytes,
            chunks: self.chunks.clone()?,
        })
    }
}
