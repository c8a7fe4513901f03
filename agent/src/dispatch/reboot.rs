//! RebootChannel: answered first, carried out once the answer has left.

use std::time::{SystemTime, UNIX_EPOCH};

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::RebootChannel;

use super::hourly::MOST;
use super::{Departure, Dispatch, told};

/// The restarts' name in the state store.
pub(super) const SUBJECT: &str = "reboots";

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
    ivt_base::task::spawn(async move {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

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
