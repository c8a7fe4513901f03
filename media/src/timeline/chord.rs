//! Judges whether a clock runs at the rate of the arrival clock.

use super::MS;
use crate::frame::CLOCK_HZ;

/// Length of a window in ticks. Of each window only the frame that was delayed least counts.
const WINDOW: i64 = CLOCK_HZ * 7 / 10;
/// Fewest frames of a window: any one of them might well be late.
const LEAST_FRAMES: u8 = 4;
/// Most that one window counts as noise, in ticks, so that a single stall is not noise yet.
const MAX_NOISE: i64 = 400 * MS;
/// Number of points that are kept, which is 8 s of them.
const POINTS: usize = 12;
/// Difference of leads, in ticks, that means nothing: least delays differ that much.
pub const LEVEL: i64 = 30 * MS;

/// The frame delayed least in its window.
#[derive(Clone, Copy, Default)]
pub struct Point {
    /// When the frame arrived.
    pub now: i64,
    /// Media time of the frame minus its arrival.
    pub lead: i64,
    /// The best lead of all windows before.
    best: Option<i64>,
}

/// A straight line through the leads of several windows.
#[derive(Clone, Copy)]
pub struct Chord {
    /// Point at which the line begins.
    pub from: Point,
    /// Point at which the line ends: the newest one.
    pub to: Point,
    /// Whether the clock is certainly wrong; otherwise it is certainly right.
    pub wrong: bool,
}

/// The newest windows of one clock.
#[derive(Clone, Copy, Default)]
pub struct Leads {
    /// Start of the present window, how many frames are in it, and the one delayed least.
    window: Option<(i64, u8, Point)>,
    /// Points of the newest complete windows, `len` of them.
    points: [Point; POINTS],
    len: usize,
    /// Arrival of the newest frame.
    last: i64,
    /// The best lead of all complete windows.
    best: Option<i64>,
    /// How unevenly leads change from window to window.
    noise: i64,
}

impl Chord {
    /// By how much the lead changed along the line.
    pub fn rise(&self) -> i64 {
        self.to.lead.saturating_sub(self.from.lead)
    }

    /// Time that the line spans by arrival, and by the clock that is judged. Both are positive.
    pub fn spans(&self) -> (i64, i64) {
        let arrival = (self.to.now - self.from.now).max(1);
        (arrival, arrival.saturating_add(self.rise()).max(1))
    }

    /// The lead of the line at another time.
    pub fn lead_at(&self, now: i64) -> i64 {
        let part = self.rise().saturating_mul(now - self.from.now) / self.spans().0;
        self.from.lead.saturating_add(part)
    }
}

impl Leads {
    /// Notes the lead of a frame that arrived at `now`. A pause longer than `gap` ticks begins
    /// anew. True when a window is complete.
    pub fn note(&mut self, now: i64, lead: i64, gap: i64) -> bool {
        let elapsed = now.saturating_sub(std::mem::replace(&mut self.last, now));
        let point = Point { now, lead, best: None };
        let Some((start, frames, best)) = self.window.as_mut().filter(|_| elapsed <= gap) else {
            // A change of the lead over a pause tells nothing of the rate.
            self.len = 0;
            self.window = Some((now, 1, point));
            return false;
        };
        if now.saturating_sub(*start) < WINDOW || *frames < LEAST_FRAMES {
            *frames = frames.saturating_add(1);
            if lead >= best.lead {
                *best = point;
            }
            return false;
        }
        let complete = Point { best: self.best, ..*best };
        self.best = self.best.max(Some(complete.lead));
        self.window = Some((now, 1, point));
        if self.len == POINTS {
            self.points.rotate_left(1);
            self.len -= 1;
        }
        if let Some(free) = self.points.get_mut(self.len) {
            *free = complete;
            self.len += 1;
        }
        if let Some([.., a, b, c]) = self.points.get(..self.len) {
            let bend =
                (c.lead.saturating_sub(b.lead)).saturating_sub(b.lead.saturating_sub(a.lead));
            self.noise += (bend.saturating_abs().min(MAX_NOISE) - self.noise) / 8;
        }
        true
    }

    /// The best lead of all complete windows.
    pub fn best(&self) -> Option<i64> {
        self.best
    }

    /// How much the leads of neighbouring windows differ for no reason.
    pub fn noise(&self) -> i64 {
        self.noise
    }

    /// Whether the newest windows agree that the lead neither rises nor falls.
    pub fn is_level(&self) -> bool {
        match self.points.get(..self.len) {
            Some([a, b]) | Some([.., a, _, b]) => {
                a.lead.saturating_sub(b.lead).saturating_abs() <= LEVEL / 2
            }
            _ => false,
        }
    }

    /// Begins anew, since the clock was corrected.
    pub fn clear(&mut self) {
        *self = Self { last: self.last, noise: self.noise / 4, ..Self::default() };
    }

    /// The longest stretch of windows up to now that tells something for certain. A clock that is
    /// slow must have been so for `patience` more windows than usual; one that is `known` to be wrong
    /// is watched more closely.
    pub fn chord(&self, patience: usize, known: bool) -> Option<Chord> {
        let points = self.points.get(..self.len)?;
        let (to, before) = points.split_last()?;
        before.iter().enumerate().find_map(|(n, from)| {
            let chord = Chord { from: *from, to: *to, wrong: true };
            let between = before.get(n + 1..)?;
            let windows = between.len() + 1;
            let slack = self.noise.clamp(8 * MS, 20 * MS) + chord.rise().saturating_abs() / 12;
            let straight = between.iter().all(|point| {
                chord.lead_at(point.now).saturating_sub(point.lead).saturating_abs() <= slack
            });
            if !straight {
                return None;
            }
            if chord.rise().saturating_abs() >= if known { 2 } else { 6 } * self.noise
                && chord.is_wrong(windows, patience, known)
            {
                return Some(chord);
            }
            let level = chord.rise().saturating_abs() <= LEVEL / 2;
            (level && windows >= 4).then_some(Chord { wrong: false, ..chord })
        })
    }
}

impl Chord {
    fn is_wrong(&self, windows: usize, patience: usize, known: bool) -> bool {
        let rise = self.rise();
        // A network that stalled comes back to the best lead, never above it.
        if rise > 0 && self.from.best.is_some_and(|best| self.from.lead < best - LEVEL) {
            return false;
        }
        let windows = if rise < 0 { windows.saturating_sub(patience) } else { windows };
        let change = rise.saturating_abs();
        let percent = change.saturating_mul(100) / self.spans().0;
        // A backlog may well grow for seconds.
        match (windows, known) {
            (0 | 1, _) => false,
            (2, true) if rise < 0 => percent >= 5,
            (2..9, true) => change >= 30 * MS,
            (_, true) => change >= 12 * MS,
            (2, false) => rise > 0 && percent >= 15,
            (3, false) => percent >= if rise > 0 { 10 } else { 40 },
            (4, false) if rise < 0 => percent >= 30,
            (4..9, false) => change >= 45 * MS,
            (_, false) => change >= 30 * MS,
        }
    }
}
