//! Listens to the alarms of a channel's camera, whichever the channel has, and listens again when that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ivt_hal::{Alarms, Heard, Kind};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::backoff::{Backoff, Policy};
use crate::reload::CurrentDevice;

/// The camera was heard, and nothing was told.
pub(super) const OPEN: u8 = 1;
/// The camera told an alarm.
pub(super) const ALARM: u8 = 2;
/// A stream that was open for so long was a sound one.
const LIVED: Duration = secs(10);
/// Pauses after a camera that could not be heard.
const LOST: Policy =
    Policy { floor: secs(1), windows: &[secs(2), secs(4), secs(8), secs(16), secs(32), secs(60)] };
/// Pauses after a login that was refused: cameras lock accounts after five failures.
const REFUSED: Policy = Policy { floor: secs(300), windows: &[secs(600), secs(1200), secs(1800)] };
/// How often in a row a camera may say that it has no alarms before that is believed: of one that was heard, and of any
/// other. While a camera starts, its web server says so before its events are there.
const MISSED: u32 = 20;
const NEVER_HEARD: u32 = 3;
/// Pause after a camera that has no alarms: another firmware may.
const UNSUPPORTED: Policy = Policy { floor: secs(3600), windows: &[secs(4000)] };

/// Listens until nobody reads `heard`, and returns when the camera was told so. Whoever reads `heard` notes in `told` what
/// there was since it was looked at: [`OPEN`] or [`ALARM`].
pub(super) async fn listen(
    device: CurrentDevice,
    number: usize,
    heard: mpsc::Sender<Heard>,
    told: &AtomicU8,
) {
    let mut exchanges = device.exchanges();
    while !heard.is_closed() {
        exchanges.mark_unchanged();
        let Some(alarms) = alarms(&device, number) else {
            // What a former camera held ends.
            heard.send(Heard::Listening).await.ok();
            tokio::select! {
                () = changed(&mut exchanges) => {}
                () = heard.closed() => {}
            }
            continue;
        };
        tokio::select! {
            () = again_and_again(&*alarms, number, &heard, told) => {}
            () = other(&device, number, &alarms, &mut exchanges) => {}
        }
    }
}

/// Listens to one camera until nobody reads `heard`.
async fn again_and_again(
    alarms: &dyn Alarms,
    number: usize,
    heard: &mpsc::Sender<Heard>,
    told: &AtomicU8,
) {
    let (mut lost, mut refused) = (Backoff::new(&LOST), Backoff::new(&REFUSED));
    let (mut unsupported, mut before) = (Backoff::new(&UNSUPPORTED), None);
    let (mut doubts, mut lacking) = (NEVER_HEARD, 0u32);
    loop {
        let began = Instant::now();
        let error = alarms.listen(heard).await;
        if heard.is_closed() {
            return;
        }
        let lasted = began.elapsed();
        refused.lived(lasted);
        // What was heard last is read first.
        yield_now().await;
        let told = told.swap(0, Ordering::Relaxed);
        // Some cameras hang up after each alarm, others every half minute.
        if told == ALARM || (told == OPEN && lasted >= LIVED) {
            lost = Backoff::new(&LOST);
        }
        if told != 0 {
            (doubts, lacking) = (MISSED, 0);
        }
        lacking = lacking.saturating_add(u32::from(error.kind == Kind::Unsupported));
        let schedule = match error.kind {
            Kind::Unsupported if lacking > doubts => &mut unsupported,
            Kind::Refused => &mut refused,
            _ => &mut lost,
        };
        let pause = schedule.next(&mut rand::rng());
        let news = before.replace(error.kind) != Some(error.kind);
        let level = match error.kind {
            _ if !news && lasted < crate::backoff::HEALTH => log::Level::Debug,
            Kind::Unsupported => log::Level::Info,
            _ => log::Level::Warn,
        };
        let seconds = pause.as_secs_f32();
        log::log!(
            level,
            "channel {number}: its camera's alarms are not heard: {error}; next try in {seconds:.0} s"
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = heard.closed() => return,
        }
    }
}

/// Returns once the channel has another camera.
async fn other(
    device: &CurrentDevice,
    number: usize,
    alarms: &Arc<dyn Alarms>,
    exchanges: &mut watch::Receiver<()>,
) {
    loop {
        changed(exchanges).await;
        if self::alarms(device, number).is_none_or(|now| !Arc::ptr_eq(&now, alarms)) {
            return;
        }
    }
}

/// Returns once the device was exchanged; never returns when the agent ends.
async fn changed(exchanges: &mut watch::Receiver<()>) {
    if exchanges.changed().await.is_err() {
        std::future::pending().await
    }
}

fn alarms(device: &CurrentDevice, number: usize) -> Option<Arc<dyn Alarms>> {
    device.now().channels.get(number)?.alarms.clone()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use async_trait::async_trait;
    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Channel, Device, Error, Model};
    use tokio::time::timeout;

    use super::*;

    /// A camera whose stream ends at once, for one reason after the other; it listens for ever after the last.
    struct Failing {
        reasons: Vec<Kind>,
        asked: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl Alarms for Failing {
        async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
            let number = self.asked.lock().unwrap().len();
            self.asked.lock().unwrap().push(Instant::now());
            let Some(kind) = self.reasons.get(number) else {
                heard.send(Heard::Listening).await.ok();
                return std::future::pending().await;
            };
            Error::new("test", *kind)
        }
    }

    fn device(alarms: Option<Arc<dyn Alarms>>) -> Device {
        let channel = Channel { alarms, ..Channel::new(Arc::new(Emulator::default())) };
        Device { model: Model::Camera, channels: vec![channel], cgi: None }
    }

    /// The pauses in seconds between the attempts at a camera that fails so.
    async fn pauses(reasons: Vec<Kind>) -> Vec<f32> {
        let camera = Arc::new(Failing { reasons, asked: Mutex::default() });
        let device = CurrentDevice::new(device(Some(camera.clone())));
        let (heard, mut told) = mpsc::channel(8);
        let calm = AtomicU8::new(0);
        tokio::select! {
            () = listen(device, 0, heard, &calm) => unreachable!("it is heard"),
            word = told.recv() => assert_eq!(word, Some(Heard::Listening)),
        }
        let asked = camera.asked.lock().unwrap();
        asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f32()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_is_away_is_asked_after_growing_pauses() {
        let pauses = pauses(vec![Kind::Offline; 60]).await;
        let windows = [2.0, 4.0, 8.0, 16.0, 32.0, 60.0];
        for (number, pause) in pauses.iter().enumerate() {
            let most = windows[number.min(5)];
            assert!((0.99..=most + 0.01).contains(pause), "{number}: {pauses:?}");
        }
        assert!(pauses.iter().any(|pause| *pause > 20.0), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_was_refused_and_an_ability_that_lacks_are_seldom_tried() {
        let refused = pauses(vec![Kind::Refused; 20]).await;
        assert!(refused.iter().all(|pause| (299.0..1801.0).contains(pause)), "{refused:?}");
        let unsupported = pauses(vec![Kind::Unsupported; 8]).await;
        assert!(unsupported[..3].iter().all(|pause| *pause < 8.1), "it may start: {unsupported:?}");
        let seldom = |pause: &f32| (3599.0..4001.0).contains(pause);
        assert!(unsupported[3..].iter().all(seldom), "{unsupported:?}");
    }

    /// A camera that is heard, and starts anew: it is away, then its web server is there before its events.
    struct Restarting {
        heard: AtomicBool,
        asked: Mutex<Vec<Instant>>,
        lasts: Duration,
        began: Instant,
    }

    #[async_trait]
    impl Alarms for Restarting {
        async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
            self.asked.lock().unwrap().push(Instant::now());
            let passed = self.began.elapsed();
            if !self.heard.swap(true, Ordering::Relaxed) || passed >= self.lasts {
                heard.send(Heard::Listening).await.ok();
                if passed >= self.lasts {
                    return std::future::pending().await;
                }
                sleep(secs(20)).await;
            }
            let away = passed < self.lasts / 2;
            Error::new("test", if away { Kind::Offline } else { Kind::Unsupported })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_starts_anew_is_heard_within_a_minute() {
        for lasts in [90, 240] {
            let lasts = secs(lasts);
            let (heard, asked) = (AtomicBool::new(false), Mutex::default());
            let camera = Arc::new(Restarting { heard, asked, lasts, began: Instant::now() });
            let device = CurrentDevice::new(device(Some(camera.clone())));
            let (heard, mut told) = mpsc::channel(8);
            let open = AtomicU8::new(0);
            let hears = async {
                for _ in 0..2 {
                    assert_eq!(told.recv().await, Some(Heard::Listening));
                    open.store(OPEN, Ordering::Relaxed);
                }
            };
            tokio::select! {
                () = listen(device, 0, heard, &open) => unreachable!("it is heard"),
                () = hears => {}
            }
            let late = camera.began.elapsed() - lasts;
            assert!(late <= secs(60), "{lasts:?}: {late:?} after it was there");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_camera_of_the_channel_is_heard_at_once() {
        let hour = Duration::from_secs(3600);
        let silent =
            Arc::new(Failing { reasons: vec![Kind::Unsupported; 4], asked: Mutex::default() });
        let device_now = CurrentDevice::new(device(Some(silent.clone())));
        let (heard, mut told) = mpsc::channel(8);
        let now = device_now.clone();
        let listening = tokio::spawn(async move {
            let calm = AtomicU8::new(0);
            listen(now, 0, heard, &calm).await
        });
        assert!(timeout(hour / 2, told.recv()).await.is_err());
        // The same camera, since another one of the device was exchanged.
        device_now.exchange(device(Some(silent.clone())));
        assert!(timeout(hour / 4, told.recv()).await.is_err());
        assert_eq!(silent.asked.lock().unwrap().len(), 4);
        let emulator = Arc::new(Emulator::default());
        device_now.exchange(device(Some(emulator.clone())));
        assert_eq!(timeout(hour / 100, told.recv()).await, Ok(Some(Heard::Listening)));
        emulator.world.trigger(ivt_hal::Trigger::Motion, true);
        assert!(matches!(told.recv().await, Some(Heard::Alarm(_))));
        device_now.exchange(device(None));
        assert_eq!(
            timeout(hour / 100, told.recv()).await,
            Ok(Some(Heard::Listening)),
            "what was held ends"
        );
        device_now.exchange(device(Some(emulator)));
        assert_eq!(timeout(hour / 100, told.recv()).await, Ok(Some(Heard::Listening)));
        listening.abort();
    }
}
