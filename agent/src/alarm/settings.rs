//! How alarms are set up, for each trigger of each channel: as the cloud or the device's page has said last, else as the
//! configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::{Area, Armed, Detection, Point, Trigger};
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
    set: watch::Sender<BTreeMap<Place, Kept>>,
    /// How often a clock was set.
    clocks: watch::Sender<u64>,
    /// What the file holds, as far as that is known. Held while the file is written, so that the newest settings are
    /// written last, and only those that changed.
    written: Mutex<Option<BTreeMap<Place, Kept>>>,
}

/// What was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    terms: Terms,
    /// What the camera was told, 0 to 100; `None` where an older version has kept it.
    sensitivity: Option<u8>,
    /// The area of the tripwire, as it was said last.
    area: Option<Area>,
    by: By,
}

/// Who has set something up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// The cloud.
    #[default]
    Cloud,
    /// Somebody at the device's page.
    #[cfg(feature = "ui")]
    Page,
    /// Somebody, by a version of the program that knows more.
    #[serde(other)]
    Other,
}

/// How a trigger is set up.
#[cfg(feature = "ui")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetUp {
    /// Whether its alarms are reported.
    pub(crate) enable: bool,
    /// When they are reported each day.
    pub(crate) armed: Armed,
    /// How long nothing is detected before an alarm ends.
    pub(crate) delay: Duration,
    /// What the camera was told, 0 to 100; `None` where nobody has said it.
    pub(crate) sensitivity: Option<u8>,
    /// The area of the tripwire; `None` where nobody has said it.
    pub(crate) area: Option<Area>,
    /// Who has set it up; `None` where the configuration alone says it.
    pub(crate) by: Option<By>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sensitivity: Option<u8>,
    /// Four corners, from left to right and from top to bottom in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<[[u8; 2]; 4]>,
    #[serde(default)]
    by: By,
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

    /// Takes over what a camera was set up to, and keeps it over a restart. Without an area, the one of before stays.
    pub(crate) async fn set(
        &self,
        channel: usize,
        trigger: Trigger,
        detection: Detection,
        area: Option<Area>,
        by: By,
    ) {
        let Detection { enable, armed, delay, sensitivity } = detection;
        let terms = Terms { enable, armed, delay };
        let (place, shared) = ((channel, trigger), &self.0);
        shared.set.send_if_modified(|set| {
            let area = area.or(set.get(&place).and_then(|kept| kept.area));
            let kept = Kept { terms, sensitivity: Some(sensitivity), area, by };
            set.insert(place, kept) != Some(kept)
        });
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
        let set = self.0.set.borrow().get(&place).map(|kept| kept.terms);
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

    /// How a trigger is set up at this moment.
    #[cfg(feature = "ui")]
    pub(crate) fn of(&self, channel: usize, trigger: Trigger) -> SetUp {
        let place = (channel, trigger);
        let kept = self.0.set.borrow().get(&place).copied();
        let Terms { enable, armed, delay } = self.terms(place);
        let sensitivity = kept.and_then(|kept| kept.sensitivity);
        let area = kept.and_then(|kept| kept.area);
        SetUp { enable, armed, delay, sensitivity, area, by: kept.map(|kept| kept.by) }
    }

    /// Tells of each change.
    pub(super) fn changes(&self) -> watch::Receiver<BTreeMap<Place, Kept>> {
        self.0.set.subscribe()
    }

    /// Tells each time a clock was set.
    pub(crate) fn clocks(&self) -> watch::Receiver<u64> {
        self.0.clocks.subscribe()
    }
}

impl Row {
    fn of(((channel, trigger), kept): (&Place, &Kept)) -> Self {
        let Kept { terms, sensitivity, area, by } = *kept;
        let Terms { enable, armed: Armed { start, end }, delay } = terms;
        let area = area.map(|Area(corners)| corners.map(|corner| [corner.x, corner.y]));
        let trigger = match trigger {
            Trigger::Input => Name::External,
            Trigger::Motion => Name::Motion,
            Trigger::Line => Name::Line,
        };
        let delay = delay.as_secs();
        Self { channel: *channel, trigger, enable, start, end, delay, sensitivity, area, by }
    }

    fn read(self) -> (Place, Kept) {
        let Self { channel, trigger, enable, start, end, delay, sensitivity, area, by } = self;
        let trigger = match trigger {
            Name::External => Trigger::Input,
            Name::Motion => Trigger::Motion,
            Name::Line => Trigger::Line,
        };
        let terms =
            Terms { enable, armed: Armed { start, end }, delay: Duration::from_secs(delay) };
        let sensitivity = sensitivity.filter(|percent| *percent <= 100);
        let area = area.filter(|corners| corners.as_flattened().iter().all(|part| *part <= 100));
        let area = area.map(|corners| Area(corners.map(|[x, y]| Point { x, y })));
        ((channel, trigger), Kept { terms, sensitivity, area, by })
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
        settings.set(2, Trigger::Motion, NIGHT, None, By::Cloud).await;
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        settings.set(2, Trigger::Motion, NIGHT, None, By::Cloud).await;
        assert!(!changes.has_changed().unwrap(), "nothing changed");
        let file = folder.path().join("alarms.json");
        std::fs::remove_file(&file).unwrap();
        settings.set(2, Trigger::Motion, NIGHT, None, By::Cloud).await;
        assert!(!file.exists(), "what did not change is not written: flash wears out");
        let off = Detection { enable: false, ..NIGHT };
        settings.set(0, Trigger::Line, off, None, By::Cloud).await;
        let again = kept(Some(&folder));
        let terms = Terms { enable: true, armed: NIGHT.armed, delay: NIGHT.delay };
        assert_eq!(again.terms(place), terms);
        assert_eq!(again.terms((0, Trigger::Line)), Terms { enable: false, ..terms });
        assert_eq!(again.terms((1, Trigger::Line)).armed, Armed::ALWAYS, "by the configuration");
    }

    #[cfg(feature = "ui")]
    #[tokio::test]
    async fn what_was_said_last_of_a_detection_is_shown_with_who_said_it() {
        let folder = tempfile::tempdir().unwrap();
        let settings = kept(Some(&folder));
        let place = (1, Trigger::Line);
        assert_eq!(
            (settings.of(1, Trigger::Line).by, settings.of(1, Trigger::Line).area),
            (None, None)
        );
        let point = |x, y| Point { x, y };
        let area = Area([point(10, 20), point(60, 20), point(60, 100), point(10, 100)]);
        settings.set(place.0, place.1, NIGHT, Some(area), By::Page).await;
        let shown = kept(Some(&folder)).of(1, Trigger::Line);
        assert_eq!(
            (shown.area, shown.by, shown.sensitivity),
            (Some(area), Some(By::Page), Some(50))
        );
        settings
            .set(place.0, place.1, Detection { sensitivity: 7, ..NIGHT }, None, By::Cloud)
            .await;
        let shown = kept(Some(&folder)).of(1, Trigger::Line);
        assert_eq!(
            (shown.area, shown.by, shown.sensitivity),
            (Some(area), Some(By::Cloud), Some(7))
        );
    }

    #[tokio::test]
    async fn a_file_of_another_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let row = |more: &str| {
            format!(
                r#"[{{"channel":0,"trigger":"motion","enable":true,"start":0,"end":86400,"delay":5{more}}}]"#
            )
        };
        for more in [
            "",
            r#","by":"robot""#,
            r#","sensitivity":200,"area":[[0,0],[101,0],[9,9],[0,9]],"new":1"#,
        ] {
            std::fs::write(folder.path().join("alarms.json"), row(more)).unwrap();
            let settings = kept(Some(&folder));
            let kept = settings.0.set.borrow()[&(0, Trigger::Motion)];
            assert!(
                kept.terms.enable && kept.sensitivity.is_none() && kept.area.is_none(),
                "{more}"
            );
        }
    }

    #[tokio::test]
    async fn settings_that_cannot_be_kept_last_until_the_restart() {
        let settings = kept(None);
        settings.set(0, Trigger::Motion, NIGHT, None, By::Cloud).await;
        assert!(settings.terms((0, Trigger::Motion)).enable);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alarms.json"), "[{\"channel\":").unwrap();
        assert!(!kept(Some(&folder)).terms((0, Trigger::Motion)).enable);
        assert!(folder.path().join("alarms.json.damaged").exists());
    }
}
