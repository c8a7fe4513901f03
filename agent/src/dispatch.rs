//! From a method's name to its handler, and from our errors to the codes of the wire. One file per
//! family of methods.

mod codes;
mod publish;
mod record;
mod refusals;

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Call;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::channel::Handle;
use refusals::{About, Refusals};

/// A handler that takes longer is given up.
const DEADLINE: Duration = Duration::from_secs(8);
/// Starting a stream may take longer, but the cloud has its answer within 10 s.
const PUBLISH_DEADLINE: Duration = Duration::from_millis(9_800);

/// Serves the cloud's requests.
pub struct Dispatch {
    channels: Vec<Handle>,
    /// Events of the cloud that this device has no use for.
    ignored: AtomicU32,
    refusals: Refusals,
}

impl Dispatch {
    /// Serves these channels; the index is the number.
    pub fn new(channels: Vec<Handle>) -> Self {
        Self { channels, ignored: AtomicU32::new(0), refusals: Refusals::default() }
    }

    /// The answer to one request, within its deadline.
    pub async fn answer(&self, method: String, params: Option<Value>) -> Result<Value, RpcError> {
        let about = About::new(&method, params.as_ref());
        let answer = self.serve(&method, params).await;
        self.refusals.note(&about, answer.as_ref().map(drop));
        answer
    }

    async fn serve(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        let call = match method {
            publish::START | publish::STOP | record::START | record::STOP => {
                Call::parse(method, params)?
            }
            // Honest also where the params make no sense: nothing here would read them.
            _ => return Err(unsupported(method)),
        };
        match call {
            Call::RtmpPublish(ask) => within(PUBLISH_DEADLINE, publish::start(self, ask)).await,
            Call::RtmpStopPublish(ask) => within(DEADLINE, publish::stop(self, ask)).await,
            Call::StartCloudRecord(ask) => within(PUBLISH_DEADLINE, record::start(self, ask)).await,
            Call::StopCloudRecord(ask) => within(DEADLINE, record::stop(self, ask)).await,
            other => Err(unsupported(other.method())),
        }
    }

    /// Takes an event that this device cannot serve. An event has no answer.
    pub fn ignore(&self, event: &str) {
        let count = self.ignored.fetch_add(1, Ordering::Relaxed) + 1;
        log::debug!("event {:?} is not supported ({count} such so far)", excerpt(event));
    }

    /// Events ignored so far.
    pub fn ignored(&self) -> u32 {
        self.ignored.load(Ordering::Relaxed)
    }

    fn channel(&self, number: u32) -> Result<&Handle, RpcError> {
        let channel = usize::try_from(number).ok().and_then(|n| self.channels.get(n));
        let have = self.channels.len();
        let error = || {
            let msg = format!("no channel {number}: this device has {have}, counted from 0");
            RpcError::new(RpcError::NO_CHANNEL, msg)
        };
        channel.ok_or_else(error)
    }
}

/// An empty success.
async fn within(
    limit: Duration,
    work: impl Future<Output = Result<(), RpcError>>,
) -> Result<Value, RpcError> {
    let late = || RpcError::internal(format!("not finished within {} s", limit.as_secs_f32()));
    timeout(limit, work).await.unwrap_or_else(|_| Err(late())).map(|()| json!({}))
}

fn unsupported(method: &str) -> RpcError {
    let msg = format!("{} is not supported by this device", excerpt(method));
    RpcError::new(RpcError::UNSUPPORTED, msg)
}

/// A peer may send names of any length.
fn excerpt(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::channel::testing::deaf;

    async fn answer(dispatch: &Dispatch, method: &str, params: Value) -> Result<Value, RpcError> {
        dispatch.answer(method.into(), Some(params)).await
    }

    fn publish(channel: i64) -> Value {
        json!({"channel": channel, "quality": "hd", "url": "rtmp://127.0.0.1/live/a",
               "stream_id": "s", "max_bitrate": 0})
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_does_not_answer_holds_nobody_up() {
        let (channel, _inbox) = deaf();
        let dispatch = Dispatch::new(vec![channel]);
        let start = Instant::now();
        let error = answer(&dispatch, "RTMPPublish", publish(0)).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

        let start = Instant::now();
        let params = json!({"channel": 0, "stream_id": "s"});
        let error = answer(&dispatch, "RTMPStopPublish", params).await.unwrap_err();
        assert_eq!(error.code, RpcError::INTERNAL);
        assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
    }

    #[tokio::test]
    async fn each_mistake_has_its_code() {
        let (channel, _inbox) = deaf();
        let dispatch = Dispatch::new(vec![channel]);
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

    #[test]
    fn events_are_counted_and_nothing_else() {
        let dispatch = Dispatch::new(Vec::new());
        dispatch.ignore("CtrlPTZ");
        dispatch.ignore("Nonsense");
        assert_eq!(dispatch.ignored(), 2);
    }
}
