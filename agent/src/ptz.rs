//! Moves one camera by the cloud's events: one order at a time, the newest wins, and no movement goes on
//! unattended.
//!
//! A movement ends by a stop of ours when the connection to the cloud is lost, when the agent ends, or
//! [`LONGEST_MOVE`] after the newest order to move, also where the camera would stop by itself. A preset, a
//! tour or a patrol that the camera begins takes the movement's place.

mod pending;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_hal::{Channel, Error, Kind, LONGEST_MOVE, Ptz, Result};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::channel::{Link, lost};
use crate::deadlines::HANDLER;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;
use pending::Pending;

pub(crate) use pending::{Done, Order, Outcome};

/// The pauses before each try of a stop that failed.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How long the last stop may take when the agent ends.
const GOODBYE: Duration = Duration::from_secs(2);
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
    moving: Option<Moving>,
    /// The tour that was started last and not stopped, for a stop that does not name it.
    tour: Option<String>,
}

/// A camera that moves, or may move.
struct Moving {
    ptz: Arc<dyn Ptz>,
    stop_at: Instant,
    /// How many stops have failed.
    failed: usize,
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
        let task =
            Self { device, number, remote: remote.clone(), link, losses, moving: None, tour: None };
        (task, remote)
    }

    /// Carries out orders until the agent ends; then stops a camera that moves.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        let remote = self.remote.clone();
        loop {
            let next = remote.pending().pop();
            if let Some((order, done)) = next {
                tokio::select! {
                    biased;
                    () = stop.requested() => break,
                    result = self.carry_out(order) => done(Outcome::Done(result)),
                }
            }
            let stop_at = self.moving.as_ref().map(|moving| moving.stop_at);
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = lost(&mut self.link, &mut self.losses) => {
                    remote.pending().drop_movement();
                    if let Some(moving) = &mut self.moving {
                        moving.stop_at = Instant::now();
                    }
                }
                () = sleep_until(stop_at.unwrap_or_else(|| Instant::now() + FAR)) => {
                    tokio::select! {
                        biased;
                        () = stop.requested() => break,
                        () = self.stop_by_itself() => {}
                    }
                }
                () = remote.0.news.notified() => {}
            }
            if !remote.pending().is_empty() {
                remote.0.news.notify_one();
            }
        }
        if let Some(Moving { ptz, .. }) = &self.moving
            && !matches!(timeout(GOODBYE, ptz.stop()).await, Ok(Ok(())))
        {
            log::warn!("channel {}: its camera may move on: it took no stop", self.number);
        }
    }

    async fn carry_out(&mut self, order: Order) -> Result<()> {
        let device = self.device.now();
        let camera = device.channels.get(self.number).ok_or_else(gone)?;
        match order {
            Order::Move(movement) => self.go(camera, movement).await,
            Order::Stop => {
                let ptz = slot(&camera.ptz)?;
                self.stop(ptz).await
            }
            Order::Preset(token) => {
                in_time(slot(&camera.presets)?.go_to(&token)).await?;
                self.moving = None;
                Ok(())
            }
            Order::Tour(token) => {
                in_time(slot(&camera.tours)?.start(&token)).await?;
                self.moving = None;
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
                in_time(slot(&camera.patrol)?.start()).await?;
                self.moving = None;
                Ok(())
            }
            Order::EndPatrol => in_time(slot(&camera.patrol)?.stop()).await,
        }
    }

    async fn go(&mut self, camera: &Channel, movement: ivt_hal::Movement) -> Result<()> {
        let ptz = slot(&camera.ptz)?;
        if let Some(former) = self.moving.as_ref().map(|moving| Arc::clone(&moving.ptz))
            && !Arc::ptr_eq(&former, &ptz)
        {
            // The camera is configured anew, and the former one is not moved by the order to the new one.
            self.stop(former).await.ok();
        }
        // An order that the agent's end cuts off may still have reached the camera.
        let moving = Moving { ptz: Arc::clone(&ptz), stop_at: later(LONGEST_MOVE), failed: 0 };
        let before = self.moving.replace(moving);
        let result = in_time(ptz.start(movement)).await;
        if let Err(Error { kind: Kind::Unsupported | Kind::Invalid | Kind::Refused, .. }) = &result
        {
            self.moving = before;
        }
        result
    }

    /// Sends a stop. One that fails is tried again later, `AGAIN` times in all.
    async fn stop(&mut self, ptz: Arc<dyn Ptz>) -> Result<()> {
        let result = in_time(ptz.stop()).await;
        let failed = self.moving.take().map_or(0, |moving| moving.failed);
        if let Err(error) = &result
            && error.kind != Kind::Unsupported
        {
            match AGAIN.get(failed) {
                Some(pause) => {
                    self.moving = Some(Moving { ptz, stop_at: later(*pause), failed: failed + 1 });
                }
                None => log::warn!("channel {}: its camera takes no stop: {error}", self.number),
            }
        }
        result
    }

    async fn stop_by_itself(&mut self) {
        if let Some(moving) = &self.moving {
            let ptz = Arc::clone(&moving.ptz);
            if let Err(error) = self.stop(ptz).await {
                log::debug!("channel {}: the stop failed: {error}", self.number);
            }
        }
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
        tokio::spawn(async move {
            let (_link, (_stop, stopping)) = (link, stopper());
            task.run(stopping).await;
        });
        remote
    }
}

#[cfg(test)]
#[path = "ptz/tests.rs"]
mod tests;
