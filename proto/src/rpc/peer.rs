use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use super::calls::Calls;
use super::events::Events;
use super::inbox::Inbox;
use super::lenient::{self, Blanks};
use super::message::Event;
use super::packet::{self, Packet};
use super::{CallId, Incoming, MAX_EVENTS, MAX_MESSAGE, Refused, RpcError, Ticket, Violation};

/// How lenient a [`Peer`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Take a packet with `seq` and neither `resp` nor `err` for an empty success.
    pub accept_bare_answers: bool,
}

/// One end of one connection; device and cloud are the same machine.
///
/// Drain every `poll_*` after each `handle_*`, [`call`](Self::call), [`notify`](Self::notify) and
/// [`respond`](Self::respond). A packet that violates the protocol leaves the peer as it was, so that
/// a debugging tool may go on; everybody else closes the connection.
#[derive(Default)]
pub struct Peer {
    options: Options,
    inbox: Inbox,
    calls: Calls,
    events: Events,
    blanks: Blanks,
    /// Events of ours, as text.
    notices: VecDeque<String>,
}

impl Peer {
    /// A peer at the start of its connection.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// Takes one message: a packet, also with a byte order mark before or NUL behind it, or nothing
    /// but white space and NUL, which says nothing.
    ///
    /// # Errors
    ///
    /// The message breaks the protocol, or a time limit has passed.
    pub fn handle_text(&mut self, now: Instant, text: &str) -> Result<(), Violation> {
        self.handle_timeout(now)?;
        if text.len() <= MAX_MESSAGE && lenient::says_nothing(text) {
            return self.blanks.push(now);
        }
        let packet = packet::parse(text, self.options.accept_bare_answers)?;
        self.blanks = Blanks::default();
        match packet {
            Packet::Request { seq, call, subject } => self.inbox.push(now, seq, call, subject),
            Packet::Answer { seq, result } => self.calls.answer(now, seq, result),
            Packet::Event(event) => {
                self.events.push(event, text.len());
                Ok(())
            }
        }
    }

    /// To be called when [`poll_timeout`](Self::poll_timeout) has passed; earlier does nothing.
    ///
    /// # Errors
    ///
    /// A request of ours has not been answered in 20 s.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        self.inbox.expire(now);
        self.calls.expire(now)
    }

    /// When something is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.inbox.deadline().into_iter().chain(self.calls.deadline()).min()
    }

    /// Whether as many requests of theirs are unanswered as there may be: nothing more is to be read until
    /// an answer has left.
    pub fn is_full(&self) -> bool {
        self.inbox.is_full()
    }

    /// The next request of theirs that may start: in order of arrival, and held back while an
    /// earlier one of the same channel runs. One without a channel overlaps nothing. Its params are read now.
    pub fn poll_request(&mut self) -> Option<Incoming> {
        self.inbox.start()
    }

    /// The next event of theirs.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// The next answer to a request of ours. An empty success is `{}` or `[]`.
    pub fn poll_reply(&mut self) -> Option<(CallId, Result<Value, RpcError>)> {
        self.calls.reply()
    }

    /// The next text message to write: events first, then answers, then requests.
    pub fn poll_transmit(&mut self) -> Option<String> {
        let notice = self.notices.pop_front();
        notice.or_else(|| self.inbox.transmit()).or_else(|| self.calls.transmit())
    }

    /// How many answers [`poll_transmit`](Self::poll_transmit) has given out: those of all tickets whose
    /// number is lower.
    pub fn answers(&self) -> u64 {
        self.inbox.answers()
    }

    /// Sends a request when the earlier ones of ours are answered; its 20 s count from then.
    ///
    /// # Errors
    ///
    /// 32 requests wait already, or the message is above 64 KiB.
    pub fn call(
        &mut self,
        now: Instant,
        method: &str,
        params: Option<Value>,
    ) -> Result<CallId, Refused> {
        self.calls.push(now, method, params.as_ref())
    }

    /// Sends an event.
    ///
    /// # Errors
    ///
    /// 32 events have not been taken by [`poll_transmit`](Self::poll_transmit) yet, or the message is
    /// above 64 KiB.
    pub fn notify(&mut self, event: &str, params: Option<Value>) -> Result<(), Refused> {
        if self.notices.len() >= MAX_EVENTS {
            return Err(Refused::Full);
        }
        let text = packet::event(event, params.as_ref());
        self.notices.push_back(text.map_err(|bytes| Refused::TooLong { bytes })?);
        Ok(())
    }

    /// Answers a request, in any order; the answers leave in the order of the requests. One above
    /// 64 KiB, or neither object nor list, leaves as error 1; `null` and `""` leave as `{}`.
    pub fn respond(&mut self, now: Instant, ticket: Ticket, result: Result<Value, RpcError>) {
        self.inbox.expire(now);
        self.inbox.respond(ticket, result);
    }

    /// How many events of theirs were dropped because 32, or 256 KiB of them, were waiting.
    pub fn dropped_events(&self) -> u64 {
        self.events.dropped()
    }
}
