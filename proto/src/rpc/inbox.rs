//! Their requests: started in order, answered in order, each within its time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Number, Value};

use super::message::Call;
use super::{ANSWER_WITHIN, MAX_REQUESTS, RpcError, Subject, Violation, packet};

/// The right to answer one request, spent by [`Peer::respond`](super::Peer::respond). A ticket that
/// is dropped, spent too late, or spent at another connection's peer changes nothing.
#[derive(Debug)]
#[must_use = "an unanswered request is answered with an error after 18 s"]
pub struct Ticket {
    number: u64,
    inbox: Arc<()>,
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
    /// How many answers have left: the number of the front one of `started`.
    gone: u64,
    /// Tells our tickets from those of other connections.
    identity: Arc<()>,
}

struct Queued {
    header: Header,
    call: Call,
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
}

impl Inbox {
    pub(super) fn push(
        &mut self,
        now: Instant,
        seq: Value,
        call: Call,
        subject: Subject,
    ) -> Result<(), Violation> {
        if self.started.len() + self.queued.len() >= MAX_REQUESTS {
            return Err(Violation::TooManyRequests);
        }
        let Subject { channel, session } = subject;
        let header = Header { seq, deadline: now + ANSWER_WITHIN, channel };
        self.queued.push_back(Queued { header, call, session });
        Ok(())
    }

    /// The next request, unless one that runs is in its way. It then also holds up those behind it.
    pub(super) fn start(&mut self) -> Option<Incoming> {
        let started = &self.started;
        let next = self.queued.pop_front_if(|next| {
            let mut running = started.iter().filter(|request| request.answer.is_none());
            !running.any(|earlier| earlier.header.overlaps(&next.header))
        })?;
        let number = self.gone + self.started.len() as u64;
        let Queued { header, call, session } = next;
        let ticket = Ticket { number, inbox: Arc::clone(&self.identity) };
        let subject = Subject { channel: header.channel.clone(), session };
        let deadline = header.deadline;
        self.started.push_back(Started { header, answer: None });
        Some(Incoming { ticket, call, subject, deadline })
    }

    pub(super) fn respond(&mut self, ticket: Ticket, result: Result<Value, RpcError>) {
        if !Arc::ptr_eq(&ticket.inbox, &self.identity) {
            return;
        }
        let index = ticket.number.checked_sub(self.gone).and_then(|n| usize::try_from(n).ok());
        let Some(request) = index.and_then(|index| self.started.get_mut(index)) else { return };
        if request.answer.is_none() {
            request.answer = Some(packet::answer(&request.header.seq, result));
        }
    }

    /// Answers what is due with an error, and so frees its channel.
    pub(super) fn expire(&mut self, now: Instant) {
        let limit = ANSWER_WITHIN.as_secs();
        for request in self.started.iter_mut().take_while(|request| request.header.deadline <= now)
        {
            let error = || RpcError::internal(format!("not finished within {limit} s"));
            let seq = &request.header.seq;
            request.answer.get_or_insert_with(|| packet::answer(seq, Err(error())));
        }
        while let Some(late) = self.queued.pop_front_if(|next| next.header.deadline <= now) {
            let msg = format!("not started within {limit} s: earlier requests took too long");
            let answer = packet::answer(&late.header.seq, Err(RpcError::internal(msg)));
            self.started.push_back(Started { header: late.header, answer: Some(answer) });
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
        self.gone += 1;
        Some(answer)
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
