//! The alarms of the cameras, reported to the cloud.
//!
//! ```text
//! camera ─▶ listen ─▶ watch: rule ─▶ desk: outbox, pictures ─▶ report ─▶ cloud     one watch per channel, one report task
//! ```
//!
//! An alarm's way: `listen` hears the camera, `rule` decides what is an alarm, `desk` keeps what is owed and shows it
//! in the Keepalive, and `report` tells the cloud and sends the picture, which `watch` has taken when the alarm began.
//! The device's page shows the newest of them from the `book`, and sets them up, as the cloud does, by `arrange`.
//!
//! - The newest alarm of each trigger of each channel outlasts an outage, with its end; a restart of the agent forgets
//!   all but the `settings`.
//! - A report whose answer was lost is repeated, so that the cloud may have it twice.
//! - While a trigger is switched off by the cloud, nothing of it is reported, not even the end of an alarm.

pub(crate) mod arrange;
#[cfg(feature = "ui")]
pub(crate) mod book;
mod describe;
mod desk;
mod listen;
mod local_time;
mod outbox;
mod pictures;
mod report;
mod rule;
mod settings;
mod watch;

use std::sync::Arc;

use ivt_base::task::work;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::desk::AlarmCounts;
pub(crate) use self::desk::Desk;
pub(crate) use self::settings::By;
#[cfg(feature = "ui")]
pub(crate) use self::settings::SetUp;
pub use self::settings::Settings;

use self::report::Cloud;
use self::watch::{PICTURES, Watch};
use crate::channel::Handle;
use crate::cloud::calls::Calls;
use crate::config;
use crate::http::Http;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;
use crate::state::StateStore;

/// What alarms need from outside.
pub(crate) struct Setup<'a> {
    pub(crate) config: &'a config::Alarm,
    pub(crate) device: &'a CurrentDevice,
    pub(crate) channels: &'a [Handle],
    pub(crate) calls: Calls,
    pub(crate) http: Http,
    pub(crate) store: StateStore,
    /// Whether the device has a page, which shows pictures of alarms.
    #[cfg(feature = "ui")]
    pub(crate) is_shown: bool,
}

impl Setup<'_> {
    /// Starts the tasks of alarms within `tasks`; they end when `stop` is requested.
    pub(crate) fn spawn(self, tasks: &mut JoinSet<()>, stop: &Stop) -> (Settings, Desk) {
        let Self { config, device, channels, calls, http, store, .. } = self;
        #[cfg(feature = "ui")]
        let is_shown = self.is_shown;
        let settings = Settings::new(config, store);
        let desk = Desk::new(channels.iter().map(Handle::alarm).collect(), config.bits);
        let cameras = Arc::new(Semaphore::new(PICTURES));
        for number in 0..channels.len() {
            let watch = Watch {
                device: device.clone(),
                number,
                settings: settings.clone(),
                desk: desk.clone(),
                cameras: Arc::clone(&cameras),
                #[cfg(feature = "ui")]
                is_shown,
            };
            let stop = stop.supervised(format_args!("alarms of channel {number}"));
            tasks.spawn(work(watch.run(stop)));
        }
        let stop = stop.supervised(format_args!("reports of alarms"));
        tasks.spawn(work(report::run(desk.clone(), Arc::new(Cloud { calls, http }), stop)));
        (settings, desk)
    }
}
