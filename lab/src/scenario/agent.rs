//! The agent as a program: its configuration, its process, and its log.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ivt_base::process_group::Group;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Most lines of the log that are kept; the oldest go first.
const MAX_LINES: usize = 4000;
/// Longest line of the log, in bytes.
const MAX_LINE: usize = 2000;
/// How long the agent may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// What the agent has written, all its runs one after the other.
#[derive(Clone)]
pub(super) struct Log {
    began: Instant,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<(Duration, String)>,
    dropped: usize,
}

impl Log {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, lines: Arc::default() }
    }

    /// The lines that are kept, each with its time since the start.
    pub(super) fn lines(&self) -> Vec<(Duration, String)> {
        self.lock().kept.iter().cloned().collect()
    }

    /// The lines that are kept, and the number of older ones that were dropped.
    pub(super) fn all(&self) -> (Vec<(Duration, String)>, usize) {
        let lines = self.lock();
        (lines.kept.iter().cloned().collect(), lines.dropped)
    }

    /// Number of lines that were dropped because there were too many.
    pub(super) fn dropped(&self) -> usize {
        self.lock().dropped
    }

    fn add(&self, line: String) {
        let mut lines = self.lock();
        lines.kept.push_back((self.began.elapsed(), line));
        if lines.kept.len() > MAX_LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self, output: impl AsyncRead + Unpin) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            let taken = match output.fill_buf().await {
                Ok([]) | Err(_) => break,
                Ok(bytes) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    let room = MAX_LINE.saturating_sub(line.len());
                    line.extend_from_slice(&part[..part.len().min(room)]);
                    if end.is_some() {
                        self.add(String::from_utf8_lossy(&line).into_owned());
                        line.clear();
                    }
                    part.len() + usize::from(end.is_some())
                }
            };
            output.consume(taken);
        }
        if !line.is_empty() {
            self.add(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// The agent: a program that runs or does not.
pub(super) struct Agent {
    program: PathBuf,
    config: PathBuf,
    log: Log,
    process: Option<Group>,
}

impl Agent {
    /// Writes the configuration into `folder`, readable for the owner only.
    ///
    /// # Errors
    /// When the folder takes no file: the disk may be full.
    pub(super) fn new(
        program: &Path,
        folder: &Path,
        config: &toml::Table,
        log: Log,
    ) -> Result<Self, String> {
        let path = folder.join("agent.toml");
        let write = || -> io::Result<()> {
            let text = toml::to_string(config).map_err(io::Error::other)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&path)?.write_all(text.as_bytes())
        };
        write().map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => format!(
                "the disk of {} is full: make room, or name another folder in TMPDIR",
                folder.display()
            ),
            _ => format!("{} cannot be written: {error}", path.display()),
        })?;
        Ok(Self { program: program.to_owned(), config: path, log, process: None })
    }

    /// Starts the program, unless it runs.
    ///
    /// # Errors
    /// When it is not there or cannot be started.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).process_group(0).kill_on_drop(true);
        command.env_remove("STATE_DIRECTORY").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            format!(
                "the agent {} cannot be started: {error}; name its program by --agent PATH",
                self.program.display()
            )
        })?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(self.log.clone().follow(output));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(self.log.clone().follow(output));
        }
        self.process = Some(Group::of(child));
        Ok(())
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.ask();
        match timeout(GRACE, process.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the agent did not end within {GRACE:?} of SIGTERM")),
        }
    }

    /// Kills it, as a power cut would.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// Merges `more` into `table`: tables member by member, anything else in the place of what was there.
pub(super) fn merge(table: &mut toml::Table, more: &toml::Table) {
    for (key, value) in more {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_in_number_and_length() {
        let log = Log::new(Instant::now());
        let long = format!("{}\nshort\nno end", "x".repeat(10 * MAX_LINE));
        log.clone().follow(long.as_bytes()).await;
        let lines: Vec<_> = log.lines().into_iter().map(|(_, line)| line).collect();
        assert_eq!((lines[0].len(), &*lines[1], &*lines[2]), (MAX_LINE, "short", "no end"));
        (0..MAX_LINES).for_each(|n| log.add(n.to_string()));
        assert_eq!((log.lines().len(), log.dropped()), (MAX_LINES, 3));
    }

    #[test]
    fn sections_are_merged_and_keys_replaced() {
        let mut table: toml::Table =
            "[cloud]\nurl = 'a'\nother = 1\n[log]\nlevel = 'info'".parse().unwrap();
        merge(&mut table, &"[cloud]\nurl = 'b'\n[record]\nspool_dir = 's'".parse().unwrap());
        let wanted =
            "[cloud]\nurl = 'b'\nother = 1\n[log]\nlevel = 'info'\n[record]\nspool_dir = 's'";
        assert_eq!(table, wanted.parse().unwrap());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(Instant::now());
        let mut agent =
            Agent::new(Path::new("/nowhere/agent"), folder.path(), &toml::Table::new(), log)
                .unwrap();
        let error = agent.start().unwrap_err();
        assert!(error.contains("/nowhere/agent") && error.contains("--agent"), "{error}");
    }

    #[tokio::test]
    async fn a_program_runs_and_its_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(Instant::now());
        let mut agent =
            Agent::new(Path::new("/bin/echo"), folder.path(), &toml::Table::new(), log.clone())
                .unwrap();
        agent.start().unwrap();
        while log.lines().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(log.lines()[0].1.starts_with("--config "), "{:?}", log.lines());
        agent.stop().await.unwrap();
    }
}
