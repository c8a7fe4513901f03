//! Changes of a camera's wireless network, which may cut the device off from its cloud for ever: each is on trial until
//! the cloud is there over the new network, else the network of before is joined again.
//!
//! What leads back is kept on the disk before the change, and removed when the trial is over. An agent that finds it
//! at its start goes on with the trial: the power may have been cut, or the agent may have crashed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_base::secret::Secret;
use ivt_hal::Wifi;
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::SetWifiConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::hourly::{Hourly, MOST};
use super::reboot::wall;
use super::{Departure, nth, told};
use crate::channel::Link;
use crate::config::Network;
use crate::reload::CurrentDevice;
use crate::state::{StateError, StateStore};

/// How long a connection has to last to be one over the new network: one over a network that is gone is noticed
/// within 31 s.
const LASTS: Duration = Duration::from_secs(35);
/// Time between two tries to join the network of before.
const AGAIN: Duration = Duration::from_secs(15);
/// Most tries to join the network of before.
const TRIES: u32 = 40;
/// Starts of the agent at which a trial goes on; at the next one it has failed.
const STARTS: u32 = 2;
/// The trials' name in the state store.
const SUBJECT: &str = "wifi_trials";

/// The changes of all channels. Clones share them.
#[derive(Clone)]
pub(super) struct Changes {
    device: CurrentDevice,
    link: watch::Receiver<Link>,
    config: Network,
    store: StateStore,
    hourly: Hourly,
    trials: Arc<Mutex<BTreeMap<u32, Running>>>,
    /// Held while the trials are written, so that the newest are written last.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// What is kept of a trial.
#[derive(Clone, Serialize, Deserialize)]
struct Trial {
    /// What leads back, in the words of the camera's backend; it may hold a password.
    before: String,
    /// How often the agent was started meanwhile.
    starts: u32,
}

struct Running {
    trial: Trial,
    /// `None` until the network was joined.
    judge: Option<AbortHandle>,
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
            writing: Arc::default(),
        }
    }

    /// Judges by `link` from now on, and goes on with the trials that were kept.
    pub(super) fn start(&mut self, link: watch::Receiver<Link>, config: Network) {
        (self.link, self.config) = (link, config);
        let kept: BTreeMap<u32, Trial> = self.store.read(SUBJECT).unwrap_or_default();
        for (number, Trial { before, starts }) in kept {
            log::warn!("channel {number}: its wireless network is on trial since before the start");
            let trial = Trial { before, starts: starts.saturating_add(1) };
            self.trials().insert(number, Running { trial, judge: None });
            self.judge(number);
        }
    }

    /// Whether the cloud is told the password of a wireless network.
    pub(super) fn tell_password(&self) -> bool {
        self.config.tell_wifi_password
    }

    /// Joins a network once the answer has left, on trial where the camera lets the network of before be joined
    /// again.
    ///
    /// # Errors
    /// The camera does not take the change, or there were too many of them within an hour.
    pub(super) async fn change(
        &self,
        wifi: Arc<dyn Wifi>,
        request: SetWifiConfig,
        departure: Departure,
    ) -> Result<(), RpcError> {
        let SetWifiConfig { channel: number, ssid, password } = request;
        told(number, wifi.check(ssid.as_deref(), password.as_ref())).await?;
        let before = told(number, wifi.before()).await?;
        let now = self.hourly.now();
        self.hourly.take(number, now).map_err(|wait| {
            RpcError::internal(format!(
                "channel {number}: its wireless network was changed {MOST} times within an hour: the next change is \
                 allowed in {} s",
                wait.as_secs()
            ))
        })?;
        let changes = self.clone();
        tokio::spawn(async move {
            // The change may be the end of this agent, too.
            changes.hourly.keep(wall()).await;
            if departure.await.is_err() {
                log::warn!(
                    "channel {number}: its wireless network stays: the cloud was lost before the answer left"
                );
                changes.hourly.give_back(number, now);
                return changes.hourly.keep(wall()).await;
            }
            changes.begin(number, before).await;
            log::info!("channel {number}: joining another wireless network, as the cloud asked");
            match told(number, wifi.join(ssid.as_deref(), password.as_ref())).await {
                Ok(()) => changes.judge(number),
                // A camera that did not answer may have joined it.
                Err(error) if error.code == RpcError::OFFLINE => {
                    log::warn!("{}", error.msg);
                    changes.judge(number);
                }
                Err(error) => {
                    log::warn!("its wireless network stays: {}", error.msg);
                    changes.hourly.give_back(number, now);
                    changes.hourly.keep(wall()).await;
                    changes.end(number).await;
                }
            }
        });
        Ok(())
    }

    /// Keeps what leads back. During a trial that remains what led back before it.
    async fn begin(&self, number: u32, before: Option<Secret>) {
        let Some(before) = before else {
            log::warn!(
                "channel {number}: its camera does not tell what would lead back to its wireless network: the change \
                 stays, whatever becomes of the connection"
            );
            return;
        };
        {
            let mut trials = self.trials();
            let former = trials.remove(&number).map(|running| running.trial.before.clone());
            let before = former.unwrap_or_else(|| before.into_exposed());
            let trial = Trial { before, starts: 0 };
            trials.insert(number, Running { trial, judge: None });
        }
        self.write().await;
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
        let Some(running) = trials.get_mut(&number) else { return };
        let (changes, trial) = (self.clone(), running.trial.clone());
        let judge = tokio::spawn(async move {
            if trial.starts > 0 {
                changes.write().await;
            }
            let before = Secret::untold(trial.before);
            if trial.starts <= STARTS && changes.proven().await {
                changes.keep(number).await;
            } else {
                changes.go_back(number, &before).await;
            }
            changes.end(number).await;
        });
        running.judge = Some(judge.abort_handle());
    }

    /// Whether the cloud is there within the time of a trial. A connection has to last, or to be there at the end.
    async fn proven(&self) -> bool {
        let end = Instant::now() + self.config.wifi_trial;
        let mut link = self.link.clone();
        loop {
            let up = timeout_at(end, link.wait_for(|link| link.down_since.is_none())).await;
            let Ok(Ok(losses)) = up.map(|link| link.map(|link| link.losses)) else { return false };
            let lasts = end.min(Instant::now() + LASTS);
            let lost = link.wait_for(|link| link.losses != losses || link.down_since.is_some());
            if timeout_at(lasts, lost).await.is_err() {
                return true;
            }
        }
    }

    async fn keep(&self, number: u32) {
        let kept = match self.wifi(number) {
            Ok(wifi) => told(number, wifi.keep()).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => {
                log::info!("channel {number}: its wireless network is kept: the cloud is there")
            }
            Err(error) => {
                log::warn!("its wireless network is not kept over a restart: {}", error.msg)
            }
        }
    }

    async fn go_back(&self, number: u32, before: &Secret) {
        log::warn!(
            "channel {number}: the cloud was not there within {} s over its new wireless network: the one before is \
             joined again",
            self.config.wifi_trial.as_secs()
        );
        for _ in 0..TRIES {
            let back = match self.wifi(number) {
                Ok(wifi) => told(number, wifi.go_back(before)).await,
                Err(error) => Err(error),
            };
            let Err(error) = back else { return };
            log::error!("the wireless network before was not joined: {}", error.msg);
            // What a camera refuses it will refuse again; what controls it may only start now.
            if ![RpcError::OFFLINE, RpcError::UNSUPPORTED].contains(&error.code) {
                return;
            }
            sleep(AGAIN).await;
        }
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
mod tests {
    use async_trait::async_trait;
    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Device, Error, Kind, Model, WifiNetwork, WifiStatus};
    use tokio::sync::oneshot;

    use super::*;

    const TRIAL: Duration = Duration::from_secs(120);

    /// A camera that remembers which networks it was told to join, and whether they were kept.
    struct Camera {
        told: Mutex<Vec<String>>,
        tells_password: bool,
        refuses: Mutex<Option<Kind>>,
    }

    #[async_trait]
    impl Wifi for Camera {
        async fn status(&self) -> ivt_hal::Result<WifiStatus> {
            let password = self.tells_password.then(|| Secret::untold("old-pa55".to_owned()));
            Ok(WifiStatus { enable: true, ssid: "old".into(), password, ..Default::default() })
        }

        async fn networks(&self) -> ivt_hal::Result<Vec<WifiNetwork>> {
            Ok(Vec::new())
        }

        async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> ivt_hal::Result<()> {
            let password = password.map_or("", |password| password.expose());
            self.told.lock().unwrap().push(format!("{} {password}", ssid.unwrap_or_default()));
            let refuses = *self.refuses.lock().unwrap();
            refuses.map_or(Ok(()), |kind| Err(Error::new("wifi join", kind)))
        }

        async fn keep(&self) -> ivt_hal::Result<()> {
            self.told.lock().unwrap().push("keep".to_owned());
            Ok(())
        }
    }

    /// One camera, its cloud's connection, and a folder that outlives the agent.
    struct Rig {
        camera: Arc<Camera>,
        link: watch::Sender<Link>,
        folder: tempfile::TempDir,
        changes: Changes,
    }

    impl Rig {
        fn new() -> Self {
            Self::of(true)
        }

        fn of(tells_password: bool) -> Self {
            let (told, refuses) = Default::default();
            let camera = Arc::new(Camera { told, tells_password, refuses });
            let folder = tempfile::tempdir().unwrap();
            let link = watch::Sender::new(Link { down_since: None, losses: 0 });
            let changes = changes(&camera, &link, &folder);
            Self { camera, link, folder, changes }
        }

        /// Begins again with what is on the disk, as after a power cut.
        async fn restart(&mut self) {
            self.changes.trials().clear();
            self.changes = changes(&self.camera, &self.link, &self.folder);
        }

        async fn change(&self, ssid: &str) -> Result<(), RpcError> {
            let (left, departure) = oneshot::channel();
            left.send(()).unwrap();
            let (ssid, password) = (Some(ssid.to_owned()), Some(Secret::untold("new-pa55".into())));
            let request = SetWifiConfig { channel: 0, ssid, password };
            self.changes.change(self.camera.clone(), request, departure).await?;
            self.until(|told| !told.is_empty()).await;
            Ok(())
        }

        /// Waits for what the camera was told, without the trial's time passing by.
        async fn until(&self, enough: impl Fn(&[String]) -> bool) {
            for _ in 0..10_000 {
                if enough(&self.camera.told.lock().unwrap()) {
                    return;
                }
                // Files are written by threads, for which virtual time does not wait.
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
                    .await
                    .unwrap();
            }
            panic!("the camera was told {:?}", self.camera.told.lock().unwrap());
        }

        async fn told(&self, count: usize) -> Vec<String> {
            self.until(|told| told.len() >= count).await;
            self.camera.told.lock().unwrap().clone()
        }

        /// Whether a trial is on the disk, once that has become so.
        async fn is_kept(&self, wanted: bool) {
            let store = StateStore::new(Some(self.folder.path().join("state")));
            for _ in 0..10_000 {
                let kept: BTreeMap<u32, Trial> = store.read(SUBJECT).unwrap_or_default();
                if kept.is_empty() != wanted {
                    return;
                }
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
                    .await
                    .unwrap();
            }
            panic!("a trial on the disk: {}", !wanted);
        }

        fn down(&self) {
            self.link.send_modify(|link| *link = Link { losses: link.losses + 1, ..Link::down() });
        }

        fn up(&self) {
            self.link.send_modify(|link| link.down_since = None);
        }
    }

    fn changes(
        camera: &Arc<Camera>,
        link: &watch::Sender<Link>,
        folder: &tempfile::TempDir,
    ) -> Changes {
        let mut channel = ivt_hal::Channel::new(Arc::new(Emulator::default()));
        channel.wifi = Some(camera.clone());
        let device =
            Device { model: Model::Camera, channels: vec![channel], cgi: None, firmware: None };
        let store = StateStore::new(Some(folder.path().join("state")));
        let mut changes = Changes::new(CurrentDevice::new(device), store);
        changes.start(link.subscribe(), Network::default());
        changes
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_over_which_the_cloud_comes_back_is_kept() {
        let rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        sleep(Duration::from_secs(20)).await;
        rig.down();
        sleep(Duration::from_secs(60)).await;
        rig.up();
        sleep(LASTS + Duration::from_secs(1)).await;
        assert_eq!(rig.told(2).await, ["new new-pa55", "keep"]);
        rig.is_kept(false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_without_the_cloud_is_left_for_the_one_before() {
        let rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        sleep(Duration::from_secs(30)).await;
        rig.down();
        sleep(TRIAL - Duration::from_secs(31)).await;
        assert_eq!(rig.camera.told.lock().unwrap().len(), 1, "not before its time");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(rig.told(2).await, ["new new-pa55", "old old-pa55"]);
        rig.is_kept(false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_during_the_trial_does_not_end_it() {
        let mut rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        rig.down();
        for _ in 0..STARTS {
            sleep(TRIAL / 2).await;
            rig.restart().await;
        }
        assert_eq!(rig.camera.told.lock().unwrap().len(), 1);
        sleep(TRIAL + Duration::from_secs(1)).await;
        assert_eq!(rig.told(2).await[1], "old old-pa55");
        rig.is_kept(false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_starts_again_and_again_has_failed_the_trial() {
        let mut rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        rig.down();
        for start in 1..=STARTS + 1 {
            rig.restart().await;
            // What was started is on the disk before the next power cut.
            let store = StateStore::new(Some(rig.folder.path().join("state")));
            let starts = || store.read::<BTreeMap<u32, Trial>>(SUBJECT).unwrap_or_default();
            while start <= STARTS && starts().get(&0).is_none_or(|trial| trial.starts < start) {
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
                    .await
                    .unwrap();
            }
        }
        assert_eq!(rig.told(2).await[1], "old old-pa55");
        rig.is_kept(false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_change_leads_back_to_the_network_before_the_first() {
        let rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        rig.down();
        rig.change("newer").await.unwrap();
        rig.told(2).await;
        sleep(TRIAL + Duration::from_secs(1)).await;
        assert_eq!(rig.told(3).await[1..], ["newer new-pa55", "old old-pa55"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_camera_refuses_is_no_change_and_counts_for_nothing() {
        let rig = Rig::new();
        *rig.camera.refuses.lock().unwrap() = Some(Kind::Refused);
        for count in 1..=MOST + 2 {
            rig.change("new").await.unwrap();
            rig.told(count).await;
            rig.is_kept(false).await;
        }
        *rig.camera.refuses.lock().unwrap() = None;
        rig.camera.told.lock().unwrap().clear();
        for count in 1..=MOST {
            rig.change("new").await.unwrap();
            rig.told(count).await;
        }
        let error = rig.change("new").await.unwrap_err();
        assert!(error.msg.contains("the next change is allowed in"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_does_not_answer_may_have_changed() {
        let rig = Rig::new();
        *rig.camera.refuses.lock().unwrap() = Some(Kind::Timeout);
        rig.change("new").await.unwrap();
        rig.down();
        rig.is_kept(true).await;
        sleep(TRIAL + Duration::from_secs(1)).await;
        // The camera is asked until it answers.
        rig.told(2).await;
        *rig.camera.refuses.lock().unwrap() = None;
        sleep(AGAIN + Duration::from_secs(1)).await;
        rig.is_kept(false).await;
        assert_eq!(rig.camera.told.lock().unwrap().last().unwrap(), "old old-pa55");
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_password_of_before_there_is_no_trial() {
        let rig = Rig::of(false);
        rig.change("new").await.unwrap();
        rig.down();
        sleep(10 * TRIAL).await;
        assert_eq!(rig.told(1).await, ["new new-pa55"]);
        rig.is_kept(false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_changes_before_the_answer_has_left() {
        let rig = Rig::new();
        for leaves in [false, true] {
            let (left, departure) = oneshot::channel();
            let request = SetWifiConfig { channel: 0, ssid: Some("new".into()), password: None };
            rig.changes.change(rig.camera.clone(), request, departure).await.unwrap();
            sleep(Duration::from_secs(15)).await;
            assert!(rig.camera.told.lock().unwrap().is_empty());
            if leaves {
                left.send(()).unwrap();
                rig.told(1).await;
            }
        }
    }
}
