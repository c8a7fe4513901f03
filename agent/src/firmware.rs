//! New firmware of the device: asked of the cloud, fetched, checked, installed, and kept once it is known to work.
//!
//! What the protocol gives is a version and an address. Whose image it is, and what, says a signature beside it
//! (`signature`), and the device takes it only by its own rules (`policy`): neither the cloud nor who is in between can
//! bring it to run anything else.

mod download;
mod journal;
mod night;
mod pace;
mod patience;
mod place;
mod policy;
mod refusal;
mod signature;
mod trial;
pub mod verify;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod upgrade_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::clock::Clock;
use ivt_base::text;
use ivt_hal::manifest::Manifest;
use ivt_hal::{Firmware, Image, Incoming, Running};
use ivt_proto::rpc::message::{self, GetFirmware};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::channel::{Link, StatusSource};
use crate::cloud::calls::{CallError, Calls};
use crate::config::{Config, Rules};
use crate::http::address::{Address, LONGEST_URI};
use crate::http::{Http, HttpError};
use crate::shutdown::Stop;
use crate::state::StateStore;
use crate::{build_date, local_time};
use download::Fetch;
use journal::{Installed, Journal};
use night::{LocalTime, Night};
pub(crate) use patience::Patience;
pub(crate) use place::{check, place};
use policy::Situation;
pub use refusal::Refusal;
use signature::Signed;
use trial::Verdict;

/// How long the cloud may be away while it is to be asked for a firmware, and how often it is asked.
const OUTAGE: Duration = Duration::from_secs(3600);
const QUESTIONS: u32 = 5;
/// How often is looked whether something is recorded.
const LOOK: Duration = Duration::from_secs(5);
/// How often the file of a signature is asked for when it does not come.
const SIGNATURE_TRIES: usize = 4;
/// How long the file of a signature may take.
const SIGNATURE: Duration = Duration::from_secs(30);

/// Asks for an upgrade. Clones ask the same device.
#[derive(Clone, Default)]
pub(crate) struct Upgrades(Arc<Asked>);

#[derive(Default)]
struct Asked {
    again: Notify,
    /// Whether one is under way.
    busy: AtomicBool,
}

impl Upgrades {
    /// Asks for an upgrade, as the cloud insists. One at a time: while one is under way, this is no further one.
    pub(crate) fn request(&self) {
        if self.0.busy.load(Ordering::SeqCst) {
            log::info!("firmware: UpgradeFirmware again: one is under way");
        } else {
            self.0.again.notify_one();
        }
    }
}

/// What the task of the firmware works with.
pub(crate) struct Setup {
    /// Where a new firmware goes.
    pub(crate) firmware: Arc<dyn Firmware>,
    /// Which is taken, and when.
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
        Self {
            hardware_model: cloud.hardware_model.clone(),
            firmware_model: cloud.firmware_model.clone(),
            login_code: cloud.login_code.clone(),
        }
    }
}

impl Setup {
    /// Keeps the device's firmware up to date until `stop`, as `upgrades` and the night ask.
    pub(crate) async fn run(self, upgrades: Upgrades, mut stop: Stop) {
        let local: LocalTime = Box::new(|| local_time::local(SystemTime::now()));
        let store = self.store.clone();
        let opened = tokio::task::spawn_blocking(move || Journal::open(store, wall()));
        let Ok(journal) = opened.await else { return };
        let mut updater = Updater { setup: self, journal, clock: build_date::clock(), upgrades };
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = updater.serve(local) => {}
        }
    }
}

struct Updater {
    setup: Setup,
    journal: Journal,
    clock: Clock,
    upgrades: Upgrades,
}

/// What came of an upgrade that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// There is nothing to do.
    Nothing,
    /// A new firmware is installed.
    Installed(ivt_hal::Installed),
}

impl Updater {
    async fn serve(&mut self, local: LocalTime) {
        let mut night = Night::of(&self.setup.names.login_code, local);
        self.settle().await;
        let mut forced = self.journal.under_way().map(|under_way| under_way.forced);
        loop {
            let forced = match forced.take() {
                Some(forced) => forced,
                None => self.asked(&mut night).await,
            };
            self.upgrades.0.busy.store(true, Ordering::SeqCst);
            self.upgrade(forced).await;
            self.setup.upgrading.send_replace(false);
            self.upgrades.0.busy.store(false, Ordering::SeqCst);
            sleep(self.setup.patience.rest).await;
        }
    }

    /// Waits until there may be a new firmware. True when the cloud insists.
    async fn asked(&mut self, night: &mut Night) -> bool {
        loop {
            let daily = self.setup.rules.borrow_and_update().daily;
            tokio::select! {
                () = self.upgrades.0.again.notified() => return true,
                () = night.due(), if daily => return false,
                // The sender is dropped when the agent ends.
                Ok(()) = self.setup.rules.changed() => {}
            }
        }
    }

    /// Finds out what became of the firmware that was installed last.
    async fn settle(&mut self) {
        let firmware = Arc::clone(&self.setup.firmware);
        let running = match firmware.running().await {
            Ok(running) => running,
            Err(e) => {
                log::error!(
                    "firmware: the device does not tell what runs: {}",
                    refusal::device(&e)
                );
                return;
            }
        };
        if running.trial {
            let often = self.journal.on_trial(wall()).await;
            if often {
                log::error!("firmware: the agent ended again and again in the one on trial");
            }
            while often || !self.stays().await {
                self.journal.fail(wall()).await;
                if trial::give_way(&*firmware).await || often {
                    return;
                }
            }
            log::info!("firmware: the new one stays");
        }
        let installed = self.journal.installed().cloned().unwrap_or_default();
        let others = running.counter.is_some() && running.counter != installed.counter;
        let failed = running.failed.is_some() && running.failed == installed.counter;
        if failed || installed.done && installed.counter.is_some() && others && !running.trial {
            if self.journal.fail(wall()).await {
                let version = text::shorten(&installed.version);
                log::error!("firmware: {version} did not stay: the one before runs");
            }
        } else {
            self.journal.stay(&running, wall()).await;
        }
    }

    /// Whether the firmware on trial has proved itself.
    async fn stays(&mut self) -> bool {
        let Setup { firmware, rules, link, .. } = &mut self.setup;
        trial::watch(&**firmware, rules, link).await == Verdict::Stays
    }

    async fn upgrade(&mut self, forced: bool) {
        let outcome = self.attempt(forced).await;
        match outcome {
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Installed(ivt_hal::Installed::Done)) => {
                log::info!("firmware: it is installed");
                self.journal.end(wall()).await;
            }
            Ok(Outcome::Installed(ivt_hal::Installed::Restart)) => {
                self.journal.end(wall()).await;
                self.recorded().await;
                trial::restart(&*self.setup.firmware).await;
            }
            Err(refusal) => {
                log::warn!("firmware: not installed: {refusal}");
                self.journal.end(wall()).await;
            }
        }
    }

    /// One upgrade, up to the restart.
    async fn attempt(&mut self, forced: bool) -> Result<Outcome, Refusal> {
        let offer = self.ask().await?;
        let (version, url) = (offer.firmware_model.trim(), offer.url.expose().trim());
        if version.is_empty() || url.is_empty() {
            log::info!("firmware: the cloud has none");
            return Ok(Outcome::Nothing);
        }
        let named = text::shorten(version);
        let address = match Address::parse(url, LONGEST_URI) {
            Ok(address) => address,
            Err(e) => {
                log::info!("firmware: {named}: the cloud's address {e}: nothing to do");
                return Ok(Outcome::Nothing);
            }
        };
        if !forced && version == self.setup.names.firmware_model {
            log::info!("firmware: {named} runs: nothing to do");
            return Ok(Outcome::Nothing);
        }
        let running = self.setup.firmware.running().await?;
        if running.trial {
            return Err(Refusal::OnTrial);
        }
        let goes_on = self.journal.under_way().is_some_and(|it| it.version == version);
        if let Some(wait) = self.journal.wait().filter(|_| !goes_on) {
            return Err(Refusal::TooSoon(wait));
        }
        log::info!("firmware: {named} from {}", address.place());
        let rules = self.setup.rules.borrow().clone();
        let known = match self.signed(&address, &rules, &running, forced).await {
            Ok(signed) => self.fetch(&address, version, Some(&signed), forced).await,
            Err(refusal) => Err(refusal),
        };
        match known {
            Err(refusal) if refusal.is_of_signature() && rules.allow_unsigned => {
                log::warn!("firmware: {refusal}: taken nevertheless, by firmware.allow_unsigned");
                self.fetch(&address, version, None, forced).await
            }
            known => known,
        }
    }

    /// Asks the cloud for its firmware, also after an outage.
    async fn ask(&mut self) -> Result<message::Firmware, Refusal> {
        let mut asked = 0;
        loop {
            asked += 1;
            match self.setup.calls.call(GetFirmware).await {
                Ok(offer) => return Ok(offer),
                Err(CallError::Offline | CallError::Lost | CallError::Full)
                    if asked < QUESTIONS =>
                {
                    let up = self.setup.link.wait_for(|link| link.down_since.is_none());
                    if timeout(OUTAGE, up).await.is_err() {
                        return Err(CallError::Offline.into());
                    }
                    sleep(Duration::from_secs(5) * asked).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The signature beside an image, whose words allow it.
    async fn signed(
        &self,
        image: &Address,
        rules: &Rules,
        running: &Running,
        forced: bool,
    ) -> Result<Signed, Refusal> {
        let mut tries = 0;
        let file = loop {
            tries += 1;
            match signature_of(&self.setup.http, image).await {
                Err(refusal) if refusal.is_passing() && tries < SIGNATURE_TRIES => {
                    let pause = self.setup.patience.pause(tries, &refusal);
                    log::warn!(
                        "firmware: its signature: {refusal}; next try in {} s",
                        pause.as_secs()
                    );
                    sleep(pause).await;
                }
                file => break file?,
            }
        };
        let signed = Signed::read(&file, &rules.keys)?;
        let floor = self.journal.floor(running, &rules.keys);
        let model = rules.model.as_ref().unwrap_or(&self.setup.names.hardware_model);
        let (model, most, now) = (Some(&**model), rules.max_size, self.clock.now());
        Situation { model, most, floor, forced, now }.judge(&signed.manifest)?;
        let counter = Some(signed.manifest.counter);
        let last = self.journal.installed();
        let failed = last.is_some_and(|last| last.failed && last.counter == counter);
        if failed && !forced {
            return Err(Refusal::Failed);
        }
        Ok(signed)
    }

    /// Fetches an image into its place, and installs it.
    async fn fetch(
        &mut self,
        from: &Address,
        version: &str,
        signed: Option<&Signed>,
        forced: bool,
    ) -> Result<Outcome, Refusal> {
        let http = self.setup.http.clone();
        let (image, begun) = match signed {
            Some(signed) => {
                let Manifest { version, counter, size, sha256, .. } = &signed.manifest;
                let (version, counter, sha256) = (version.clone(), Some(*counter), Some(*sha256));
                (Image { version, counter, size: *size, sha256 }, None)
            }
            None => {
                let last = self.journal.installed();
                if !forced && last.is_some_and(|last| last.done && last.version == version) {
                    return Err(Refusal::Same);
                }
                self.begin(version, forced).await;
                let begun = http.get(from, None).await?;
                let size = begun.length.ok_or(Refusal::NoSize)?;
                policy::fits(size, self.setup.rules.borrow().max_size)?;
                let version = text::name(version);
                (Image { version, counter: None, size, sha256: None }, Some(begun))
            }
        };
        self.begin(version, forced).await;
        let mut incoming = self.setup.firmware.open(&image).await?;
        let size = image.size;
        let (patience, incoming_now) = (self.setup.patience, &mut *incoming);
        let fetch =
            Fetch { http: &http, from, signed, size, begun, patience, incoming: incoming_now };
        fetch.run().await?;
        self.install(incoming, version, signed).await
    }

    async fn begin(&mut self, version: &str, forced: bool) {
        if !self.setup.upgrading.send_replace(true) {
            self.journal.begin(version, forced, wall()).await;
        }
    }

    async fn install(
        &mut self,
        incoming: Box<dyn Incoming>,
        version: &str,
        signed: Option<&Signed>,
    ) -> Result<Outcome, Refusal> {
        let counter = signed.map(|signed| signed.manifest.counter);
        let signer = signed.map(|signed| signed.key.text.clone());
        match signed {
            Some(signed) => log::info!("firmware: it is whole, and signed by {}", signed.key.text),
            None => log::warn!("firmware: it is whole, and nobody has signed it"),
        }
        let version = version.to_owned();
        let mut installed =
            Installed { version, counter, signer, done: false, failed: false, begun: 0 };
        self.journal.install(installed.clone(), wall()).await;
        let outcome = incoming.install().await?;
        installed.done = true;
        self.journal.install(installed, wall()).await;
        Ok(Outcome::Installed(outcome))
    }

    /// Returns when nothing is recorded, or the rules let it wait no longer.
    async fn recorded(&self) {
        let defer = self.setup.rules.borrow().defer;
        let records =
            || self.setup.channels.iter().any(|channel| channel.now().recording.is_some());
        if !records() || defer.is_zero() {
            return;
        }
        let hours = defer.as_secs() / 3600;
        log::info!("firmware: installed; the restart waits for the recording, {hours} h at most");
        let quiet = async {
            while records() {
                sleep(LOOK).await;
            }
        };
        timeout(defer, quiet).await.ok();
    }
}

/// Fetches the file of the signature beside an image.
async fn signature_of(http: &Http, image: &Address) -> Result<Vec<u8>, Refusal> {
    let address = image.beside(".minisig").map_err(Refusal::Unsigned)?;
    let fetch = async {
        let mut download = http.get(&address, None).await?;
        let mut file = Vec::new();
        while let Some(bytes) = download.chunk().await? {
            file.extend_from_slice(&bytes);
            if file.len() > signature::LONGEST {
                break;
            }
        }
        Ok(file)
    };
    match timeout(SIGNATURE, fetch).await {
        Ok(Err(HttpError::Expired(text))) => Err(Refusal::Unsigned(text)),
        Ok(fetched) => fetched.map_err(Refusal::Http),
        Err(_) => Err(Refusal::Slow),
    }
}

/// Seconds since 1970.
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
