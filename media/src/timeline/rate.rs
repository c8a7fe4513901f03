//! What the steps of a clock are multiplied with.

use super::near;
use crate::frame::CLOCK_HZ;

const BITS: u32 = 20;
const ONE: i64 = 1 << BITS;
/// A hundredth of a clock's rate and a hundred times it are the widest errors known.
const MOST: i64 = ONE << 8;
const LEAST: i64 = ONE >> 8;
/// A longer step of a wrong clock would overflow, and is a jump in any case.
const MAX_STEP: i64 = 24 * 3600 * CLOCK_HZ;

/// A factor in fixed point. One leaves every step as it is, to the tick.
#[derive(Clone, Copy)]
pub struct Rate {
    factor: i64,
    /// What was no whole tick.
    rest: i64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { factor: ONE, rest: 0 }
    }
}

impl Rate {
    /// The clock is right.
    pub fn is_one(&self) -> bool {
        self.factor == ONE
    }

    /// So far `told` ticks came out where `arrival` ticks passed; `told` is positive. An error too
    /// small to be sure of is none.
    pub fn correct(&mut self, arrival: i64, told: i64) {
        let factor = (self.factor.saturating_mul(arrival) / told).clamp(LEAST, MOST);
        let factor = if near(factor, ONE, ONE / 500) { ONE } else { factor };
        *self = Self { factor, rest: 0 };
    }

    /// A span of the clock on the timeline.
    pub fn scaled(&self, told: i64) -> i64 {
        if self.is_one() { told } else { (told.clamp(-MAX_STEP, MAX_STEP) * self.factor) >> BITS }
    }

    /// The same for a step; what is no whole tick is kept for the next one.
    pub fn advance(&mut self, told: i64) -> i64 {
        if self.is_one() {
            return told;
        }
        let exact = told.clamp(-MAX_STEP, MAX_STEP) * self.factor + self.rest;
        self.rest = exact & (ONE - 1);
        exact >> BITS
    }
}
