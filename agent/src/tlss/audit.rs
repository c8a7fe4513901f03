//! What servers asked for, and what became of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::policy::Refusal;

/// The newest are kept.
const ENTRIES: usize = 200;
/// Characters of a command that are kept.
const LONGEST: usize = 200;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it had come.
    pub at: SystemTime,
    /// In printable ASCII, other bytes as `\xNN`, and cut to 200 characters.
    pub command: String,
    /// Why it was refused; none: it was carried out.
    pub refused: Option<Refusal>,
    /// Of our reply.
    pub status: u16,
    /// Of our reply, its head included.
    pub bytes: usize,
    /// From the command to the reply.
    pub took: Duration,
}

/// A view of the newest 200 commands. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Audit(Arc<Mutex<VecDeque<Entry>>>);

impl Audit {
    /// The commands, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().iter().cloned().collect()
    }

    /// Whether the same command was refused before, as far as is remembered.
    pub(super) fn knows(&self, command: &str) -> bool {
        self.lock().iter().any(|entry| entry.refused.is_some() && entry.command == command)
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut entries = self.lock();
        if entries.len() == ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command fit for a page or a log.
pub(super) fn printable(command: &[u8]) -> String {
    let start = command.get(..LONGEST).unwrap_or(command);
    start.escape_ascii().to_string().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(command: &str, refused: Option<Refusal>) -> Entry {
        let (at, took) = (SystemTime::UNIX_EPOCH, Duration::ZERO);
        Entry { at, command: command.to_owned(), refused, status: 200, bytes: 0, took }
    }

    #[test]
    fn the_newest_commands_are_kept() {
        let audit = Audit::default();
        let view = audit.clone();
        for n in 0..ENTRIES + 5 {
            audit.push(entry(&n.to_string(), None));
        }
        let commands: Vec<_> = view.entries().into_iter().map(|entry| entry.command).collect();
        assert_eq!(commands.len(), ENTRIES);
        assert_eq!((&*commands[0], &*commands[ENTRIES - 1]), ("5", "204"));
    }

    #[test]
    fn a_refused_command_is_remembered_as_such() {
        let audit = Audit::default();
        audit.push(entry("/a", None));
        assert!(!audit.knows("/a"));
        audit.push(entry("/a", Some(Refusal::Path)));
        assert!(audit.knows("/a") && !audit.knows("/b"));
    }

    #[test]
    fn no_command_can_begin_a_line_or_fill_a_page() {
        assert_eq!(printable(b"/a\r\n\x1b[2J\xff?x='"), "/a\\r\\n\\x1b[2J\\xff?x=\\'");
        assert_eq!(printable(&[0xff; 8192]).len(), LONGEST);
    }
}
