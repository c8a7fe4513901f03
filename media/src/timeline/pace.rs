//! Places frames of a clock that tells nothing by their arrival, in even steps.

use super::{MS, TOLERANCE};
use crate::frame::CLOCK_HZ;

/// Fractions of a tick in a period.
const FINE: i64 = 256;

/// A loop locked to the arrivals, whose steps are mostly free of a network's jitter.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Duration of a frame in fractions of a tick.
    period: i64,
}

impl Pace {
    /// A loop for frames that are about `period` ticks apart.
    pub fn new(period: i64) -> Self {
        Self { period: period.clamp(MS, 2 * CLOCK_HZ) * FINE }
    }

    /// Ticks from the frame before, at `line`, to the next one, which by its arrival alone would
    /// belong at `arrival`. At least one.
    pub fn step(&mut self, line: i64, arrival: i64) -> i64 {
        let period = self.period / FINE;
        let off = arrival.saturating_sub(line).saturating_sub(period);
        let step = if off > TOLERANCE {
            period.saturating_add(off)
        } else if off < -TOLERANCE {
            0
        } else {
            self.period = (self.period + off * FINE / 64).clamp(MS * FINE, 2 * CLOCK_HZ * FINE);
            period + off / 8
        };
        step.max(period / 8).max(1)
    }
}
