//! The audit log: the commands of the server and what became of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::policy::Refusal;
use crate::cover;

/// Number of reading commands that are kept.
const READS: usize = 200;
/// Number of writing commands that are kept, in a ring of their own: no flood of another kind pushes them out.
const WRITES: usize = 64;
/// Number of refused commands that are kept, in a ring of their own as well.
const REFUSED: usize = 64;
/// Number of characters that are kept of a command, unless the command writes.
const LONGEST: usize = 200;
/// Least time between two warnings of refused commands.
const WARNINGS: Duration = Duration::from_secs(60);

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the command had come.
    pub at: SystemTime,
    /// The command in printable ASCII, other bytes as `\xNN`; cut to 200 characters unless it writes.
    pub command: String,
    /// Whether the command changes the camera's settings, and was allowed to.
    pub writes: bool,
    /// Why the command was refused; `None` when it was allowed.
    pub refused: Option<Refusal>,
    /// The reply; `None` while the command is being carried out, or when it could not be read.
    pub answered: Option<Answered>,
}

/// The reply to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Status of the reply, also where the reply has no status line.
    pub status: u16,
    /// Length of the reply in bytes, its head included where it has one.
    pub bytes: usize,
    /// Time from the command to the end of the reply.
    pub took: Duration,
}

/// A view of the newest 200 commands that read, the newest 64 that write, and the newest 64 that were refused.
/// Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Audit(Arc<Mutex<Rings>>);

#[derive(Debug, Default)]
struct Rings {
    /// Number of the next command. Some commands set the device's clock, so its time does not tell their order.
    next: Number,
    reads: VecDeque<(Number, Entry)>,
    writes: VecDeque<(Number, Entry)>,
    refused: VecDeque<(Number, Entry)>,
    /// When the last warning of a refused command was given.
    warned: Option<Instant>,
    /// Refused commands since that warning.
    unsaid: u64,
}

type Number = u64;

impl Audit {
    /// The commands, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let rings = self.lock();
        let mut all: Vec<_> =
            rings.reads.iter().chain(&rings.writes).chain(&rings.refused).collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// Enters a command that begins, and returns the number for [`end`](Self::end).
    pub(super) fn begin(&self, entry: Entry) -> Number {
        let mut rings = self.lock();
        let number = rings.next;
        rings.next += 1;
        let (ring, most) = match (&entry.refused, entry.writes) {
            (Some(_), _) => (&mut rings.refused, REFUSED),
            (None, true) => (&mut rings.writes, WRITES),
            (None, false) => (&mut rings.reads, READS),
        };
        if ring.len() == most {
            ring.pop_front();
        }
        ring.push_back((number, entry));
        number
    }

    /// Enters the reply to a command.
    pub(super) fn end(&self, number: Number, answered: Answered) {
        let mut rings = self.lock();
        let Rings { reads, writes, refused, .. } = &mut *rings;
        let mut all = reads.iter_mut().chain(writes).chain(refused);
        if let Some((_, entry)) = all.find(|(n, _)| *n == number) {
            entry.answered = Some(answered);
        }
    }

    /// Whether to warn of a refused command, and how many went without a warning since the last one: at most
    /// once a minute, and not of a command that was refused before.
    pub(super) fn warning(&self, command: &str) -> Option<u64> {
        let mut rings = self.lock();
        if rings.refused.iter().any(|(_, entry)| entry.command == command) {
            return None;
        }
        if rings.warned.is_some_and(|at| at.elapsed() < WARNINGS) {
            rings.unsaid += 1;
            return None;
        }
        rings.warned = Some(Instant::now());
        Some(std::mem::take(&mut rings.unsaid))
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command fit for a page or a log, without its secrets, also those that nothing else knows: the password that a
/// refused command would have set. The beginning, or the whole of it.
pub(super) fn printable(command: &[u8], whole: bool) -> String {
    let text = cover::plain(&command.escape_ascii().to_string());
    if whole { text } else { text.chars().take(LONGEST).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Answered = Answered { status: 200, bytes: 9, took: Duration::ZERO };

    fn entry(command: &str, writes: bool, refused: Option<Refusal>) -> Entry {
        let at = SystemTime::UNIX_EPOCH;
        Entry { at, command: command.to_owned(), writes, refused, answered: None }
    }

    fn commands(audit: &Audit) -> Vec<String> {
        audit.entries().into_iter().map(|entry| entry.command).collect()
    }

    #[test]
    fn the_newest_commands_are_kept() {
        let audit = Audit::default();
        let view = audit.clone();
        for n in 0..READS + 5 {
            audit.begin(entry(&n.to_string(), false, None));
        }
        let commands = commands(&view);
        assert_eq!(commands.len(), READS);
        assert_eq!((&*commands[0], &*commands[READS - 1]), ("5", "204"));
    }

    #[test]
    fn no_flood_of_reads_pushes_out_what_was_refused() {
        let audit = Audit::default();
        let hostile = audit.begin(entry("hostile", false, Some(Refusal::Params)));
        for _ in 0..10_000 {
            audit.begin(entry("harmless", false, None));
        }
        audit.end(hostile, DONE);
        let first = &audit.entries()[0];
        assert_eq!((&*first.command, first.answered), ("hostile", Some(DONE)));
    }

    #[test]
    fn no_junk_pushes_out_what_was_written() {
        let audit = Audit::default();
        let first = audit.begin(entry("first", true, None));
        for _ in 0..10_000 {
            audit.begin(entry("junk", false, Some(Refusal::Path)));
        }
        let last = audit.begin(entry("last", true, None));
        audit.begin(entry("after", false, None));
        audit.end(first, DONE);
        let entries = audit.entries();
        assert_eq!((&*entries[0].command, entries[0].answered), ("first", Some(DONE)));
        assert_eq!(entries.len(), REFUSED + 3);
        let [.., before, written, after] = &commands(&audit)[..] else { panic!("three") };
        assert_eq!((&**before, &**written, &**after), ("junk", "last", "after"), "by time");
        audit.end(last, DONE);
        for _ in 0..WRITES {
            audit.begin(entry("write", true, None));
        }
        assert!(!commands(&audit).contains(&"last".to_owned()), "these are bounded as well");
        audit.end(last, DONE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refused_commands_is_one_line_a_minute() {
        let audit = Audit::default();
        let mut lines = Vec::new();
        for n in 0..100 {
            lines.extend(audit.warning(&n.to_string()));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, [0, 59]);
        tokio::time::sleep(WARNINGS).await;
        assert_eq!(audit.warning("last"), Some(39));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_before_is_no_news() {
        let audit = Audit::default();
        audit.begin(entry("/a", false, None));
        assert_eq!(audit.warning("/a"), Some(0));
        audit.begin(entry("/a", false, Some(Refusal::Path)));
        tokio::time::sleep(WARNINGS).await;
        assert_eq!((audit.warning("/a"), audit.warning("/b")), (None, Some(0)));
    }

    #[test]
    fn no_password_in_a_command_is_shown() {
        for (command, shown) in [
            (
                "/pwdgrp.cgi?action=add&user=a&pwd=Canary&grp=x",
                "/pwdgrp.cgi?action=add&user=a&pwd=***&grp=x",
            ),
            (
                "/param.cgi?action=update&Network.Wireless.I0.PSK.Key=Canary",
                "/param.cgi?action=update&Network.Wireless.I0.PSK.Key=***",
            ),
            ("/a.cgi?p%77d=Canary&b=1", "/a.cgi?p%77d=***&b=1"),
            ("/a.cgi?url=http://u:Canary@h/Canary", "/a.cgi?url=http://h/***"),
        ] {
            assert_eq!(printable(command.as_bytes(), true), shown);
        }
        let long = format!("/a.cgi?{}&pwd=Canary", "x".repeat(LONGEST - 16));
        assert!(!printable(long.as_bytes(), false).contains("Can"));
    }

    #[test]
    fn no_command_can_begin_a_line_or_fill_a_page() {
        assert_eq!(printable(b"/a\r\n\x1b[2J\xff?x='", false), "/a\\r\\n\\x1b[2J\\xff?x=\\'");
        assert_eq!(printable(&[0xff; 8192], false).len(), LONGEST);
        assert_eq!(printable(&[b'x'; 8192], true).len(), 8192);
    }
}
