//! Whether the agent has ended though nobody asked it to.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ivt_base::process_group::Group;

use super::log::Log;
use super::settings::{Lines, key_at};

/// How long the last words of an agent that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The process that nobody has ended. It is taken out before it is asked to end.
pub(super) type Slot = Arc<Mutex<Option<Group>>>;

/// Tells of an agent that has ended by itself.
pub(super) struct Pulse {
    config: PathBuf,
    text: String,
    log: Log,
    process: Slot,
    /// How it ended, and when that was seen.
    ended: Option<(ExitStatus, Instant)>,
}

/// How an agent ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    /// What it said last.
    said: Option<String>,
    /// The key of its configuration that this is about.
    key: Option<String>,
}

impl Pulse {
    /// Of the agent with this configuration, whose text stands in its file.
    pub(super) fn new((config, text): (PathBuf, String), log: Log, process: Slot) -> Self {
        Self { config, text, log, process, ended: None }
    }

    /// How the agent has ended by itself, once all that it said was read.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            let status = locked(&self.process).as_mut()?.ended()?;
            self.ended = Some((status, Instant::now()));
        }
        let (status, seen) = self.ended?;
        // A program that it started may hold its output open.
        if !self.log.is_whole() && seen.elapsed() < LAST_WORDS {
            return None;
        }
        let said = self.log.last_words();
        let place = format!("{}:", self.config.display());
        let line = said.as_ref().and_then(|said| said.split_once(&place)?.1.split(':').next());
        let line = line.and_then(|line| line.parse().ok());
        let key = line.and_then(|line| key_at(&self.text, line));
        Some(Ended { status, said: said.map(|said| self.without_place(&said)), key })
    }

    /// A line without the place in the configuration, which is gone with the run.
    fn without_place(&self, said: &str) -> String {
        let said = said.strip_prefix("ivt-agent: ").unwrap_or(said);
        match said.split_once(&format!("{}:", self.config.display())) {
            Some((before, after)) => {
                let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}{}", after.trim_start_matches(':').trim_start())
            }
            None => said.to_owned(),
        }
    }
}

impl Ended {
    /// What happened, with the place in the scenario where the key stands that the agent does not like.
    pub(super) fn told(&self, file: &Path, lines: &Lines) -> String {
        let status = self.status;
        let mut key = self.key.as_deref();
        let line = loop {
            match key {
                Some(name) if lines.contains_key(name) => break lines.get(name),
                Some(name) => key = name.rsplit_once('.').map(|(outer, _)| outer),
                None => break None,
            }
        };
        let place = line.map_or_else(String::new, |line| format!("{}:{line}: ", file.display()));
        match &self.said {
            Some(said) => format!("the agent ended by itself ({status}): {place}{said}"),
            None => format!("the agent ended by itself ({status}) and said nothing"),
        }
    }
}

/// The process of a slot.
pub(super) fn locked(slot: &Slot) -> MutexGuard<'_, Option<Group>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
