//! How long the other end of an HTTP connection may take. Bodies have limits of their own, where they are read.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Longest time from the first byte of a request to the end of its head.
const HEAD: Duration = Duration::from_secs(10);
/// Longest silence before a request, and between requests. Uploaders keep a connection from one segment to the next.
const IDLE: Duration = Duration::from_secs(75);
/// Longest time in which the other end takes no byte of an answer.
const TAKING: Duration = Duration::from_secs(30);

/// The time of one connection.
pub(crate) struct Patience {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// Since when no byte could be written.
    stuck: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next request has not begun.
    Idle,
    /// The head of a request is coming. The line that is coming is empty so far, or is not.
    Head { empty_line: bool },
    /// The request is being answered, and its body may be coming.
    Busy,
    /// The connection is a WebSocket, whose limits are elsewhere.
    Upgraded,
}

impl Patience {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + IDLE));
        Self { phase: Phase::Idle, since: now, stuck: None, timer }
    }

    /// Takes note of bytes that came.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match (self.phase, byte) {
                (Phase::Busy | Phase::Upgraded, _) => return,
                // Blank lines before a request begin none.
                (Phase::Idle, b'\r' | b'\n') => {}
                (Phase::Idle, _) => self.enter(Phase::Head { empty_line: false }),
                (Phase::Head { empty_line: true }, b'\n') => self.enter(Phase::Busy),
                (Phase::Head { .. }, b'\n') => self.phase = Phase::Head { empty_line: true },
                (Phase::Head { .. }, b'\r') => {}
                (Phase::Head { .. }, _) => self.phase = Phase::Head { empty_line: false },
            }
        }
    }

    /// Takes note of bytes that were written.
    pub(crate) fn wrote(&mut self, bytes: &[u8]) {
        self.stuck = None;
        match self.phase {
            Phase::Upgraded => {}
            Phase::Busy if bytes.starts_with(b"HTTP/1.1 101") => self.enter(Phase::Upgraded),
            // It was asked to go on with the body.
            Phase::Busy if bytes.starts_with(b"HTTP/1.1 1") => {}
            Phase::Head { .. } => {}
            Phase::Busy | Phase::Idle => self.enter(Phase::Idle),
        }
    }

    /// Takes note that no byte can be written at the moment.
    pub(crate) fn stuck(&mut self) {
        self.stuck.get_or_insert_with(Instant::now);
    }

    /// Whether there is time left; wakes the task of `context` when there is none.
    ///
    /// # Errors
    /// When the other end has taken too long.
    pub(crate) fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let reading = match self.phase {
            Phase::Idle => Some(self.since + IDLE),
            Phase::Head { .. } => Some(self.since + HEAD),
            Phase::Busy | Phase::Upgraded => None,
        };
        let writing = self.stuck.map(|since| since + TAKING);
        let Some(deadline) = reading.into_iter().chain(writing).min() else { return Ok(()) };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        match self.timer.as_mut().poll(context).is_ready() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }

    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::time::timeout;

    use super::*;

    /// When it runs out; `None` if it never does.
    async fn ends(patience: &mut Patience) -> Option<u64> {
        let begin = Instant::now();
        let end = poll_fn(|context| match patience.check(context) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        });
        timeout(Duration::from_secs(86_400), end).await.ok()?;
        Some(begin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_ten_seconds_however_it_drips() {
        for head in ["GET / HTTP/1.1\r\n", "\r\n\r\nG", "GET / HTTP/1.1\r\na: b\r\n\r", "x\n \n"] {
            let mut patience = Patience::new();
            patience.read(head.as_bytes());
            tokio::time::sleep(Duration::from_secs(9)).await;
            patience.read(b"a");
            assert_eq!(ends(&mut patience).await, Some(1), "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_has_the_time_it_takes_and_silence_ends() {
        let mut patience = Patience::new();
        patience.read(b"\r\n");
        assert_eq!(ends(&mut patience).await, Some(75));
        for head in ["GET / HTTP/1.1\r\na: b\r\n\r\n", "GET / HTTP/1.1\n\n", "PUT /\r\n\r\nbody"] {
            let mut patience = Patience::new();
            patience.read(head.as_bytes());
            assert_eq!(ends(&mut patience).await, None, "{head:?}");
            patience.wrote(b"HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(ends(&mut patience).await, None, "{head:?}");
            patience.wrote(b"HTTP/1.1 200 OK\r\n\r\n");
            assert_eq!(ends(&mut patience).await, Some(75), "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_websocket_may_be_silent_and_nobody_may_refuse_bytes() {
        let mut patience = Patience::new();
        patience.read(b"GET /ivc HTTP/1.1\r\n\r\n");
        patience.wrote(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        patience.read(b"\x81\x02{}");
        assert_eq!(ends(&mut patience).await, None);
        patience.stuck();
        tokio::time::sleep(Duration::from_secs(20)).await;
        patience.stuck();
        assert_eq!(ends(&mut patience).await, Some(10));
        patience.wrote(b"x");
        assert_eq!(ends(&mut patience).await, None);
    }
}
