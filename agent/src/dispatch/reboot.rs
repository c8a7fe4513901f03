//! RebootChannel: answered first, carried out once the answer has left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::RebootChannel;

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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    dispatch.reboots.take(number, now).map_err(|wait| {
        RpcError::internal(format!(
            "channel {number} was restarted {MOST} times within an hour: the next restart is allowed in {} s",
            wait.as_secs()
        ))
    })?;
    let kept = dispatch.reboots.clone();
    tokio::spawn(async move {
        // Kept before the camera is told: that may be the end of this agent, too.
        kept.keep().await;
        // An error is all that a departure tells: the answer has left, or its connection is gone.
        departure.await.ok();
        log::info!("channel {number}: restarting its camera, as the cloud asked");
        if let Err(error) = told(number, power.reboot()).await {
            log::warn!("a camera does not restart: {}", error.msg);
        }
    });
    Ok(())
}

/// The restarts of the last hour. They count by the wall clock, so that they can be kept over a restart of
/// the agent.
#[derive(Clone, Default)]
pub(super) struct Reboots {
    /// Seconds since 1970 of each channel's restarts.
    times: Arc<Mutex<BTreeMap<u32, Vec<u64>>>>,
    store: StateStore,
}

impl Reboots {
    /// Goes on with what `store` has kept.
    pub(super) fn kept(store: StateStore) -> Self {
        let times = store.read(SUBJECT).unwrap_or_default();
        Self { times: Arc::new(Mutex::new(times)), store }
    }

    /// Keeps the restarts, if the disk takes them; they are counted in memory anyway.
    async fn keep(&self) {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.store.write(SUBJECT, &times).await {
            Ok(()) | Err(StateError::NoFolder) => {}
            Err(e) => log::warn!("restarts of cameras are forgotten when the agent restarts: {e}"),
        }
    }

    /// Counts one restart of a channel at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// How long it takes until the next restart is allowed.
    fn take(&self, channel: u32, now: u64) -> Result<(), Duration> {
        let mut channels = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = channels.entry(channel).or_default();
        // A time in the future is of a clock that was set back since, and says nothing.
        times.retain(|time| *time <= now && now - time < HOUR);
        match times.first() {
            Some(oldest) if times.len() >= MOST => Err(Duration::from_secs(HOUR - (now - oldest))),
            _ => {
                times.push(now);
                Ok(())
            }
        }
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
    use tokio::time::{Instant, timeout};

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
        let reboots = Reboots::default();
        let start = 1_000_000;
        for minute in [0, 10, 20] {
            assert_eq!(reboots.take(0, start + minute * 60), Ok(()));
        }
        assert_eq!(reboots.take(0, start + 1800), Err(Duration::from_secs(1800)));
        assert_eq!(reboots.take(1, start + 1800), Ok(()), "another camera");
        assert_eq!(reboots.take(0, start + HOUR), Ok(()), "the first one is an hour old");
        assert_eq!(reboots.take(0, start + HOUR), Err(Duration::from_secs(600)));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let reboots = Reboots::default();
        for _ in 0..MOST {
            assert_eq!(reboots.take(0, 2_000_000_000), Ok(()));
        }
        assert_eq!(reboots.take(0, 1_000), Ok(()));
    }

    #[tokio::test]
    async fn restarts_are_counted_over_a_restart_of_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let store = || StateStore::new(Some(folder.path().join("state")));
        for minute in 0..3 {
            let reboots = Reboots::kept(store());
            assert_eq!(reboots.take(7, 1_000_000 + minute * 60), Ok(()));
            reboots.keep().await;
        }
        let wait = Reboots::kept(store()).take(7, 1_000_180);
        assert_eq!(wait, Err(Duration::from_secs(HOUR - 180)));
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
        drop(left);
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
