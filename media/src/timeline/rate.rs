//! The factor that the steps of a clock are multiplied with.

use super::near;
use crate::frame::CLOCK_HZ;

const BITS: u32 = 20;
const ONE: i64 = 1 << BITS;
/// Largest factor. The widest errors known are clocks a hundred times too slow or too fast.
const MOST: i64 = ONE << 8;
/// Smallest factor.
const LEAST: i64 = ONE >> 8;
/// Longest step of a wrong clock, in ticks: a longer one would overflow, and is a jump in any case.
const MAX_STEP: i64 = 24 * 3600 * CLOCK_HZ;

/// A factor in fixed point. One leaves every step as it is, to the tick.
#[derive(Clone, Copy)]
pub struct Rate {
    factor: i64,
    /// Part of a tick that the steps so far left over.
    rest: i64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { factor: ONE, rest: 0 }
    }
}

impl Rate {
    /// Whether the clock is right.
    pub fn is_one(&self) -> bool {
        self.factor == ONE
    }

    /// Corrects the factor, by which `told` ticks came out so far where `arrival` ticks passed;
    /// `told` is positive. An error too small to be sure of is none.
    pub fn correct(&mut self, arrival: i64, told: i64) {
        let factor = (self.factor.saturating_mul(arrival) / told).clamp(LEAST, MOST);
        let factor = if near(factor, ONE, ONE / 500) { ONE } else { factor };
        *self = Self { factor, rest: 0 };
    }

    /// A span of the clock on the timeline.
    pub fn scaled(&self, told: i64) -> i64 {
        if self.is_one() { told } else { (told.clamp(-MAX_STEP, MAX_STEP) * self.factor) >> BITS }
    }

    /// A step of the clock on the timeline. What is no whole tick is kept for the next one.
    pub fn advance(&mut self, told: i64) -> i64 {
        if self.is_one() {
            return told;
        }
        let exact = told.clamp(-MAX_STEP, MAX_STEP) * self.factor + self.rest;
        self.rest = exact & (ONE - 1);
        exact >> BITS
    }
}
