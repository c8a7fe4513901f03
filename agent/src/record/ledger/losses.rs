//! What a session has lost, and what the service was told of it.

use std::time::Duration;

use super::entry::Entry;
use super::marks::{Mark, Marks, Reason};
use crate::record::Start;

/// A count of lost segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many segments are lost, those among them of which a part is left.
    pub number: u64,
    /// The lost time.
    pub time: Duration,
}

/// The losses of a session.
#[derive(Debug, Default)]
pub struct Losses {
    dropped: Dropped,
    reported: Dropped,
    /// Whether the service does not want to know.
    kept: bool,
    /// Which segments are lost, and why.
    pub marks: Marks,
}

impl Dropped {
    /// The losses that came after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { number: self.number - earlier.number, time: self.time - earlier.time }
    }
}

impl Losses {
    /// All losses.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Counts a segment that is lost for this reason.
    pub(super) fn lose(&mut self, entry: &Entry, reason: Reason) {
        self.lose_part(entry.start, entry.duration, reason);
    }

    /// Counts a segment of which this much is lost.
    pub(super) fn lose_part(&mut self, start: Start, duration: Duration, reason: Reason) {
        self.marks.note_part(start, duration, Mark::Lost(reason));
        self.add(Dropped { number: 1, time: duration });
    }

    /// Counts so many segments.
    pub fn add(&mut self, lost: Dropped) {
        self.dropped.number += lost.number;
        self.dropped.time = self.dropped.time.saturating_add(lost.time);
    }

    /// The losses that the service was not told of and wants to know.
    pub fn unreported(&self) -> Dropped {
        if self.kept { Dropped::default() } else { self.dropped.since(self.reported) }
    }

    /// The service was told of these losses.
    pub fn reported(&mut self, told: Dropped) {
        self.reported.number += told.number;
        self.reported.time += told.time;
    }

    /// The service does not want to hear of losses.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}
