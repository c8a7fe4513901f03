//! One segment in the ledger: where it is, and what has become of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::record::spool::Stored;
use crate::record::{Segment, Start};

/// One segment.
#[derive(Debug)]
pub(super) struct Entry {
    /// When the segment's first frame was taken.
    pub(super) start: Start,
    /// Time from the segment's first frame to that of the next segment.
    pub(super) duration: Duration,
    /// Whether the segment does not continue the one before.
    pub(super) discontinuity: bool,
    /// Length of the segment in bytes.
    pub(super) bytes: u64,
    /// The segment itself, while it is in memory.
    pub(super) chunks: Option<Arc<[Bytes]>>,
    /// What the card has of the segment.
    pub(super) card: OnCard,
    /// What the service has said of the segment.
    pub(super) fate: Fate,
}

/// What the card has of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCard {
    /// The card has nothing.
    Nothing,
    /// The segment is on its way to the disk.
    Writing,
    /// The card has a beginning of the segment, which is of use only after a crash.
    Part,
    /// The card has the whole segment.
    Whole,
}

/// What the service has said of a segment. A segment that is lost has no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not uploaded yet.
    Waiting,
    /// Being uploaded.
    Sending,
    /// Uploaded under this name, which the service gave, and not confirmed yet.
    Sent(String),
    /// Refused, and not offered for now, since the service may refuse every segment.
    Deferred,
}

/// What the service has said about the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The service has said nothing yet.
    #[default]
    Unasked,
    /// The service wants nothing at the moment: the pre-record state.
    NotNow,
    /// The service has given an address.
    Begun,
}

/// Where a segment's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The segment is read from memory.
    Memory,
    /// The segment is read from the spool.
    Card,
}

impl Entry {
    /// The entry of a segment that is on the card already.
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

    /// Whether the card has the segment or gets it.
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

    /// The segment itself, if it is in memory.
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
