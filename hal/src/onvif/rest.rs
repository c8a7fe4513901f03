//! When a refused login is tried again. Cameras lock accounts.

use tokio::time::Instant;

use crate::http::RESTS;

/// The refusals of one login. One that has passed before rests for the action alone that refused it first, as the user
/// may lack the right; it rests for all when another action refuses it too, or when it has never passed.
#[derive(Default)]
pub(super) struct Rest {
    /// Whether the camera has accepted the login since it began or was refused for all actions.
    passed: bool,
    /// Refusals since a request passed.
    refusals: usize,
    /// When every action may be tried again.
    all_until: Option<Instant>,
    /// When single actions may be tried again; their number is that of the actions in this program.
    actions: Vec<(&'static str, Instant)>,
}

impl Rest {
    pub(super) fn has_passed(&self) -> bool {
        self.passed
    }

    pub(super) fn rests(&self, action: &str, now: Instant) -> bool {
        self.all_until.is_some_and(|until| now < until)
            || self.actions.iter().any(|(other, until)| *other == action && now < *until)
    }

    /// The camera has accepted the login.
    pub(super) fn accepted(&mut self) {
        self.passed = true;
        (self.refusals, self.all_until) = (0, None);
    }

    /// The camera has refused the login in every form.
    pub(super) fn refused(&mut self, action: &'static str, now: Instant) {
        let until = now + RESTS[self.refusals.min(RESTS.len() - 1)];
        self.refusals += 1;
        let is_first = self.refusals == 1;
        let is_same = self.actions.iter().any(|(other, _)| *other == action);
        if self.passed && (is_first || is_same) {
            self.actions.retain(|(other, _)| *other != action);
            self.actions.push((action, until));
        } else {
            self.passed = false;
            self.all_until = Some(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_login_that_never_passed_rests_for_all_longer_each_time() {
        let (mut rest, mut now) = (Rest::default(), Instant::now());
        for minutes in [5, 10, 20, 30, 30] {
            rest.refused("Stop", now);
            assert!(rest.rests("GetPresets", now + minutes * MINUTE - Duration::from_millis(1)));
            now += minutes * MINUTE;
            assert!(!rest.rests("GetPresets", now) && !rest.rests("Stop", now));
        }
    }

    #[test]
    fn a_lacking_right_takes_nothing_else_with_it() {
        let (mut rest, now) = (Rest::default(), Instant::now());
        rest.accepted();
        rest.refused("SystemReboot", now);
        assert!(rest.rests("SystemReboot", now) && !rest.rests("Stop", now));
        rest.accepted();
        assert!(
            rest.rests("SystemReboot", now),
            "that another action passes does not give the right"
        );
        rest.refused("SystemReboot", now + 5 * MINUTE);
        assert!(!rest.rests("Stop", now + 5 * MINUTE));
        rest.refused("Stop", now + 6 * MINUTE);
        assert!(rest.rests("GetPresets", now + 6 * MINUTE), "the password may have been changed");
        assert_eq!(rest.actions.len(), 1);
    }
}
