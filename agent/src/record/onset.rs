//! Finds out when the first frame of a recording was taken, by the times at which frames arrive.
//! Pure.

use std::time::Instant;

use ivt_media::frame::{CLOCK_HZ, Frame, duration_to_ticks, ticks_to_duration};

/// Length of a window. A network only ever delays, so the frame of each window counts that was
/// delayed least.
const WINDOW: i64 = CLOCK_HZ;
/// Windows agree if their best frames differ by no more than this.
const LEVEL: i64 = CLOCK_HZ / 50;
/// For this many windows a timeline that is still learning its lead may seem level.
const LEAST: u8 = 4;
/// After this many windows a camera's clock that lies is found out.
const MOST: u8 = 7;
/// Fewest windows that give an answer when there is no time for more.
const HASTY: u8 = 2;

/// Compares media time with arrival while a recording begins.
///
/// The arrival of the first frame tells little: it may open a burst of stored pictures, or be a
/// large key frame that came late. The lead is media time minus arrival time. The timeline keeps
/// the lead of the newest windows from then on, so these tell best what it is.
pub struct Onset {
    pts: i64,
    received: Instant,
    pictures: bool,
    /// Arrival of the first frame of the current window. All times are in ticks since the very
    /// first frame.
    since: i64,
    /// The best lead in the current window, and in the windows before it, the newest first.
    best: i64,
    before: [i64; 3],
    windows: u8,
}

impl Onset {
    /// Begins to compare with the recording's first frame. Frames of the other track are ignored.
    pub fn new(first: &Frame) -> Self {
        let (pts, received, pictures) = (first.pts, first.received, first.is_video());
        Self { pts, received, pictures, since: 0, best: 0, before: [i64::MIN; 3], windows: 0 }
    }

    /// Notes a frame.
    pub fn note(&mut self, frame: &Frame) {
        if frame.is_video() != self.pictures {
            return;
        }
        let now = duration_to_ticks(frame.received.saturating_duration_since(self.received));
        let lead = frame.pts.saturating_sub(self.pts).saturating_sub(now);
        if now.saturating_sub(self.since) < WINDOW {
            self.best = self.best.max(lead);
            return;
        }
        let [newest, older, _] = self.before;
        self.before = [self.best, newest, older];
        (self.since, self.best) = (now, lead);
        self.windows = self.windows.saturating_add(1);
    }

    /// Whether more frames would hardly change the answer. A `hasty` caller waits for the answer.
    pub fn is_known(&self, hasty: bool) -> bool {
        let [a, b, c] = self.before;
        let level = || a.max(b).max(c).saturating_sub(a.min(b).min(c)) <= LEVEL;
        match self.windows {
            ..HASTY => false,
            HASTY..LEAST => hasty,
            LEAST..MOST => hasty || level(),
            MOST.. => true,
        }
    }

    /// Whether a second of frames was seen, which gives a better answer than the arrival of the
    /// first frame.
    pub fn is_fair(&self) -> bool {
        self.windows > 0
    }

    /// When the first frame was taken, as far as is known, supposing that the frame that was
    /// delayed least arrived the moment it was taken.
    pub fn taken(&self) -> Instant {
        let [newest, older, oldest] = self.before;
        let lead = self.best.max(newest).max(older);
        // A slow clock is not found out yet, and the timeline will correct it later.
        let lead = if self.windows < LEAST { lead.max(oldest) } else { lead };
        let span = ticks_to_duration(lead.saturating_abs());
        let taken = match lead {
            0.. => self.received.checked_sub(span),
            _ => self.received.checked_add(span),
        };
        taken.unwrap_or(self.received)
    }
}

#[cfg(test)]
#[path = "onset_tests.rs"]
mod tests;
