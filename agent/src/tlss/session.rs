//! One call: moves bytes between the server and `proto::tlss`, which holds the rules.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use ivt_proto::tlss::{Session, Violation, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::connector::Connection;
use super::dress::Dress;
use super::responder::Responder;
use super::schedule::Outcome;
#[cfg(feature = "ui")]
use crate::trace::{Peer, Way, trace};

/// Most bytes read at once: more than a command usually has.
const READ: usize = 2 * 1024;
/// A server that takes no byte of a reply for this time is cut off.
const STALL: Duration = Duration::from_secs(10);
/// A server that takes longer than this for one reply is cut off, however steadily it reads.
const SLOWEST: Duration = Duration::from_secs(300);
/// Least time between the beginnings of two commands: at most 20 a second are carried out.
const SPACING: Duration = Duration::from_millis(50);
/// Time for closing the connection in order.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How far off the timer is set when no deadline is due.
const FAR: Duration = Duration::from_secs(3600);

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: Reason,
    /// Number of commands that came.
    pub(super) commands: u64,
}

/// Why a call ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("the server said done")]
    Done,
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Violation(#[from] Violation),
    #[error("the server does not read our reply")]
    Stalled,
}

impl Ended {
    /// The server gave commands or had none to give, and every command could be read.
    pub(super) fn served(&self) -> bool {
        (self.commands > 0 || matches!(self.reason, Reason::Done)) && self.unread().is_none()
    }

    /// What was wrong with a command that could not be read.
    fn unread(&self) -> Option<&Violation> {
        match &self.reason {
            Reason::Violation(unread @ (Violation::TooLong(_) | Violation::Slow)) => Some(unread),
            _ => None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.reason {
            Reason::Done | Reason::Closed | Reason::Broken(_) => Outcome::Over,
            Reason::Violation(_) | Reason::Stalled => Outcome::Silent { spoke: self.commands > 0 },
        }
    }
}

/// Serves one call until it ends. Dropping the future closes the connection.
pub(super) async fn run(connection: Connection, responder: &Responder) -> Ended {
    let mut call = Call::new(connection);
    let reason = match call.serve(responder).await {
        Ok(()) => Reason::Done,
        Err(reason) => reason,
    };
    timeout(CLOSE_TIMEOUT, call.connection.stream.shutdown()).await.ok();
    let ended = Ended { reason, commands: call.session.commands() };
    if let Some(violation) = ended.unread() {
        responder.unread(violation.clone());
    }
    ended
}

struct Call {
    connection: Connection,
    session: Session,
    dress: Dress,
    /// Bytes that were read from the connection and not yet taken by the session.
    buffer: BytesMut,
    /// When the next command may begin.
    free: Instant,
}

impl Call {
    fn new(connection: Connection) -> Self {
        let (session, dress) = (Session::default(), Dress::default());
        Self { connection, session, dress, buffer: BytesMut::new(), free: Instant::now() }
    }

    /// Answers commands until the server says `done`; any other end is an error.
    async fn serve(&mut self, responder: &Responder) -> Result<(), Reason> {
        let identity = frame(responder.identity.to_string().as_bytes());
        #[cfg(feature = "ui")]
        {
            let identity = responder.identity.to_string();
            trace().text(Peer::Hosted, Way::Out, identity.as_bytes(), identity.len());
        }
        self.send(&identity[..]).await?;
        loop {
            let taken = self.session.handle_bytes(now(), &self.buffer)?;
            self.buffer.advance(taken);
            if self.session.finished() {
                return Ok(());
            }
            match self.session.poll_command() {
                Some(command) => self.reply(&command, responder).await?,
                None => self.read().await?,
            }
        }
    }

    async fn reply(&mut self, command: &[u8], responder: &Responder) -> Result<(), Reason> {
        sleep_until(self.free).await;
        self.free = Instant::now() + SPACING;
        #[cfg(feature = "ui")]
        trace().text(Peer::Hosted, Way::In, command, command.len());
        let reply = responder.answer(command, self.connection.local, &mut self.dress).await;
        #[cfg(feature = "ui")]
        trace().text(Peer::Hosted, Way::Out, &reply.shown(), reply.len());
        let header = self.session.respond(reply.len());
        // In one piece: deployed servers ignore the length and read until nothing comes for a while.
        let head = Bytes::from([&header, &*reply.head].concat());
        self.send(head.chain(reply.body)).await
    }

    /// Waits for more bytes of the server, at most until the session's deadline.
    async fn read(&mut self) -> Result<(), Reason> {
        let due = self.session.poll_timeout().map(Instant::from_std);
        self.buffer.reserve(READ);
        let mut room = (&mut self.buffer).limit(READ);
        tokio::select! {
            read = self.connection.stream.read_buf(&mut room) => match read? {
                0 => Err(Reason::Closed),
                _ => Ok(()),
            },
            () = sleep_until(due.unwrap_or_else(|| Instant::now() + FAR)) => {
                Ok(self.session.handle_timeout(now())?)
            }
        }
    }

    async fn send(&mut self, mut bytes: impl Buf) -> Result<(), Reason> {
        let stream = &mut self.connection.stream;
        let write = async {
            while bytes.has_remaining() {
                match timeout(STALL, stream.write_buf(&mut bytes)).await {
                    Ok(Ok(0)) => return Err(Reason::Closed),
                    Ok(written) => _ = written?,
                    Err(_) => return Err(Reason::Stalled),
                }
            }
            timeout(STALL, stream.flush()).await.map_err(|_| Reason::Stalled)??;
            Ok(())
        };
        timeout(SLOWEST, write).await.unwrap_or(Err(Reason::Stalled))?;
        self.session.handle_sent(now());
        Ok(())
    }
}

/// The time by tokio's clock, which tests can pause.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
