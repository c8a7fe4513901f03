//! What the device remembers of its firmware over a restart: when it was upgraded last, what is under way, what was
//! installed, and the highest counters.
//!
//! Times are kept by the wall clock, and count by one that is never set, as a device without a clock of its own starts
//! in 1970 and is set while the agent runs.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_hal::Running;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::Key;
use crate::state::{StateError, StateStore};

/// One upgrade is begun within so many seconds.
const HOUR: u64 = 3600;
/// How often a download that the agent's end has interrupted goes on without counting as another upgrade.
const MOST_RESUMED: u8 = 3;
/// How many more nights try a firmware that gave way only because the cloud was away.
const NIGHTS: u8 = 3;
/// How often the agent may begin while a firmware is on trial.
const MOST_BEGUN: u8 = 10;
/// Most signers whose counters are remembered.
const SIGNERS: usize = 32;
/// What names this start of the device: the kernel makes another one up at each start.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The name in the state store.
const SUBJECT: &str = "firmware";

/// What is remembered. Only the task of the firmware has one.
pub(super) struct Journal {
    kept: Kept,
    start: Instant,
    /// When the last download was begun, in seconds since one hour before the agent's start.
    begun: Option<u64>,
    /// This start of the device.
    boot: String,
    store: StateStore,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Seconds since 1970 at which the last download was begun.
    begun: Option<u64>,
    /// The download that has not ended.
    under_way: Option<UnderWay>,
    /// What was installed last.
    installed: Option<Installed>,
    /// By signer the highest counter of a firmware that has stayed.
    highest: BTreeMap<String, u64>,
}

/// A download that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct UnderWay {
    /// The version as the cloud has named it.
    pub(super) version: String,
    /// Whether the cloud insisted.
    pub(super) forced: bool,
    /// How often it has gone on after an end of the agent.
    resumed: u8,
}

/// A firmware that was installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Installed {
    /// The version as the cloud has named it.
    pub(super) version: String,
    /// Its counter, where somebody has signed it.
    pub(super) counter: Option<u64>,
    /// The key of who has signed it.
    pub(super) signer: Option<String>,
    /// Whether the device has taken it.
    pub(super) done: bool,
    /// Whether it was tried and did not stay.
    pub(super) failed: bool,
    /// How often it gave way only because the cloud was away.
    pub(super) away: u8,
    /// How often the agent has begun while it was on trial.
    pub(super) begun: u8,
    /// The start of the device that was to be followed by another one.
    pub(super) owed: Option<String>,
}

impl Installed {
    /// Whether it was taken and has not failed: it runs, or waits for the restart.
    pub(super) fn waits(&self) -> bool {
        self.done && !self.failed
    }

    /// Whether the night tries it again after it has failed.
    pub(super) fn is_tried_again(&self) -> bool {
        (1..=NIGHTS).contains(&self.away)
    }
}

impl Journal {
    /// Goes on with what `store` has kept; `wall` is the time in seconds since 1970, and `boot` names this start of
    /// the device, where that is known. Blocks.
    pub(super) fn open(store: StateStore, wall: u64, boot: Option<String>) -> Self {
        let kept: Kept = store.read(SUBJECT).unwrap_or_default();
        // A time in the future is of a clock that was set back since. It counts as now.
        let begun = kept.begun.map(|begun| HOUR.saturating_sub(wall.saturating_sub(begun)));
        // A name that no other start of the agent has.
        let boot = boot.unwrap_or_else(|| format!("{} {wall}", std::process::id()));
        Self { kept, start: Instant::now(), begun, boot, store }
    }

    /// How long it takes until the next upgrade is allowed.
    pub(super) fn wait(&self) -> Option<Duration> {
        let since = self.now() - self.begun?;
        (since < HOUR).then(|| Duration::from_secs(HOUR - since))
    }

    /// Notes that the download of a version begins; one that is under way already goes on.
    pub(super) async fn begin(&mut self, version: &str, forced: bool, wall: u64) {
        let before = self.under_way().filter(|before| before.version == version).cloned();
        let resumed = before.as_ref().map_or(0, |before| before.resumed + 1);
        let forced = forced || before.as_ref().is_some_and(|before| before.forced);
        if before.is_none() {
            self.begun = Some(self.now());
        }
        self.kept.under_way = Some(UnderWay { version: version.to_owned(), forced, resumed });
        self.keep(wall).await;
    }

    /// The download that an end of the agent has interrupted, unless that has happened too often.
    pub(super) fn under_way(&self) -> Option<&UnderWay> {
        self.kept.under_way.as_ref().filter(|under_way| under_way.resumed < MOST_RESUMED)
    }

    /// Notes that nothing is under way any more.
    pub(super) async fn end(&mut self, wall: u64) {
        if self.kept.under_way.take().is_some() {
            self.keep(wall).await;
        }
    }

    /// Notes what the device is to install, in one step with the end of its download.
    pub(super) async fn install(&mut self, mut installed: Installed, wall: u64) {
        let before = self.installed().filter(|before| {
            before.counter.is_some()
                && (before.counter, &before.signer) == (installed.counter, &installed.signer)
        });
        installed.away = before.map_or(0, |before| before.away);
        self.kept.installed = Some(installed);
        self.kept.under_way = None;
        self.keep(wall).await;
    }

    /// Notes that the device has taken it, and whether it owes a restart.
    pub(super) async fn taken(&mut self, outcome: ivt_hal::Installed, wall: u64) {
        let owed = (outcome == ivt_hal::Installed::Restart).then(|| self.boot.clone());
        if let Some(installed) = &mut self.kept.installed {
            (installed.done, installed.owed) = (true, owed);
            self.keep(wall).await;
        }
    }

    /// Whether the device was to restart, and has not done so.
    pub(super) fn owes_restart(&self) -> bool {
        self.installed().is_some_and(|it| it.owed.as_ref() == Some(&self.boot))
    }

    /// What was installed last.
    pub(super) fn installed(&self) -> Option<&Installed> {
        self.kept.installed.as_ref()
    }

    /// Notes that the agent begins while a firmware is on trial. True when that has happened so often that the agent
    /// does not work in it.
    pub(super) async fn on_trial(&mut self, wall: u64) -> bool {
        let installed = self.kept.installed.get_or_insert_default();
        installed.begun = installed.begun.saturating_add(1);
        let often = installed.begun > MOST_BEGUN;
        self.keep(wall).await;
        often
    }

    /// Notes that `running` stays, if it is surely what was installed last, which is the answer. Counters of signers
    /// count from then on.
    pub(super) async fn stay(&mut self, running: &Running, wall: u64) -> bool {
        let Some(installed) = &self.kept.installed else { return false };
        let is_it = match running.counter {
            None => installed.done,
            runs => runs == installed.counter,
        };
        if !is_it {
            return false;
        }
        let before = self.kept.clone();
        let Kept { installed: Some(installed), highest, .. } = &mut self.kept else { return false };
        (installed.done, installed.failed, installed.away) = (true, false, 0);
        installed.owed = None;
        if let (Some(counter), Some(signer)) = (installed.counter, &installed.signer) {
            let of = highest.entry(signer.clone()).or_default();
            *of = counter.max(*of);
        }
        if highest.len() > SIGNERS {
            let lowest = highest.iter().min_by_key(|(_, counter)| **counter);
            let lowest = lowest.map(|(signer, _)| signer.clone());
            lowest.and_then(|signer| highest.remove(&signer));
        }
        if self.kept != before {
            self.keep(wall).await;
        }
        true
    }

    /// Notes that what was installed last did not stay. True where that is news.
    pub(super) async fn fail(&mut self, wall: u64) -> bool {
        let Some(installed) = self.kept.installed.as_mut().filter(|it| !it.failed) else {
            return false;
        };
        (installed.failed, installed.away, installed.owed) = (true, 0, None);
        self.keep(wall).await;
        true
    }

    /// Notes that what is on trial gives way, only because the cloud is `away` or for good, and that the device owes a
    /// restart.
    pub(super) async fn give_way(&mut self, away: bool, wall: u64) {
        let boot = self.boot.clone();
        let installed = self.kept.installed.get_or_insert_default();
        if !installed.failed || !away {
            installed.away = if away { installed.away.saturating_add(1) } else { 0 };
        }
        (installed.failed, installed.owed) = (true, Some(boot));
        self.keep(wall).await;
    }

    /// Notes that the device does not go back to the one before.
    pub(super) async fn cannot_leave(&mut self, wall: u64) {
        if let Some(installed) = &mut self.kept.installed {
            installed.owed = None;
            self.keep(wall).await;
        }
    }

    /// The lowest counter that is taken: of what runs and what has stayed before, but for what was signed by keys that
    /// are no longer trusted. Whoever had such a key could have set the counter as high as it goes.
    pub(super) fn floor(&self, running: &Running, keys: &[Key]) -> Option<u64> {
        let is_trusted = |signer: &str| keys.iter().any(|key| key.text == signer);
        let highest = &self.kept.highest;
        let signed = |running: &u64| {
            highest.iter().filter(|(_, counter)| *counter == running).collect::<Vec<_>>()
        };
        let runs = running.counter.filter(|running| {
            let signers = signed(running);
            signers.is_empty() || signers.iter().any(|(signer, _)| is_trusted(signer))
        });
        let trusted =
            highest.iter().filter(|(signer, _)| is_trusted(signer)).map(|(_, counter)| *counter);
        trusted.chain(runs).max()
    }

    fn now(&self) -> u64 {
        HOUR + self.start.elapsed().as_secs()
    }

    /// Keeps it all, if the disk takes it; it counts in memory anyway.
    async fn keep(&mut self, wall: u64) {
        self.kept.begun = self.begun.map(|begun| wall.saturating_sub(self.now() - begun));
        match self.store.write(SUBJECT, &self.kept).await {
            Ok(()) | Err(StateError::NoFolder) => {}
            Err(e) => {
                log::warn!("firmware: what was upgraded is forgotten when the agent restarts: {e}")
            }
        }
    }
}

/// This start of the device; `None` where the kernel does not tell.
pub(super) fn boot() -> Option<String> {
    fs::read_to_string(BOOT).ok().map(|boot| boot.trim().to_owned())
}

/// Seconds since 1970.
pub(super) fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
