//! Listens to the alarms of a channel's camera, whichever the channel has, and listens again when that ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::{Alarms, Heard, Kind};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::backoff::{Backoff, Policy};
use crate::reload::CurrentDevice;

/// Pauses after a camera that could not be heard.
const LOST: Policy =
    Policy { floor: secs(1), windows: &[secs(2), secs(4), secs(8), secs(16), secs(32), secs(60)] };
/// Pauses after a login that was refused: cameras lock accounts after five failures.
const REFUSED: Policy = Policy { floor: secs(300), windows: &[secs(600), secs(1200), secs(1800)] };
/// Pause after a camera that has no alarms: another firmware may.
const UNSUPPORTED: Policy = Policy { floor: secs(3600), windows: &[secs(4000)] };

/// Listens for ever.
pub(super) async fn listen(
    device: CurrentDevice,
    number: usize,
    heard: mpsc::Sender<Heard>,
) -> Infallible {
    let mut exchanges = device.exchanges();
    loop {
        exchanges.mark_unchanged();
        let Some(alarms) = alarms(&device, number) else {
            // What a former camera held ends.
            heard.send(Heard::Listening).await.ok();
            changed(&mut exchanges).await;
            continue;
        };
        tokio::select! {
            never = again_and_again(&*alarms, number, &heard) => match never {},
            () = other(&device, number, &alarms, &mut exchanges) => {}
        }
    }
}

/// Listens to one camera for ever.
async fn again_and_again(
    alarms: &dyn Alarms,
    number: usize,
    heard: &mpsc::Sender<Heard>,
) -> Infallible {
    let (mut lost, mut refused) = (Backoff::new(&LOST), Backoff::new(&REFUSED));
    let (mut unsupported, mut told) = (Backoff::new(&UNSUPPORTED), None);
    loop {
        let began = Instant::now();
        let error = alarms.listen(heard).await;
        let lasted = began.elapsed();
        lost.lived(lasted);
        refused.lived(lasted);
        let schedule = match error.kind {
            Kind::Unsupported => &mut unsupported,
            Kind::Refused => &mut refused,
            _ => &mut lost,
        };
        let pause = schedule.next(&mut rand::rng());
        let news = told.replace(error.kind) != Some(error.kind);
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
        sleep(pause).await;
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
        Device { model: Model::Camera, channels: vec![channel], cgi: None, firmware: None }
    }

    /// The pauses in seconds between the attempts at a camera that fails so.
    async fn pauses(reasons: Vec<Kind>) -> Vec<f32> {
        let camera = Arc::new(Failing { reasons, asked: Mutex::default() });
        let device = CurrentDevice::new(device(Some(camera.clone())));
        let (heard, mut told) = mpsc::channel(8);
        tokio::select! {
            never = listen(device, 0, heard) => match never {},
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
        let unsupported = pauses(vec![Kind::Unsupported; 5]).await;
        assert!(
            unsupported.iter().all(|pause| (3599.0..4001.0).contains(pause)),
            "{unsupported:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn another_camera_of_the_channel_is_heard_at_once() {
        let hour = Duration::from_secs(3600);
        let silent =
            Arc::new(Failing { reasons: vec![Kind::Unsupported], asked: Mutex::default() });
        let device_now = CurrentDevice::new(device(Some(silent.clone())));
        let (heard, mut told) = mpsc::channel(8);
        let listening = tokio::spawn(listen(device_now.clone(), 0, heard));
        assert!(timeout(hour / 2, told.recv()).await.is_err());
        // The same camera, since another one of the device was exchanged.
        device_now.exchange(device(Some(silent.clone())));
        assert!(timeout(hour / 4, told.recv()).await.is_err());
        assert_eq!(silent.asked.lock().unwrap().len(), 1);
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
