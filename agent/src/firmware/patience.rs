//! How long a server may take, and how long it is left alone.

use std::time::Duration;

use super::refusal::Refusal;

/// How long a server may take, and how long it is left alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The pauses between the tries of a download; the last one goes on.
    pub(super) pauses: [Duration; 6],
    /// In which time 60 KiB have to come, or the rest of the file.
    pub(super) slow: Duration,
    /// The pause after each upgrade.
    pub(super) rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let pauses = [5, 15, 30, 60, 120, 300].map(Duration::from_secs);
        Self { pauses, slow: Duration::from_secs(60), rest: Duration::from_secs(60) }
    }
}

impl Patience {
    /// The pause after so many tries, 1 or more, or what a busy server asks for.
    pub(super) fn pause(&self, tries: usize, refusal: &Refusal) -> Duration {
        let own = self.pauses[tries.saturating_sub(1).min(self.pauses.len() - 1)];
        own.max(refusal.pause().unwrap_or_default())
    }
}
