//! Moves one camera by the cloud's events: one order at a time, the newest wins, and no movement goes on
//! unattended.
//!
//! The task stops a camera that moves when the connection to the cloud is lost, when the agent ends, when
//! the channel gets another camera, before a preset, a tour or a patrol, and [`LONGEST_MOVE`] after the
//! newest order to move. A movement by the device's page ends sooner, since a browser may be gone without a word.

mod pending;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_hal::{Error, Kind, LONGEST_MOVE, Ptz, Result};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::channel::{Link, lost};
use crate::deadlines::HANDLER;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;
use pending::Pending;

pub(crate) use pending::{Done, Order, Outcome};

/// The pauses before the first further tries of a stop that failed.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// The pause before each later try.
const AGAIN_LATER: Duration = Duration::from_secs(30);
/// Most failed stops in a row, about ten minutes. Later only a lost connection, an order or the agent's end
/// stops the camera.
const MOST_STOPS: usize = 24;
/// Most cameras of one channel that move: the one it has, and former ones that took no stop yet.
const MOST_MOVING: usize = 3;
/// How long the last stops may take when the agent ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a movement by the page goes on after its newest order.
#[cfg(feature = "ui")]
pub(crate) const HELD: Duration = Duration::from_millis(1_800);
/// How often a camera is told of a movement by the page that goes on.
#[cfg(feature = "ui")]
const TOLD_AGAIN: Duration = Duration::from_secs(10);
/// How far away the timer is set while nothing moves.
const FAR: Duration = Duration::from_secs(3600);

/// Gives orders to the task of one camera.
#[derive(Clone, Default)]
pub(crate) struct Remote(Arc<Shared>);

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    news: Notify,
}

/// The task of one camera.
pub(crate) struct PtzTask {
    device: CurrentDevice,
    number: usize,
    remote: Remote,
    link: watch::Receiver<Link>,
    losses: u64,
    /// The cameras that move: the channel's, and those it had before it was configured anew.
    moving: Vec<Moving>,
    /// The tour that was started last and not stopped, for a stop that does not name it.
    tour: Option<String>,
}

/// A camera that moves, or may move.
struct Moving {
    ptz: Arc<dyn Ptz>,
    /// `None` after `MOST_STOPS`.
    stop_at: Option<Instant>,
    /// How many stops have failed in a row.
    failed: usize,
    /// A movement by the page, and when the camera was told of it.
    #[cfg(feature = "ui")]
    held: Option<(ivt_hal::Movement, Instant)>,
}

impl Remote {
    /// Takes an order, without waiting for the camera; `done` is told what became of it.
    pub(crate) fn give(&self, order: Order, done: Done) {
        let replaced = self.pending().push(order, done);
        self.0.news.notify_one();
        for done in replaced {
            done(Outcome::Replaced);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PtzTask {
    /// A task for the camera of one channel, whichever `device` has at the moment.
    pub(crate) fn new(
        device: CurrentDevice,
        number: usize,
        link: watch::Receiver<Link>,
    ) -> (Self, Remote) {
        let (remote, losses) = (Remote::default(), link.borrow().losses);
        let (moving, tour) = (Vec::new(), None);
        let task = Self { device, number, remote: remote.clone(), link, losses, moving, tour };
        (task, remote)
    }

    /// Carries out orders until the agent ends; then stops what moves.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        let remote = self.remote.clone();
        loop {
            let stop_at = self.moving.iter().filter_map(|moving| moving.stop_at).min();
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = lost(&mut self.link, &mut self.losses) => {
                    remote.pending().drop_movement();
                    for moving in &mut self.moving {
                        moving.stop_at = Some(Instant::now());
                    }
                }
                () = sleep_until(stop_at.unwrap_or_else(|| later(FAR))) => {
                    tokio::select! {
                        biased;
                        () = stop.requested() => break,
                        () = self.stop_what_is_due() => {}
                    }
                }
                () = remote.0.news.notified() => {
                    let next = remote.pending().pop();
                    if let Some((order, done)) = next {
                        tokio::select! {
                            biased;
                            () = stop.requested() => break,
                            result = self.carry_out(order) => done(Outcome::Done(result)),
                        }
                    }
                }
            }
            if !remote.pending().is_empty() {
                remote.0.news.notify_one();
            }
        }
        let until = later(GOODBYE);
        for moving in self.moving.iter().rev() {
            if !matches!(timeout_at(until, moving.ptz.stop()).await, Ok(Ok(()))) {
                log::warn!("channel {}: its camera may move on: it took no stop", self.number);
            }
        }
    }

    async fn carry_out(&mut self, order: Order) -> Result<()> {
        let device = self.device.now();
        let camera = device.channels.get(self.number);
        let ptz = camera.and_then(|camera| camera.ptz.as_ref());
        // No order is for a camera that the channel had before.
        let is_stop = order == Order::Stop;
        for moving in &mut self.moving {
            let former = ptz.is_none_or(|ptz| !Arc::ptr_eq(ptz, &moving.ptz));
            if is_stop || (former && moving.failed == 0) {
                (moving.failed, moving.stop_at) = (0, Some(Instant::now()));
            }
        }
        if !is_stop {
            self.stop_what_is_due().await;
        }
        let camera = camera.ok_or_else(gone)?;
        match order {
            Order::Move(movement) => self.go(&slot(&camera.ptz)?, movement).await,
            #[cfg(feature = "ui")]
            Order::Hold(movement) => self.hold(&slot(&camera.ptz)?, movement).await,
            Order::Stop => self.stop(&slot(&camera.ptz)?).await,
            Order::Preset(token) => {
                let presets = slot(&camera.presets)?;
                self.make_way(ptz).await;
                in_time(presets.go_to(&token)).await
            }
            Order::Tour(token) => {
                let tours = slot(&camera.tours)?;
                self.make_way(ptz).await;
                in_time(tours.start(&token)).await?;
                self.tour = Some(token);
                Ok(())
            }
            Order::EndTour(token) => {
                let token = token.as_ref().or(self.tour.as_ref());
                in_time(slot(&camera.tours)?.stop(token.map(String::as_str))).await?;
                self.tour = None;
                Ok(())
            }
            Order::Patrol => {
                let patrol = slot(&camera.patrol)?;
                self.make_way(ptz).await;
                in_time(patrol.start()).await
            }
            Order::EndPatrol => in_time(slot(&camera.patrol)?.stop()).await,
        }
    }

    async fn go(&mut self, ptz: &Arc<dyn Ptz>, movement: ivt_hal::Movement) -> Result<()> {
        // An order that the agent's end cuts off may still have reached the camera.
        let before = self.forget(ptz);
        self.watch(ptz, Some(later(LONGEST_MOVE)), 0);
        let result = in_time(ptz.start(movement)).await;
        if let Err(error) = &result {
            self.forget(ptz);
            match error.kind {
                Kind::Unsupported | Kind::Invalid | Kind::Refused => self.moving.extend(before),
                // Nobody knows whether the camera moves.
                _ => self.watch(ptz, Some(Instant::now()), 0),
            }
        }
        result
    }

    /// Moves until [`HELD`] after this order, without telling the camera again and again.
    #[cfg(feature = "ui")]
    async fn hold(&mut self, ptz: &Arc<dyn Ptz>, movement: ivt_hal::Movement) -> Result<()> {
        let now = Instant::now();
        let goes_on = |moving: &&mut Moving| {
            let told = moving.held.filter(|(held, _)| *held == movement);
            Arc::ptr_eq(&moving.ptz, ptz) && told.is_some_and(|(_, at)| now < at + TOLD_AGAIN)
        };
        if let Some(moving) = self.moving.iter_mut().find(goes_on) {
            moving.stop_at = Some(now + HELD);
            return Ok(());
        }
        self.go(ptz, movement).await?;
        if let Some(moving) = self.moving.iter_mut().find(|moving| Arc::ptr_eq(&moving.ptz, ptz)) {
            (moving.held, moving.stop_at) = (Some((movement, now)), Some(later(HELD)));
        }
        Ok(())
    }

    /// Stops the channel's camera if it moves: not every camera ends a movement for a preset, or at all
    /// when the preset is empty.
    async fn make_way(&mut self, ptz: Option<&Arc<dyn Ptz>>) {
        if let Some(ptz) = ptz
            && self.moving.iter().any(|moving| Arc::ptr_eq(&moving.ptz, ptz))
        {
            self.stop(ptz).await.ok();
        }
    }

    async fn stop_what_is_due(&mut self) {
        let now = Instant::now();
        let due = |moving: &&Moving| moving.stop_at.is_some_and(|at| at <= now);
        while let Some(ptz) = self.moving.iter().find(due).map(|moving| Arc::clone(&moving.ptz)) {
            self.stop(&ptz).await.ok();
        }
    }

    /// Sends a stop. One that fails is tried again later.
    async fn stop(&mut self, ptz: &Arc<dyn Ptz>) -> Result<()> {
        let result = in_time(ptz.stop()).await;
        let failed = self.forget(ptz).map_or(0, |moving| moving.failed);
        if let Err(error) = &result
            && error.kind != Kind::Unsupported
        {
            if failed == AGAIN.len() {
                log::warn!("channel {}: its camera takes no stop: {error}", self.number);
            }
            let pause = AGAIN.get(failed).copied().unwrap_or(AGAIN_LATER);
            self.watch(ptz, (failed < MOST_STOPS).then(|| later(pause)), failed + 1);
        }
        result
    }

    fn watch(&mut self, ptz: &Arc<dyn Ptz>, stop_at: Option<Instant>, failed: usize) {
        if self.moving.len() == MOST_MOVING {
            self.moving.remove(0);
            log::warn!("channel {}: a former camera may move on: it took no stop", self.number);
        }
        self.moving.push(Moving {
            ptz: Arc::clone(ptz),
            stop_at,
            failed,
            #[cfg(feature = "ui")]
            held: None,
        });
    }

    fn forget(&mut self, ptz: &Arc<dyn Ptz>) -> Option<Moving> {
        let place = self.moving.iter().position(|moving| Arc::ptr_eq(&moving.ptz, ptz))?;
        Some(self.moving.remove(place))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(HANDLER, work).await.unwrap_or_else(|_| Err(Error::new("ptz", Kind::Timeout)))
}

fn slot<T: ?Sized>(slot: &Option<Arc<T>>) -> Result<Arc<T>> {
    slot.clone().ok_or_else(|| Error::new("ptz", Kind::Unsupported))
}

fn gone() -> Error {
    Error::new("a channel that is gone", Kind::Offline)
}

fn later(delay: Duration) -> Instant {
    Instant::now() + delay
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::shutdown::stopper;

    /// The remote of a camera whose task runs until the test ends, with a connection that is never lost.
    pub(crate) fn remote(device: &CurrentDevice, number: usize) -> Remote {
        let link = watch::Sender::new(Link::down());
        let (task, remote) = PtzTask::new(device.clone(), number, link.subscribe());
        ivt_base::task::spawn(async move {
            let (_link, (_stop, stopping)) = (link, stopper());
            task.run(stopping).await;
        });
        remote
    }
}

#[cfg(test)]
#[path = "ptz/tests.rs"]
mod tests;
