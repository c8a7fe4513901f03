use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use ivt_base::wall_time::WallTime;
use ivt_hal::emulator::Emulator;
use ivt_hal::{Alarms, Armed, Channel, Detection, Device, Error, Kind, Model};
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::outbox::Report;
use super::super::settings::By;
use super::*;
use crate::config;
use crate::shutdown::{Stopper, stopper};
use crate::state::StateStore;

const ON: Detection = Detection {
    enable: true,
    armed: Armed::ALWAYS,
    sensitivity: 50,
    delay: Duration::from_secs(5),
};

/// A camera that takes a picture in a while, or never.
struct Photographer {
    takes: Option<Duration>,
    picture: Bytes,
    asked: AtomicUsize,
}

#[async_trait]
impl Snapshot for Photographer {
    async fn jpeg(&self, stream: Stream) -> ivt_hal::Result<Bytes> {
        assert_eq!(stream, Stream::Main);
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.takes {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
        Ok(self.picture.clone())
    }
}

/// A camera whose pictures are so long, those of its main and its sub stream.
#[cfg(feature = "ui")]
struct TwoSizes([usize; 2]);

#[cfg(feature = "ui")]
#[async_trait]
impl Snapshot for TwoSizes {
    async fn jpeg(&self, stream: Stream) -> ivt_hal::Result<Bytes> {
        let length = self.0[usize::from(stream == Stream::Sub)];
        let mut picture = vec![0xff; length];
        picture[1] = 0xd8;
        Ok(picture.into())
    }
}

/// A channel that is watched.
struct Rig {
    emulator: Arc<Emulator>,
    device: CurrentDevice,
    settings: Settings,
    desk: Desk,
    bits: watch::Receiver<u32>,
    stop: Stopper,
    watching: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn new(fill: impl FnOnce(&mut Channel)) -> Self {
        let emulator = Arc::new(Emulator::default());
        let mut channel = emulator.channel();
        channel.snapshot = None;
        fill(&mut channel);
        let device = Device { model: Model::Camera, channels: vec![channel], cgi: None };
        let device = CurrentDevice::new(device);
        let shown = watch::Sender::new(0);
        let bits = shown.subscribe();
        let desk = Desk::new(vec![shown], [1, 2, 3]);
        let settings = Settings::new(&config::Alarm::default(), StateStore::default());
        let (stop, stopping) = stopper();
        let watch = Watch {
            device: device.clone(),
            number: 0,
            settings: settings.clone(),
            desk: desk.clone(),
            cameras: Arc::new(Semaphore::new(PICTURES)),
            #[cfg(feature = "ui")]
            is_shown: true,
        };
        let watching = tokio::spawn(watch.run(stopping));
        Self { emulator, device, settings, desk, bits, stop, watching }
    }

    fn trigger(&self, trigger: Trigger, active: bool) {
        self.emulator.world.trigger(trigger, active);
    }

    /// Reports all that is owed.
    fn reports(&self) -> Vec<Report> {
        let mut content = self.desk.lock();
        let mut reports = Vec::new();
        while let Some(report) = content.outbox.send(Instant::now()) {
            content.outbox.done();
            reports.push(report);
        }
        reports
    }

    fn edges(&self) -> Vec<(Trigger, bool)> {
        self.reports().into_iter().map(|report| (report.place.1, report.begins)).collect()
    }
}

async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

#[tokio::test(start_paused = true)]
async fn an_input_is_reported_by_default_and_motion_once_the_cloud_has_set_it_up() {
    let rig = Rig::new(|_| {});
    seconds(1).await;
    rig.trigger(Trigger::Motion, true);
    rig.trigger(Trigger::Input, true);
    seconds(1).await;
    assert_eq!((rig.edges(), *rig.bits.borrow()), (vec![(Trigger::Input, true)], 2));
    rig.settings.set(0, Trigger::Motion, ON, None, By::Cloud).await;
    seconds(1).await;
    assert_eq!(rig.edges(), [(Trigger::Motion, true)], "it is held");
    rig.trigger(Trigger::Motion, false);
    rig.trigger(Trigger::Input, false);
    seconds(6).await;
    assert_eq!(rig.edges(), [(Trigger::Motion, false)]);
    seconds(5).await;
    assert_eq!(rig.edges(), [(Trigger::Input, false)]);
    rig.trigger(Trigger::Motion, true);
    seconds(1).await;
    rig.settings.set(0, Trigger::Motion, Detection { enable: false, ..ON }, None, By::Cloud).await;
    seconds(1).await;
    assert_eq!(rig.edges(), [], "nothing of what is switched off, although it was owed");
    assert_eq!(rig.desk.counts().heard, 5);
}

#[tokio::test(start_paused = true)]
async fn the_window_counts_in_the_cameras_time() {
    let rig = Rig::new(|_| {});
    let (year, month, day) = crate::local_time::local(std::time::SystemTime::now()).date();
    let today = |time: &str| -> WallTime {
        format!("{year:04}-{month:02}-{day:02}T{time}").parse().unwrap()
    };
    rig.emulator.world.set_clock(today("09:59:30")).unwrap();
    let armed = Armed { start: 36_000, end: 36_600 };
    rig.settings.set(0, Trigger::Input, Detection { armed, ..ON }, None, By::Cloud).await;
    rig.settings.set(0, Trigger::Motion, ON, None, By::Cloud).await;
    rig.trigger(Trigger::Input, true);
    seconds(25).await;
    assert_eq!(rig.edges(), []);
    seconds(60).await;
    rig.trigger(Trigger::Motion, true);
    seconds(1).await;
    let reports = rig.reports();
    let motion = today("10:00:55");
    assert_eq!(
        (reports.len(), reports[1].shown),
        (2, motion),
        "what is always armed has its time, too"
    );
    assert_eq!(reports[0].shown, today("10:00:00"));
    assert_eq!(reports[0].what, "input 1");
    rig.trigger(Trigger::Motion, false);
    seconds(6).await;
    assert_eq!(rig.edges(), [(Trigger::Motion, false)]);
    rig.emulator.world.set_clock(today("12:00:00")).unwrap();
    seconds(5).await;
    assert_eq!(rig.edges(), [], "the clock is asked seldom");
    rig.settings.clock_was_set();
    seconds(1).await;
    assert_eq!(rig.edges(), [(Trigger::Input, false)], "it was set beyond the window");
    rig.emulator.world.set_clock(today("10:01:06")).unwrap();
    rig.settings.clock_was_set();
    seconds(1).await;
    assert_eq!(rig.edges(), [(Trigger::Input, true)]);
    seconds(599).await;
    assert_eq!(rig.edges(), [(Trigger::Input, false)], "the window has closed");
}

#[tokio::test(start_paused = true)]
async fn a_slow_picture_holds_no_alarm_up_and_is_given_up_after_eight_seconds() {
    for (takes, taken) in [(Some(3), true), (Some(7), true), (Some(9), false), (None, false)] {
        let picture = Bytes::from_static(b"\xff\xd8\xff");
        let takes = takes.map(Duration::from_secs);
        let camera = Arc::new(Photographer { takes, picture, asked: AtomicUsize::new(0) });
        let rig = Rig::new(|channel| channel.snapshot = Some(camera.clone()));
        seconds(1).await;
        rig.trigger(Trigger::Input, true);
        sleep(Duration::from_millis(1)).await;
        let reports = rig.reports();
        assert_eq!((reports.len(), camera.asked.load(Ordering::Relaxed)), (1, 1), "at once");
        seconds(10).await;
        let to = crate::http::address::Address::parse("http://h/", 99).unwrap();
        assert_eq!(rig.desk.lock().pictures.address(reports[0].id, to.into()), taken, "{takes:?}");
        assert_eq!(rig.desk.counts().pictures_dropped, u64::from(!taken));
    }
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn the_page_keeps_a_small_picture_and_the_cloud_gets_the_large_one() {
    for (sizes, shown) in
        [([9_000, 5_000], 9_000), ([400_000, 30_000], 30_000), ([400_000, 500_000], 400_000)]
    {
        let rig = Rig::new(|channel| channel.snapshot = Some(Arc::new(TwoSizes(sizes))));
        seconds(1).await;
        rig.trigger(Trigger::Input, true);
        seconds(1).await;
        let reports = rig.reports();
        let picture = rig.desk.picture(reports[0].id).unwrap();
        assert_eq!(picture.len(), shown);
        let to = crate::http::address::Address::parse("http://h/", 99).unwrap();
        let mut content = rig.desk.lock();
        content.pictures.address(reports[0].id, to.into());
        assert_eq!(content.pictures.send(Instant::now()).unwrap().picture.len(), sizes[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_jpeg_is_dropped() {
    for picture in
        [Bytes::new(), Bytes::from_static(b"<html>login</html>"), Bytes::from(vec![0; 10 << 20])]
    {
        let takes = Some(Duration::ZERO);
        let camera = Arc::new(Photographer { takes, picture, asked: AtomicUsize::new(0) });
        let rig = Rig::new(|channel| channel.snapshot = Some(camera));
        seconds(1).await;
        rig.trigger(Trigger::Input, true);
        seconds(1).await;
        assert_eq!((rig.edges().len(), rig.desk.counts().pictures_dropped), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_of_another_configuration_is_heard_and_what_the_former_held_ends() {
    let rig = Rig::new(|_| {});
    seconds(1).await;
    rig.trigger(Trigger::Input, true);
    seconds(1).await;
    assert_eq!(rig.edges(), [(Trigger::Input, true)]);
    let other = Arc::new(Emulator::default());
    rig.device.exchange(Device {
        model: Model::Camera,
        channels: vec![other.channel()],
        cgi: None,
    });
    seconds(5).await;
    other.world.trigger(Trigger::Input, true);
    seconds(100).await;
    assert_eq!(rig.edges(), [], "the input of the new camera goes on with it");
    other.world.trigger(Trigger::Input, false);
    seconds(11).await;
    assert_eq!(rig.edges(), [(Trigger::Input, false)]);
    other.world.go_away(Duration::from_secs(30));
    seconds(100).await;
    other.world.trigger(Trigger::Input, true);
    seconds(1).await;
    assert_eq!(rig.edges(), [(Trigger::Input, true)], "it is heard again after a restart");
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_former_camera_counts_no_longer() {
    let rig = Rig::new(|_| {});
    let ours = || crate::local_time::local(std::time::SystemTime::now()).seconds().unwrap();
    let ahead = WallTime::from_seconds(ours() + 40_000).unwrap();
    rig.emulator.world.set_clock(ahead).unwrap();
    seconds(1).await;
    rig.trigger(Trigger::Input, true);
    seconds(1).await;
    assert!(rig.reports()[0].shown >= ahead);
    let other = Arc::new(Emulator::default());
    let channel = Channel { clock: None, ..other.channel() };
    rig.device.exchange(Device { model: Model::Camera, channels: vec![channel], cgi: None });
    seconds(20).await;
    assert_eq!(rig.edges(), [(Trigger::Input, false)]);
    other.world.trigger(Trigger::Input, true);
    seconds(1).await;
    let shown = rig.reports()[0].shown.seconds().unwrap();
    assert!(shown.abs_diff(ours()) < 100, "the device's");
}

/// A camera that tells of its alarms as fast as it is heard.
struct Chatterbox {
    flaps: bool,
    told: Mutex<u64>,
}

#[async_trait]
impl Alarms for Chatterbox {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        heard.send(Heard::Listening).await.ok();
        for number in 0..50_000u64 {
            let signal = match number % 2 {
                1 if self.flaps => Signal::Ends,
                _ if self.flaps => Signal::Begins,
                _ => Signal::Detected,
            };
            let alarm = Alarm { trigger: Trigger::Input, signal, what: "x".repeat(200) };
            if heard.send(Heard::Alarm(alarm)).await.is_err() {
                return Error::new("test", Kind::Other);
            }
            *self.told.lock().unwrap() += 1;
            if number % 10 == 9 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        std::future::pending().await
    }
}

/// A camera that hangs up after each alarm, or after a while without one.
struct Curt {
    alarms: bool,
    ends: Mutex<Vec<Instant>>,
    lasts: Duration,
}

#[async_trait]
impl Alarms for Curt {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        heard.send(Heard::Listening).await.ok();
        sleep(self.lasts).await;
        let what = String::new();
        let alarm = Alarm { trigger: Trigger::Input, signal: Signal::Detected, what };
        if self.alarms {
            heard.send(Heard::Alarm(alarm)).await.ok();
        }
        self.ends.lock().unwrap().push(Instant::now());
        Error::new("test", Kind::Offline)
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_hangs_up_all_the_time_is_heard_again_soon() {
    for (alarms, lasts, soon) in
        [(true, 5, true), (true, 0, true), (false, 30, true), (false, 5, false)]
    {
        let lasts = Duration::from_secs(lasts);
        let camera = Arc::new(Curt { alarms, ends: Mutex::default(), lasts });
        let _rig = Rig::new(|channel| channel.alarms = Some(camera.clone()));
        seconds(1200).await;
        let ends = camera.ends.lock().unwrap();
        let pauses: Vec<_> = ends.windows(2).map(|two| two[1] - two[0] - lasts).collect();
        let longest = pauses.iter().max().unwrap();
        assert_eq!(*longest < Duration::from_millis(2_100), soon, "{lasts:?}: {pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_signals_a_second_are_one_alarm() {
    for flaps in [true, false] {
        let camera = Arc::new(Chatterbox { flaps, told: Mutex::default() });
        let rig = Rig::new(|channel| channel.alarms = Some(camera.clone()));
        seconds(5).await;
        assert_eq!(rig.edges(), [(Trigger::Input, true)]);
        seconds(60).await;
        assert_eq!(*camera.told.lock().unwrap(), 50_000, "the camera does not wait for ever");
        assert_eq!(rig.edges(), [(Trigger::Input, false)]);
        assert_eq!((rig.desk.counts().heard, rig.desk.counts().begun), (50_000, 1));
    }
}

/// A camera that takes a while to be left, and may hang.
struct Parting(Mutex<Option<bool>>, Duration);

#[async_trait]
impl Alarms for Parting {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        heard.send(Heard::Listening).await.ok();
        *self.0.lock().unwrap() = Some(false);
        heard.closed().await;
        sleep(self.1).await;
        *self.0.lock().unwrap() = Some(true);
        Error::new("test", Kind::Other)
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_told_at_the_end_that_nobody_listens() {
    for (takes, told) in [(1, true), (1000, false)] {
        let camera = Arc::new(Parting(Mutex::default(), Duration::from_secs(takes)));
        let rig = Rig::new(|channel| channel.alarms = Some(camera.clone()));
        seconds(1).await;
        assert_eq!(*camera.0.lock().unwrap(), Some(false));
        rig.stop.stop();
        timeout(Duration::from_secs(3), rig.watching).await.unwrap().unwrap();
        assert_eq!(*camera.0.lock().unwrap(), Some(told));
    }
    let rig = Rig::new(|channel| channel.alarms = None);
    seconds(1).await;
    rig.stop.stop();
    timeout(Duration::from_millis(1), rig.watching).await.unwrap().unwrap();
}
