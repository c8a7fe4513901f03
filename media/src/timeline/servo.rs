//! Keeps a track's lead where it belongs, by steps that are a little longer or shorter.

use super::{MS, TOLERANCE};
use crate::frame::CLOCK_HZ;

/// Time in ticks over which leads are compared: a network is not bad for longer without a break.
const SPAN: i64 = 7 * CLOCK_HZ;
/// A track that is off by less, in ticks, is left alone.
const DEAD_BAND: i64 = 30 * MS;
/// One part in so many of a step may be added or taken.
const GENTLE: i64 = 64;
/// One part in so many of a step may be added or taken to undo what a wrong clock has done.
const HASTY: i64 = 4;
/// What is missing is made good in one step if it is at least this, in ticks.
const LEAP: i64 = 60 * MS;

/// By how much a track is off, and what is being done about it.
#[derive(Clone, Copy, Default)]
pub struct Servo {
    /// Start of the span and the best lead in it.
    span: Option<(i64, i64)>,
    /// Whether the track was late in the span before: only a second one is believed.
    late: bool,
    /// Ticks yet to be added.
    owed: i64,
    /// Whether the correction undoes what a wrong clock has done.
    hasty: bool,
}

impl Servo {
    /// Orders a correction in place of all that were ordered before.
    pub fn order(&mut self, owed: i64, hasty: bool) {
        *self = Self { owed, hasty, ..Self::default() };
    }

    /// Changes what is owed by `ticks`.
    pub fn add(&mut self, ticks: i64) {
        if ticks != 0 {
            self.order(self.owed.saturating_add(ticks), true);
        }
    }

    /// What is to be added to a step.
    pub fn pay(&mut self, step: i64) -> i64 {
        if self.owed == 0 {
            return 0;
        }
        let most = step / if self.hasty { HASTY } else { GENTLE };
        let part = match self.hasty && self.owed > LEAP {
            true => self.owed,
            false => self.owed.clamp(-most.max(0), most.max(0)),
        };
        self.owed -= part;
        part
    }

    /// Notes that `ticks` of what is owed were taken otherwise.
    pub fn forgive(&mut self, ticks: i64) {
        if self.owed < 0 {
            self.owed = self.owed.saturating_add(ticks).min(0);
        }
    }

    /// Notes a frame's lead, which ought to be `goal`; leads differ by `noise` in any case.
    pub fn note(&mut self, now: i64, lead: i64, goal: i64, noise: i64) {
        if self.owed != 0 {
            self.span = None;
            return;
        }
        let (start, best) = self.span.get_or_insert((now, lead));
        *best = lead.max(*best);
        if now.saturating_sub(*start) < SPAN {
            return;
        }
        let off = best.saturating_sub(goal);
        self.span = None;
        let band = DEAD_BAND.saturating_add(2 * noise);
        let late = off < -band;
        // Nothing but a clock makes frames early.
        if off > band || (late && self.late) {
            self.order(off.saturating_neg(), off.saturating_abs() > TOLERANCE);
        } else {
            self.late = late;
        }
    }
}
