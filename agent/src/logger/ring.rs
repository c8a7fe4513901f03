//! The newest lines of the log, in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ivt_base::date::Utc;
use log::Level;
use tokio::sync::watch;

/// Most bytes of all lines together, with what each takes beside its text.
const BYTES: usize = 256 << 10;
/// Longest text of a line that is kept, in bytes.
const LONGEST: usize = 2048;
/// What a line takes beside its text, in bytes.
const BESIDE: usize = size_of::<Arc<Line>>() + size_of::<Line>() + 16;

/// A line of the log, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// One more than that of the line before.
    pub(crate) number: u64,
    pub(crate) at: Utc,
    pub(crate) level: Level,
    /// The room that wrote it.
    pub(crate) target: Box<str>,
    pub(crate) text: Box<str>,
}

/// The newest lines of the log.
pub(crate) struct Ring {
    kept: Mutex<Kept>,
    /// The number of the next line.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Keeps a line, and drops the oldest ones that it leaves no room for.
    pub(crate) fn push(&self, at: Utc, level: Level, target: &str, text: &str) {
        let cut = |text: &str| text[..text.floor_char_boundary(LONGEST)].into();
        let (target, text) = (cut(target), cut(text));
        let mut kept = self.lock();
        let number = *self.next.borrow();
        let line = Line { number, at, level, target, text };
        kept.bytes += weight(&line);
        kept.lines.push_back(Arc::new(line));
        while kept.bytes > BYTES
            && let Some(oldest) = kept.lines.pop_front()
        {
            kept.bytes -= weight(&oldest);
        }
        self.next.send_replace(number + 1);
    }

    /// Drops all lines.
    pub(crate) fn clear(&self) {
        *self.lock() = Kept::default();
    }

    /// The lines from the number `since` on that are at least as grave as `level`, the newest `most` of them, oldest
    /// first.
    pub(crate) fn lines(&self, since: u64, level: Level, most: usize) -> Vec<Arc<Line>> {
        let kept = self.lock();
        let wanted = kept.lines.iter().rev().take_while(|line| line.number >= since);
        let wanted = wanted.filter(|line| line.level <= level).take(most);
        let mut lines: Vec<_> = wanted.map(Arc::clone).collect();
        lines.reverse();
        lines
    }

    /// The number of the next line; changes can be awaited.
    pub(crate) fn next(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Line {
    /// The line as it stands on standard error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, level, target, text, .. } = self;
        write!(f, "[{at} {level:<5} {target}] {text}")
    }
}

fn weight(line: &Line) -> usize {
    line.target.len() + line.text.len() + BESIDE
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn fill(ring: &Ring, lines: &[(Level, &str)]) {
        let now = Utc::from(SystemTime::now());
        lines.iter().for_each(|(level, text)| ring.push(now, *level, "room", text));
    }

    fn texts(lines: &[Arc<Line>]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn lines_are_found_by_number_and_level() {
        let ring = Ring::new();
        fill(
            &ring,
            &[(Level::Info, "a"), (Level::Error, "b"), (Level::Debug, "c"), (Level::Warn, "d")],
        );
        let lines = |since, level, most| {
            let lines = ring.lines(since, level, most);
            texts(&lines).join("")
        };
        assert_eq!(lines(0, Level::Trace, 9), "abcd");
        assert_eq!(lines(0, Level::Info, 9), "abd");
        assert_eq!(lines(2, Level::Trace, 9), "cd");
        assert_eq!(lines(0, Level::Warn, 1), "d", "the newest");
        assert_eq!(lines(4, Level::Trace, 9), "");
        assert_eq!(*ring.next().borrow(), 4);
        assert!(ring.lines(0, Level::Error, 9)[0].to_string().ends_with("Z ERROR room] b"));
    }

    #[test]
    fn however_long_and_many_the_lines_are_the_room_is_bounded() {
        let ring = Ring::new();
        let long = "é".repeat(5_000);
        for n in 0..40_000 {
            fill(&ring, &[(Level::Info, if n % 2 == 0 { "" } else { &long })]);
        }
        let kept = ring.lock();
        let bytes: usize = kept.lines.iter().map(|line| weight(line)).sum();
        assert_eq!(bytes, kept.bytes);
        assert!(bytes <= BYTES && bytes > BYTES - 2 * LONGEST, "{bytes}");
        assert!(kept.lines.iter().all(|line| line.text.len() <= LONGEST));
        assert_eq!(kept.lines.back().unwrap().number, 39_999);
    }
}
