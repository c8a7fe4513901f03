//! Their requests: started in order, answered in order, each within its time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Number, Value};

use super::message::Call;
use super::unopened::Unopened;
use super::{ANSWER_WITHIN, MAX_REQUEST_BYTES, MAX_REQUESTS, RpcError, Subject, Violation, packet};

/// The right to answer one request, spent by [`Peer::respond`](super::Peer::respond). A ticket that
/// is dropped, spent too late, or spent at another connection's peer changes nothing.
#[derive(Debug)]
#[must_use = "an unanswered request is answered with an error after 18 s"]
pub struct Ticket {
    number: u64,
    inbox: Arc<()>,
}

impl Ticket {
    /// How many requests of its connection started or were refused before its own. Answers leave in this
    /// order: see [`Peer::answers`](super::Peer::answers).
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A request of theirs that may start now.
#[derive(Debug)]
pub struct Incoming {
    /// What the request is answered with.
    pub ticket: Ticket,
    /// What is asked for, read as far as it can be.
    pub call: Call,
    /// What the request is about, for the log.
    pub subject: Subject,
    /// An answer after this moment changes nothing: the other side has been told of an error.
    pub deadline: Instant,
}

#[derive(Default)]
pub(super) struct Inbox {
    /// Those that have started or never will, then those that wait to: both in order of arrival, so
    /// that deadlines only grow from the front of the one to the back of the other.
    started: VecDeque<Started>,
    queued: VecDeque<Queued>,
    /// The bytes of all headers.
    bytes: usize,
    /// How many answers have left: the number of the front one of `started`.
    gone: u64,
    /// Tells our tickets from those of other connections.
    identity: Arc<()>,
}

struct Queued {
    header: Header,
    /// `None`: there was no room for it, and it is refused in its turn.
    call: Option<Unopened>,
    /// The name of the recording or live stream it is about.
    session: Option<String>,
}

struct Started {
    header: Header,
    /// The text to send; `None` while the request runs.
    answer: Option<String>,
}

struct Header {
    /// As it came: an answer repeats it.
    seq: Value,
    deadline: Instant,
    /// The channel the request concerns; `None`: the whole device.
    channel: Option<Number>,
    /// Length of its texts until it is answered, then of its answer.
    bytes: usize,
}

impl Inbox {
    pub(super) fn push(
        &mut self,
        now: Instant,
        seq: Value,
        call: Unopened,
        subject: Subject,
    ) -> Result<(), Violation> {
        if self.is_full() {
            return Err(Violation::TooManyRequests);
        }
        let Subject { channel, session } = subject;
        let bytes = call.bytes() + session.as_ref().map_or(0, String::len);
        let fits = self.bytes + bytes <= MAX_REQUEST_BYTES;
        let (bytes, call, session) =
            if fits { (bytes, Some(call), session) } else { (0, None, None) };
        self.bytes += bytes;
        let header = Header { seq, deadline: now + ANSWER_WITHIN, channel, bytes };
        self.queued.push_back(Queued { header, call, session });
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.started.len() + self.queued.len() >= MAX_REQUESTS
    }

    /// The next request, unless one that runs is in its way. It then also holds up those behind it.
    pub(super) fn start(&mut self) -> Option<Incoming> {
        loop {
            let started = &self.started;
            let Queued { header, call, session } = self.queued.pop_front_if(|next| {
                let mut running = started.iter().filter(|request| request.answer.is_none());
                next.call.is_none() || !running.any(|earlier| earlier.header.overlaps(&next.header))
            })?;
            let Some(call) = call else {
                self.finish(header, refusal());
                continue;
            };
            let number = self.gone + self.started.len() as u64;
            let ticket = Ticket { number, inbox: Arc::clone(&self.identity) };
            let subject = Subject { channel: header.channel.clone(), session };
            let deadline = header.deadline;
            self.started.push_back(Started { header, answer: None });
            return Some(Incoming { ticket, call: call.open(), subject, deadline });
        }
    }

    pub(super) fn respond(&mut self, ticket: Ticket, result: Result<Value, RpcError>) {
        if !Arc::ptr_eq(&ticket.inbox, &self.identity) {
            return;
        }
        let index = ticket.number.checked_sub(self.gone).and_then(|n| usize::try_from(n).ok());
        let Some(request) = index.and_then(|index| self.started.get_mut(index)) else { return };
        if request.answer.is_none() {
            request.settle(result, &mut self.bytes);
        }
    }

    /// Answers what is due with an error, and so frees its channel.
    pub(super) fn expire(&mut self, now: Instant) {
        let limit = ANSWER_WITHIN.as_secs();
        let due = self.started.iter_mut().take_while(|request| request.header.deadline <= now);
        for request in due.filter(|request| request.answer.is_none()) {
            let error = RpcError::internal(format!("not finished within {limit} s"));
            request.settle(Err(error), &mut self.bytes);
        }
        while let Some(late) = self.queued.pop_front_if(|next| next.header.deadline <= now) {
            let msg = format!("not started within {limit} s: earlier requests took too long");
            let error = late.call.map_or_else(refusal, |_| RpcError::internal(msg));
            self.finish(late.header, error);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let running = self.started.iter().filter(|request| request.answer.is_none());
        let headers = running.map(|request| &request.header);
        let mut headers = headers.chain(self.queued.iter().map(|request| &request.header));
        headers.next().map(|header| header.deadline)
    }

    /// The next answer; none while the oldest request still waits for its own.
    pub(super) fn transmit(&mut self) -> Option<String> {
        let answer = self.started.front_mut()?.answer.take()?;
        self.started.pop_front();
        self.bytes -= answer.len();
        self.gone += 1;
        Some(answer)
    }

    /// How many answers were given out.
    pub(super) fn answers(&self) -> u64 {
        self.gone
    }

    /// Answers a request with an error instead of starting it.
    fn finish(&mut self, header: Header, error: RpcError) {
        let mut request = Started { header, answer: None };
        request.settle(Err(error), &mut self.bytes);
        self.started.push_back(request);
    }
}

impl Started {
    /// Sets the answer, whose bytes count from now on instead of the request's own.
    fn settle(&mut self, result: Result<Value, RpcError>, bytes: &mut usize) {
        let answer = packet::answer(&self.header.seq, result);
        *bytes = *bytes - self.header.bytes + answer.len();
        self.header.bytes = answer.len();
        self.answer = Some(answer);
    }
}

impl Header {
    fn overlaps(&self, other: &Header) -> bool {
        match (&self.channel, &other.channel) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }
}

/// The error for a request that there was no room for.
fn refusal() -> RpcError {
    let most = MAX_REQUEST_BYTES >> 10;
    RpcError::internal(format!("too many requests wait: expected at most {most} KiB of them"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn push(inbox: &mut Inbox, now: Instant, seq: u32, params: &str) {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        let (call, subject) = Unopened::new("Any", Some(&params));
        inbox.push(now, seq.into(), call, subject).unwrap();
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the clock only gives a first moment")]
    fn every_byte_is_counted_from_arrival_until_its_answer_has_left() {
        let (mut inbox, now) = (Inbox::default(), Instant::now());
        let params = r#"{"channel":0,"stream_id":"name"}"#;
        let bytes = "Any".len() + params.len() + "name".len();
        for seq in 0..4 {
            push(&mut inbox, now, seq, params);
        }
        assert_eq!(inbox.bytes, 4 * bytes);
        let first = inbox.start().unwrap();
        assert_eq!(inbox.bytes, 4 * bytes, "its handler holds them now");
        assert_eq!((first.ticket.number(), inbox.answers()), (0, 0));
        inbox.respond(first.ticket, Ok(json!({})));
        let answer = r#"{"resp":{},"seq":0}"#;
        assert_eq!(inbox.bytes, 3 * bytes + answer.len());
        assert_eq!(inbox.transmit().as_deref(), Some(answer));
        assert_eq!((inbox.bytes, inbox.answers()), (3 * bytes, 1));
        drop(inbox.start());
        inbox.expire(now + ANSWER_WITHIN);
        let left: usize = std::iter::from_fn(|| inbox.transmit()).map(|text| text.len()).sum();
        assert!(left > 0);
        assert_eq!(inbox.bytes, 0);
    }
}
