//! When an alarm begins and ends, for one trigger of one channel. Pure: the time is an argument.
//!
//! - It begins when the camera detects, the trigger is enabled and the arming window is open; one that the camera
//!   holds begins when the window opens.
//! - It ends when the camera does not hold it and nothing was detected for `delay`, and when the window closes.
//! - Many cameras never tell the end of motion or of a crossed line. Such an alarm ends when the camera has said
//!   nothing of it for a minute, until the camera has told an end once; from then on it is believed for an hour.
//!   A closed contact of an input stays closed without a word.
//! - Thus between two beginnings pass `delay` or the window's closing, however fast the camera changes its mind.

use std::time::Duration;

use ivt_hal::{Armed, Signal, Trigger};
use tokio::time::Instant;

/// Shortest `delay`: with 0 a camera that flaps would raise alarms as fast as it can.
pub(super) const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// Longest `delay`.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(86_400);
/// How long a camera may hold motion or a line without a word of it: one that has told the end of an alarm, and any other.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);
const SILENCE: Duration = Duration::from_secs(60);
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
    trigger: Trigger,
    terms: Terms,
    windows: Vec<(u32, u32)>,
    /// When the camera last spoke of an alarm that it holds.
    held: Option<Instant>,
    /// Whether the camera tells when an alarm ends, as far as is known.
    tells_ends: bool,
    /// Whether an alarm that the camera held was taken to have ended, and it has told of none since.
    was_given_up: bool,
    /// When something was detected last.
    last: Option<Instant>,
    /// Whether something was detected since the last judgement.
    fresh: bool,
    raised: bool,
}

impl Rule {
    pub(super) fn new(trigger: Trigger, terms: Terms) -> Self {
        let mut rule = Self {
            trigger,
            terms,
            windows: Vec::new(),
            held: None,
            tells_ends: false,
            was_given_up: false,
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
        let was_given_up = std::mem::take(&mut self.was_given_up);
        match signal {
            Signal::Begins => self.held = Some(now),
            Signal::Detected => self.held = self.held.and(Some(now)),
            Signal::Ends => {
                let was_held = self.held.take().is_some();
                self.tells_ends |= was_held || was_given_up;
                // An end without a beginning is how some cameras say that they are alive.
                if !was_held {
                    return;
                }
            }
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
        if self.given_up_at().is_some_and(|at| now >= at) {
            (self.held, self.tells_ends, self.was_given_up) = (None, false, true);
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
        let quiet = match self.held {
            Some(_) => self.given_up_at(),
            None => self.last.map(|last| last + self.terms.delay),
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

    /// When an alarm that the camera holds is taken to have ended unless the camera speaks of it.
    fn given_up_at(&self) -> Option<Instant> {
        let silence = if self.tells_ends { LONGEST_SILENCE } else { SILENCE };
        self.held.filter(|_| self.trigger != Trigger::Input).map(|told| told + silence)
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
