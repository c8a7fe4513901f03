//! Whose turn it is, memory's or the card's, and what was sent last.

use tokio::time::Instant;

use super::entry::{Entry, Source};
use crate::config::Backfill;
use crate::record::Start;

/// The order in which segments are uploaded.
#[derive(Debug, Default)]
pub(super) struct Turn {
    backfill: Backfill,
    /// Whether the newest upload was read from memory or from the card.
    last: Option<Source>,
    /// Nothing is offered from the card until this time.
    card_rests: Option<Instant>,
    /// The end of the segment that was sent last.
    end: Option<Start>,
}

impl Turn {
    /// The order that the configuration asks for.
    pub(super) fn new(backfill: Backfill) -> Self {
        Self { backfill, ..Self::default() }
    }

    /// An upload from here was tried.
    pub(super) fn tried(&mut self, source: Option<Source>) {
        self.last = source;
    }

    /// A segment was sent.
    pub(super) fn sent(&mut self, source: Source, end: Start) {
        (self.last, self.end) = (Some(source), Some(end));
    }

    /// Nothing is offered from the card until this time.
    pub(super) fn card_rests(&mut self, until: Instant) {
        (self.last, self.card_rests) = (Some(Source::Card), Some(until));
    }

    /// The card is asked again at once.
    pub(super) fn wake_card(&mut self) {
        self.card_rests = None;
    }

    /// Until when nothing is offered from the card, if that is later than now.
    pub(super) fn rest(&self, now: Instant) -> Option<Instant> {
        self.card_rests.filter(|until| now < *until)
    }

    /// Whether the older segments have to go before this one, so that one that is on its way to the
    /// card is waited for.
    pub(super) fn is_strict(&self) -> bool {
        self.backfill == Backfill::Before
    }

    /// Whether the segment that waits on the card goes before the one in memory.
    pub(super) fn is_cards(&self, stored: u64, live: u64) -> bool {
        match self.backfill {
            Backfill::Beside => self.last == Some(Source::Memory),
            Backfill::Before => stored < live,
        }
    }

    /// Whether the segment begins where the one sent last ended. The first segment of a run continues
    /// none of an earlier run.
    pub(super) fn continues(&self, entry: &Entry) -> bool {
        self.end.is_some_and(|end| end.is_near(entry.start))
    }
}
