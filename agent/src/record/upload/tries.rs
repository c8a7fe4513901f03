//! What to do about a segment that could not be uploaded. Pure.

use crate::record::service::ServiceError;

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Put,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask for an address again, at once.
    Afresh,
    /// The same after a delay.
    Later,
    /// The segment is lost.
    Lose,
}

/// The refusals that a segment has met.
#[derive(Debug, Default)]
pub(super) struct Tries {
    number: Option<u64>,
    creates: u32,
    puts: u32,
}

impl Tries {
    /// Whether this is another segment than the last time; the counts are then its own.
    pub(super) fn is_new(&mut self, number: u64) -> bool {
        let new = self.number != Some(number);
        if new {
            *self = Self { number: Some(number), ..Self::default() };
        }
        new
    }

    /// A peer that is not there, or has no time, is asked for ever; one that does not want the
    /// segment once more.
    pub(super) fn judge(&mut self, step: Step, fault: &ServiceError) -> Verdict {
        if matches!(fault, ServiceError::Transport(_) | ServiceError::Busy(_)) {
            return Verdict::Later;
        }
        let (refusals, again) = match step {
            Step::Create => (&mut self.creates, Verdict::Later),
            Step::Put => (&mut self.puts, Verdict::Afresh),
        };
        *refusals += 1;
        if *refusals > 1 { Verdict::Lose } else { again }
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
        let mut tries = Tries::default();
        assert!(tries.is_new(0));
        for step in [Step::Create, Step::Put] {
            for fault in [ServiceError::Transport(text()), ServiceError::Busy(text())] {
                for _ in 0..100 {
                    assert_eq!(tries.judge(step, &fault), Verdict::Later);
                }
            }
        }
        for fault in [ServiceError::Expired(text()), ServiceError::Refused(text())] {
            for (step, first) in [(Step::Create, Verdict::Later), (Step::Put, Verdict::Afresh)] {
                let mut tries = Tries::default();
                assert_eq!(tries.judge(step, &fault), first);
                assert_eq!(tries.judge(step, &ServiceError::Busy(text())), Verdict::Later);
                assert_eq!(tries.judge(step, &fault), Verdict::Lose);
            }
        }
    }

    #[test]
    fn each_segment_has_its_own_tries() {
        let mut tries = Tries::default();
        assert!(tries.is_new(3));
        tries.judge(Step::Put, &ServiceError::Expired(text()));
        assert!(!tries.is_new(3));
        assert!(tries.is_new(4));
        assert_eq!(tries.judge(Step::Put, &ServiceError::Expired(text())), Verdict::Afresh);
    }
}
