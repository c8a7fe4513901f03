//! Calls of our own to the cloud: whoever has a [`Calls`] makes them, the link carries them out one after
//! another. A Keepalive waits for one of them at most.

use ivt_proto::rpc::message::{self, Call, ToCloud};
use ivt_proto::rpc::{Refused, RpcError};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

/// Calls that may wait behind the one that was sent.
pub const MAX_WAITING: usize = 16;

/// Makes calls to the cloud. Clones share one queue.
#[derive(Clone)]
pub struct Calls(watch::Receiver<Line>);

/// Why a call has no answer. Only after [`Lost`](Self::Lost) the cloud may have carried it out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection.
    #[error("the cloud is not connected")]
    Offline,
    /// The cloud does not keep up with the calls.
    #[error("{MAX_WAITING} calls to the cloud are waiting already")]
    Full,
    /// The message cannot be sent.
    #[error("the call cannot be sent: {0}")]
    Unsendable(Refused),
    /// The connection ended before the answer came, also because the cloud took longer than its 20 s.
    #[error("the connection to the cloud was lost before the answer came")]
    Lost,
    /// The cloud refuses it.
    #[error("the cloud answered with {0}")]
    Rejected(RpcError),
    /// The answer has another form than the specification's.
    #[error("the cloud's answer cannot be read: {0}")]
    Unreadable(RpcError),
}

impl Calls {
    /// Makes one call and waits for its answer: for its turn as long as the calls before it take, then
    /// for 20 s at most. A call that is dropped before its turn is not made.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn call<T: ToCloud>(&self, request: T) -> Result<T::Answer, CallError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { call: request.into(), answer };
        self.hand_over(waiting)?;
        let answer = answered.await.unwrap_or(Err(CallError::Lost))?;
        message::from_value(answer).map_err(CallError::Unreadable)
    }

    /// Keeps no sender: a call that reaches the queue as it closes is dropped with the last of them.
    fn hand_over(&self, waiting: Waiting) -> Result<(), CallError> {
        let line = self.0.borrow().clone().ok_or(CallError::Offline)?;
        line.try_send(waiting).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CallError::Full,
            mpsc::error::TrySendError::Closed(_) => CallError::Offline,
        })
    }
}

/// Where the link takes calls from, connection by connection.
#[derive(Default)]
pub struct CallQueue(watch::Sender<Line>);

impl CallQueue {
    /// A handle that makes calls over every connection to come.
    pub fn calls(&self) -> Calls {
        Calls(self.0.subscribe())
    }

    /// Takes calls from now on, until the result is dropped: then those without an answer are lost.
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

/// A call whose turn has not come.
pub(super) struct Waiting {
    pub(super) call: Call,
    pub(super) answer: Answer,
}

/// Gives the answer to whoever made the call; dropped without one, it tells of a lost connection.
pub(super) type Answer = oneshot::Sender<Result<Value, CallError>>;

/// Where calls are put; `None` without a connection.
type Line = Option<mpsc::Sender<Waiting>>;

impl OpenQueue<'_> {
    /// The next call that somebody still waits for. Cancel safe.
    pub(super) async fn next(&mut self) -> Waiting {
        loop {
            match self.waiting.recv().await {
                Some(waiting) if waiting.answer.is_closed() => {}
                Some(waiting) => return waiting,
                // The other end is held by the queue until this one is dropped.
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
