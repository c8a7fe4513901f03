//! Learns the lead that a track has to keep: how much its media time is ahead of the arrival clock.

use super::{MS, near};
use crate::frame::CLOCK_HZ;

/// Furthest, in ticks, that a frame can come earlier than any frame before it.
pub const SPARE: i64 = 200 * MS;
/// How long a track learns its lead, in ticks.
pub const LEARNING: i64 = 2 * CLOCK_HZ;
/// Frames that come closer together than this, in ticks, may come out of a store.
const BURST: i64 = 10 * MS;
/// Frames out of a store come so many times faster than they were taken, counted since the first
/// one.
const BURST_RATE: i64 = 6;
/// Sound and picture further apart than this, in ticks, are not on one clock.
const APART: i64 = 700 * MS;

/// The lead of a track, first learned, then kept. Leads and times are in ticks.
#[derive(Clone, Copy, Default)]
pub struct Lead {
    /// When the track began.
    pub first: i64,
    /// The best lead so far, then what is to be kept.
    pub goal: i64,
    /// Whether the lead is learned.
    pub settled: bool,
    /// Whether the goal is only the best guess after the clock was found to be wrong.
    guessed: bool,
    /// Lead of the first frame.
    start: i64,
    /// Lead at the end of a burst of frames, that is of frames out of a store.
    base: i64,
    /// Whether the track began by a clock that it shares with the other track.
    shared: bool,
    /// Lead that earlier sources had.
    aim: Option<i64>,
    /// By how much this source's lead was greater at first.
    excess: i64,
}

/// What one track may know of the lead of the other.
#[derive(Clone, Copy)]
pub struct Known {
    /// Lead of the other track.
    pub lead: Lead,
    /// Whether the lead is settled, and the clock of that track runs evenly.
    pub steady: bool,
}

impl Lead {
    /// A lead to be learned from a first frame at `first`.
    pub fn new(first: i64, lead: i64, shared: bool, aim: Option<i64>) -> Self {
        Self { first, goal: lead, start: lead, base: lead, shared, aim, ..Self::default() }
    }

    /// Learns from a frame with `lead` at `now` that came `elapsed` ticks after the one before.
    /// Returns the lead that no frame can exceed.
    pub fn ceiling(&mut self, lead: i64, now: i64, elapsed: i64) -> i64 {
        if self.settled {
            return self.goal.saturating_add(SPARE);
        }
        if lead > self.goal {
            let gained = lead.saturating_sub(self.start);
            if elapsed < BURST && now.saturating_sub(self.first) < gained / (BURST_RATE - 1) {
                self.base = self.base.saturating_add(lead.saturating_sub(self.goal));
            }
            self.goal = lead.min(self.base.saturating_add(SPARE));
        }
        self.base.saturating_add(SPARE)
    }

    /// Ends the learning. Returns how far the track is from where it ought to be.
    pub fn settle(&mut self, other: Option<&Known>) -> i64 {
        let measured = self.goal;
        self.settled = true;
        match other.filter(|other| other.lead.settled) {
            Some(Known { lead: other, steady }) => {
                let together = near(self.first, other.first, LEARNING);
                self.excess = if together { other.excess } else { 0 };
                let goal = measured.saturating_sub(self.excess);
                let shared = self.shared || other.shared;
                let apart = !shared || !near(goal, other.goal, APART);
                let apart = apart || (other.excess != 0 && !together);
                self.goal = if *steady && apart { other.goal } else { goal };
            }
            None => {
                self.goal = self.aim.unwrap_or(measured);
                self.excess = measured.saturating_sub(self.goal);
            }
        }
        self.goal.saturating_sub(measured)
    }

    /// Replaces what was learned from a clock that is wrong. `lead` is the best guess by this track
    /// alone.
    pub fn relearn(&mut self, lead: Option<i64>, other: Option<&Known>) {
        (self.settled, self.guessed) = (true, true);
        let known = other.filter(|other| other.steady || other.lead.guessed);
        let known = known.map(|other| other.lead.goal);
        // A shared clock that is noise says nothing of where this track began.
        let began = other.filter(|_| self.shared).map_or(self.base, |other| other.lead.base);
        self.goal = known.or(self.aim).or(lead).unwrap_or(began);
    }

    /// Gives a guess up for what the other track knows. Returns the change.
    pub fn adopt(&mut self, other: Option<&Known>) -> i64 {
        match other.filter(|other| self.guessed && other.steady && !other.lead.guessed) {
            Some(other) => {
                self.guessed = false;
                let guess = std::mem::replace(&mut self.goal, other.lead.goal);
                self.goal.saturating_sub(guess)
            }
            None => 0,
        }
    }
}
