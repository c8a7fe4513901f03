use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    /// Whether it is the board that the agent runs on.
    cuts: AtomicBool,
    refuses: Mutex<Option<Kind>>,
    /// How long it takes to join.
    takes: Mutex<Duration>,
    /// The network that it has joined.
    joined: Mutex<String>,
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

    fn cuts_at_once(&self) -> bool {
        self.cuts.load(Relaxed)
    }

    async fn is_joined(&self, ssid: Option<&str>) -> ivt_hal::Result<bool> {
        Ok(ssid == Some(self.joined.lock().unwrap().as_str()))
    }

    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> ivt_hal::Result<()> {
        let (takes, refuses) = (*self.takes.lock().unwrap(), *self.refuses.lock().unwrap());
        let password = password.map_or("", |password| password.expose());
        self.told.lock().unwrap().push(format!("{} {password}", ssid.unwrap_or_default()));
        sleep(takes).await;
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
        let camera = Arc::new(Camera {
            told: Mutex::default(),
            tells_password,
            cuts: AtomicBool::new(true),
            refuses: Mutex::default(),
            takes: Mutex::default(),
            joined: Mutex::new("new".to_owned()),
        });
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
    let device = Device { model: Model::Camera, channels: vec![channel], cgi: None };
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

#[tokio::test(start_paused = true)]
async fn a_camera_is_told_first_and_its_word_is_the_answer() {
    let rig = Rig::new();
    rig.camera.cuts.store(false, Relaxed);
    for (refuses, code) in [
        (Kind::Unsupported, RpcError::UNSUPPORTED),
        (Kind::Refused, RpcError::INTERNAL),
        (Kind::Other, RpcError::INTERNAL),
        (Kind::Invalid, RpcError::INTERNAL),
    ] {
        *rig.camera.refuses.lock().unwrap() = Some(refuses);
        let error = rig.change("new").await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        rig.is_kept(false).await;
    }
    *rig.camera.refuses.lock().unwrap() = Some(Kind::Timeout);
    assert_eq!(rig.change("new").await.unwrap_err().code, RpcError::OFFLINE);
    rig.is_kept(true).await;
    *rig.camera.refuses.lock().unwrap() = None;
    rig.camera.told.lock().unwrap().clear();
    rig.change("new").await.unwrap();
    rig.down();
    sleep(TRIAL + Duration::from_secs(1)).await;
    assert_eq!(rig.told(2).await, ["new new-pa55", "old old-pa55"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_camera_is_unreachable_in_time_and_the_change_goes_on() {
    let rig = Rig::new();
    rig.camera.cuts.store(false, Relaxed);
    *rig.camera.takes.lock().unwrap() = Duration::from_secs(60);
    let start = Instant::now();
    assert_eq!(rig.change("new").await.unwrap_err().code, RpcError::OFFLINE);
    assert!(start.elapsed() < crate::deadlines::HANDLER, "{:?}", start.elapsed());
    rig.is_kept(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_does_not_end_the_trial_of_the_one_before() {
    for cuts in [true, false] {
        let rig = Rig::new();
        rig.camera.cuts.store(cuts, Relaxed);
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        rig.down();
        *rig.camera.refuses.lock().unwrap() = Some(Kind::Refused);
        assert_eq!(rig.change("newer").await.is_ok(), cuts);
        rig.told(2).await;
        *rig.camera.refuses.lock().unwrap() = None;
        rig.is_kept(true).await;
        sleep(TRIAL + Duration::from_secs(1)).await;
        assert_eq!(rig.told(3).await[2], "old old-pa55");
        rig.is_kept(false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_camera_are_made_one_after_the_other() {
    let rig = Rig::new();
    *rig.camera.takes.lock().unwrap() = Duration::from_secs(5);
    *rig.camera.refuses.lock().unwrap() = Some(Kind::Refused);
    rig.change("first").await.unwrap();
    *rig.camera.refuses.lock().unwrap() = None;
    rig.change("new").await.unwrap();
    rig.down();
    rig.is_kept(true).await;
    sleep(TRIAL + Duration::from_secs(20)).await;
    assert_eq!(rig.told(3).await, ["first new-pa55", "new new-pa55", "old old-pa55"]);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_not_joined_is_left_though_the_cloud_is_there_by_another_way() {
    let rig = Rig::new();
    *rig.camera.joined.lock().unwrap() = "old".to_owned();
    rig.change("new").await.unwrap();
    rig.is_kept(true).await;
    sleep(TRIAL - Duration::from_secs(1)).await;
    assert_eq!(rig.camera.told.lock().unwrap().len(), 1, "not before its time");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.told(2).await[1], "old old-pa55");

    let late = Rig::new();
    *late.camera.joined.lock().unwrap() = String::new();
    late.change("new").await.unwrap();
    sleep(TRIAL - Duration::from_secs(10)).await;
    *late.camera.joined.lock().unwrap() = "new".to_owned();
    sleep(Duration::from_secs(11)).await;
    assert_eq!(late.told(2).await[1], "keep");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_was_there_for_a_moment_at_the_end_proves_nothing() {
    for lasts in [Duration::from_secs(2), LASTS + Duration::from_secs(1)] {
        let rig = Rig::new();
        rig.change("new").await.unwrap();
        rig.is_kept(true).await;
        rig.down();
        sleep(TRIAL - Duration::from_secs(1)).await;
        rig.up();
        sleep(lasts).await;
        rig.down();
        sleep(Duration::from_secs(1)).await;
        let kept = lasts > LASTS;
        assert_eq!(rig.told(2).await[1], if kept { "keep" } else { "old old-pa55" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_refuses_the_way_back_is_asked_until_it_takes_it() {
    let rig = Rig::new();
    rig.change("new").await.unwrap();
    rig.down();
    rig.is_kept(true).await;
    *rig.camera.refuses.lock().unwrap() = Some(Kind::Refused);
    sleep(Duration::from_secs(3600)).await;
    rig.is_kept(true).await;
    let tries = rig.camera.told.lock().unwrap().len();
    assert!((40..70).contains(&tries), "{tries}");
    *rig.camera.refuses.lock().unwrap() = None;
    sleep(SELDOM + Duration::from_secs(1)).await;
    rig.is_kept(false).await;
    assert_eq!(rig.camera.told.lock().unwrap().last().unwrap(), "old old-pa55");
}

#[cfg(feature = "ui")]
impl Rig {
    /// A change that a person asks for.
    async fn change_by_hand(&self, count: usize) {
        let (ssid, password) = (Some("new".to_owned()), Some(Secret::untold("new-pa55".into())));
        let request = SetWifiConfig { channel: 0, ssid, password };
        assert_eq!(self.changes.join_by_hand(request).await, Ok(true));
        // The answer leaves first.
        sleep(Duration::from_secs(2)).await;
        assert_eq!(self.told(count).await.last().unwrap(), "new new-pa55");
    }
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn a_person_changes_as_often_as_needed_and_keeps_what_is_joined() {
    let rig = Rig::new();
    rig.down();
    *rig.camera.joined.lock().unwrap() = "old".to_owned();
    for count in 1..=MOST + 2 {
        rig.change_by_hand(count).await;
    }
    assert_eq!(rig.changes.confirm(0).await, Ok(Confirmed::NotJoined));
    *rig.camera.joined.lock().unwrap() = "new".to_owned();
    assert_eq!(rig.changes.confirm(0).await, Ok(Confirmed::Stays));
    assert_eq!(rig.changes.confirm(0).await, Ok(Confirmed::NoTrial));
    rig.is_kept(false).await;
    sleep(10 * TRIAL).await;
    assert_eq!(rig.told(MOST + 3).await[MOST + 2..], ["keep"]);
    // The cloud's own hour is not touched.
    rig.change("new").await.unwrap();
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn what_a_person_neither_keeps_nor_leaves_is_left_after_the_trial() {
    let rig = Rig::new();
    rig.down();
    rig.change_by_hand(1).await;
    let left = rig.changes.look().await[0].trial.clone().unwrap();
    assert!(left.0.as_deref() == Some("new") && left.1 <= TRIAL, "{left:?}");
    sleep(TRIAL + Duration::from_secs(1)).await;
    assert_eq!(rig.told(2).await[1], "old old-pa55");
    rig.is_kept(false).await;

    rig.change_by_hand(3).await;
    assert!(rig.changes.give_up(0));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.told(4).await[3], "old old-pa55");
    rig.is_kept(false).await;
    assert!(!rig.changes.give_up(0));
    sleep(10 * TRIAL).await;
    assert_eq!(rig.camera.told.lock().unwrap().len(), 4, "nothing is left that would judge it");
}
