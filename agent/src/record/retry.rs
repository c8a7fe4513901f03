//! What to do about an upload that fails: when it is tried again, and when it is given up. Pure.

use std::mem;
use std::time::Duration;

use rand::{Rng, RngExt as _};
use tokio::time::Instant;

use crate::backoff::{self, Backoff};
use crate::http::HttpError;

/// After this many segments refused in a row, the fault lies with the service and not with the
/// segments.
const REFUSALS: u32 = 3;
/// Shortest delay, however short the segments are.
const BREATH: Duration = Duration::from_millis(50);

/// The step of an upload that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The service was asked for an address.
    Create,
    /// The segment was sent to the store.
    Put,
}

/// What to do after a segment could not be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask for an address again, at once.
    Afresh,
    /// Ask for an address again, after a delay.
    Later,
    /// Count the segment as refused.
    Refused,
}

/// The failures of one session's uploads.
#[derive(Debug)]
pub struct Retry {
    /// The segment that is being tried, and how often the service and the store have refused it.
    number: Option<u64>,
    creates: u32,
    puts: u32,
    /// How many segments were refused in a row.
    refusals: u32,
    /// Whether the service took the last segment that it was asked about.
    proven: bool,
    /// Since when every step has failed.
    failing: Option<Instant>,
    /// How long the peer that failed last wants to be left alone.
    pause: Duration,
    /// Since when the card does not give a segment.
    unreadable: Option<Instant>,
    /// Delays while steps fail, and while the service refuses every segment.
    failures: Backoff,
    refused: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            number: None,
            creates: 0,
            puts: 0,
            refusals: 0,
            proven: false,
            failing: None,
            pause: Duration::ZERO,
            unreadable: None,
            failures: Backoff::new(&backoff::UPLOAD),
            refused: Backoff::new(&backoff::CLOUD),
        }
    }
}

impl Retry {
    /// Whether this is another segment than the last one. The counts then begin anew.
    pub fn is_new(&mut self, number: u64) -> bool {
        let new = self.number != Some(number);
        if new {
            (self.number, self.creates, self.puts) = (Some(number), 0, 0);
        }
        new
    }

    /// What to do after this failure. A peer that is away or busy is asked for ever; a peer that
    /// does not want the segment is asked once more.
    pub fn judge(&mut self, step: Step, error: &HttpError) -> Verdict {
        if error.is_passing() {
            return Verdict::Later;
        }
        let (refusals, again) = match step {
            Step::Create => (&mut self.creates, Verdict::Later),
            Step::Put => (&mut self.puts, Verdict::Afresh),
        };
        *refusals += 1;
        if *refusals > 1 { Verdict::Refused } else { again }
    }

    /// Notes a failure at this time. Returns since when steps have failed, and whether this is the
    /// first failure.
    pub fn failed(&mut self, error: &HttpError, now: Instant) -> (Instant, bool) {
        self.pause = error.pause().unwrap_or_default();
        let news = self.failing.is_none();
        (*self.failing.get_or_insert(now), news)
    }

    /// Notes a success. Returns whether steps had failed before.
    pub fn works(&mut self) -> bool {
        self.failures = Backoff::new(&backoff::UPLOAD);
        self.failing.take().is_some()
    }

    /// Notes that the card does not give a segment. Returns since when, and whether this is the
    /// first time.
    pub fn unreadable(&mut self, now: Instant) -> (Instant, bool) {
        let news = self.unreadable.is_none();
        (*self.unreadable.get_or_insert(now), news)
    }

    /// Notes that the card has given a segment. Returns whether it had failed before.
    pub fn readable(&mut self) -> bool {
        self.unreadable.take().is_some()
    }

    /// Notes that the service has taken a segment, so that refusals before it were about their
    /// segments.
    pub fn accepted(&mut self) {
        (self.proven, self.refusals) = (true, 0);
        self.refused = Backoff::new(&backoff::CLOUD);
    }

    /// Whether a refusal is about the segment, since the service has just taken another one.
    pub fn take_proof(&mut self) -> bool {
        mem::take(&mut self.proven)
    }

    /// Notes a refused segment. Returns how long the service is left alone if it refuses every
    /// segment.
    pub fn refused(&mut self, rng: &mut impl Rng) -> Option<Duration> {
        self.refusals += 1;
        if self.refusals < REFUSALS {
            return None;
        }
        self.number = None;
        Some(self.refused.next(rng))
    }

    /// The delay before the next try. It is short enough that a full memory does not lose a segment
    /// of this `duration` before the end of an outage is noticed, and comes after the pause that the
    /// peer asked for, so that those who were sent away together do not come back together.
    pub fn delay(&mut self, duration: Duration, rng: &mut impl Rng) -> Duration {
        let most = (duration / 2).max(BREATH);
        let delay = self.failures.next(rng);
        let delay = if delay > most { rng.random_range(most / 2..=most) } else { delay };
        mem::take(&mut self.pause) + delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        "no".into()
    }

    #[test]
    fn only_a_refusal_loses_a_segment_and_only_the_second() {
        let mut tries = Retry::default();
        assert!(tries.is_new(0));
        for step in [Step::Create, Step::Put] {
            for error in [HttpError::Transport(text()), HttpError::Busy(text())] {
                for _ in 0..100 {
                    assert_eq!(tries.judge(step, &error), Verdict::Later);
                }
            }
        }
        for error in [HttpError::Expired(text()), HttpError::Refused(text())] {
            for (step, first) in [(Step::Create, Verdict::Later), (Step::Put, Verdict::Afresh)] {
                let mut tries = Retry::default();
                assert_eq!(tries.judge(step, &error), first);
                assert_eq!(tries.judge(step, &HttpError::Busy(text())), Verdict::Later);
                assert_eq!(tries.judge(step, &error), Verdict::Refused);
            }
        }
    }

    #[test]
    fn each_segment_has_its_own_tries() {
        let mut tries = Retry::default();
        assert!(tries.is_new(3));
        tries.judge(Step::Put, &HttpError::Expired(text()));
        assert!(!tries.is_new(3));
        assert!(tries.is_new(4));
        assert_eq!(tries.judge(Step::Put, &HttpError::Expired(text())), Verdict::Afresh);
    }
}
