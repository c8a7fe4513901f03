//! Brings sound to the picture without a step back.

use crate::frame::CLOCK_HZ;

/// Sound off by up to this, in ticks, is left where it is: sender reports are no more exact than a
/// picture is long.
const TOLERANCE: i64 = CLOCK_HZ / 25;
/// Longest step forward, in ticks, that is done at once.
const STEP: i64 = CLOCK_HZ / 10;

/// Moves sound by a shift that may change at any time: forward by up to 100 ms at once, else by a quarter of
/// each frame's duration. It then differs from the shift by 40 ms at most.
#[derive(Clone, Debug, Default)]
pub struct Slew {
    /// Ticks of the newest frame, before it was moved.
    last: Option<i64>,
    /// Ticks by which frames are moved now.
    applied: i64,
    /// Whether `applied` is on its way to the shift.
    moving: bool,
}

impl Slew {
    /// The place of a frame of sound at `ticks`. Places increase where ticks do. Without a shift, what was
    /// applied stays.
    pub fn place(&mut self, ticks: i64, shift: Option<i64>) -> i64 {
        let off = shift.map_or(0, |shift| shift.saturating_sub(self.applied));
        let step = match self.last.replace(ticks) {
            None => off,
            Some(last) => {
                self.moving = off != 0 && (self.moving || off.saturating_abs() > TOLERANCE);
                let quarter = ticks.saturating_sub(last).max(0) / 4;
                if !self.moving {
                    0
                } else if (0..=STEP).contains(&off) {
                    off
                } else {
                    off.clamp(-quarter, quarter)
                }
            }
        };
        self.applied = self.applied.saturating_add(step);
        ticks.saturating_add(self.applied)
    }
}

#[cfg(test)]
#[path = "slew_tests.rs"]
mod tests;
