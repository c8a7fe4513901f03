//! What is known of a camera's alarms, by which an edge is told from a state that is repeated.

use std::collections::VecDeque;

use super::message::{Operation, Told, Value};
use crate::Signal;

/// Most alarms that are known at the same time. Beyond that the oldest is forgotten.
const MOST: usize = 256;

/// The alarms of one camera.
#[derive(Default)]
pub(super) struct States(VecDeque<Known>);

struct Known {
    key: u64,
    value: Value,
    /// Whether listeners have heard that it is active.
    is_told: bool,
}

impl States {
    /// What listeners hear of a message. `is_settling` is true while the camera may still tell how things were when the
    /// subscription began, which is no alarm. A camera that always says so, or never says why, is judged by what has
    /// changed.
    pub(super) fn judge(&mut self, told: &Told, is_settling: bool) -> Option<Signal> {
        let at = self.0.iter().position(|known| known.key == told.key);
        let known = at.and_then(|at| self.0.remove(at));
        let was_told = known.as_ref().is_some_and(|known| known.is_told);
        let before = known.as_ref().map(|known| known.value);
        let (signal, is_told) = match (told.operation, told.value) {
            (Operation::Deleted, Value::State(_)) => return was_told.then_some(Signal::Ends),
            (Operation::Deleted, Value::Crossed(_)) => return None,
            (Operation::Changed, Value::State(true)) => (Some(Signal::Begins), true),
            (_, Value::State(true)) => {
                let is_edge = match before {
                    Some(before) => was_told || before != told.value,
                    None => !is_settling,
                };
                (is_edge.then_some(Signal::Begins), is_edge)
            }
            (_, Value::State(false)) => (was_told.then_some(Signal::Ends), false),
            (operation, Value::Crossed(object)) => {
                let is_first = before.is_none() && is_settling;
                let is_state = match operation {
                    Operation::Initialized => {
                        object.is_none() || is_first || before == Some(told.value)
                    }
                    Operation::Untold => object.is_none() && is_first,
                    _ => false,
                };
                ((!is_state).then_some(Signal::Detected), false)
            }
        };
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Known { key: told.key, value: told.value, is_told });
        signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trigger;

    const BEGINS: Option<Signal> = Some(Signal::Begins);
    const ENDS: Option<Signal> = Some(Signal::Ends);
    const DETECTED: Option<Signal> = Some(Signal::Detected);

    fn told(key: u64, operation: Operation, value: Value) -> Told {
        let (input, what) = (Vec::new(), String::new());
        Told { trigger: Trigger::Motion, operation, value, input, key, what }
    }

    /// What is heard of states, each with its operation, of which the first `settling` come while the camera tells
    /// how things are.
    fn heard(settling: usize, messages: &[(Operation, bool)]) -> Vec<Option<Signal>> {
        let mut states = States::default();
        let judged = messages.iter().enumerate().map(|(n, (operation, state))| {
            states.judge(&told(1, *operation, Value::State(*state)), n < settling)
        });
        judged.collect()
    }

    #[test]
    fn an_initial_state_is_no_alarm() {
        use Operation::{Changed, Deleted, Initialized, Untold};
        for (settling, messages, want) in [
            (1, &[(Initialized, true), (Changed, false)][..], &[None, None][..]),
            (1, &[(Initialized, true), (Changed, true), (Changed, false)], &[None, BEGINS, ENDS]),
            (2, &[(Initialized, false), (Changed, true), (Changed, false)], &[None, BEGINS, ENDS]),
            // The same state again, as after a new subscription.
            (9, &[(Initialized, true), (Initialized, true)], &[None, None]),
            (
                9,
                &[(Changed, true), (Initialized, true), (Initialized, false)],
                &[BEGINS, BEGINS, ENDS],
            ),
            // Only Initialized, even for edges.
            (
                9,
                &[
                    (Initialized, false),
                    (Initialized, true),
                    (Initialized, true),
                    (Initialized, false),
                ],
                &[None, BEGINS, BEGINS, ENDS],
            ),
            (0, &[(Initialized, true), (Initialized, false)], &[BEGINS, ENDS]),
            // No operation at all.
            (
                1,
                &[(Untold, true), (Untold, true), (Untold, false), (Untold, true)],
                &[None, None, None, BEGINS],
            ),
            (1, &[(Untold, false), (Untold, true), (Untold, false)], &[None, BEGINS, ENDS]),
            (0, &[(Untold, true)], &[BEGINS]),
            (0, &[(Changed, true), (Changed, true), (Changed, true)], &[BEGINS, BEGINS, BEGINS]),
            (0, &[(Changed, false), (Changed, false), (Changed, false)], &[None, None, None]),
            (0, &[(Changed, true), (Deleted, true), (Deleted, true)], &[BEGINS, ENDS, None]),
        ] {
            assert_eq!(heard(settling, messages), want, "{messages:?}");
        }
    }

    #[test]
    fn a_line_that_is_told_to_be_uncrossed_is_not_crossed() {
        use Operation::{Changed, Initialized, Untold};
        let mut states = States::default();
        let mut judge = |operation, object, settling| {
            states.judge(&told(1, operation, Value::Crossed(object)), settling)
        };
        assert_eq!(judge(Initialized, None, true), None);
        assert_eq!(judge(Changed, Some(5), true), DETECTED);
        assert_eq!(judge(Changed, Some(5), false), DETECTED);
        assert_eq!(judge(Initialized, Some(5), true), None, "the state after a new subscription");
        assert_eq!(judge(Initialized, Some(6), true), DETECTED, "only Initialized, even for edges");
        assert_eq!(judge(Initialized, None, false), None);
        assert_eq!(judge(Untold, None, false), DETECTED);
        assert_eq!(judge(Changed, None, false), DETECTED);
        assert_eq!(judge(Operation::Deleted, Some(9), false), None);
        let first = |operation, object| {
            States::default().judge(&told(1, operation, Value::Crossed(object)), true)
        };
        assert_eq!(first(Initialized, Some(3)), None);
        assert_eq!(first(Untold, None), None);
        assert_eq!(first(Untold, Some(3)), DETECTED);
        assert_eq!(first(Changed, None), DETECTED);
    }

    #[test]
    fn the_oldest_is_forgotten_beyond_the_bound() {
        let mut states = States::default();
        for key in 0..10_000 {
            states.judge(&told(key, Operation::Changed, Value::State(true)), false);
        }
        assert_eq!(states.0.len(), MOST);
    }
}
