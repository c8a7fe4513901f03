//! What may be done to a camera a few times an hour, counted over restarts of the agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::state::{StateError, StateStore};

/// Most times within `HOUR`.
pub(super) const MOST: usize = 3;
const HOUR: u64 = 3600;

/// What was done to each channel within the last hour. The times are kept by the wall clock, and count by one that is never set: a
/// device without a clock of its own starts in 1970 and is set while the agent runs.
#[derive(Clone)]
pub(super) struct Hourly {
    /// When it was done to each channel, as [`now`](Self::now) tells it.
    times: Arc<Mutex<BTreeMap<u32, Vec<u64>>>>,
    start: Instant,
    /// Its name in the state store.
    subject: &'static str,
    store: StateStore,
    /// Held while the times are written, so that the newest are written last.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Hourly {
    /// Goes on with what `store` has kept; `wall` is the time in seconds since 1970.
    pub(super) fn kept(subject: &'static str, store: StateStore, wall: u64) -> Self {
        let mut times: BTreeMap<u32, Vec<u64>> = store.read(subject).unwrap_or_default();
        for time in times.values_mut().flatten() {
            // A time in the future is of a clock that was set back since. It counts as done now.
            *time = HOUR.saturating_sub(wall.saturating_sub(*time));
        }
        Self {
            times: Arc::new(Mutex::new(times)),
            start: Instant::now(),
            subject,
            store,
            writing: Arc::default(),
        }
    }

    /// Seconds since one hour before the agent's start.
    pub(super) fn now(&self) -> u64 {
        HOUR + self.start.elapsed().as_secs()
    }

    /// Keeps the times, if the disk takes them; they are counted in memory anyway. `wall` is the time in
    /// seconds since 1970.
    pub(super) async fn keep(&self, wall: u64) {
        let _writing = self.writing.lock().await;
        let (mut times, now) = (self.times().clone(), self.now());
        for time in times.values_mut().flatten() {
            *time = wall.saturating_sub(now.saturating_sub(*time));
        }
        match self.store.write(self.subject, &times).await {
            Ok(()) | Err(StateError::NoFolder) => {}
            Err(e) => log::warn!("{} are forgotten when the agent restarts: {e}", self.subject),
        }
    }

    /// Counts one for a channel at `now`.
    ///
    /// # Errors
    /// How long it takes until the next one is allowed.
    pub(super) fn take(&self, channel: u32, now: u64) -> Result<(), Duration> {
        let mut channels = self.times();
        let times = channels.entry(channel).or_default();
        times.retain(|time| now - time < HOUR);
        match times.first() {
            Some(oldest) if times.len() >= MOST => Err(Duration::from_secs(HOUR - (now - oldest))),
            _ => {
                times.push(now);
                Ok(())
            }
        }
    }

    /// Takes back what was counted at `time` and did not happen.
    pub(super) fn give_back(&self, channel: u32, time: u64) {
        if let Some(times) = self.times().get_mut(&channel)
            && let Some(place) = times.iter().position(|taken| *taken == time)
        {
            times.remove(place);
        }
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<u64>>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SUBJECT: &str = "reboots";

    #[test]
    fn three_restarts_an_hour_are_allowed_to_each_camera() {
        let reboots = Hourly::kept(SUBJECT, StateStore::default(), 0);
        let start = 1_000_000;
        for minute in [0, 10, 20] {
            assert_eq!(reboots.take(0, start + minute * 60), Ok(()));
        }
        assert_eq!(reboots.take(0, start + 1800), Err(Duration::from_secs(1800)));
        assert_eq!(reboots.take(1, start + 1800), Ok(()), "another camera");
        assert_eq!(reboots.take(0, start + HOUR), Ok(()), "the first one is an hour old");
        assert_eq!(reboots.take(0, start + HOUR), Err(Duration::from_secs(600)));
    }

    /// Restarts channel 7 `MOST` times at the time `wall`, and keeps that in the folder of `store`.
    async fn exhausted(store: StateStore, wall: u64) -> Hourly {
        let reboots = Hourly::kept(SUBJECT, store, wall);
        for _ in 0..MOST {
            assert_eq!(reboots.take(7, reboots.now()), Ok(()));
            reboots.keep(wall).await;
        }
        reboots
    }

    #[tokio::test(start_paused = true)]
    async fn restarts_are_counted_over_a_restart_of_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let store = || StateStore::new(Some(folder.path().join("state")));
        exhausted(store(), 1_000_000).await;
        let later = Hourly::kept(SUBJECT, store(), 1_000_180);
        assert_eq!(later.take(7, later.now()), Err(Duration::from_secs(HOUR - 180)));
        let much_later = Hourly::kept(SUBJECT, store(), 1_000_000 + HOUR);
        assert_eq!(much_later.take(7, much_later.now()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_starts_in_1970_frees_nothing_and_locks_for_an_hour_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let store = || StateStore::new(Some(folder.path().join("state")));
        exhausted(store(), 2_000_000_000).await;
        let reboots = Hourly::kept(SUBJECT, store(), 30);
        assert_eq!(reboots.take(7, reboots.now()), Err(Duration::from_secs(HOUR)));
        // The clock is set while the agent runs, and the agent restarts.
        reboots.keep(2_000_000_060).await;
        let again = Hourly::kept(SUBJECT, store(), 2_000_000_070);
        assert_eq!(again.take(7, again.now()), Err(Duration::from_secs(HOUR - 10)));
        advance(Duration::from_secs(HOUR)).await;
        assert_eq!(again.take(7, again.now()), Ok(()));
    }
}
