//! When an alarm begins and ends, for one trigger of one channel. Pure: the time is an argument.
//!
//! - It begins when the camera detects, the trigger is enabled and the arming window is open; one that the camera
//!   holds begins when the window opens.
//! - It ends when the camera does not hold it and nothing was detected for `delay`, and when the window closes.
//! - Thus between two beginnings pass `delay` or the window's closing, however fast the camera changes its mind.

use std::time::Duration;

use ivt_hal::{Armed, Signal};
use tokio::time::Instant;

/// Shortest `delay`: with 0 a camera that flaps would raise alarms as fast as it can.
pub(super) const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// Longest `delay`.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(86_400);
/// How long a camera may hold an alarm without a word of it: some forget to tell the end.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);
/// How long the time of day is taken for granted: a clock may be set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// Seconds of a day.
const DAY: u32 = 86_400;

/// When alarms of one trigger are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Whether they are reported at all.
    pub(super) enable: bool,
    /// When they are reported each day.
    pub(super) armed: Armed,
    /// How long nothing is detected before an alarm ends, from [`SHORTEST_DELAY`] to [`LONGEST_DELAY`].
    pub(super) delay: Duration,
}

/// What becomes of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Begins,
    Ends,
    /// It ends, since the arming window closes.
    Disarmed,
    /// Nothing more of it is reported, not even its end, since the cloud has switched its trigger off.
    Withdrawn,
}

/// One trigger of one channel.
pub(super) struct Rule {
    terms: Terms,
    windows: Vec<(u32, u32)>,
    /// When the camera last spoke of an alarm that it holds.
    held: Option<Instant>,
    /// When something was detected last.
    last: Option<Instant>,
    /// Whether something was detected since the last judgement.
    fresh: bool,
    raised: bool,
}

impl Rule {
    pub(super) fn new(terms: Terms) -> Self {
        let mut rule = Self {
            terms,
            windows: Vec::new(),
            held: None,
            last: None,
            fresh: false,
            raised: false,
        };
        rule.set(terms);
        rule
    }

    /// Takes over other terms; [`judge`](Self::judge) says what follows. Returns whether they are others than before.
    pub(super) fn set(&mut self, terms: Terms) -> bool {
        let delay = terms.delay.clamp(SHORTEST_DELAY, LONGEST_DELAY);
        let terms = Terms { delay, ..terms };
        self.windows = terms.armed.windows();
        std::mem::replace(&mut self.terms, terms) != terms
    }

    /// Takes over what the camera tells; [`judge`](Self::judge) says what follows.
    pub(super) fn hear(&mut self, signal: Signal, now: Instant) {
        match signal {
            Signal::Begins => self.held = Some(now),
            Signal::Detected => self.held = self.held.and(Some(now)),
            // An end without a beginning is how some cameras say that they are alive.
            Signal::Ends if self.held.take().is_none() => return,
            Signal::Ends => {}
        }
        self.fresh |= signal != Signal::Ends;
        self.last = Some(now);
    }

    /// What the camera held may have ended unheard: it ends unless it is told again within `delay`.
    pub(super) fn doubt(&mut self, now: Instant) {
        if self.held.take().is_some() {
            self.last = Some(now);
        }
    }

    /// What becomes of the alarm at this moment, one thing at a time; call it until it says nothing. `second` tells
    /// the seconds since midnight of the camera's local time.
    pub(super) fn judge(&mut self, now: Instant, second: &dyn Fn() -> u32) -> Option<Edge> {
        let fresh = std::mem::take(&mut self.fresh);
        let Terms { enable, delay, .. } = self.terms;
        if self.held.is_some_and(|told| now >= told + LONGEST_SILENCE) {
            self.held = None;
        }
        let active = self.held.is_some() || self.last.is_some_and(|last| now < last + delay);
        if !self.raised && !(enable && (fresh || self.held.is_some())) {
            return None;
        }
        let edge = match (self.raised, enable && self.is_armed(second)) {
            (true, true) if !active => Edge::Ends,
            (true, true) | (false, false) => return None,
            (true, false) if enable => Edge::Disarmed,
            (true, false) => Edge::Withdrawn,
            (false, true) => Edge::Begins,
        };
        self.raised = edge == Edge::Begins;
        Some(edge)
    }

    /// When to [`judge`](Self::judge) next although nothing is told; `None` where nothing can follow.
    pub(super) fn due(&self, now: Instant, second: &dyn Fn() -> u32) -> Option<Instant> {
        if !self.terms.enable || !(self.raised || self.held.is_some()) {
            return None;
        }
        let quiet = match (self.held, self.last) {
            (Some(told), _) => Some(told + LONGEST_SILENCE),
            (None, last) => last.map(|last| last + self.terms.delay),
        };
        let turn = (!self.is_always_armed()).then(|| {
            let second = second();
            let bounds = self.windows.iter().flat_map(|(from, to)| [*from, *to]);
            let next = bounds.map(|bound| (bound + DAY - second % DAY) % DAY);
            let next = next.filter(|left| *left > 0).min().unwrap_or(DAY);
            now + CLOCK_CHECK.min(Duration::from_secs(next.into()))
        });
        quiet.into_iter().chain(turn).min()
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.terms.enable
    }

    /// Whether the time of day matters.
    pub(super) fn needs_clock(&self) -> bool {
        self.terms.enable && !self.is_always_armed()
    }

    fn is_always_armed(&self) -> bool {
        self.windows == [(0, DAY)]
    }

    fn is_armed(&self, second: &dyn Fn() -> u32) -> bool {
        let within = |second| self.windows.iter().any(|(from, to)| (*from..*to).contains(&second));
        self.is_always_armed() || within(second() % DAY)
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
