//! What the agent has written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Most lines of the log that are kept; the oldest go first.
const MAX_LINES: usize = 4000;
/// Longest line of the log, in bytes.
const MAX_LINE: usize = 2000;

/// What the agent has written, all its runs one after the other.
#[derive(Clone)]
pub(super) struct Log {
    began: Instant,
    lines: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    kept: VecDeque<(Duration, String)>,
    dropped: usize,
    /// Number of outputs that may bring more.
    open: usize,
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

    /// Whether all has been read that was written.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().open == 0
    }

    /// The line that tells best why a program has ended: its last complaint, else its last line.
    pub(super) fn last_words(&self) -> Option<String> {
        let lines = self.lock();
        let complains = |line: &&str| line.starts_with("ivt-agent: ") || line.contains(" ERROR ");
        let said = || lines.kept.iter().rev().map(|(_, line)| line.as_str());
        let complaint = said().find(complains);
        complaint.or_else(|| said().find(|line| !line.is_empty())).map(str::to_owned)
    }

    /// Keeps what an output brings, beside whatever else goes on.
    pub(super) fn take(&self, output: impl AsyncRead + Unpin + Send + 'static) {
        self.lock().open += 1;
        let log = self.clone();
        tokio::spawn(async move {
            log.clone().follow(output).await;
            log.lock().open -= 1;
        });
    }

    fn add(&self, line: String) {
        let mut lines = self.lock();
        lines.kept.push_back((self.began.elapsed(), line));
        if lines.kept.len() > MAX_LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
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
}
