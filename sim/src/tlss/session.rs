//! One session: the identity, commands and their replies, and `done`; or what a fault makes of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ivt_proto::tlss::{Identity, IdentityError, frame, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::device::Device;
use super::faults::{TlssFaults, WireFault};
use super::history::Exchange;
use super::reading::{ReadError, Reading};
use super::reply::Reply;
use super::script::{Command, Line, Script, Step};
use super::stored::{Unstored, stored};
use super::{Server, unix_ms};
use crate::family::Family;

/// Longest identity, in bytes.
const MAX_IDENTITY: usize = 1024;
/// A device that takes no bytes for this time is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Longest time that a connection stays after the last word.
const MAX_HOLD: Duration = Duration::from_secs(300);
/// Time for a device to close the connection after `done`.
const AFTER_DONE: Duration = Duration::from_secs(5);
const GARBAGE: usize = 512;

/// The end of a session.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("done")]
    Done,
    #[error("done, but the device did not close within {} s", AFTER_DONE.as_secs())]
    LeftOpen,
    #[error("closed by the device")]
    Closed,
    #[error("closed on request")]
    HungUp,
    #[error("{0}")]
    Died(Unstored),
    #[error("nothing more was to be said for {} s", MAX_HOLD.as_secs())]
    Held,
    #[error("{0}")]
    Read(ReadError),
    #[error("connection: {0}")]
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Closed,
            ReadError::Io(error) => error.into(),
            other => Self::Read(other),
        }
    }
}

/// Why a call made no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejected {
    #[error("refused on request")]
    Refused,
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("no identity: {0}")]
    Read(#[from] ReadError),
    #[error("too many devices")]
    Full,
    #[error("connection: {0}")]
    Io(#[from] io::Error),
}

/// Serves one connection to its end.
pub(super) async fn serve(
    server: &Server,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<(), Rejected> {
    let faults = server.faults.borrow().clone();
    if faults.wire == Some(WireFault::Refuse) {
        return Err(Rejected::Refused);
    }
    stream.set_nodelay(true)?;
    let reader = &server.reader;
    let first = reader.message(&mut stream, reader.how, MAX_IDENTITY).await?;
    let identity = Identity::parse(&first.bytes)?;
    let mac: String = identity.mac().iter().map(|byte| format!("{byte:02X}")).collect();
    let device = server.devices.open(&mac).ok_or(Rejected::Full)?;
    let hang_up = device.hang_up.notified();
    let number = device.begin(&identity, peer, Instant::now().into_std());
    log::info!(target: "tlss", "{mac} at {peer}: session {number}, {identity}");
    let script = device.script().unwrap_or_else(|| server.script.borrow().clone());
    let last = Instant::now();
    // When the server is dropped, so is the session, and its end is told all the same.
    let mut closing = Closing { device: &device, why: End::HungUp, last };
    let mut session = Session {
        server,
        device: &device,
        stream,
        number,
        faults,
        family: None,
        commands: 0,
        last,
    };
    let why = tokio::select! {
        why = session.run(&script) => why,
        () = hang_up => End::HungUp,
    };
    log::info!(target: "tlss", "{mac}: session {number} ended: {why}");
    (closing.why, closing.last) = (why, session.last);
    Ok(())
}

struct Closing<'a> {
    device: &'a Device,
    why: End,
    last: Instant,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let silence = u64::try_from(self.last.elapsed().as_millis()).unwrap_or(u64::MAX);
        let done = matches!(self.why, End::Done | End::LeftOpen);
        self.device.end(&self.why.to_string(), done, silence);
    }
}

struct Session<'a> {
    server: &'a Server,
    device: &'a Arc<Device>,
    stream: TcpStream,
    number: u64,
    faults: TlssFaults,
    /// The family of the device, once a probe that names one was answered.
    family: Option<Family>,
    /// Number of commands sent so far.
    commands: u32,
    /// When a byte was last sent or received.
    last: Instant,
}

impl Session<'_> {
    async fn run(&mut self, script: &Script) -> End {
        let ended = async {
            if self.faults.pipelined {
                self.pipeline(script.steps()).await?;
            } else {
                for step in script.steps() {
                    self.queued().await?;
                    self.step(step).await?;
                }
            }
            // A person at the page may send more commands.
            loop {
                self.queued().await?;
                let device = self.device;
                tokio::select! {
                    () = device.queued.notified() => {}
                    end = self.hold(MAX_HOLD) => return Err::<(), _>(end),
                }
            }
        };
        ended.await.err().unwrap_or(End::Held)
    }

    async fn step(&mut self, step: &Step) -> Result<(), End> {
        match step {
            Step::Command(Line { family, .. }) if family.is_some() && *family != self.family => {
                Ok(())
            }
            Step::Command(Line { command, .. }) if command.is_done() => {
                match self.faults.never_done {
                    true => Ok(()),
                    false => self.done(command).await,
                }
            }
            Step::Command(Line { command, .. }) => self.ask(command).await.map(|_| ()),
            Step::Probe(lines) => {
                for Line { family, command } in lines {
                    // Of a family that is taken, already this reply is read as the family's replies are.
                    let before = std::mem::replace(&mut self.family, *family);
                    if !self.ask(command).await? {
                        break;
                    }
                    self.family = before;
                }
                Ok(())
            }
        }
    }

    async fn queued(&mut self) -> Result<(), End> {
        while let Some(command) = self.device.next_queued() {
            match command.is_done() {
                true => self.done(&command).await?,
                false => _ = self.ask(&command).await?,
            }
        }
        Ok(())
    }

    /// Sends a command and reads its reply; true when that is an error page.
    async fn ask(&mut self, command: &Command) -> Result<bool, End> {
        let bytes = self.faults.dress(command);
        let fault = self.faults.due(self.commands);
        self.commands += 1;
        let began = (Instant::now(), unix_ms());
        let sent = Command::new(bytes);
        let outcome = match self.send(sent.bytes(), fault).await {
            Ok(()) => self.receive(self.server.reader.how).await,
            Err(end) => Err(end),
        };
        let error = matches!(&outcome, Ok(reply) if reply.is_error_page());
        let death = outcome.as_ref().ok().and_then(|reply| match stored(&sent, reply)? {
            Err(why @ Unstored::Dies(_)) if self.faults.mortal => Some(why),
            _ => None,
        });
        let told = outcome.as_ref().map(Reply::clone).map_err(|end| match fault {
            Some(fault) => format!("{fault:?}: {end}"),
            None => end.to_string(),
        });
        self.record(sent, told, began);
        match death {
            Some(why) => Err(End::Died(why)),
            None => outcome.map(|_| error),
        }
    }

    /// Sends all commands at once; the replies are told apart by their lengths.
    async fn pipeline(&mut self, steps: &[Step]) -> Result<(), End> {
        let lines = steps.iter().filter_map(|step| match step {
            Step::Command(line) => Some(line),
            Step::Probe(lines) => lines.first(),
        });
        self.family = lines.clone().find_map(|line| line.family);
        let ours = lines.filter(|line| line.family.is_none() || line.family == self.family);
        let (done, commands): (Vec<_>, Vec<_>) =
            ours.map(|line| &line.command).partition(|command| command.is_done());
        let commands: Vec<_> =
            commands.iter().map(|command| Command::new(self.faults.dress(command))).collect();
        let began = (Instant::now(), unix_ms());
        let all: Vec<_> = commands.iter().flat_map(|command| frame(command.bytes())).collect();
        self.write(&all).await?;
        for command in commands {
            let outcome = self.receive(Reading::Length).await;
            let told = outcome.as_ref().map(Reply::clone).map_err(End::to_string);
            self.record(command, told, began);
            outcome?;
        }
        match done.first() {
            Some(done) if !self.faults.never_done => self.done(done).await,
            _ => Ok(()),
        }
    }

    async fn done(&mut self, command: &Command) -> Result<(), End> {
        self.write(&frame(&self.faults.dress(command))).await?;
        Err(match self.hold(AFTER_DONE).await {
            End::Held => End::LeftOpen,
            End::Closed => End::Done,
            other => other,
        })
    }

    async fn send(&mut self, command: &[u8], fault: Option<WireFault>) -> Result<(), End> {
        let framed = frame(command);
        match fault {
            None | Some(WireFault::Refuse) => return self.write(&framed).await,
            Some(WireFault::DripMs(ms)) => {
                return self.drip(&framed, Duration::from_millis(ms)).await;
            }
            Some(WireFault::CloseMidCommand) => {
                self.write(&framed[..framed.len() / 2]).await?;
                return Err(End::HungUp);
            }
            Some(WireFault::StopReading) => {
                self.write(&framed).await?;
                // Nothing is read here, so that the end of the device's connection is not seen.
                sleep(MAX_HOLD).await;
                return Err(End::Held);
            }
            Some(WireFault::Silence) => {}
            Some(WireFault::Length(length)) => {
                self.write(&[&header(length as usize), command].concat()).await?;
            }
            Some(WireFault::Garbage) => self.write(&rand::random::<[u8; GARBAGE]>()).await?,
        }
        Err(self.hold(MAX_HOLD).await)
    }

    async fn drip(&mut self, bytes: &[u8], pause: Duration) -> Result<(), End> {
        for byte in bytes {
            self.write(&[*byte]).await?;
            match self.hold(pause).await {
                End::Held => {}
                end => return Err(end),
            }
        }
        Ok(())
    }

    /// Waits until the device closes, for at most `longest`; what it sends meanwhile is dropped.
    async fn hold(&mut self, longest: Duration) -> End {
        let mut dropped = [0; 4096];
        let until = Instant::now() + longest;
        loop {
            match tokio::time::timeout_at(until, self.stream.read(&mut dropped)).await {
                Err(_) => return End::Held,
                Ok(Ok(0)) => return End::Closed,
                Ok(Ok(_)) => self.last = Instant::now(),
                Ok(Err(error)) => return error.into(),
            }
        }
    }

    async fn receive(&mut self, how: Reading) -> Result<Reply, End> {
        let read = self.server.reader.message(&mut self.stream, how, self.server.max_reply).await;
        let message = read?;
        self.last = message.ended;
        let bare = self.family == Some(Family::Ipai);
        Ok(Reply::parse(message.declared, message.bytes, message.longest_pause, bare))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        let written = timeout(WRITE_PATIENCE, self.stream.write_all(bytes)).await;
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.last = Instant::now();
        Ok(())
    }

    fn record(&self, command: Command, outcome: Result<Reply, String>, began: (Instant, u64)) {
        self.device.record(Exchange {
            number: 0,
            mac: self.device.mac().to_owned(),
            session: self.number,
            time_ms: began.1,
            took: began.0.elapsed(),
            command,
            outcome,
        });
    }
}
