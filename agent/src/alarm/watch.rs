//! Watches the alarms of one channel: hears its camera, applies the rules, and has the picture of each alarm taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ivt_base::task::work;
use ivt_hal::{Alarm, Clock, Heard, Signal, Snapshot, Stream, Trigger};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

#[cfg(feature = "ui")]
use super::book;
use super::desk::Desk;
use super::listen::{ALARM, OPEN, listen};
use super::local_time::{self, LocalTime};
use super::rule::{Edge, Rule};
use super::settings::Settings;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;

/// How long the picture of an alarm may take.
const PICTURE: Duration = Duration::from_secs(8);
/// Most pictures that one camera takes at the same time, and all cameras together.
const PER_CAMERA: usize = 3;
pub(super) const PICTURES: usize = 16;
/// How long the camera's clock may take.
const CLOCK: Duration = Duration::from_secs(8);
/// How long the camera may take to be told that nobody listens any longer: some hold few subscriptions.
const LEAVING: Duration = Duration::from_secs(2);
/// How many signals wait before the camera does.
const SIGNALS: usize = 32;
/// How far away the timer is set while nothing is due.
const FAR: Duration = Duration::from_secs(3600);

/// The task of one channel.
pub(super) struct Watch {
    pub(super) device: CurrentDevice,
    pub(super) number: usize,
    pub(super) settings: Settings,
    pub(super) desk: Desk,
    /// Bounds the pictures that are taken at the same time.
    pub(super) cameras: Arc<Semaphore>,
    /// Whether the device's page shows pictures.
    #[cfg(feature = "ui")]
    pub(super) is_shown: bool,
}

/// One trigger of the channel.
struct Watched {
    trigger: Trigger,
    rule: Rule,
    /// The camera's words when it last detected something.
    what: String,
}

impl Watched {
    /// Whether all is known that its rule needs.
    fn can_be_judged(&self, time: &LocalTime) -> bool {
        time.is_settled() || !self.rule.needs_clock()
    }
}

impl Watch {
    /// Watches until the agent ends.
    pub(super) async fn run(self, mut stop: Stop) {
        let (heard, mut signals) = mpsc::channel(SIGNALS);
        let told = AtomicU8::new(0);
        let listening = listen(self.device.clone(), self.number, heard, &told);
        tokio::pin!(listening);
        let (mut changes, mut set) = (self.settings.changes(), self.settings.clocks());
        let mut triggers = Trigger::ALL.map(|trigger| Watched {
            trigger,
            rule: Rule::new(trigger, self.settings.terms((self.number, trigger))),
            what: String::new(),
        });
        let (mut time, mut pictures, mut clocks) =
            (LocalTime::default(), JoinSet::new(), JoinSet::new());
        let (mut exchanges, mut clock) = (self.device.exchanges(), self.clock());
        loop {
            let now = Instant::now();
            let judged = triggers.iter().filter(|it| it.can_be_judged(&time));
            let due = judged.filter_map(|it| it.rule.due(now, &|| time.second(now)));
            let due = due.min().unwrap_or(now + FAR);
            let asks = clocks.is_empty() && triggers.iter().any(|it| it.rule.is_enabled());
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = sleep_until(due) => {}
                () = sleep_until(time.due(now)), if asks => {
                    time.asks(Instant::now());
                    if let Some(clock) = clock.clone() {
                        let number = self.number;
                        clocks.spawn(work(async move {
                            timeout(CLOCK, local_time::ask(&*clock, number)).await.ok().flatten()
                        }));
                    } else {
                        time.note(None, Instant::now());
                    }
                }
                Some(shown) = clocks.join_next() => {
                    if let Ok(shown) = shown {
                        time.note(shown, Instant::now());
                    }
                }
                Ok(()) = changes.changed() => {
                    for it in &mut triggers {
                        if it.rule.set(self.settings.terms((self.number, it.trigger))) {
                            (time, clocks) = (time.unsettled(), JoinSet::new());
                        }
                    }
                }
                Ok(()) = exchanges.changed() => {
                    let before = std::mem::replace(&mut clock, self.clock());
                    let is_same = match (&before, &clock) {
                        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                        (before, now) => before.is_none() && now.is_none(),
                    };
                    if !is_same {
                        // The clock of a former camera says nothing of this one's.
                        (time, clocks) = (LocalTime::default(), JoinSet::new());
                    }
                }
                Ok(()) = set.changed() => {
                    // An answer from before the clock was set counts no longer.
                    (time, clocks) = (time.unsettled(), JoinSet::new());
                }
                Some(_) = pictures.join_next() => {}
                Some(word) = signals.recv() => {
                    // What was due before is judged first.
                    self.judge(&mut triggers, &time, &mut pictures);
                    let kind = if word == Heard::Listening { OPEN } else { ALARM };
                    told.fetch_max(kind, Ordering::Relaxed);
                    self.hear(word, &mut triggers, &mut time);
                }
                () = &mut listening => return,
            }
            self.judge(&mut triggers, &time, &mut pictures);
        }
        drop(signals);
        let _ = timeout(LEAVING, listening).await;
    }

    fn hear(&self, word: Heard, triggers: &mut [Watched], time: &mut LocalTime) {
        let now = Instant::now();
        match word {
            Heard::Listening => {
                log::debug!("channel {}: listens to its camera's alarms", self.number);
                triggers.iter_mut().for_each(|it| it.rule.doubt(now));
                // It may have started anew.
                time.doubt();
            }
            Heard::Alarm(Alarm { trigger, signal, what }) => {
                self.desk.hear();
                for it in triggers.iter_mut().filter(|it| it.trigger == trigger) {
                    it.rule.hear(signal, now);
                    if signal != Signal::Ends {
                        it.what.clone_from(&what);
                    }
                }
            }
        }
    }

    fn judge(&self, triggers: &mut [Watched], time: &LocalTime, pictures: &mut JoinSet<()>) {
        let now = Instant::now();
        for it in triggers.iter_mut().filter(|it| it.can_be_judged(time)) {
            let place = (self.number, it.trigger);
            while let Some(edge) = it.rule.judge(now, &|| time.second(now)) {
                match edge {
                    Edge::Begins => self.begin(it, time, pictures),
                    Edge::Ends | Edge::Disarmed => self.desk.end(place, time.now(now)),
                    Edge::Withdrawn => self.desk.withdraw(place),
                }
                log::debug!("channel {}: {:?} {edge:?}", self.number, it.trigger);
            }
        }
    }

    /// An alarm begins: the report of it does not wait for its picture.
    fn begin(&self, it: &Watched, time: &LocalTime, pictures: &mut JoinSet<()>) {
        let device = self.device.now();
        let camera = device.channels.get(self.number).and_then(|camera| camera.snapshot.clone());
        let (place, shown) = ((self.number, it.trigger), time.now(Instant::now()));
        let id = self.desk.begin(place, &it.what, shown, camera.is_some());
        let (desk, number) = (self.desk.clone(), self.number);
        #[cfg(feature = "ui")]
        let is_shown = self.is_shown;
        #[cfg(feature = "ui")]
        desk.show(id, place, &it.what, shown, is_shown && camera.is_some());
        if pictures.len() >= PER_CAMERA {
            log::info!("channel {number}: an alarm has no picture: {PER_CAMERA} are being taken");
            desk.take_picture(id, None);
            #[cfg(feature = "ui")]
            desk.show_picture(id, None);
        } else if let Some(camera) = camera {
            let cameras = Arc::clone(&self.cameras);
            pictures.spawn(work(async move {
                let taken = timeout(PICTURE, picture(&*camera, number, &cameras)).await;
                let late = || log::info!("channel {number}: an alarm has no picture: none in time");
                let taken = taken.inspect_err(|_| late()).ok().flatten();
                desk.take_picture(id, taken.clone());
                #[cfg(feature = "ui")]
                if is_shown {
                    desk.show_picture(id, small(&*camera, taken, &cameras).await);
                }
            }));
        }
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.device.now().channels.get(self.number)?.clock.clone()
    }
}

/// The picture of this moment.
async fn picture(camera: &dyn Snapshot, number: usize, cameras: &Semaphore) -> Option<Bytes> {
    let _turn = cameras.acquire().await.ok()?;
    let trouble = match camera.jpeg(Stream::Main).await {
        Ok(picture) if picture.starts_with(&[0xff, 0xd8]) => return Some(picture),
        Ok(picture) => format!("{} bytes that are no JPEG", picture.len()),
        Err(e) => e.to_string(),
    };
    log::info!("channel {number}: an alarm has no picture: {trouble}");
    None
}

/// The picture for the device's page: the one of the alarm where that is small, else one of the sub stream.
#[cfg(feature = "ui")]
async fn small(camera: &dyn Snapshot, taken: Option<Bytes>, cameras: &Semaphore) -> Option<Bytes> {
    let taken = taken?;
    if taken.len() <= book::PICTURE {
        return Some(taken);
    }
    let other = async {
        let _turn = cameras.acquire().await.ok()?;
        camera.jpeg(Stream::Sub).await.ok().filter(|picture| picture.starts_with(&[0xff, 0xd8]))
    };
    let other = timeout(PICTURE, other).await.ok().flatten();
    Some(other.filter(|picture| picture.len() < taken.len()).unwrap_or(taken))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
