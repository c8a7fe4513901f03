//! A program of the device that writes H.264 to its standard output.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant as StdInstant};

use async_trait::async_trait;
use bytes::BytesMut;
use ivt_base::process_group::{GRACE, Group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::annexb::Splitter;
use crate::frame::{Frame, Track, duration_to_ticks};
use crate::source::{FrameSource, Opener, SourceError};

/// A program that writes nothing for this long is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
const READ_SIZE: usize = 64 << 10;

/// Starts a program, without a shell. Its pictures are stamped by their arrival: it must write in
/// real time, without B-frames. Dropping the source ends the program and all that it has started and that
/// stayed in its process group.
#[derive(Clone, Debug)]
pub struct CommandOpener {
    program: String,
    arguments: Vec<String>,
    /// How long the program has to end by itself.
    grace: Duration,
}

impl CommandOpener {
    /// An opener that starts `words`, a program and its arguments.
    ///
    /// # Errors
    ///
    /// There are no words, or the first is empty.
    pub fn new(words: &[String]) -> Result<Self, SourceError> {
        match words {
            [program, arguments @ ..] if !program.is_empty() => {
                Ok(Self { program: program.clone(), arguments: arguments.to_vec(), grace: GRACE })
            }
            _ => Err(SourceError::Protocol {
                peer: "command".into(),
                reason: "expected a program, got no words".into(),
            }),
        }
    }

    /// Name of the program for errors, without its arguments, which may hold a password.
    fn peer(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or_default();
        format!("command {}", name.display())
    }
}

#[async_trait]
impl Opener for CommandOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let peer = self.peer();
        let unreachable = |reason: String| SourceError::Unreachable { peer: peer.clone(), reason };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unreachable(format!("it does not start: {error}")))?;
        let stdout = child.stdout.take().ok_or_else(|| unreachable("it has no output".into()))?;
        Ok(Box::new(CommandSource {
            processes: Processes(Some(Group::of(child)), self.grace),
            stdout,
            peer,
            buf: BytesMut::new(),
            splitter: Splitter::new(),
            opened: Instant::now(),
            last_dts: -1,
        }))
    }
}

/// The processes of a program. When this is dropped, they are asked to end, and killed after the grace.
struct Processes(Option<Group>, Duration);

impl Drop for Processes {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            group.end(self.1);
        }
    }
}

struct CommandSource {
    processes: Processes,
    stdout: ChildStdout,
    peer: String,
    buf: BytesMut,
    splitter: Splitter<Instant>,
    opened: Instant,
    last_dts: i64,
}

#[async_trait]
impl FrameSource for CommandSource {
    async fn arriving(&mut self) -> Result<(), SourceError> {
        while self.splitter.units() == 0 {
            self.fill().await?;
        }
        Ok(())
    }

    async fn frame(&mut self) -> Result<Frame, SourceError> {
        loop {
            if let Some(unit) = self.splitter.pop() {
                let arrived = duration_to_ticks(unit.mark - self.opened);
                self.last_dts = arrived.max(self.last_dts + 1);
                return Ok(Frame {
                    track: Track::Video(unit.params),
                    key: unit.key,
                    discontinuity: false,
                    leading: false,
                    pts: self.last_dts,
                    dts: self.last_dts,
                    received: now(),
                    data: unit.data,
                });
            }
            self.fill().await?;
        }
    }
}

impl CommandSource {
    async fn fill(&mut self) -> Result<(), SourceError> {
        self.buf.clear();
        self.buf.reserve(READ_SIZE);
        let peer = self.peer.clone();
        match timeout(SILENCE_LIMIT, self.stdout.read_buf(&mut self.buf)).await {
            Ok(Ok(0)) => Err(SourceError::Unreachable { peer, reason: self.how_it_ended() }),
            Ok(Ok(_)) => self
                .splitter
                .push(&self.buf, Instant::now())
                .map_err(|error| SourceError::Protocol { peer, reason: error.to_string() }),
            Ok(Err(error)) => Err(SourceError::Unreachable { peer, reason: error.to_string() }),
            Err(_) => Err(SourceError::Silent { peer, seconds: SILENCE_LIMIT.as_secs() }),
        }
    }

    fn how_it_ended(&mut self) -> String {
        match self.processes.0.as_mut().and_then(Group::ended) {
            Some(status) => format!("it ended with {status}"),
            None => "it closed its output".into(),
        }
    }
}

fn now() -> StdInstant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandOpener {
        CommandOpener::new(&["/bin/sh".into(), "-c".into(), script.into()]).unwrap()
    }

    /// Octal, as every printf knows it: SPS, PPS, an IDR, a P and the delimiter that ends it.
    const STREAM: &str = r"printf '\000\000\000\001\147\144\000\014\254\262\002\203\077\076\002\040\000\000\003\000\040\000\000\006\101\342\205\111\000\000\001\150\353\303\313\042\300\000\000\001\145\210a\000\000\001\101\232b\000\000\001\011\360\000\000\001'";

    #[tokio::test]
    async fn pictures_of_a_program_are_frames_in_order() {
        let mut source = shell(&format!("{STREAM}; exec sleep 60")).open().await.unwrap();
        let first = source.frame().await.unwrap();
        assert!(first.key && first.data[..] == b"\0\0\0\x03\x65\x88a"[..]);
        let second = source.frame().await.unwrap();
        assert!(!second.key && second.dts > first.dts && second.dts == second.pts);
    }

    #[tokio::test]
    async fn a_program_arrives_with_its_first_picture_whatever_that_is() {
        // P-frames without parameters; each ends the one before.
        let early = r"printf '\000\000\001\101\232b\000\000\001\101\232b\000\000\001\101\232b'";
        let mut source = shell(&format!("{early}; exec sleep 60")).open().await.unwrap();
        source.arriving().await.unwrap();
        let mut source = shell(&format!("{early}; {STREAM}; exec sleep 60")).open().await.unwrap();
        source.arriving().await.unwrap();
        assert!(source.frame().await.unwrap().key, "the first that can be given");
    }

    #[tokio::test]
    async fn a_program_that_ends_or_is_none_is_an_error_without_its_arguments() {
        let mut source = shell(&format!("{STREAM}; : secret")).open().await.unwrap();
        source.frame().await.unwrap();
        source.frame().await.unwrap();
        let ended = source.frame().await.unwrap_err();
        assert!(matches!(ended, SourceError::Unreachable { .. }), "{ended}");
        let missing = CommandOpener::new(&["/nonexistent/encoder".into(), "secret".into()]);
        let missing = missing.unwrap().open().await.err().expect("an error");
        for error in [ended, missing] {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(CommandOpener::new(&[]).is_err());
    }

    #[tokio::test]
    async fn dropping_the_source_kills_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("echo $$ > {}; {STREAM}; exec sleep 600", pid.display());
        let mut source = shell(&script).open().await.unwrap();
        source.frame().await.unwrap();
        drop(source);
        all_end(&std::fs::read_to_string(pid).unwrap()).await;
    }

    /// Whether a process runs; one that was not waited for yet has ended.
    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z"))
    }

    async fn all_end(pids: &str) {
        let ended = timeout(Duration::from_secs(30), async {
            while pids.split_whitespace().any(runs) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        ended.await.expect("every process ends");
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        // The shell waits for a worker, which writes the pictures; neither the worker nor a helper without output
        // hears of the end of the pipe, and the helper does not listen to SIGTERM.
        let stubborn = "sh -c 'trap \"\" TERM; while :; do sleep 1; done' >/dev/null &";
        let script = format!(
            "{stubborn} echo $! >> {pids}; sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; {STREAM}; wait",
            pids = pids.display()
        );
        let mut source = shell(&script).open().await.unwrap();
        source.frame().await.unwrap();
        drop(source);
        let pids = std::fs::read_to_string(pids).unwrap();
        assert_eq!(pids.lines().count(), 3);
        all_end(&pids).await;
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_ends_when_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 >/dev/null & echo $! > {}; {STREAM}", pid.display());
        let mut source = shell(&script).open().await.unwrap();
        while source.frame().await.is_ok() {}
        drop(source);
        all_end(&std::fs::read_to_string(pid).unwrap()).await;
    }

    #[tokio::test]
    async fn a_program_is_asked_to_end_before_it_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let said = dir.path().join("said");
        let script =
            format!("trap 'echo bye > {}; exit' TERM; {STREAM}; sleep 600 & wait", said.display());
        // Nothing but the question ends it in time, however busy this machine is.
        let opener = CommandOpener { grace: Duration::from_secs(60), ..shell(&script) };
        let mut source = opener.open().await.unwrap();
        source.frame().await.unwrap();
        drop(source);
        let heard = timeout(Duration::from_secs(30), async {
            while !said.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        heard.await.expect("the program was asked");
    }

    #[tokio::test]
    async fn a_program_that_writes_noise_is_refused() {
        let mut source = shell("exec tr '\\000' x < /dev/zero").open().await.unwrap();
        let error = source.frame().await.unwrap_err();
        assert!(matches!(error, SourceError::Protocol { .. }), "{error}");
    }
}
