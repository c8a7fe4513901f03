//! Takes requests and events of the cloud to their handlers, one file per family of methods.
//! `codes` turns our errors into codes of the wire.

mod codes;
mod constant;
mod events;
mod publish;
mod record;
mod refusals;

use std::future::Future;
use std::time::Duration;

use ivt_proto::rpc::message::{Call, to_value};
use ivt_proto::rpc::{RpcError, Subject};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::channel::Handle;
use crate::deadlines::{HANDLER, START_HANDLER};
use crate::reload::CurrentDevice;
use crate::state::StateStore;
use constant::ConstantPublishes;
use refusals::{About, Refusals};

pub use events::EventCounts;

/// Serves the cloud's requests and events.
pub struct Dispatch {
    /// The hardware, as it is configured at the moment.
    device: CurrentDevice,
    /// The tasks that publish and record the channels of `device`, in the same order.
    channels: Vec<Handle>,
    constant: ConstantPublishes,
    events: watch::Sender<EventCounts>,
    refusals: Refusals,
}

impl Dispatch {
    /// Serves `device` and the tasks of its channels; the index is the channel's number on the wire.
    /// Begins the constant publishes that `store` has kept.
    pub(crate) fn new(device: CurrentDevice, channels: Vec<Handle>, store: StateStore) -> Self {
        let events = watch::Sender::new(EventCounts::default());
        let constant = ConstantPublishes::start(channels.clone(), store);
        Self { device, channels, constant, events, refusals: Refusals::default() }
    }

    /// The answer to one request. The work is given up when it takes longer than the limit for its
    /// kind of request, or when `until` has passed.
    ///
    /// # Errors
    ///
    /// The error to answer with; the log was told already.
    pub async fn answer(
        &self,
        call: Call,
        subject: Subject,
        until: Instant,
    ) -> Result<Value, RpcError> {
        let about = About { method: call.method().to_owned(), subject };
        let answer = self.serve(call, until).await;
        self.refusals.note(&about, answer.as_ref().map(drop));
        answer
    }

    async fn serve(&self, call: Call, until: Instant) -> Result<Value, RpcError> {
        match call {
            Call::RtmpPublish(request) => {
                within(START_HANDLER, until, publish::start(self, request?)).await
            }
            Call::RtmpStopPublish(request) => {
                within(HANDLER, until, publish::stop(self, request?)).await
            }
            Call::StartCloudRecord(request) => {
                within(START_HANDLER, until, record::start(self, request?)).await
            }
            Call::StopCloudRecord(request) => {
                within(HANDLER, until, record::stop(self, request?)).await
            }
            Call::GetRtmpPublishConfig => to_value(&self.constant.list().await),
            Call::SetRtmpPublishConfig(request) => {
                within(HANDLER, until, self.constant.replace(request?)).await
            }
            // A method without a handler is refused even if its params make no sense, since nothing
            // here reads them.
            other => Err(unsupported(other.method())),
        }
    }

    /// The handle of the channel's tasks.
    fn channel(&self, number: u32) -> Result<&Handle, RpcError> {
        nth(&self.channels, number)
    }

    /// The camera of the channel.
    fn camera(&self, number: u32) -> Result<ivt_hal::Channel, RpcError> {
        nth(&self.device.now().channels, number).cloned()
    }
}

fn nth<T>(channels: &[T], number: u32) -> Result<&T, RpcError> {
    usize::try_from(number).ok().and_then(|number| channels.get(number)).ok_or_else(|| {
        let have = channels.len();
        let msg = format!("no channel {number}: this device has {have}, counted from 0");
        RpcError::new(RpcError::NO_CHANNEL, msg)
    })
}

/// An empty success once `work` is done; the error for a timeout after `limit`, or at `until` if
/// that is earlier.
async fn within(
    limit: Duration,
    until: Instant,
    work: impl Future<Output = Result<(), RpcError>>,
) -> Result<Value, RpcError> {
    let own = Instant::now() + limit;
    match timeout_at(own.min(until), work).await {
        Ok(done) => done.map(|()| json!({})),
        Err(_) if until < own => {
            Err(RpcError::internal("not finished in time: earlier requests took too long"))
        }
        Err(_) => Err(RpcError::internal(format!("not finished within {} s", limit.as_secs_f32()))),
    }
}

fn unsupported(name: &str) -> RpcError {
    RpcError::new(RpcError::UNSUPPORTED, format!("{name} is not supported by this device"))
}

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;

    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Device, Model};

    use super::*;

    /// A dispatch over an NVR of emulated cameras, one for each of `channels`.
    pub(crate) fn dispatch(channels: Vec<Handle>) -> Dispatch {
        let camera = |_| ivt_hal::Channel::new(Arc::new(Emulator::default()));
        let cameras = channels.iter().map(camera).collect();
        let device = Device { model: Model::Nvr, channels: cameras, cgi: None };
        Dispatch::new(CurrentDevice::new(device), channels, StateStore::default())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::dispatch;
    use super::*;
    use crate::channel::testing::deaf;

    async fn answer(dispatch: &Dispatch, method: &str, params: Value) -> Result<Value, RpcError> {
        let until = Instant::now() + Duration::from_secs(17);
        dispatch.answer(Call::parse(method, Some(params)), Subject::default(), until).await
    }

    fn publish(channel: i64) -> Value {
        json!({"channel": channel, "quality": "hd", "url": "rtmp://127.0.0.1/live/a",
               "stream_id": "s", "max_bitrate": 0})
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_does_not_answer_holds_nobody_up() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let start = Instant::now();
        let error = answer(&dispatch, "RTMPPublish", publish(0)).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

        let start = Instant::now();
        let params = json!({"channel": 0, "stream_id": "s"});
        let error = answer(&dispatch, "RTMPStopPublish", params).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert_eq!(start.elapsed().as_secs(), HANDLER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_has_only_what_is_left_of_its_time() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let start = Instant::now();
        let call = Call::parse("RTMPPublish", Some(publish(0)));
        let until = start + Duration::from_secs(3);
        let error = dispatch.answer(call, Subject::default(), until).await.unwrap_err();
        assert!(error.msg.contains("earlier requests took too long"), "{error}");
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn each_mistake_has_its_code() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let stop = json!({"channel": 1, "stream_id": "s"});
        let mut wrong_quality = publish(0);
        wrong_quality["quality"] = json!("uhd");
        let mut wrong_url = publish(0);
        wrong_url["url"] = json!("http://127.0.0.1/live/a");
        for (method, params, code, word) in [
            ("RTMPPublish", publish(1), 102, "no channel 1"),
            ("RTMPPublish", publish(-1), 102, ""),
            ("RTMPPublish", publish(1 << 40), 102, ""),
            ("RTMPPublish", json!({"channel": 0}), 1, "quality"),
            ("RTMPPublish", wrong_quality, 1, "quality"),
            ("RTMPPublish", wrong_url, 1, "params.url"),
            ("RTMPStopPublish", stop, 102, "no channel 1"),
            ("RTMPStopPublish", json!({"channel": 0}), 1, "stream_id"),
            ("GetNetConfig", json!({"channel": 0}), 101, "GetNetConfig"),
            ("StartCloudRecord", json!({}), 1, "session_id"),
            ("StopCloudRecord", json!({"channel": 1, "session_id": "s"}), 102, "no channel 1"),
            ("Keepalive", json!(null), 101, ""),
            ("rtmppublish", publish(0), 101, "rtmppublish"),
        ] {
            let error = answer(&dispatch, method, params.clone()).await.unwrap_err();
            assert_eq!(error.code, code, "{method} {params}: {error}");
            assert!(error.msg.contains(word), "{method} {params}: {error}");
        }
    }
}
