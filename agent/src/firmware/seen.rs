//! What a person at the page sees of the firmware.

use std::collections::VecDeque;
use std::time::SystemTime;

use ivt_hal::Running;

use super::attempt::Outcome;
use super::refusal::Refusal;

/// Most attempts that are remembered.
const ATTEMPTS: usize = 8;

/// What the task of the firmware does, knows and did last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What it does at the moment.
    pub(crate) work: Work,
    /// What runs, where the device tells.
    pub(crate) running: Option<Running>,
    /// Version and counter of what was installed last, and whether it was left again.
    pub(crate) installed: Option<(String, Option<u64>, bool)>,
    /// The newest attempts, the newest at the end.
    pub(crate) attempts: VecDeque<Attempted>,
}

/// What the task of the firmware does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Work {
    /// It finds out what runs.
    #[default]
    Start,
    /// Nothing.
    Idle,
    /// It watches a firmware on trial.
    Trial,
    /// It asks the cloud, and fetches what that offers.
    Cloud,
    /// It takes an upload: so many bytes of so many.
    Upload { bytes: u64, size: u64 },
    /// It installs what was uploaded.
    Install,
    /// It waits for the end of recordings, and restarts the device.
    Restart,
}

/// An upgrade that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    /// When that was.
    pub(crate) at: SystemTime,
    /// Who wanted it: "cloud", "daily", "check" or "upload".
    pub(crate) by: &'static str,
    /// The version, where it is known; else empty.
    pub(crate) version: String,
    /// "installed" or "nothing_new", or the word and the text of the refusal.
    pub(crate) outcome: Result<&'static str, (&'static str, String)>,
}

impl Work {
    /// A word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Idle => "idle",
            Self::Trial => "trial",
            Self::Cloud => "checking",
            Self::Upload { .. } => "uploading",
            Self::Install => "installing",
            Self::Restart => "restarting",
        }
    }
}

impl Seen {
    /// Remembers an attempt.
    pub(super) fn note(
        &mut self,
        by: &'static str,
        version: &str,
        outcome: &Result<Outcome, Refusal>,
    ) {
        if self.attempts.len() == ATTEMPTS {
            self.attempts.pop_front();
        }
        let outcome = match outcome {
            Ok(Outcome::Nothing) => Ok("nothing_new"),
            Ok(Outcome::Installed(_)) => Ok("installed"),
            Err(refusal) => Err((refusal.code(), refusal.to_string())),
        };
        let (at, version) = (SystemTime::now(), version.to_owned());
        self.attempts.push_back(Attempted { at, by, version, outcome });
    }
}
