//! RebootChannel: answered first, carried out once the answer has left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::RebootChannel;
use tokio::time::Instant;

use super::{Departure, Dispatch, told};
use crate::state::{StateError, StateStore};

/// Most restarts of one camera within `HOUR`.
const MOST: usize = 3;
const HOUR: u64 = 3600;
/// The restarts' name in the state store.
const SUBJECT: &str = "reboots";

pub(super) fn reboot(
    dispatch: &Dispatch,
    request: RebootChannel,
    departure: Departure,
) -> Result<(), RpcError> {
    let number = request.channel;
    let power = dispatch.ability(number, "restart", |camera| &camera.power)?;
    let reboots = dispatch.reboots.clone();
    let now = reboots.now();
    reboots.take(number, now).map_err(|wait| {
        RpcError::internal(format!(
            "channel {number} was restarted {MOST} times within an hour: the next restart is allowed in {} s",
            wait.as_secs()
        ))
    })?;
    tokio::spawn(async move {
        // Kept before the camera is told: that may be the end of this agent, too.
        reboots.keep(wall()).await;
        if departure.await.is_err() {
            log::warn!(
                "channel {number}: not restarted: the cloud was lost before the answer left"
            );
            reboots.give_back(number, now);
            reboots.keep(wall()).await;
            return;
        }
        log::info!("channel {number}: restarting its camera, as the cloud asked");
        if let Err(error) = told(number, power.reboot()).await {
            log::warn!("a camera does not restart: {}", error.msg);
        }
    });
    Ok(())
}

/// Seconds since 1970.
pub(super) fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The restarts of the last hour. They are kept by the wall clock, and count by one that is never set: a
/// device without a clock of its own starts in 1970 and is set while the agent runs.
#[derive(Clone)]
pub(super) struct Reboots {
    /// When each channel was restarted, as [`now`](Self::now) tells it.
    times: Arc<Mutex<BTreeMap<u32, Vec<u64>>>>,
    start: Instant,
    store: StateStore,
    /// Held while the times are written, so that the newest are written last.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Reboots {
    /// Goes on with what `store` has kept; `wall` is the time in seconds since 1970.
    pub(super) fn kept(store: StateStore, wall: u64) -> Self {
        let mut times: BTreeMap<u32, Vec<u64>> = store.read(SUBJECT).unwrap_or_default();
        for time in times.values_mut().flatten() {
            // A time in the future is of a clock that was set back since. It counts as a restart of now.
            *time = HOUR.saturating_sub(wall.saturating_sub(*time));
        }
        Self {
            times: Arc::new(Mutex::new(times)),
            start: Instant::now(),
            store,
            writing: Arc::default(),
        }
    }

    /// Seconds since one hour before the agent's start.
    fn now(&self) -> u64 {
        HOUR + self.start.elapsed().as_secs()
    }

    /// Keeps the restarts, if the disk takes them; they are counted in memory anyway. `wall` is the time in
    /// seconds since 1970.
    async fn keep(&self, wall: u64) {
        let _writing = self.writing.lock().await;
        let (mut times, now) = (self.times().clone(), self.now());
        for time in times.values_mut().flatten() {
            *time = wall.saturating_sub(now.saturating_sub(*time));
        }
        match self.store.write(SUBJECT, &times).await {
            Ok(()) | Err(StateError::NoFolder) => {}
            Err(e) => log::warn!("restarts of cameras are forgotten when the agent restarts: {e}"),
        }
    }

    /// Counts one restart of a channel at `now`.
    ///
    /// # Errors
    /// How long it takes until the next restart is allowed.
    fn take(&self, channel: u32, now: u64) -> Result<(), Duration> {
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

    /// Takes back a restart that was counted at `time` and did not happen.
    fn give_back(&self, channel: u32, time: u64) {
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
    use async_trait::async_trait;
    use ivt_hal::{Error, Kind, Power};
    use ivt_proto::rpc::Subject;
    use ivt_proto::rpc::message::Call;
    use serde_json::json;
    use tokio::sync::{mpsc, oneshot};
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::dispatch::testing::{answer, one};

    /// Tells of each restart, and fails.
    struct Camera(mpsc::UnboundedSender<()>);

    #[async_trait]
    impl Power for Camera {
        async fn reboot(&self) -> ivt_hal::Result<()> {
            self.0.send(()).unwrap();
            Err(Error::new("power reboot", Kind::Other))
        }
    }

    #[test]
    fn three_restarts_an_hour_are_allowed_to_each_camera() {
        let reboots = Reboots::kept(StateStore::default(), 0);
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
    async fn exhausted(store: StateStore, wall: u64) -> Reboots {
        let reboots = Reboots::kept(store, wall);
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
        let later = Reboots::kept(store(), 1_000_180);
        assert_eq!(later.take(7, later.now()), Err(Duration::from_secs(HOUR - 180)));
        let much_later = Reboots::kept(store(), 1_000_000 + HOUR);
        assert_eq!(much_later.take(7, much_later.now()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_starts_in_1970_frees_nothing_and_locks_for_an_hour_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let store = || StateStore::new(Some(folder.path().join("state")));
        exhausted(store(), 2_000_000_000).await;
        let reboots = Reboots::kept(store(), 30);
        assert_eq!(reboots.take(7, reboots.now()), Err(Duration::from_secs(HOUR)));
        // The clock is set while the agent runs, and the agent restarts.
        reboots.keep(2_000_000_060).await;
        let again = Reboots::kept(store(), 2_000_000_070);
        assert_eq!(again.take(7, again.now()), Err(Duration::from_secs(HOUR - 10)));
        advance(Duration::from_secs(HOUR)).await;
        assert_eq!(again.take(7, again.now()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_whose_answer_never_left_does_not_happen_and_counts_for_nothing() {
        let (told, mut restarts) = mpsc::unbounded_channel();
        let dispatch = one(|camera| camera.power = Some(Arc::new(Camera(told))));
        for _ in 0..=MOST {
            let (left, departure) = oneshot::channel::<()>();
            let call = Call::parse("RebootChannel", Some(json!({ "channel": 0 })));
            let until = Instant::now() + Duration::from_secs(17);
            let answered = dispatch.answer(call, Subject::default(), until, departure).await;
            assert_eq!(answered, Ok(json!({})), "those before were given back");
            drop(left);
            let more = timeout(Duration::from_secs(60), restarts.recv()).await;
            assert!(more.is_err(), "the cloud was not answered");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_hears_of_its_restart_after_the_answer_has_left() {
        let (told, mut restarts) = mpsc::unbounded_channel();
        let dispatch = one(|camera| camera.power = Some(Arc::new(Camera(told))));
        let (left, departure) = oneshot::channel::<()>();
        let call = Call::parse("RebootChannel", Some(json!({ "channel": 0 })));
        let until = Instant::now() + Duration::from_secs(17);
        let answered = dispatch.answer(call, Subject::default(), until, departure).await;
        assert_eq!(answered, Ok(json!({})));
        let early = timeout(Duration::from_secs(60), restarts.recv()).await;
        assert!(early.is_err(), "before the answer has left");
        left.send(()).unwrap();
        assert_eq!(restarts.recv().await, Some(()));

        for _ in 1..MOST {
            assert_eq!(
                answer(&dispatch, "RebootChannel", json!({ "channel": 0 })).await,
                Ok(json!({}))
            );
            assert_eq!(restarts.recv().await, Some(()));
        }
        let error = answer(&dispatch, "RebootChannel", json!({ "channel": 0 })).await.unwrap_err();
        assert!(error.code == 1 && error.msg.contains("the next restart is allowed in"), "{error}");
        let more = timeout(Duration::from_secs(60), restarts.recv()).await;
        assert!(more.is_err(), "each request is one restart");
    }
}
