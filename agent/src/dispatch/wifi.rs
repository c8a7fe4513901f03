//! Changes of a camera's wireless network, which may cut the device off from its cloud for ever: each is on trial until
//! the network is joined and the cloud is there, else the network of before is joined again.
//!
//! What a camera says to a change is the answer to the cloud. Where the change cuts the agent's own connection at once,
//! it is answered first.
//!
//! A person beside the device may end the trial either way at any time.
//!
//! What leads back is kept on the disk before the change, and removed when the trial is over. An agent that finds it
//! at its start goes on with the trial: the power may have been cut, or the agent may have crashed.

#[cfg(feature = "ui")]
mod by_hand;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_base::secret::Secret;
use ivt_base::told::Told;
use ivt_hal::{Kind, Wifi};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::SetWifiConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::hourly::{Hourly, MOST};
use super::reboot::wall;
use super::{Departure, codes, nth, told, told_by};
use crate::channel::Link;
use crate::config::Network;
use crate::deadlines::CAMERA;
use crate::reload::CurrentDevice;
use crate::state::{StateError, StateStore};
#[cfg(feature = "ui")]
pub(crate) use by_hand::{Confirmed, Seen};

/// How long a connection has to last to be one over the new network: one over a network that is gone is noticed
/// within 31 s.
const LASTS: Duration = Duration::from_secs(35);
/// Time between two looks whether the network is joined while the cloud is there.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two tries to join the network of before: the first ones, and those from then on.
const AGAIN: Duration = Duration::from_secs(15);
const SELDOM: Duration = Duration::from_secs(300);
/// How many of the tries are the first ones.
const TRIES: u32 = 40;
/// How many starts of the agent a trial survives; at the next one it has failed.
const STARTS: u32 = 2;
/// The trials' name in the state store.
const SUBJECT: &str = "wifi_trials";

/// The changes of all channels. Clones share them.
#[derive(Clone)]
pub(crate) struct Changes {
    device: CurrentDevice,
    link: watch::Receiver<Link>,
    config: Network,
    store: StateStore,
    hourly: Hourly,
    trials: Arc<Mutex<BTreeMap<u32, Running>>>,
    /// Held by who tells the camera of a channel to join a network: one after the other.
    turns: Arc<Mutex<BTreeMap<u32, Arc<AsyncMutex<()>>>>>,
    /// Held while the trials are written, so that the newest are written last.
    writing: Arc<AsyncMutex<()>>,
}

/// What is kept of a trial.
#[derive(Clone, Serialize, Deserialize)]
struct Trial {
    /// What leads back, in the words of the camera's backend; it may hold a password.
    before: String,
    /// The name of the new network, where the cloud told one.
    ssid: Option<String>,
    /// How often the agent was started meanwhile.
    starts: u32,
}

struct Running {
    trial: Trial,
    /// `None` until the network was joined.
    judge: Option<AbortHandle>,
    /// When the network of before is joined again, unless the new one has proven itself.
    end: Instant,
}

/// A change that the camera was not told yet.
struct Change {
    wifi: Arc<dyn Wifi>,
    request: SetWifiConfig,
    before: Option<Secret>,
    /// When it was counted; `None` for what a person beside the device has asked for.
    counted: Option<u64>,
    _turn: OwnedMutexGuard<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(judge) = &self.judge {
            judge.abort();
        }
    }
}

impl Changes {
    /// No changes yet, of a device whose connection to the cloud is never lost.
    pub(super) fn new(device: CurrentDevice, store: StateStore) -> Self {
        let link = watch::channel(Link { down_since: None, losses: 0 }).1;
        Self {
            device,
            link,
            config: Network::default(),
            hourly: Hourly::kept("wifi_changes", store.clone(), wall()),
            store,
            trials: Arc::default(),
            turns: Arc::default(),
            writing: Arc::default(),
        }
    }

    /// Judges by `link` from now on, and goes on with the trials that were kept.
    pub(super) fn start(&mut self, link: watch::Receiver<Link>, config: Network) {
        (self.link, self.config) = (link, config);
        let kept: BTreeMap<u32, Trial> = self.store.read(SUBJECT).unwrap_or_default();
        for (number, mut trial) in kept {
            log::warn!("channel {number}: its wireless network is on trial since before the start");
            trial.starts = trial.starts.saturating_add(1);
            self.insert(number, trial);
            self.judge(number);
        }
    }

    /// Whether the cloud is told the password of a wireless network.
    pub(super) fn tell_password(&self) -> bool {
        self.config.tell_wifi_password
    }

    /// Joins a network, on trial where the camera lets the network of before be joined again. Returns what the camera
    /// says to it; where the change may cut the agent's own connection, it is only checked, and made once the answer has
    /// left.
    ///
    /// # Errors
    /// The camera does not take the change, or there were too many of them within an hour.
    pub(super) async fn change(
        &self,
        wifi: Arc<dyn Wifi>,
        request: SetWifiConfig,
        departure: Departure,
    ) -> Result<(), RpcError> {
        self.make(wifi, request, departure, true).await
    }

    /// Does as [`change`](Self::change); changes that do not count are allowed at any time.
    async fn make(
        &self,
        wifi: Arc<dyn Wifi>,
        request: SetWifiConfig,
        departure: Departure,
        counts: bool,
    ) -> Result<(), RpcError> {
        let (number, until) = (request.channel, Instant::now() + CAMERA);
        let _turn = timeout_at(until, self.turn(number)).await.map_err(|_| {
            RpcError::internal(format!("channel {number}: its wireless network is being changed"))
        })?;
        let cuts = wifi.cuts_at_once();
        if cuts {
            let (ssid, password) = (request.ssid.as_deref(), request.password.as_ref());
            told_by(until, number, wifi.check(ssid, password)).await?;
        }
        let before = match told_by(until, number, wifi.before()).await {
            // What the camera says to the change itself counts.
            Err(error) if !cuts && error.code != RpcError::OFFLINE => None,
            before => before?,
        };
        let counted = counts.then(|| self.hourly.now());
        let taken = counted.map_or(Ok(()), |counted| self.hourly.take(number, counted));
        taken.map_err(|wait| {
            RpcError::internal(format!(
                "channel {number}: its wireless network was changed {MOST} times within an hour: the next change is \
                 allowed in {} s",
                wait.as_secs()
            ))
        })?;
        let (changes, change) = (self.clone(), Change { wifi, request, before, counted, _turn });
        // The change goes on where nobody waits for the answer any longer.
        let work = ivt_base::task::spawn(async move {
            // The change may be the end of this agent, too.
            changes.hourly.keep(wall()).await;
            if cuts && departure.await.is_err() {
                log::warn!(
                    "channel {number}: its wireless network stays: who asked was lost before the answer left"
                );
                changes.give_back(number, counted).await;
                return Ok(());
            }
            let until = if cuts { Instant::now() + CAMERA } else { until };
            changes.join(change, until).await
        });
        if cuts {
            return Ok(());
        }
        work.await.unwrap_or_else(|e| Err(RpcError::internal(format!("channel {number}: {e}"))))
    }

    /// Tells the camera to join a network, and begins the trial.
    async fn join(&self, change: Change, until: Instant) -> Result<(), RpcError> {
        let Change { wifi, request, before, counted, _turn } = change;
        let SetWifiConfig { channel: number, ssid, password } = request;
        let former = self.begin(number, ssid.clone(), before).await;
        let who = if counted.is_some() { "the cloud" } else { "a person at the page" };
        log::info!("channel {number}: joining another wireless network, as {who} asked");
        let joined = told_by(until, number, wifi.join(ssid.as_deref(), password.as_ref())).await;
        match &joined {
            Err(error) if error.code != RpcError::OFFLINE => {
                log::warn!("its wireless network stays: {}", error.msg);
                self.give_back(number, counted).await;
                match former {
                    Some(trial) => {
                        self.insert(number, trial);
                        self.write().await;
                        self.judge(number);
                    }
                    None => self.end(number).await,
                }
            }
            // A camera that did not answer may have joined it.
            _ => self.judge(number),
        }
        joined
    }

    /// Counts a change no longer that was not made.
    async fn give_back(&self, number: u32, counted: Option<u64>) {
        if let Some(counted) = counted {
            self.hourly.give_back(number, counted);
            self.hourly.keep(wall()).await;
        }
    }

    /// Notes a trial, whose time has not begun.
    fn insert(&self, number: u32, trial: Trial) {
        let end = Instant::now() + self.config.wifi_trial;
        self.trials().insert(number, Running { trial, judge: None, end });
    }

    /// Keeps what leads back. During a trial that remains what led back before it; returns that trial.
    async fn begin(
        &self,
        number: u32,
        ssid: Option<String>,
        before: Option<Secret>,
    ) -> Option<Trial> {
        let former = self.trials().remove(&number).map(|running| running.trial.clone());
        let before = match (&former, before) {
            (Some(former), _) => former.before.clone(),
            (None, Some(before)) => before.into_exposed(),
            (None, None) => {
                log::warn!(
                    "channel {number}: its camera does not tell what would lead back to its wireless network: the \
                     change stays, whatever becomes of the connection"
                );
                return None;
            }
        };
        let trial = Trial { before, ssid, starts: 0 };
        self.insert(number, trial);
        self.write().await;
        former
    }

    /// Ends the trial of a channel.
    async fn end(&self, number: u32) {
        let ended = self.trials().remove(&number);
        if let Some(mut ended) = ended {
            // The judge itself may be what ends it.
            ended.judge = None;
            self.write().await;
        }
    }

    /// Lets time tell whether the network of a channel stays.
    fn judge(&self, number: u32) {
        let mut trials = self.trials();
        // A person may have ended the trial before the network was joined.
        let Some(running) = trials.get_mut(&number).filter(|it| it.judge.is_none()) else { return };
        running.end = Instant::now() + self.config.wifi_trial;
        let (changes, trial, end) = (self.clone(), running.trial.clone(), running.end);
        let judge = ivt_base::task::spawn(async move {
            if trial.starts > 0 {
                changes.write().await;
            }
            let before = Secret::untold(trial.before);
            if trial.starts <= STARTS && changes.proven(number, trial.ssid.as_deref(), end).await {
                let _turn = changes.turn(number).await;
                changes.keep(number, "the cloud is there").await;
                changes.end(number).await;
            } else {
                log::warn!(
                    "channel {number}: its new wireless network did not bring the cloud within {} s: the one before is \
                     joined again",
                    changes.config.wifi_trial.as_secs()
                );
                changes.go_back(number, &before).await;
            }
        });
        running.judge = Some(judge.abort_handle());
    }

    /// Whether the network is joined and the cloud is there within the time of a trial. A connection has to last.
    async fn proven(&self, number: u32, ssid: Option<&str>, end: Instant) -> bool {
        let mut link = self.link.clone();
        while Instant::now() < end {
            let up = timeout_at(end, link.wait_for(|link| link.down_since.is_none())).await;
            let Ok(Ok(losses)) = up.map(|link| link.map(|link| link.losses)) else { return false };
            let mut look = Instant::now() + LASTS;
            loop {
                let lost = link.wait_for(|link| link.losses != losses || link.down_since.is_some());
                if timeout_at(look, lost).await.is_ok() {
                    break;
                }
                if self.is_joined(number, ssid).await {
                    return true;
                }
                if Instant::now() >= end {
                    return false;
                }
                look = end.min(Instant::now() + LOOK);
            }
        }
        false
    }

    async fn is_joined(&self, number: u32, ssid: Option<&str>) -> bool {
        let Ok(wifi) = self.wifi(number) else { return false };
        told(number, wifi.is_joined(ssid)).await.unwrap_or(false)
    }

    async fn keep(&self, number: u32, why: &str) {
        let kept = match self.wifi(number) {
            Ok(wifi) => told(number, wifi.keep()).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => {
                log::info!("channel {number}: its wireless network is kept: {why}")
            }
            Err(error) => {
                log::warn!("its wireless network is not kept over a restart: {}", error.msg)
            }
        }
    }

    /// Joins the network of before again, and ends the trial. Goes on until the camera has done it.
    async fn go_back(&self, number: u32, before: &Secret) {
        let mut trouble = Told::default();
        for tries in 1_u32.. {
            let turn = self.turn(number).await;
            let error = match self.back(number, before).await {
                Ok(()) => return self.end(number).await,
                Err(error) => error,
            };
            let said = codes::camera(&error).msg;
            if trouble.is_news(said.clone()) {
                log::error!("channel {number}: the wireless network before is not joined: {said}");
            }
            if error.kind == Kind::Invalid {
                return self.end(number).await;
            }
            drop(turn);
            sleep(if tries < TRIES { AGAIN } else { SELDOM }).await;
        }
    }

    async fn back(&self, number: u32, before: &Secret) -> ivt_hal::Result<()> {
        let error = |kind| ivt_hal::Error::new("wifi go back", kind);
        // What controls it may only start now.
        let wifi = self.wifi(number).map_err(|_| error(Kind::Unsupported))?;
        timeout(CAMERA, wifi.go_back(before)).await.unwrap_or_else(|_| Err(error(Kind::Timeout)))
    }

    /// Returns when nobody else tells the camera of a channel to join a network.
    async fn turn(&self, number: u32) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(number).or_default())
        };
        turn.lock_owned().await
    }

    fn wifi(&self, number: u32) -> Result<Arc<dyn Wifi>, RpcError> {
        let device = self.device.now();
        nth(&device.channels, number)?.wifi.clone().ok_or_else(|| {
            RpcError::internal(format!("channel {number}: its camera has no wireless network"))
        })
    }

    /// Keeps the trials, if the disk takes them; they go on in memory anyway.
    async fn write(&self) {
        let _writing = self.writing.lock().await;
        let trials: BTreeMap<_, _> = self
            .trials()
            .iter()
            .map(|(number, running)| (*number, running.trial.clone()))
            .collect();
        match self.store.write(SUBJECT, &trials).await {
            Ok(()) => {}
            Err(StateError::NoFolder) => {
                log::warn!(
                    "a power cut would leave the device with its new wireless network: set device.state_dir"
                );
            }
            Err(e) => log::warn!("trials of wireless networks are forgotten at a restart: {e}"),
        }
    }

    fn trials(&self) -> MutexGuard<'_, BTreeMap<u32, Running>> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "wifi_tests.rs"]
mod tests;
