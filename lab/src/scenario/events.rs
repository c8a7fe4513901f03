//! What has happened so far: steps that began, and expectations that were met, by their ids.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stage::Stage;

/// The events of a run, each with its time since the start, or `None` where it will not happen any more.
#[derive(Default)]
pub(super) struct Events(Mutex<BTreeMap<String, Option<Duration>>>);

/// An event that has not happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing<'a> {
    pub(super) id: &'a str,
    /// Whether it will not happen any more.
    pub(super) never: bool,
}

impl Events {
    /// Notes that something happened; the first time counts.
    pub(super) fn happen(&self, id: &str, at: Duration) {
        self.lock().entry(id.to_owned()).or_insert(Some(at));
    }

    /// Notes that something will not happen any more.
    pub(super) fn fail(&self, id: &str) {
        self.lock().entry(id.to_owned()).or_insert(None);
    }

    /// When the last of these events happened. Without any it is the start. `online` and `offline` are the present state
    /// of the device.
    ///
    /// # Errors
    /// The first of those that have not happened.
    pub(super) fn all<'a>(
        &self,
        after: &'a [String],
        stage: &Stage,
        now: Duration,
    ) -> Result<Duration, Missing<'a>> {
        self.all_of(after, stage.device.online(), now)
    }

    fn all_of<'a>(
        &self,
        after: &'a [String],
        online: bool,
        now: Duration,
    ) -> Result<Duration, Missing<'a>> {
        let events = self.lock();
        let mut last = Duration::ZERO;
        for id in after {
            let missing = |never| Missing { id, never };
            last = last.max(match id.as_str() {
                "start" => Duration::ZERO,
                "online" if online => now,
                "offline" if !online => now,
                id => match events.get(id) {
                    Some(Some(at)) => *at,
                    Some(None) => return Err(missing(true)),
                    None => return Err(missing(false)),
                },
            });
        }
        Ok(last)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Duration>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_events_counts_and_the_first_that_is_missing_is_named() {
        let (events, second) = (Events::default(), Duration::from_secs);
        let after = ["a", "b", "online"].map(str::to_owned);
        let missing = |id, never| Err(Missing { id, never });
        assert_eq!(events.all_of(&[], false, second(9)), Ok(second(0)));
        assert_eq!(events.all_of(&after, true, second(9)), missing("a", false));
        events.happen("a", second(3));
        events.happen("a", second(5));
        events.fail("b");
        assert_eq!(events.all_of(&after, true, second(9)), missing("b", true));
        assert_eq!(events.all_of(&after[..1], true, second(9)), Ok(second(3)));
        assert_eq!(events.all_of(&after[2..], true, second(9)), Ok(second(9)));
        assert_eq!(events.all_of(&after[2..], false, second(9)), missing("online", false));
    }
}
