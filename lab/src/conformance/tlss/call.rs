//! One call of a device: its identity, commands and their replies, with every byte as evidence.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ivt_proto::tlss::{Identity, frame, header};
use ivt_sim::tlss::Reply;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::check::Check;
use super::facts::{Facts, Finding, shown};
use super::timing::Timing;
use crate::conformance::tape::Tape;
use crate::report::Seen;

/// Longest identity, in bytes.
const MAX_IDENTITY: u32 = 1024;
/// Longest reply, in bytes.
const MAX_REPLY: u32 = 8 << 20;
/// Most bytes that a device may send unasked before the call is ended as a flood.
const FLOOD: usize = 64 << 10;
/// Longest time of one reply.
const SLOWEST: Duration = Duration::from_secs(120);
/// Longest time for a device to take a command.
const WRITE: Duration = Duration::from_secs(10);

/// Why a call ended or a message was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the device closed the connection and said nothing")]
    Closed,
    #[error(
        "the device closed the connection inside a message: {had} of {declared} bytes had come"
    )]
    Torn { had: usize, declared: u32 },
    #[error("no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("a message of {declared} bytes stopped after {had}")]
    Stuck { had: usize, declared: u32 },
    #[error("a length of {0} bytes; in the other byte order it is {other}: the length is little-endian", other = .0.swap_bytes())]
    BigEndian(u32),
    #[error("a length of {0} bytes, at most {MAX_REPLY} are taken")]
    TooLong(u32),
    #[error("the device takes no commands any more")]
    NotReading,
    #[error("connection: {0}")]
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// What came while nothing was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The device closed the connection after this time.
    Closed(Duration),
    /// The device was still there when the time was over.
    Open,
    /// The device sent bytes after this time.
    Spoke(Duration),
}

/// One call.
pub(super) struct Call {
    stream: TcpStream,
    pub(super) tape: Tape,
    pub(super) timing: Timing,
    pub(super) facts: Arc<Mutex<Facts>>,
    /// When the device last said something whole: its identity or a reply.
    pub(super) last: Instant,
    /// Whether the device has closed the connection by itself.
    pub(super) closed: bool,
    /// Number of replies of this call.
    pub(super) replies: u64,
    /// Whether the device sends and sends.
    pub(super) floods: bool,
    /// What was found of the identity. It may be that of somebody else.
    introduced: Vec<(Check, Finding, Seen)>,
}

impl Call {
    pub(super) fn new(stream: TcpStream, timing: Timing, facts: Arc<Mutex<Facts>>) -> Self {
        let tape = Tape::new(std::time::Instant::now());
        Self {
            stream,
            tape,
            timing,
            facts,
            last: Instant::now(),
            closed: false,
            replies: 0,
            floods: false,
            introduced: Vec::new(),
        }
    }

    /// Where the device reached us.
    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// What is seen of the device all the time.
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was found of the identity, once it is known to be that of the device that is meant.
    pub(super) fn note_identity(&mut self) {
        for (check, finding, seen) in std::mem::take(&mut self.introduced) {
            self.facts().note(check, finding, seen);
        }
    }

    /// Reads the identity, judges it, and returns by what the device is known: its MAC address, or what it sent instead.
    pub(super) async fn identity(&mut self) -> Result<String, Broken> {
        let read = self.message(MAX_IDENTITY, self.timing.reply).await;
        let (seen, length) = match &read {
            Ok((_, bytes, _)) => (shown(bytes), Finding::pass()),
            Err(broken) => (broken.to_string(), Finding::fail(broken.to_string())),
        };
        let evidence = || Seen::Received { text: seen.clone() };
        self.introduced.push((Check::IdentityLength, length, evidence()));
        let (_, bytes, _) = read?;
        self.tape.push(evidence());
        let text = bytes.escape_ascii().to_string();
        let (form, key) = match Identity::parse(&bytes) {
            Ok(identity) => (Finding::pass(), identity.to_string()),
            Err(error) => (Finding::fail(format!("{error}; it was {text}")), text),
        };
        self.introduced.push((Check::IdentityForm, form, evidence()));
        self.last = Instant::now();
        Ok(key)
    }

    /// Asks a command in one write and reads the reply.
    pub(super) async fn ask(&mut self, command: &[u8]) -> Result<Reply, Broken> {
        self.pending().await?;
        self.send(&[&frame(command)]).await?;
        self.reply().await
    }

    /// Sends pieces of bytes, each in a write of its own.
    pub(super) async fn send(&mut self, pieces: &[&[u8]]) -> Result<(), Broken> {
        for (i, piece) in pieces.iter().enumerate() {
            if i > 0 {
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            self.tape.push(Seen::Sent { text: shown(piece) });
            let written = timeout(WRITE, self.stream.write_all(piece)).await;
            written.map_err(|_| Broken::NotReading)??;
        }
        Ok(())
    }

    /// Sends a message of these bytes with another length.
    pub(super) async fn send_as(&mut self, length: usize, bytes: &[u8]) -> Result<(), Broken> {
        self.send(&[&[&header(length)[..], bytes].concat()]).await
    }

    /// Reads a reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Broken> {
        let read = self.message(MAX_REPLY, self.timing.reply).await;
        if let Err(
            broken @ (Broken::BigEndian(_)
            | Broken::TooLong(_)
            | Broken::Stuck { .. }
            | Broken::Torn { .. }),
        ) = &read
        {
            let seen = Seen::Note { text: broken.to_string() };
            self.facts().note(Check::ReplyLength, Finding::fail(broken.to_string()), seen);
        }
        let (declared, raw, pause) = match read {
            Ok(read) => read,
            Err(broken) => {
                self.closed |= matches!(broken, Broken::Closed | Broken::Torn { .. });
                self.tape.push(Seen::Note { text: broken.to_string() });
                return Err(broken);
            }
        };
        self.tape.push(Seen::Received { text: shown(&raw) });
        let reply = Reply::parse(declared, raw, pause, false);
        let timing = self.timing;
        self.facts().reply(&reply, &timing);
        self.last = Instant::now();
        self.replies += 1;
        Ok(reply)
    }

    /// Waits until the device closes or speaks, for this time at most.
    pub(super) async fn rest(&mut self, most: Duration) -> Rest {
        let until = Instant::now() + most;
        let mut bytes = BytesMut::with_capacity(4096);
        let read = tokio::time::timeout_at(until, self.stream.read_buf(&mut bytes)).await;
        let after = self.last.elapsed();
        let (rest, what) = match read {
            Err(_) => (Rest::Open, "still open"),
            Ok(Ok(0) | Err(_)) => (Rest::Closed(after), "closed by the device"),
            Ok(Ok(_)) => (Rest::Spoke(after), "it spoke"),
        };
        let seconds = after.as_secs_f32();
        self.tape.push(Seen::Note { text: format!("{what} {seconds:.1} s after its last word") });
        self.closed |= matches!(rest, Rest::Closed(_));
        if !bytes.is_empty() {
            self.tape.push(Seen::Received { text: shown(&bytes) });
        }
        rest
    }

    /// Does as [`Self::rest`], while the device has no reason to speak. A word at the time of the rule is its identity once more.
    pub(super) async fn silence(&mut self, most: Duration) -> Rest {
        let rest = self.rest(most).await;
        let seen = Seen::Note { text: "nothing came".into() };
        match rest {
            Rest::Spoke(after) if after.abs_diff(self.timing.rule) > self.timing.slack => {
                self.unasked(BytesMut::new()).await;
            }
            _ => self.facts().note(Check::CallQuiet, Finding::pass(), seen),
        }
        rest
    }

    /// Whether the device has said something since its last word without being asked.
    async fn pending(&mut self) -> Result<(), Broken> {
        let mut bytes = BytesMut::with_capacity(4096);
        match timeout(Duration::from_millis(5), self.stream.read_buf(&mut bytes)).await {
            Err(_) => Ok(()),
            Ok(Ok(0)) => Err(Broken::Closed),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(_)) => {
                self.unasked(bytes).await;
                Err(Broken::Closed)
            }
        }
    }

    /// Reads on what comes unasked, until it stops or is a flood, and notes it.
    async fn unasked(&mut self, mut bytes: BytesMut) {
        let begin = bytes.clone().freeze();
        let mut count = bytes.len();
        while let Ok(Ok(more)) = timeout(Duration::from_millis(200), async {
            bytes.clear();
            self.stream.read_buf(&mut bytes).await
        })
        .await
        {
            count += more;
            self.floods = count > FLOOD;
            if more == 0 || self.floods {
                break;
            }
        }
        let what = if self.floods { "the device floods: more than" } else { "the device sends" };
        let reason = format!("{what} {count} bytes that nobody asked for");
        let seen = Seen::Received { text: shown(&begin) };
        self.tape.push(seen.clone());
        self.facts().note(Check::CallQuiet, Finding::fail(reason), seen);
    }

    /// Reads a message of at most `limit` bytes: its length field, its bytes and the longest pause inside.
    async fn message(
        &mut self,
        limit: u32,
        patience: Duration,
    ) -> Result<(u32, Bytes, Duration), Broken> {
        let mut head = [0; 4];
        match timeout(patience, self.stream.read_exact(&mut head)).await {
            Err(_) => return Err(Broken::Silent(patience)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Broken::Closed);
            }
            Ok(read) => read?,
        };
        let declared = u32::from_le_bytes(head);
        if declared > limit {
            let swapped = declared.swap_bytes();
            return Err(match swapped <= limit {
                true => Broken::BigEndian(declared),
                false => Broken::TooLong(declared),
            });
        }
        let mut room = BytesMut::new();
        let mut pause = Duration::ZERO;
        let begun = Instant::now();
        while room.len() < declared as usize {
            let had = room.len();
            let waited = Instant::now();
            let mut part = (&mut self.stream).take(u64::from(declared) - had as u64);
            let read = timeout(self.timing.pause * 2, part.read_buf(&mut room)).await;
            match read {
                _ if begun.elapsed() > SLOWEST => return Err(Broken::Stuck { had, declared }),
                Err(_) => return Err(Broken::Stuck { had, declared }),
                Ok(Ok(0)) => return Err(Broken::Torn { had, declared }),
                Ok(Ok(_)) => pause = pause.max(waited.elapsed()),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
        Ok((declared, room.freeze(), pause))
    }
}
