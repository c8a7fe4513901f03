//! Calls from the device to the cloud. Whoever has a [`Calls`] makes them, the link carries them
//! out one after another. A Keepalive waits for at most one call.

use ivt_proto::rpc::message::{self, Call, ToCloud};
use ivt_proto::rpc::{Refused, RpcError};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

/// How many calls may wait behind the one that was sent.
pub const MAX_WAITING: usize = 16;

/// Makes calls to the cloud. Clones share one queue.
#[derive(Clone)]
pub struct Calls(watch::Receiver<Line>);

/// Why a call has no answer. After [`Lost`](Self::Lost) the cloud may have carried the call out,
/// after every other error it has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection to the cloud.
    #[error("the cloud is not connected")]
    Offline,
    /// As many calls are waiting as the queue holds.
    #[error("{MAX_WAITING} calls to the cloud are waiting already")]
    Full,
    /// The message of the call cannot be sent.
    #[error("the call cannot be sent: {0}")]
    Unsendable(Refused),
    /// The connection ended before the answer came, also because the cloud took longer than its 20 s.
    #[error("the connection to the cloud was lost before the answer came")]
    Lost,
    /// The cloud answered with an error.
    #[error("the cloud answered with {0}")]
    Rejected(RpcError),
    /// The answer does not have the form that the specification gives it.
    #[error("the cloud's answer cannot be read: {0}")]
    Unreadable(RpcError),
}

impl Calls {
    /// Makes one call and waits for its answer: first for the calls before it, then for 20 s at
    /// most. A call that is dropped before its turn is not made.
    ///
    /// # Errors
    ///
    /// [`CallError`] says why there is no answer.
    pub async fn call<T: ToCloud>(&self, request: T) -> Result<T::Answer, CallError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { call: request.into(), answer };
        self.hand_over(waiting)?;
        let answer = answered.await.unwrap_or(Err(CallError::Lost))?;
        message::from_value(answer).map_err(CallError::Unreadable)
    }

    /// Whether there is a connection to the cloud.
    #[cfg(feature = "alarms")]
    pub fn is_connected(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns once there is a connection to the cloud; never returns when the agent ends.
    #[cfg(feature = "alarms")]
    pub async fn connected(&self) {
        if self.0.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Puts a call into the queue. No sender outlives this: if the queue closes at this moment, the
    /// call is dropped with the last sender.
    fn hand_over(&self, waiting: Waiting) -> Result<(), CallError> {
        let line = self.0.borrow().clone().ok_or(CallError::Offline)?;
        line.try_send(waiting).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CallError::Full,
            mpsc::error::TrySendError::Closed(_) => CallError::Offline,
        })
    }
}

/// Where the link takes calls from, one connection after another.
#[derive(Default)]
pub struct CallQueue(watch::Sender<Line>);

impl CallQueue {
    /// A handle whose calls go over whichever connection there is.
    pub fn calls(&self) -> Calls {
        Calls(self.0.subscribe())
    }

    /// Takes calls until the result is dropped, which loses the calls without an answer.
    pub(super) fn open(&self) -> OpenQueue<'_> {
        let (line, waiting) = mpsc::channel(MAX_WAITING);
        self.0.send_replace(Some(line));
        OpenQueue { queue: self, waiting }
    }
}

/// The calls of one connection.
pub(super) struct OpenQueue<'a> {
    queue: &'a CallQueue,
    waiting: mpsc::Receiver<Waiting>,
}

/// A call that is not sent yet.
pub(super) struct Waiting {
    pub(super) call: Call,
    pub(super) answer: Answer,
}

/// Where the answer goes to whoever made the call. Dropping it without an answer reports a lost
/// connection.
pub(super) type Answer = oneshot::Sender<Result<Value, CallError>>;

/// Where calls are put; `None` while there is no connection.
type Line = Option<mpsc::Sender<Waiting>>;

impl OpenQueue<'_> {
    /// The next call that somebody still waits for. Cancel safe.
    pub(super) async fn next(&mut self) -> Waiting {
        loop {
            match self.waiting.recv().await {
                Some(waiting) if waiting.answer.is_closed() => {}
                Some(waiting) => return waiting,
                // `queue` holds a sender until this receiver is dropped, so this arm is never
                // reached.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for OpenQueue<'_> {
    fn drop(&mut self) {
        self.queue.0.send_replace(None);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Calls that `cloud` answers, as long as the runtime runs.
    pub(crate) fn answered(
        mut cloud: impl FnMut(Call) -> Result<Value, CallError> + Send + 'static,
    ) -> Calls {
        let queue: &'static CallQueue = Box::leak(Box::default());
        let calls = queue.calls();
        let mut open = queue.open();
        ivt_base::task::spawn(async move {
            loop {
                let Waiting { call, answer } = open.next().await;
                answer.send(cloud(call)).ok();
            }
        });
        calls
    }
}

#[cfg(feature = "alarms")]
#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_connection_is_known_while_it_lasts() {
        let queue = CallQueue::default();
        let calls = queue.calls();
        for _ in 0..2 {
            assert!(!calls.is_connected() && calls.connected().now_or_never().is_none());
            let _open = queue.open();
            assert!(calls.is_connected() && calls.connected().now_or_never().is_some());
        }
        drop(queue);
        assert!(calls.connected().now_or_never().is_none(), "the agent ends");
    }
}
