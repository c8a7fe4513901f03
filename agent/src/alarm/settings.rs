//! When alarms are reported, for each trigger of each channel: as the cloud has set it up, else as the configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::{Armed, Detection, Trigger};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::outbox::Place;
use super::rule::Terms;
use crate::config;
use crate::state::{StateError, StateStore};

/// The settings' name in the state store.
const SUBJECT: &str = "alarms";

/// The settings of a device. Clones share them.
#[derive(Clone)]
pub struct Settings(Arc<Shared>);

struct Shared {
    store: StateStore,
    default: config::Alarm,
    set: watch::Sender<BTreeMap<Place, Terms>>,
    /// How often a clock was set.
    clocks: watch::Sender<u64>,
    /// What the file holds, as far as that is known. Held while the file is written, so that the newest settings are
    /// written last, and only those that changed.
    written: Mutex<Option<BTreeMap<Place, Terms>>>,
}

/// One row of the file.
#[derive(Serialize, Deserialize)]
struct Row {
    channel: usize,
    trigger: Name,
    enable: bool,
    start: u32,
    end: u32,
    delay: u64,
}

/// The name of a trigger in the file.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    External,
    Motion,
    Line,
}

impl Settings {
    /// Goes on with the settings that `store` has kept.
    pub(crate) fn new(default: &config::Alarm, store: StateStore) -> Self {
        let rows: Vec<Row> = store.read(SUBJECT).unwrap_or_default();
        let set: BTreeMap<_, _> = rows.into_iter().map(Row::read).collect();
        let written = Mutex::new(Some(set.clone()));
        let set = watch::Sender::new(set);
        let clocks = watch::Sender::new(0);
        Self(Arc::new(Shared { store, default: default.clone(), set, clocks, written }))
    }

    /// Takes over what a camera was set up to, and keeps it over a restart.
    pub(crate) async fn set(&self, channel: usize, trigger: Trigger, detection: Detection) {
        let Detection { enable, armed, delay, .. } = detection;
        let terms = Terms { enable, armed, delay };
        let shared = &self.0;
        shared.set.send_if_modified(|set| set.insert((channel, trigger), terms) != Some(terms));
        let mut written = shared.written.lock().await;
        let wanted = shared.set.borrow().clone();
        if written.as_ref() == Some(&wanted) {
            return;
        }
        let rows: Vec<Row> = wanted.iter().map(Row::of).collect();
        *written = None;
        match shared.store.write(SUBJECT, &rows).await {
            Ok(()) => *written = Some(wanted),
            Err(e @ StateError::NoFolder) => log::info!("alarms: {e}"),
            Err(e) => {
                log::warn!("alarms: the settings of channel {channel} last until a restart: {e}")
            }
        }
    }

    /// A clock was set: the cameras' clocks are asked before they count again.
    pub fn clock_was_set(&self) {
        self.0.clocks.send_modify(|count| *count += 1);
    }

    /// The terms of a trigger at this moment.
    pub(super) fn terms(&self, place: Place) -> Terms {
        let set = self.0.set.borrow().get(&place).copied();
        set.unwrap_or_else(|| {
            let config::Alarm { enable, delay, .. } = &self.0.default;
            Terms { enable: enable.contains(&place.1), armed: Armed::ALWAYS, delay: *delay }
        })
    }

    /// Names of the alarms of a channel that are reported at this moment.
    #[cfg(feature = "ui")]
    pub(crate) fn enabled(&self, channel: usize) -> Vec<&'static str> {
        let all =
            [(Trigger::Input, "external"), (Trigger::Motion, "motion"), (Trigger::Line, "line")];
        let enabled = all.into_iter().filter(|(trigger, _)| self.terms((channel, *trigger)).enable);
        enabled.map(|(_, name)| name).collect()
    }

    /// Tells of each change.
    pub(super) fn changes(&self) -> watch::Receiver<BTreeMap<Place, Terms>> {
        self.0.set.subscribe()
    }

    /// Tells each time a clock was set.
    pub(crate) fn clocks(&self) -> watch::Receiver<u64> {
        self.0.clocks.subscribe()
    }
}

impl Row {
    fn of(((channel, trigger), terms): (&Place, &Terms)) -> Self {
        let Terms { enable, armed: Armed { start, end }, delay } = *terms;
        let trigger = match trigger {
            Trigger::Input => Name::External,
            Trigger::Motion => Name::Motion,
            Trigger::Line => Name::Line,
        };
        Self { channel: *channel, trigger, enable, start, end, delay: delay.as_secs() }
    }

    fn read(self) -> (Place, Terms) {
        let Self { channel, trigger, enable, start, end, delay } = self;
        let trigger = match trigger {
            Name::External => Trigger::Input,
            Name::Motion => Trigger::Motion,
            Name::Line => Trigger::Line,
        };
        let terms =
            Terms { enable, armed: Armed { start, end }, delay: Duration::from_secs(delay) };
        ((channel, trigger), terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: Detection = Detection {
        enable: true,
        armed: Armed { start: 79_200, end: 21_600 },
        sensitivity: 50,
        delay: Duration::from_secs(20),
    };

    fn kept(folder: Option<&tempfile::TempDir>) -> Settings {
        let store = StateStore::new(folder.map(|folder| folder.path().into()));
        Settings::new(&config::Alarm::default(), store)
    }

    #[tokio::test]
    async fn what_the_cloud_has_set_up_outlasts_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let settings = kept(Some(&folder));
        let mut changes = settings.changes();
        let place = (2, Trigger::Motion);
        assert!(!settings.terms(place).enable && settings.terms((2, Trigger::Input)).enable);
        settings.set(2, Trigger::Motion, NIGHT).await;
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        settings.set(2, Trigger::Motion, NIGHT).await;
        assert!(!changes.has_changed().unwrap(), "nothing changed");
        let file = folder.path().join("alarms.json");
        std::fs::remove_file(&file).unwrap();
        settings.set(2, Trigger::Motion, NIGHT).await;
        assert!(!file.exists(), "what did not change is not written: flash wears out");
        settings.set(0, Trigger::Line, Detection { enable: false, ..NIGHT }).await;
        let again = kept(Some(&folder));
        let terms = Terms { enable: true, armed: NIGHT.armed, delay: NIGHT.delay };
        assert_eq!(again.terms(place), terms);
        assert_eq!(again.terms((0, Trigger::Line)), Terms { enable: false, ..terms });
        assert_eq!(again.terms((1, Trigger::Line)).armed, Armed::ALWAYS, "by the configuration");
    }

    #[tokio::test]
    async fn settings_that_cannot_be_kept_last_until_the_restart() {
        let settings = kept(None);
        settings.set(0, Trigger::Motion, NIGHT).await;
        assert!(settings.terms((0, Trigger::Motion)).enable);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alarms.json"), "[{\"channel\":").unwrap();
        assert!(!kept(Some(&folder)).terms((0, Trigger::Motion)).enable);
        assert!(folder.path().join("alarms.json.damaged").exists());
    }
}
