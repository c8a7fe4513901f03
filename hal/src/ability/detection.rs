//! What motion detection and tripwire have in common.

use std::cmp::Ordering;
use std::time::Duration;

/// How a detection is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Whether the camera detects at all.
    pub enable: bool,
    /// When it is armed each day.
    pub armed: Armed,
    /// 0, the least sensitive, to 100, the most.
    pub sensitivity: u8,
    /// How long nothing is detected before an alarm ends.
    pub delay: Duration,
}

/// The part of each day in which a detection is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    /// Seconds after midnight of the camera's local time, 0 to 86400.
    pub start: u32,
    /// Seconds after midnight, 0 to 86400; before `start`, it is on the next day.
    pub end: u32,
}

impl Armed {
    /// Midnight to midnight.
    pub const ALWAYS: Self = Self { start: 0, end: 86_400 };

    /// The windows of one day, from and to seconds after midnight, ordered and none of them empty: a window
    /// across midnight is cut in two. Equal times of day mean the whole day, since a detection that is never
    /// armed is one that is not enabled.
    pub fn windows(self) -> Vec<(u32, u32)> {
        let (start, end) = (self.start % 86_400, self.end % 86_400);
        match start.cmp(&end) {
            Ordering::Less => vec![(start, end)],
            Ordering::Equal => vec![(0, 86_400)],
            Ordering::Greater if end == 0 => vec![(start, 86_400)],
            Ordering::Greater => vec![(0, end), (start, 86_400)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_across_midnight_is_cut_in_two() {
        for (start, end, windows) in [
            (0, 86_400, vec![(0, 86_400)]),
            (12_000, 50_000, vec![(12_000, 50_000)]),
            (79_200, 21_600, vec![(0, 21_600), (79_200, 86_400)]),
            (79_200, 0, vec![(79_200, 86_400)]),
            (86_400, 21_600, vec![(0, 21_600)]),
            (500, 500, vec![(0, 86_400)]),
            (86_400, 0, vec![(0, 86_400)]),
        ] {
            assert_eq!(Armed { start, end }.windows(), windows, "{start} to {end}");
        }
    }
}
