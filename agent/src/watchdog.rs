//! Watches over the agent's main tasks, and tells the watchdogs of the hardware and of the service manager only while
//! all of them give signs of life.
//!
//! Each main task waits, beside all else it waits for, for the request to end. Every 20 s it is woken there, which is its
//! sign of life. One that was not there for 60 s is stuck: it waits for something that does not come, or its thread is
//! blocked. What feeds the watchdogs runs among the tasks itself, so that a blocked runtime feeds nothing.

use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::future::pending;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join;
use rustix::fs::OFlags;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::Runtime;
use crate::notify::Notifier;
use crate::pulse::Pulses;
use crate::shutdown::Asker;

/// Time between two questions to the tasks.
const ASK: Duration = Duration::from_secs(20);
/// Time between two words to a watchdog whose own patience is not known, and the longest to any other.
const USUAL: Duration = Duration::from_secs(5);
/// What ends a watchdog instead of feeding it.
const END: &[u8] = b"V";

/// The watch over the tasks, and the hardware's watchdog where there is one.
pub(crate) struct Watchdog {
    asker: Asker,
    pulses: Pulses,
    healthy: Arc<AtomicBool>,
    device: Option<Device>,
    /// How often the hardware's watchdog is fed.
    period: Duration,
}

/// A watchdog of the kernel. It restarts the device when it is not fed, once it was opened.
struct Device {
    path: PathBuf,
    file: Option<File>,
    /// Whether the log was told that it cannot be used.
    complained: bool,
}

impl Watchdog {
    /// Watches the tasks of `pulses`, whom `asker` asks, and feeds the hardware's watchdog where one is configured.
    pub(crate) fn new(asker: Asker, pulses: Pulses, config: &Runtime) -> Self {
        let path = config.watchdog.clone();
        let period = path.as_ref().map_or(USUAL, |path| period(Path::new("/"), path));
        let device = path.map(|path| Device { path, file: None, complained: false });
        Self { asker, pulses, healthy: Arc::new(AtomicBool::new(true)), device, period }
    }

    /// Feeds the hardware's watchdog and the service manager's for as long as it is polled. Where there is neither,
    /// the tasks are left alone.
    pub(crate) async fn feed(&mut self, notifier: &Notifier) -> Infallible {
        if self.device.is_none() && !notifier.is_watched() {
            return pending().await;
        }
        let health = Arc::clone(&self.healthy);
        let told = notifier.stay_alive(move || health.load(Ordering::Relaxed));
        let (never, _) = join(told, self.run()).await;
        match never {}
    }

    /// Watches for as long as it is polled.
    async fn run(&mut self) -> Infallible {
        let mut beat = interval(self.period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = (self.asker.ask(), Instant::now());
        loop {
            beat.tick().await;
            if asked.1.elapsed() >= ASK {
                asked = (self.asker.ask(), Instant::now());
            }
            let stuck = self.pulses.stuck(asked.0);
            let healthy = stuck.is_empty();
            match (self.healthy.swap(healthy, Ordering::Relaxed), healthy) {
                (true, false) => log::error!(
                    "{}: no sign of life for 60 s: the watchdogs are not fed any more",
                    stuck.join(", ")
                ),
                (false, true) => log::warn!("all tasks give signs of life again"),
                _ => {}
            }
            if let Some(device) = self.device.as_mut().filter(|_| healthy) {
                device.feed();
            }
        }
    }

    /// Ends the hardware's watchdog, as the agent ends in good order.
    pub(crate) fn end(self) {
        if let Some(Device { path, file: Some(mut file), .. }) = self.device
            && let Err(e) = file.write_all(END)
        {
            log::warn!("{}: is not ended: {e}; the device may restart", path.display());
        }
    }
}

impl Device {
    fn feed(&mut self) {
        if let Err(e) = self.write() {
            self.file = None;
            if !self.complained {
                log::error!("{}: cannot be fed: {e}; check runtime.watchdog", self.path.display());
            }
            self.complained = true;
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                // What is no watchdog must not block the agent.
                let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
                options.append(true).custom_flags(flags.cast_signed());
                let file = options.open(&self.path)?;
                log::info!("{}: is fed from now on", self.path.display());
                self.complained = false;
                self.file.insert(file)
            }
        };
        file.write_all(b"\0")
    }
}

/// How often a watchdog is fed: three times within its patience, which the kernel tells below the folder `root`.
fn period(root: &Path, device: &Path) -> Duration {
    let name = device.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = if name == "watchdog" { "watchdog0" } else { name };
    let told = fs::read_to_string(root.join("sys/class/watchdog").join(name).join("timeout"));
    let patience = told.ok().and_then(|told| told.trim().parse::<u32>().ok());
    let third = patience.map(|seconds| Duration::from_secs(seconds.into()) / 3);
    third.map_or(USUAL, |third| third.clamp(Duration::from_millis(250), USUAL))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::shutdown::{Stop, Stopper, stopper};

    struct Rig {
        folder: tempfile::TempDir,
        stopper: Stopper,
        stop: Stop,
        pulses: Pulses,
    }

    impl Rig {
        fn new() -> Self {
            let (stopper, stop) = stopper();
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("watchdog"), "").unwrap();
            let pulses = stopper.pulses();
            Self { folder, stopper, stop, pulses }
        }

        fn watchdog(&self) -> Watchdog {
            let path = self.folder.path().join("watchdog");
            let runtime = Runtime { worker_threads: 0, read_batch: None, watchdog: Some(path) };
            Watchdog::new(self.stopper.asker(), self.pulses.clone(), &runtime)
        }

        fn fed(&self) -> Vec<u8> {
            fs::read(self.folder.path().join("watchdog")).unwrap()
        }

        /// A main task that does its work when it is told, and waits for its end.
        fn task(&self, name: &str, work: impl Future<Output = ()> + Send + 'static) {
            let mut stop = self.stop.supervised(format_args!("{name}"));
            tokio::spawn(async move {
                let mut work = std::pin::pin!(work);
                tokio::select! {
                    () = stop.requested() => return,
                    () = &mut work => {}
                }
                stop.requested().await;
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_is_fed_while_every_task_gives_signs_of_life() {
        let rig = Rig::new();
        rig.task("one", pending());
        rig.task("two", async {});
        let mut watchdog = rig.watchdog();
        let health = Arc::clone(&watchdog.healthy);
        assert!(timeout(Duration::from_secs(3601), watchdog.run()).await.is_err());
        assert!(health.load(Ordering::Relaxed));
        assert_eq!(rig.fed(), vec![0; 721], "every 5 s");
        watchdog.end();
        assert_eq!(rig.fed().last(), Some(&b'V'));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_hangs_for_a_minute_is_not_covered_up() {
        let rig = Rig::new();
        rig.task("good", pending());
        let mut stop = rig.stop.supervised(format_args!("cloud"));
        let (go_on, wait) = oneshot::channel::<()>();
        tokio::spawn(async move {
            // It waits for something without waiting for its end.
            wait.await.ok();
            stop.requested().await;
        });
        let mut watchdog = rig.watchdog();
        let health = Arc::clone(&watchdog.healthy);
        assert!(timeout(Duration::from_secs(59), watchdog.run()).await.is_err());
        assert!(health.load(Ordering::Relaxed));
        let mut run = Box::pin(watchdog.run());
        assert!(timeout(Duration::from_secs(90), &mut run).await.is_err());
        assert!(!health.load(Ordering::Relaxed));
        assert_eq!(rig.pulses.stuck(6), ["cloud"]);
        let before = rig.fed().len();
        assert!(timeout(Duration::from_secs(600), &mut run).await.is_err());
        assert_eq!(rig.fed().len(), before);
        go_on.send(()).unwrap();
        assert!(timeout(Duration::from_secs(30), &mut run).await.is_err());
        assert!(rig.fed().len() > before && health.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_ended_is_no_longer_watched() {
        let rig = Rig::new();
        drop(rig.stop.supervised(format_args!("ended")));
        // A clone answers for nobody.
        let original = rig.stop.supervised(format_args!("original"));
        let mut clone = original.clone();
        tokio::spawn(async move { clone.requested().await });
        let mut watchdog = rig.watchdog();
        assert!(timeout(Duration::from_secs(100), watchdog.run()).await.is_err());
        assert_eq!(rig.pulses.stuck(5), ["original"]);
    }

    #[test]
    fn a_blocked_runtime_feeds_nothing() {
        let rig = Rig::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut watchdog = rig.watchdog();
        watchdog.period = Duration::from_millis(50);
        runtime.block_on(async {
            assert!(timeout(Duration::from_millis(100), watchdog.run()).await.is_err());
            let (begun, blocked) = oneshot::channel();
            tokio::spawn(async move {
                begun.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(500));
            });
            let watch = async {
                blocked.await.unwrap();
                sleep(Duration::from_millis(1)).await;
            };
            tokio::select! {
                never = watchdog.run() => match never {},
                () = watch => {}
            }
        });
        assert!((1..=5).contains(&rig.fed().len()), "{} times", rig.fed().len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_watchdog_holds_nothing_up_and_is_tried_again() {
        let rig = Rig::new();
        let path = rig.folder.path().join("watchdog");
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut watchdog = rig.watchdog();
        assert!(timeout(Duration::from_secs(60), watchdog.run()).await.is_err());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(timeout(Duration::from_secs(60), watchdog.run()).await.is_err());
        assert!(!rig.fed().is_empty());
    }

    #[test]
    fn a_watchdog_is_fed_three_times_within_its_patience() {
        let root = tempfile::tempdir().unwrap();
        let set = |name: &str, text: &str| {
            let folder = root.path().join("sys/class/watchdog").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("timeout"), text).unwrap();
        };
        let of = |device: &str| period(root.path(), Path::new(device));
        assert_eq!(of("/dev/watchdog"), USUAL);
        set("watchdog0", "60\n");
        set("watchdog1", "6\n");
        assert_eq!((of("/dev/watchdog"), of("/dev/watchdog0")), (USUAL, USUAL));
        assert_eq!(of("/dev/watchdog1"), Duration::from_secs(2));
        for (text, want) in [("0", Duration::from_millis(250)), ("soon", USUAL), ("-1", USUAL)] {
            set("watchdog1", text);
            assert_eq!(of("/dev/watchdog1"), want, "{text}");
        }
    }
}
