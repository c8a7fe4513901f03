//! Answers without an end: a client that listens is told of alarms as the cameras raise them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::events::{AlarmQuirk, Dialect, Ear, Subject};
use super::fault::WebFault;
use super::wire::Answer;

/// A client that takes nothing for this time is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a piece of [`AlarmQuirk::Split`].
const PIECE: usize = 7;
const SECOND: Duration = Duration::from_secs(1);

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
        _ if dialect.writes_heads() => Framing::Plain,
        _ if subject.has(AlarmQuirk::Split) => Framing::Pieces,
        Some(WebFault::Chunked) => Framing::Chunks,
        _ => Framing::Plain,
    };
    if let Some(WebFault::DelayMs(ms)) = fault {
        sleep(Duration::from_millis(ms)).await;
    }
    let chunked = [("Transfer-Encoding", "chunked")];
    let headers = if matches!(framing, Framing::Plain) { &[][..] } else { &chunked[..] };
    if !dialect.writes_heads() {
        write(stream, &answer.head(headers, true)).await?;
    }
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
    use std::sync::Arc;

    use ivt_hal::Trigger;

    use super::*;
    use crate::camera::web::events::{Change, testutil};
    use crate::camera::world::World;

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
