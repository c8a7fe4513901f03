//! One connection: moves bytes between the socket and `proto::rpc`, which holds the rules. Never
//! waits for a handler, nor for a cloud that does not read.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::SinkExt as _;
use futures::future::{Fuse, FusedFuture as _, FutureExt as _};
use futures::stream::{FuturesUnordered, SplitSink, SplitStream, StreamExt as _};
use ivt_base::text::shorten;
use ivt_proto::rpc::message::Call;
use ivt_proto::rpc::{Incoming, Options, Peer, RpcError, Violation};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

use super::calls::{Answer, CallError, CallQueue, OpenQueue, Waiting};
use super::goodbye::Goodbye;
use super::status::KeepaliveSource;
use super::upgrade::Socket;
use crate::deadlines::{KEEPALIVE, SEND, SPARE};
use crate::dispatch::Dispatch;
use crate::shutdown::Stop;
#[cfg(feature = "ui")]
use crate::trace::{Peer as TracePeer, Way, trace};

/// How long the closing handshake may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How far away the timer is set when there is no deadline.
const FAR: Duration = Duration::from_secs(3600);

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: Reason,
    /// When the first Keepalive was answered.
    pub(super) healthy_since: Option<Instant>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("the cloud closed the connection")]
    Closed,
    #[error("{0}")]
    ClosedWith(Goodbye),
    #[error("the connection broke: {0}")]
    Broken(Box<tungstenite::Error>),
    #[error("{0}")]
    Violation(#[from] Violation),
    #[error("expected text, received a binary message that is none")]
    Binary,
    #[error("the cloud took no message for {} s", SEND.as_secs())]
    Stalled,
    #[error("the agent stops")]
    Stopped,
}

impl From<tungstenite::Error> for Reason {
    fn from(error: tungstenite::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        use tungstenite::error::{Error, ProtocolError};
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Closed,
            Error::Io(e)
                if matches!(
                    e.kind(),
                    ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof
                ) =>
            {
                Self::Closed
            }
            other => Self::Broken(Box::new(other)),
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn run(
    socket: Socket,
    options: Options,
    dispatch: &Dispatch,
    keepalives: &KeepaliveSource,
    calls: &CallQueue,
    stop: &mut Stop,
) -> Ended {
    let (sink, stream) = socket.split();
    let mut link = Link {
        peer: Peer::new(options),
        stream,
        sink: Some(sink),
        outstanding: None,
        leaving: Vec::new(),
        keepalive_is_due: true,
        healthy_since: None,
        #[cfg(feature = "ui")]
        answered: keepalives.answered(),
    };
    let reason = link.serve(dispatch, keepalives, calls.open(), stop).await;
    // Callers learn at once that the connection is lost, without waiting for the closing handshake.
    link.outstanding = None;
    link.leaving.clear();
    // No message of ours is half written, so the connection can be closed politely.
    if let Some(mut sink) = link.sink.take() {
        timeout(CLOSE_TIMEOUT, sink.close()).await.ok();
    }
    let dropped = link.peer.dropped_events();
    if dropped > 0 {
        log::warn!("{dropped} events of the cloud came too fast and were dropped");
    }
    Ended { reason, healthy_since: link.healthy_since }
}

type Sink = SplitSink<Socket, Message>;

struct Link {
    peer: Peer,
    stream: SplitStream<Socket>,
    /// The sending half; `None` while a message is being written with it.
    sink: Option<Sink>,
    /// Our request that waits for its answer. There is at most one.
    outstanding: Option<Outstanding>,
    /// The tickets' numbers of answers that have not been written yet. A sender tells the answer's handler that
    /// the answer has left; dropping it, that the answer is lost.
    leaving: Vec<(u64, oneshot::Sender<()>)>,
    /// Whether a Keepalive is due: the first, and one that fell due while a call was outstanding. It goes before the next
    /// call.
    keepalive_is_due: bool,
    healthy_since: Option<Instant>,
    /// Where it is shown when the newest Keepalive was answered.
    #[cfg(feature = "ui")]
    answered: tokio::sync::watch::Sender<Option<Instant>>,
}

enum Outstanding {
    Keepalive,
    Call(Answer),
}

impl Link {
    async fn serve(
        &mut self,
        dispatch: &Dispatch,
        keepalives: &KeepaliveSource,
        mut calls: OpenQueue<'_>,
        stop: &mut Stop,
    ) -> Reason {
        let mut running = FuturesUnordered::new();
        let mut event = pin!(Fuse::terminated());
        let mut writing = pin!(Fuse::terminated());
        let mut keepalive = interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(request) = self.peer.poll_request() {
                let Incoming { ticket, call, subject, deadline } = request;
                let until = Instant::from_std(deadline) - SPARE;
                let (left, departure) = oneshot::channel();
                let answer = dispatch.answer(call, subject, until, departure);
                running.push(answer.map(|answer| (ticket, left, answer)));
            }
            // Events are carried out one at a time, in order. Meanwhile the peer replaces a waiting
            // movement by a newer one.
            if event.is_terminated()
                && let Some(next) = self.peer.poll_event()
            {
                event.set(dispatch.event(next).fuse());
            }
            self.take_replies();
            if self.keepalive_is_due && self.outstanding.is_none() {
                self.send_keepalive(keepalives);
            }
            if let Some(sink) = self.sink.take() {
                match self.peer.poll_transmit() {
                    Some(text) => {
                        #[cfg(feature = "ui")]
                        trace().packet(TracePeer::Cloud, Way::Out, &text);
                        writing.set(write(sink, text).fuse());
                    }
                    None => self.sink = Some(sink),
                }
            }
            let due = self.peer.poll_timeout().map(Instant::from_std);
            // Reading comes last, so that a cloud that sends without pause holds up neither answers
            // nor timers.
            tokio::select! {
                biased;
                () = stop.requested() => return Reason::Stopped,
                written = &mut writing => match written {
                    Ok(sink) => {
                        self.sink = Some(sink);
                        let given = self.peer.answers();
                        for (_, left) in self.leaving.extract_if(.., |(number, _)| *number < given) {
                            // A handler that waits for nothing has dropped its receiver.
                            left.send(()).ok();
                        }
                    }
                    Err(reason) => return reason,
                },
                Some((ticket, left, result)) = running.next(), if !running.is_empty() => {
                    self.leaving.push((ticket.number(), left));
                    self.peer.respond(now(), ticket, result);
                }
                () = &mut event => {}
                () = sleep_until(due.unwrap_or_else(|| Instant::now() + FAR)) => {
                    if let Err(violation) = self.peer.handle_timeout(now()) {
                        return violation.into();
                    }
                }
                _ = keepalive.tick() => self.send_keepalive(keepalives),
                waiting = calls.next(), if self.outstanding.is_none() => self.send(waiting),
                message = self.stream.next(), if !self.peer.is_full() => match self.take(message) {
                    // Many messages may be there after one read; the other tasks get their turn in
                    // between.
                    Ok(()) => tokio::task::coop::consume_budget().await,
                    Err(reason) => return reason,
                },
            }
        }
    }

    fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Reason> {
        match message.ok_or(Reason::Closed)?? {
            Message::Text(text) => {
                #[cfg(feature = "ui")]
                trace().packet(TracePeer::Cloud, Way::In, &text);
                Ok(self.peer.handle_text(now(), &text)?)
            }
            // Some clouds send their text in binary messages.
            Message::Binary(bytes) => {
                let text = str::from_utf8(&bytes).map_err(|_| Reason::Binary)?;
                #[cfg(feature = "ui")]
                trace().packet(TracePeer::Cloud, Way::In, text);
                Ok(self.peer.handle_text(now(), text)?)
            }
            Message::Close(Some(frame)) => Err(Reason::ClosedWith(frame.into())),
            Message::Close(None) => Err(Reason::Closed),
            // The socket answers pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn take_replies(&mut self) {
        while let Some((_, result)) = self.peer.poll_reply() {
            if let Some(Outstanding::Call(answer)) = self.outstanding.take() {
                // The receiver may be gone, if whoever made the call no longer waits.
                answer.send(result.map_err(rejected)).ok();
                continue;
            }
            if let Err(e) = result {
                let (code, said) = (e.code, shorten(&e.msg));
                log::warn!("the cloud answered a Keepalive with error {code}: {said}");
            }
            self.healthy_since.get_or_insert_with(Instant::now);
            #[cfg(feature = "ui")]
            self.answered.send_replace(Some(Instant::now()));
        }
    }

    /// Sends a Keepalive, or notes that it goes before the next call. At most one Keepalive is on
    /// its way: a second would only wait behind it.
    fn send_keepalive(&mut self, keepalives: &KeepaliveSource) {
        self.keepalive_is_due = matches!(self.outstanding, Some(Outstanding::Call(_)));
        if self.outstanding.is_some() {
            return;
        }
        let call = Call::from(keepalives.keepalive());
        match self.peer.call(now(), call.method(), call.params()) {
            Ok(_) => self.outstanding = Some(Outstanding::Keepalive),
            Err(e) => log::warn!("no keepalive: {e}"),
        }
    }

    /// Sends a call. No other request of ours may be outstanding.
    fn send(&mut self, Waiting { call, answer }: Waiting) {
        match self.peer.call(now(), call.method(), call.params()) {
            Ok(_) => self.outstanding = Some(Outstanding::Call(answer)),
            // The receiver may be gone, if whoever made the call no longer waits.
            Err(e) => drop(answer.send(Err(CallError::Unsendable(e)))),
        }
    }
}

/// The error of a refused call, with the cloud's words shortened so that they are fit for a log.
fn rejected(error: RpcError) -> CallError {
    CallError::Rejected(RpcError { msg: shorten(&error.msg), ..error })
}

async fn write(mut sink: Sink, text: String) -> Result<Sink, Reason> {
    match timeout(SEND, sink.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(sink),
        Ok(Err(e)) => Err(e.into()),
        Err(_) => Err(Reason::Stalled),
    }
}

/// The time for the protocol's rules, from tokio's clock so that tests can pause it.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
