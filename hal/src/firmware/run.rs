//! Runs a program of the device to its end: no shell, a process group of its own, its output in the log, its exit status
//! the verdict.

use std::error::Error as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ivt_base::process_group::Group;
use ivt_base::text::shorten;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::{Error, Kind, Result};

/// How long a program has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is waited for that a program has left behind.
const DRAINED: Duration = Duration::from_millis(200);
/// Longest line that is kept, in bytes.
const LINE: usize = 1024;
/// Most lines of one output that the log gets.
const LINES: usize = 500;

/// Why a program's verdict is not a success. Its arguments are not told, as they may hold a password.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("{0}: it does not start: {1}")]
    Start(String, std::io::Error),
    #[error("{0}: ended with {1}{2}")]
    Status(String, ExitStatus, String),
    #[error("{0}: did not end within {1} s, and was killed with all that it had started")]
    Limit(String, u64),
    #[error("{0}: {1}")]
    Lost(String, std::io::Error),
}

/// What is known at the end of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has done what it was to do.
    Taken,
    /// It did not start, or has said no.
    Refused,
    /// It was killed, with what it has begun left to others or to nobody.
    Unknown,
}

impl End {
    /// What is known by the result of [`run`].
    pub fn of(verdict: &Result<String>) -> Self {
        let Err(error) = verdict else { return Self::Taken };
        match error.source().and_then(|why| why.downcast_ref()) {
            Some(Why::Status(_, status, _)) if !killed(*status) => Self::Refused,
            Some(Why::Start(..)) => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// Whether a signal ended the program, or one that a shell ran for it: the shell then ends with 128 and the number of the
/// signal, which is 64 at most.
fn killed(status: ExitStatus) -> bool {
    status.code().is_none_or(|code| (129..=192).contains(&code))
}

/// Runs `words`, a program and its arguments, and gives the first line of its standard output. What it has started goes on
/// when it ends well; otherwise, after `limit`, and when the call is given up, the whole group is ended.
///
/// # Errors
/// `Refused` where it ends with another status than 0, `Timeout`, `Other` where it does not start or is killed.
pub async fn run(
    op: &'static str,
    words: &[String],
    limit: Duration,
    input: Stdio,
) -> Result<String> {
    let [program, arguments @ ..] = words else {
        return Err(Error::new(op, Kind::Unsupported));
    };
    let name = Path::new(program).file_name().unwrap_or_default().display().to_string();
    let fail = |kind, why| Error::new(op, kind).because(why);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| fail(Kind::Other, Why::Start(name.clone(), e)))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let mut group = Ending(Some(Group::of(child)));
    let ended = timeout(limit, async {
        let mut said = Said::default();
        let mut complained = Said::default();
        let status = {
            let mut output = pin!(async {
                tokio::join!(said.listen(&name, output), complained.listen(&name, errors))
            });
            let mut silent = false;
            let status = loop {
                tokio::select! {
                    status = group.wait() => break status,
                    _ = &mut output, if !silent => silent = true,
                }
            };
            if !silent {
                timeout(DRAINED, output).await.ok();
            }
            status
        };
        (status, said, complained)
    })
    .await;
    match ended {
        Err(_) => Err(fail(Kind::Timeout, Why::Limit(name, limit.as_secs()))),
        Ok((Err(e), ..)) => Err(fail(Kind::Other, Why::Lost(name, e))),
        Ok((Ok(status), said, _)) if status.success() => {
            group.leave();
            Ok(said.first)
        }
        Ok((Ok(status), said, complained)) => {
            let last = if complained.last.is_empty() { said.last } else { complained.last };
            let last = if last.is_empty() { String::new() } else { format!(": {}", told(&last)) };
            let kind = if status.signal().is_some() { Kind::Other } else { Kind::Refused };
            Err(fail(kind, Why::Status(name, status, last)))
        }
    }
}

/// A group that is asked to end when this is dropped, and killed after the grace.
struct Ending(Option<Group>);

impl Ending {
    async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        match &mut self.0 {
            Some(group) => group.wait().await,
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn leave(&mut self) {
        if let Some(group) = self.0.take() {
            group.leave();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            group.end(GRACE);
        }
    }
}

/// What a program said on one of its outputs, fit for a log.
#[derive(Default)]
struct Said {
    first: String,
    /// As it came.
    last: Vec<u8>,
    lines: usize,
}

impl Said {
    /// Tells the log line by line, until the end. A carriage return ends a line, too: progress is told so.
    async fn listen(&mut self, name: &str, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else { return };
        let mut line = Vec::new();
        let mut bytes = [0; LINE];
        while let Ok(read @ 1..) = output.read(&mut bytes).await {
            for byte in bytes.iter().take(read) {
                match byte {
                    b'\n' | b'\r' => self.tell(name, &mut line),
                    // What is behind the longest line is left out.
                    _ if line.len() == LINE => {}
                    byte => line.push(*byte),
                }
            }
        }
        self.tell(name, &mut line);
        if self.lines > LINES {
            log::info!("{name}: {} more lines", self.lines - LINES);
        }
    }

    fn tell(&mut self, name: &str, line: &mut Vec<u8>) {
        if line.iter().all(u8::is_ascii_whitespace) {
            line.clear();
            return;
        }
        if self.lines < LINES {
            let text = told(line);
            log::info!("{name}: {text}");
            if self.lines == 0 {
                self.first = text;
            }
        }
        self.lines += 1;
        std::mem::swap(&mut self.last, line);
        line.clear();
    }
}

/// A line of a program, fit for a log.
fn told(line: &[u8]) -> String {
    shorten(&String::from_utf8_lossy(line))
}

#[cfg(test)]
mod tests {
    use ivt_base::mask::learn;

    use super::*;

    async fn said(output: &[u8]) -> Said {
        let mut said = Said::default();
        said.listen("program", Some(output)).await;
        said
    }

    #[tokio::test]
    async fn output_is_told_by_lines_that_are_short_clean_and_without_secrets() {
        let _known = learn("zk3-odd-secret");
        let said = said(b"\n  \n\x1b[1mfirst\x07 zk3-odd-secret\r\n 10%\r 20%\r 30%").await;
        assert_eq!((said.first.as_str(), told(&said.last).as_str()), ("[1mfirst ***", " 30%"));
        assert_eq!(said.lines, 4, "progress is told by carriage returns");
    }

    #[tokio::test]
    async fn output_without_end_is_bounded() {
        let endless = b"zq7w".repeat(1_250_000);
        let one = said(&endless).await;
        assert_eq!((one.lines, one.first.len()), (1, 200));
        let many = said(&b"line\n".repeat(100_000)).await;
        assert_eq!((many.lines, many.last.as_slice()), (100_000, &b"line"[..]));
        assert_eq!(said(&[0xff; 3000]).await.lines, 1, "bytes that are no text");
    }

    #[tokio::test]
    async fn a_program_that_fills_its_output_does_not_wait_for_us() {
        let words = ["/bin/sh", "-c", "yes | head -c 300000; yes | head -c 300000 >&2; echo end"];
        let words = words.map(str::to_owned);
        let first = run("test", &words, Duration::from_secs(30), Stdio::null()).await.unwrap();
        assert_eq!(first, "y");
    }
}
