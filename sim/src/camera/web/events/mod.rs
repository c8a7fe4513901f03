//! Answers without an end: a client that listens is told of alarms as the cameras raise them, in its family's words.

mod quirk;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use ivt_hal::Trigger;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

pub use quirk::{AlarmQuirk, UnknownAlarmQuirk, listing};

use super::fault::WebFault;
use super::wire::Answer;
use crate::camera::world::World;

/// A client that takes nothing for this time is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a piece of [`AlarmQuirk::Split`].
const PIECE: usize = 7;
const SECOND: Duration = Duration::from_secs(1);

/// What a trigger of a channel, counted from 0, became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub channel: usize,
    pub trigger: Trigger,
    pub active: bool,
}

/// The words in which a family tells a client of alarms.
pub trait Dialect: Send + Sync {
    /// What is said first. Changes are heard from before this on.
    fn begin(&mut self) -> Vec<u8>;
    /// What is said of a change.
    fn change(&mut self, change: Change) -> Vec<u8>;
    /// What is said once a second.
    fn second(&mut self) -> Vec<u8>;
    /// The reply to bytes that the client sends while it listens.
    fn asked(&mut self, _bytes: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// What a dialect tells about: the cameras, the address that the client dialled, and the quirks that were on then.
#[derive(Clone)]
pub struct Subject {
    pub world: Arc<World>,
    pub host: IpAddr,
    pub quirks: Vec<AlarmQuirk>,
}

impl Subject {
    pub fn has(&self, quirk: AlarmQuirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// The changes of all cameras from a moment on, at most 256 of each that nobody took yet.
pub struct Ear(Vec<Receiver<(Trigger, bool)>>);

impl Ear {
    /// Hears from now on.
    pub fn open(world: &World) -> Self {
        Self(world.units().iter().map(|unit| unit.emulator.world.changes()).collect())
    }

    /// The next change of any camera; `None` once so many were missed that a client has to listen anew.
    pub async fn next(&mut self) -> Option<Change> {
        let all = self.0.iter_mut().map(|receiver| Box::pin(receiver.recv()));
        let (change, channel, _) = select_all(all).await;
        change.ok().map(|(trigger, active)| Change { channel, trigger, active })
    }
}

/// How the body goes over the wire.
#[derive(Clone, Copy)]
enum Framing {
    Plain,
    Chunks,
    /// Small chunks, each a write of its own.
    Pieces,
}

/// Writes the head of `answer` and then what the dialect says, until the client leaves, is too slow, or a quirk or a
/// fault ends it.
///
/// # Errors
/// The connection is lost, or the client takes nothing for 10 s.
pub async fn run(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    answer: &Answer,
    mut dialect: Box<dyn Dialect>,
    mut ear: Ear,
    subject: &Subject,
    fault: Option<WebFault>,
) -> io::Result<()> {
    let framing = match fault {
        _ if subject.has(AlarmQuirk::Split) => Framing::Pieces,
        Some(WebFault::Chunked) => Framing::Chunks,
        _ => Framing::Plain,
    };
    if let Some(WebFault::DelayMs(ms)) = fault {
        sleep(Duration::from_millis(ms)).await;
    }
    let chunked = [("Transfer-Encoding", "chunked")];
    let headers = if matches!(framing, Framing::Plain) { &[][..] } else { &chunked[..] };
    write(stream, &answer.head(headers, true)).await?;
    let mut seconds = interval_at(Instant::now() + SECOND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = dialect.begin();
    let mut asked = [0; 2048];
    loop {
        send(stream, &said, framing).await?;
        let mut alarmed = false;
        said = tokio::select! {
            change = ear.next() => match change {
                Some(change) => {
                    alarmed = true;
                    dialect.change(change)
                }
                None => return Ok(()),
            },
            _ = seconds.tick() => dialect.second(),
            read = stream.read(&mut asked) => match read? {
                0 => return Ok(()),
                length => dialect.asked(&asked[..length]),
            },
        };
        if alarmed && fault == Some(WebFault::CloseMidBody) {
            return send(stream, &said[..said.len() / 2], framing).await;
        }
        if alarmed && subject.has(AlarmQuirk::HangsUp) {
            return send(stream, &said, framing).await;
        }
        if alarmed && subject.has(AlarmQuirk::GoesSilent) {
            send(stream, &said, framing).await?;
            while stream.read(&mut asked).await? > 0 {}
            return Ok(());
        }
    }
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    framing: Framing,
) -> io::Result<()> {
    match framing {
        _ if bytes.is_empty() => Ok(()),
        Framing::Plain => write(stream, bytes).await,
        Framing::Chunks => write(stream, &chunk(bytes)).await,
        Framing::Pieces => {
            for piece in bytes.chunks(PIECE) {
                write(stream, &chunk(piece)).await?;
            }
            Ok(())
        }
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(bytes)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the channel of each change, and a dot each second.
    struct Plain;

    impl Dialect for Plain {
        fn begin(&mut self) -> Vec<u8> {
            b"begin;".to_vec()
        }

        fn change(&mut self, change: Change) -> Vec<u8> {
            format!("{}{:?}{};", change.channel, change.trigger, change.active).into_bytes()
        }

        fn second(&mut self) -> Vec<u8> {
            b".".to_vec()
        }

        fn asked(&mut self, bytes: &[u8]) -> Vec<u8> {
            [b"asked ", bytes].concat()
        }
    }

    fn subject(quirks: &[AlarmQuirk]) -> Subject {
        testutil::subject(&Arc::new(World::new(2)), quirks)
    }

    /// What a client reads until the connection ends; the second channel moves after 2.5 s, and the client leaves after 3.9 s.
    async fn heard(quirks: &[AlarmQuirk], fault: Option<WebFault>) -> String {
        let subject = subject(quirks);
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 16);
        let answer = Answer::new(200, "text/plain", "");
        let running = async {
            let ear = Ear::open(&subject.world);
            let _ = run(&mut ours, &answer, Box::new(Plain), ear, &subject, fault).await;
            drop(ours);
        };
        let client = async {
            sleep(Duration::from_millis(2500)).await;
            subject.world.units()[1].emulator.world.trigger(Trigger::Motion, true);
            sleep(Duration::from_millis(1400)).await;
            theirs.shutdown().await.unwrap();
            let mut all = String::new();
            theirs.read_to_string(&mut all).await.unwrap();
            all
        };
        let ((), all) = tokio::join!(running, client);
        all.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_between_the_seconds() {
        assert_eq!(heard(&[], None).await, "begin;..1Motiontrue;.");
        assert_eq!(heard(&[], Some(WebFault::DelayMs(1200))).await, "begin;.1Motiontrue;.");
        assert_eq!(heard(&[AlarmQuirk::HangsUp], None).await, "begin;..1Motiontrue;");
        assert_eq!(heard(&[AlarmQuirk::GoesSilent], None).await, "begin;..1Motiontrue;");
        assert_eq!(heard(&[], Some(WebFault::CloseMidBody)).await, "begin;..1Motio");
        let chunked = heard(&[], Some(WebFault::Chunked)).await;
        assert!(chunked.starts_with("6\r\nbegin;\r\n1\r\n.\r\n"), "{chunked}");
        let split = heard(&[AlarmQuirk::Split], None).await;
        assert!(split.contains("7\r\n1Motion\r\n5\r\ntrue;\r\n"), "{split}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_cut() {
        let subject = subject(&[]);
        let (mut ours, _theirs) = tokio::io::duplex(256);
        let answer = Answer::new(200, "text/plain", "");
        let flood = async {
            loop {
                subject.world.units()[0].emulator.world.trigger(Trigger::Input, true);
                subject.world.units()[0].emulator.world.trigger(Trigger::Input, false);
                sleep(Duration::from_millis(50)).await;
            }
        };
        let began = Instant::now();
        tokio::select! {
            ended = run(&mut ours, &answer, Box::new(Plain), Ear::open(&subject.world), &subject, None) => assert!(ended.is_err()),
            () = flood => {}
        }
        assert!(began.elapsed() < PATIENCE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_ask_while_it_listens() {
        let subject = subject(&[]);
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let answer = Answer::new(200, "text/plain", "");
        theirs.write_all(b"again").await.unwrap();
        let ear = Ear::open(&subject.world);
        let listening = run(&mut ours, &answer, Box::new(Plain), ear, &subject, None);
        let _ = timeout(SECOND / 2, listening).await;
        drop(ours);
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.unwrap();
        assert!(all.ends_with("begin;asked again"), "{all}");
    }
}

/// Subjects for tests of dialects.
#[cfg(test)]
pub mod testutil {
    use std::net::Ipv4Addr;

    use super::*;

    /// What a client on the loopback is told about.
    pub fn subject(world: &Arc<World>, quirks: &[AlarmQuirk]) -> Subject {
        let host = Ipv4Addr::LOCALHOST.into();
        Subject { world: world.clone(), host, quirks: quirks.to_vec() }
    }
}
