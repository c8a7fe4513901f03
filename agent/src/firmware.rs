//! New firmware of the device: asked of the cloud, fetched, checked, installed, and kept once it is known to work.
//!
//! What the protocol gives is a version and an address. Whose image it is, and what, says a signature beside it
//! (`signature`), and the device takes it only by its own rules (`policy`): neither the cloud nor who is in between can
//! bring it to run anything else.

mod attempt;
mod download;
mod journal;
mod judgement;
mod night;
#[cfg(feature = "ui")]
mod order;
mod pace;
mod patience;
mod place;
mod policy;
mod refusal;
#[cfg(feature = "ui")]
mod seen;
mod signature;
mod trial;
mod updater;
#[cfg(feature = "ui")]
mod upload;
pub mod verify;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod trial_tests;
#[cfg(test)]
mod upgrade_tests;
#[cfg(test)]
#[cfg(feature = "ui")]
mod upload_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use ivt_base::task::spawn_blocking;
use ivt_hal::Firmware;
use tokio::sync::{Notify, watch};

use crate::channel::{Link, StatusSource};
use crate::cloud::calls::Calls;
use crate::config::{Config, Rules};
use crate::http::Http;
#[cfg(feature = "ui")]
use crate::owner::Owner;
use crate::shutdown::Stop;
use crate::state::{StateError, StateStore};
use crate::{build_date, local_time};
use journal::Journal;
use night::LocalTime;
#[cfg(feature = "ui")]
use order::Orders;
#[cfg(feature = "ui")]
pub(crate) use order::{Order, Wish};
pub(crate) use patience::Patience;
pub(crate) use place::{check, place};
pub use refusal::Refusal;
#[cfg(feature = "ui")]
pub(crate) use seen::{Seen, Work};
use updater::Updater;

/// Asks for an upgrade. Clones ask the same device.
#[derive(Clone, Default)]
pub(crate) struct Upgrades(Arc<Asked>);

#[derive(Default)]
struct Asked {
    again: Notify,
    /// Whether one on which the cloud insists is under way.
    forced: AtomicBool,
    /// What a person at the page orders, and sees.
    #[cfg(feature = "ui")]
    orders: Orders,
}

impl Upgrades {
    /// Asks for an upgrade, as the cloud insists. While such a one is under way, this is no further one; the look of
    /// the night is followed by it.
    pub(crate) fn request(&self) {
        if self.0.forced.load(Ordering::SeqCst) {
            log::info!("firmware: UpgradeFirmware again: one is under way");
        } else {
            self.0.again.notify_one();
        }
    }

    /// What a person at the page orders, and sees.
    #[cfg(feature = "ui")]
    pub(crate) fn orders(&self) -> &Orders {
        &self.0.orders
    }

    /// Returns once an upgrade was asked for.
    async fn requested(&self) {
        self.0.again.notified().await;
    }

    /// Says whether one on which the cloud insists is under way.
    fn begin(&self, forced: bool) {
        self.0.forced.store(forced, Ordering::SeqCst);
    }
}

/// What the task of the firmware works with.
pub(crate) struct Setup {
    /// Which firmware is taken, and when.
    pub(crate) rules: watch::Receiver<Rules>,
    /// Model and version as the cloud is told, and the name of this device there.
    pub(crate) names: Names,
    /// Fetches images and signatures.
    pub(crate) http: Http,
    /// Asks the cloud.
    pub(crate) calls: Calls,
    /// Whether the cloud is there.
    pub(crate) link: watch::Receiver<Link>,
    /// Tells what is recorded.
    pub(crate) channels: Vec<StatusSource>,
    /// Keeps what has to outlast a restart.
    pub(crate) store: StateStore,
    /// Where it is shown that an upgrade is under way.
    pub(crate) upgrading: watch::Sender<bool>,
    /// How long servers may take.
    pub(crate) patience: Patience,
    /// Who has to be there for firmware of the cloud.
    #[cfg(feature = "ui")]
    pub(crate) owner: Owner,
}

/// How the cloud knows the device.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    hardware_model: String,
    firmware_model: String,
    login_code: String,
}

impl Names {
    /// The names of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let cloud = &config.cloud;
        let account = cloud.account.as_ref();
        Self {
            hardware_model: cloud.hardware_model.clone(),
            firmware_model: cloud.firmware_model.clone(),
            login_code: account.map(|account| account.login_code.clone()).unwrap_or_default(),
        }
    }
}

impl Setup {
    /// Keeps the device's firmware up to date until `stop`, as `upgrades` and the night ask. `place` is where a new
    /// firmware goes, once it can be used.
    pub(crate) async fn run(
        self,
        place: impl Future<Output = Arc<dyn Firmware>>,
        upgrades: Upgrades,
        mut stop: Stop,
    ) {
        let local: LocalTime = Box::new(|| local_time::local(SystemTime::now()));
        let store = self.store.clone();
        let opened = spawn_blocking(move || {
            if let Err(e @ StateError::Write { .. }) = store.check() {
                log::error!("firmware: what was upgraded is forgotten at the next start: {e}");
            }
            Journal::open(store, journal::wall(), journal::boot())
        })
        .await;
        let Ok(journal) = opened else { return };
        let clock = build_date::clock();
        let work = async {
            let firmware = place.await;
            let mut updater = Updater { setup: self, firmware, journal, clock, upgrades };
            updater.serve(local).await;
        };
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = work => {}
        }
    }
}
