//! Keeps the firmware up to date: when the cloud is asked, and what follows an installation.

use std::sync::Arc;
use std::time::Duration;

use ivt_base::clock::Clock;
use ivt_base::text;
use ivt_hal::{Firmware, Running};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::attempt::{Attempt, Outcome};
use super::journal::{Journal, wall};
use super::judgement::{Judgement, judge};
use super::night::{LocalTime, Night};
use super::refusal::{Refusal, device};
#[cfg(feature = "ui")]
use super::seen::Work;
use super::trial::{self, Verdict};
use super::{Setup, Upgrades};

/// The pause between two looks whether something is recorded.
const LOOK: Duration = Duration::from_secs(5);
/// The pauses in which a device is asked what runs, at first and at most.
const SILENT: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// How often a device is asked until the log is told again that it does not answer.
const SAID: u32 = 60;
/// The pauses after which a device that has not restarted is told again, at first and at most.
const AGAIN: [Duration; 2] = [Duration::from_secs(5 * 60), Duration::from_secs(3600)];

/// The task of the firmware.
pub(super) struct Updater {
    pub(super) setup: Setup,
    /// Where a new firmware goes.
    pub(super) firmware: Arc<dyn Firmware>,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) upgrades: Upgrades,
}

/// What is to be done next.
enum Task {
    /// An upgrade, on which the cloud insists or not.
    Upgrade { forced: bool },
    /// The restart that the device owes.
    Restart,
    /// What a person at the page orders.
    #[cfg(feature = "ui")]
    Order(super::Order),
}

impl Updater {
    /// Never ends.
    pub(super) async fn serve(&mut self, local: LocalTime) {
        let mut night = Night::of(&self.setup.names.login_code, local);
        self.settle().await;
        let under_way = self.journal.under_way().filter(|_| self.is_owned());
        let mut next = under_way.map(|it| Task::Upgrade { forced: it.forced });
        let mut pause = AGAIN[0];
        loop {
            let task = match next.take() {
                Some(task) => task,
                None => self.asked(&mut night, pause).await,
            };
            // Who ordered something is told at once that the device is about to restart.
            #[cfg(feature = "ui")]
            let task = match task {
                Task::Order(_) if self.journal.owes_restart() => Task::Restart,
                task => task,
            };
            if self.journal.owes_restart() {
                self.leave().await;
                pause = AGAIN[1].min(pause * 2);
            }
            match task {
                Task::Upgrade { forced } => {
                    self.upgrades.begin(forced);
                    self.upgrade(forced).await;
                    self.setup.upgrading.send_replace(false);
                    self.upgrades.begin(false);
                    pause = AGAIN[0];
                }
                Task::Restart => {}
                #[cfg(feature = "ui")]
                Task::Order(order) => {
                    self.obey(order).await;
                    self.setup.upgrading.send_replace(false);
                    continue;
                }
            }
            next = self.rest().await;
        }
    }

    /// Rests after an upgrade. A person at the page does not wait for the end of it.
    async fn rest(&self) -> Option<Task> {
        #[cfg(feature = "ui")]
        self.show(Work::Idle).await;
        tokio::select! {
            () = sleep(self.setup.patience.rest) => None,
            task = ordered(&self.upgrades) => Some(task),
        }
    }

    /// Waits until there may be a new firmware, or the device is to be told again to restart.
    async fn asked(&mut self, night: &mut Night, pause: Duration) -> Task {
        let (owes, again) = (self.journal.owes_restart(), Instant::now() + pause);
        loop {
            let daily = self.setup.rules.borrow_and_update().daily;
            #[cfg(feature = "ui")]
            self.show(Work::Idle).await;
            tokio::select! {
                task = ordered(&self.upgrades) => return task,
                () = self.upgrades.requested() => return Task::Upgrade { forced: true },
                () = night.due(), if daily => {
                    if self.is_owned() {
                        return Task::Upgrade { forced: false };
                    }
                }
                () = sleep_until(again), if owes => return Task::Restart,
                // The sender is dropped when the agent ends.
                Ok(()) = self.setup.rules.changed() => {}
            }
        }
    }

    /// Whether the cloud may give the device firmware: while it has an owner.
    fn is_owned(&self) -> bool {
        #[cfg(feature = "ui")]
        return self.setup.owner.is_there();
        #[cfg(not(feature = "ui"))]
        true
    }

    /// Finds out what became of the firmware that was installed last.
    pub(super) async fn settle(&mut self) {
        let running = self.running().await;
        let last = self.journal.installed();
        let version = last.map(|last| text::shorten(&last.version)).unwrap_or_default();
        match judge(&running, last, self.journal.owes_restart()) {
            Judgement::RestartOwed => {
                log::warn!("firmware: {version}: the device has not restarted since");
                self.leave().await;
            }
            Judgement::OnTrial => self.try_out(&running).await,
            Judgement::Failed => {
                if self.journal.fail(wall()).await {
                    log::error!("firmware: {version} did not stay: the one before runs");
                }
            }
            Judgement::Stays => {
                self.journal.stay(&running, wall()).await;
            }
            Judgement::Unknown => {}
        }
    }

    /// What runs, once the device says so.
    async fn running(&self) -> Running {
        let (mut pause, mut asked) = (SILENT[0], 0);
        loop {
            match self.firmware.running().await {
                Ok(running) => return running,
                Err(e) if asked % SAID == 0 => {
                    let why = device(&e);
                    log::error!(
                        "firmware: the device does not tell what runs: {why}; it is asked again"
                    );
                }
                Err(_) => {}
            }
            asked += 1;
            sleep(pause).await;
            pause = SILENT[1].min(pause * 2);
        }
    }

    /// Keeps the firmware that is on trial, or leaves it.
    async fn try_out(&mut self, running: &Running) {
        let mut often = self.journal.on_trial(wall()).await;
        if often {
            log::error!("firmware: the agent ended again and again in the one on trial");
        }
        loop {
            #[cfg(feature = "ui")]
            self.show(Work::Trial).await;
            let (verdict, by_hand) = match often {
                true => (Verdict::GivesWay, false),
                false => self.verdict().await,
            };
            if verdict == Verdict::Stays {
                trial::keep(&*self.firmware).await;
                break;
            }
            // A person has a reason that does not pass.
            self.journal.give_way(!often && !by_hand, wall()).await;
            if trial::give_way(&*self.firmware).await {
                return self.leave().await;
            }
            self.journal.cannot_leave(wall()).await;
            // A device that cannot go back has nothing better than this one.
            often = false;
        }
        match self.journal.stay(running, wall()).await {
            true => log::info!("firmware: the new one stays"),
            false => log::info!("firmware: the one that runs stays"),
        }
    }

    /// What becomes of the firmware on trial, and whether a person at the page has said so.
    async fn verdict(&mut self) -> (Verdict, bool) {
        let Setup { rules, link, .. } = &mut self.setup;
        let watch = trial::watch(rules, link);
        #[cfg(feature = "ui")]
        tokio::select! {
            verdict = watch => (verdict, false),
            stays = self.upgrades.orders().wished() => {
                let verdict = if stays { Verdict::Stays } else { Verdict::GivesWay };
                log::info!("firmware: a person at the page ends the trial: {verdict:?}");
                (verdict, true)
            }
        }
        #[cfg(not(feature = "ui"))]
        (watch.await, false)
    }

    /// One upgrade, and what follows it.
    pub(super) async fn upgrade(&mut self, forced: bool) {
        #[cfg(feature = "ui")]
        self.show(Work::Cloud).await;
        let outcome = self.attempt(forced).await;
        #[cfg(feature = "ui")]
        self.upgrades.orders().note(if forced { "cloud" } else { "daily" }, "", &outcome);
        self.follow(outcome).await;
    }

    /// What follows an upgrade.
    pub(super) async fn follow(&mut self, outcome: Result<Outcome, Refusal>) {
        match outcome {
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Installed(ivt_hal::Installed::Done)) => {
                log::info!("firmware: it is installed");
            }
            Ok(Outcome::Installed(ivt_hal::Installed::Restart)) => self.leave().await,
            Err(refusal) => log::warn!("firmware: not installed: {refusal}"),
        }
        self.journal.end(wall()).await;
    }

    /// One upgrade, up to the restart.
    pub(super) async fn attempt(&mut self, forced: bool) -> Result<Outcome, Refusal> {
        let Self { setup, firmware, journal, clock, .. } = self;
        Attempt { setup, firmware: &**firmware, journal, clock, forced }.run().await
    }

    /// Restarts the device, once nothing is recorded unless the one that runs does not work. Returns only if it does
    /// not restart.
    async fn leave(&mut self) {
        #[cfg(feature = "ui")]
        self.show(Work::Restart).await;
        self.setup.upgrading.send_replace(false);
        if self.journal.installed().is_none_or(|last| !last.failed) {
            self.recorded().await;
        }
        self.setup.upgrading.send_replace(true);
        trial::restart(&*self.firmware).await;
        self.setup.upgrading.send_replace(false);
    }

    /// Returns when nothing is recorded, or the rules let it wait no longer.
    pub(super) async fn recorded(&self) {
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

/// Returns what a person at the page orders next.
async fn ordered(upgrades: &Upgrades) -> Task {
    #[cfg(feature = "ui")]
    return Task::Order(upgrades.orders().next().await);
    #[cfg(not(feature = "ui"))]
    {
        let _ = upgrades;
        std::future::pending().await
    }
}
