//! When the first frame of a recording was taken, by the clock of arrival. Pure.

use std::time::Instant;

use ivt_media::frame::{CLOCK_HZ, Frame, duration_to_ticks, ticks_to_duration};

/// A network only ever delays: of each window, what counts is the frame that was delayed least.
const WINDOW: i64 = CLOCK_HZ;
/// Windows whose best frames differ by no more than this agree.
const LEVEL: i64 = CLOCK_HZ / 50;
/// A timeline that is still learning its lead may seem level for so many windows.
const LEAST: u8 = 4;
/// A camera's clock that lies is found out by then.
const MOST: u8 = 7;
/// The fewest that are worth something, where there is no time for more.
const HASTY: u8 = 2;

/// Compares media time with arrival while a recording begins.
///
/// The first frame's own arrival tells little: it may open a burst of stored pictures, or be a
/// large key frame that came late. The lead, which is media time minus arrival time, is what the
/// timeline keeps from then on, so the newest windows tell best what it is.
pub struct Onset {
    pts: i64,
    received: Instant,
    pictures: bool,
    /// Arrival of the first frame of this window. All in ticks since the first frame of all.
    since: i64,
    /// The best lead in this window, and in those before it, the newest first.
    best: i64,
    before: [i64; 3],
    windows: u8,
}

impl Onset {
    /// For a recording that begins with this frame. The other track's frames are not asked.
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

    /// More frames would hardly change the answer; `hasty`: it is waited for.
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

    /// A second of frames has been seen: the answer is better than the first frame's own arrival.
    pub fn is_fair(&self) -> bool {
        self.windows > 0
    }

    /// When the first frame was taken, so far as is known, if the frame that was delayed least
    /// arrived the moment it was.
    pub fn taken(&self) -> Instant {
        let [newest, older, oldest] = self.before;
        let lead = self.best.max(newest).max(older);
        // A slow clock is not found out yet, and will be put back to where it was.
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
