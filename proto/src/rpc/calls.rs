//! Our own requests: one outstanding, the rest in a queue.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Number, Value};

use super::{MAX_CALLS, MAX_MESSAGE, RESPONSE_TIMEOUT, RpcError, Violation, packet};

/// Names one request of ours; it is also the request's `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// Why a request or event of ours was not taken. The connection is not harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: the other side does not keep up.
    #[error("too many messages wait for the other side")]
    Full,
    /// The message would be longer than the protocol's limit.
    #[error("the message has {bytes} bytes, more than the {MAX_MESSAGE} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

#[derive(Default)]
pub(super) struct Calls {
    /// The `seq` given out last; the first one is 1.
    last: u64,
    queue: VecDeque<Call>,
    outstanding: Option<Outstanding>,
    replies: VecDeque<(CallId, Result<Value, RpcError>)>,
}

struct Call {
    seq: u64,
    method: String,
    text: String,
}

struct Outstanding {
    seq: u64,
    method: String,
    /// Taken by the driver; a request still here cannot have been answered.
    unsent: Option<String>,
    deadline: Instant,
}

impl Calls {
    pub(super) fn push(
        &mut self,
        now: Instant,
        method: &str,
        params: Option<&Value>,
    ) -> Result<CallId, Refused> {
        if self.queue.len() >= MAX_CALLS {
            return Err(Refused::Full);
        }
        let seq = self.last + 1;
        let text = packet::request(method, params, seq);
        let text = text.map_err(|bytes| Refused::TooLong { bytes })?;
        self.last = seq;
        self.queue.push_back(Call { seq, method: method.to_owned(), text });
        self.advance(now);
        Ok(CallId(seq))
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        seq: Number,
        result: Result<Value, RpcError>,
    ) -> Result<(), Violation> {
        let Some(call) = self.outstanding.take_if(|call| call.unsent.is_none()) else {
            return Err(Violation::Unasked { received: seq });
        };
        if seq.as_u64() != Some(call.seq) {
            let expected = call.seq;
            self.outstanding = Some(call);
            return Err(Violation::WrongSeq { expected, received: seq });
        }
        self.replies.push_back((CallId(call.seq), result));
        self.advance(now);
        Ok(())
    }

    pub(super) fn expire(&self, now: Instant) -> Result<(), Violation> {
        match &self.outstanding {
            Some(call) if call.deadline <= now => {
                Err(Violation::NoAnswer { method: call.method.clone(), seq: call.seq })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.outstanding.as_ref().map(|call| call.deadline)
    }

    pub(super) fn reply(&mut self) -> Option<(CallId, Result<Value, RpcError>)> {
        self.replies.pop_front()
    }

    pub(super) fn transmit(&mut self) -> Option<String> {
        self.outstanding.as_mut()?.unsent.take()
    }

    fn advance(&mut self, now: Instant) {
        if self.outstanding.is_none() {
            self.outstanding = self.queue.pop_front().map(|call| Outstanding {
                seq: call.seq,
                method: call.method,
                unsent: Some(call.text),
                deadline: now + RESPONSE_TIMEOUT,
            });
        }
    }
}
