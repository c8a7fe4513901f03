//! One stream of the camera as its clients find it. Not here: the task behind it, see `encoder`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ivt_media::source::Opener;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::encoder::Encoder;
use super::quirk::Quirks;
use super::rtp::Unit;
use super::sdp::Description;

/// Units a client may lag behind before it loses some: some three seconds.
const LAG: usize = 128;

/// What the clients of a stream receive.
#[derive(Clone, Debug)]
pub enum Item {
    /// Packets of one track.
    Unit(Arc<Unit>),
    /// Bytes that mean nothing (a fault).
    Garbage(Bytes),
}

/// Where a stream's frames come from.
#[derive(Clone)]
pub struct FeedOptions {
    /// The stream.
    pub opener: Arc<dyn Opener>,
    /// The stream after a change of parameters.
    pub alternate: Arc<dyn Opener>,
    /// Whether sound is sent.
    pub audio: bool,
    /// What it does that the rules do not foresee.
    pub quirks: Quirks,
}

/// A stream and those who watch it.
pub struct Feed {
    options: FeedOptions,
    faults: Arc<Mutex<Faults>>,
    running: Mutex<Option<Running>>,
}

/// Disturbances that the task meets at its next frame.
#[derive(Default)]
pub struct Faults {
    /// Nothing is sent before.
    pub frozen_until: Option<Instant>,
    /// Shift of the time still to be made, 90 kHz ticks.
    pub jump: i64,
    /// Noise is to be sent.
    pub garbage: bool,
    /// The other clip should be playing.
    pub alternate: bool,
}

/// One run of the task; a reboot ends it and the next has new identities.
struct Running {
    units: broadcast::WeakSender<Item>,
    described: watch::Receiver<Option<Arc<Description>>>,
    position: Arc<AtomicI64>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// An idle feed.
    pub fn new(options: FeedOptions) -> Self {
        Self { options, faults: Arc::default(), running: Mutex::default() }
    }

    /// What the stream is. Starts it if need be; `None` when it cannot be opened.
    pub async fn describe(&self) -> Option<Arc<Description>> {
        let mut described = self.start();
        described.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The units from now on, and the stream time of now; `None` when the stream is no longer the
    /// one described.
    pub fn subscribe(&self, to: &Description) -> Option<(broadcast::Receiver<Item>, i64)> {
        let running = lock(&self.running);
        let running = running.as_ref()?;
        let now = running.described.borrow().clone()?;
        let same = now.tracks.iter().map(|t| t.1).eq(to.tracks.iter().map(|t| t.1));
        let units = running.units.upgrade().filter(|_| same)?.subscribe();
        Some((units, running.position.load(Ordering::Relaxed)))
    }

    /// Ends the run: every client of it loses its connection.
    pub fn stop(&self) {
        *lock(&self.running) = None;
    }

    /// Sends nothing for a while; resumes at a key frame.
    pub fn freeze(&self, duration: Duration) {
        lock(&self.faults).frozen_until = Some(Instant::now() + duration);
    }

    /// Shifts every later timestamp by so many 90 kHz ticks.
    pub fn jump(&self, ticks: i64) {
        let mut faults = lock(&self.faults);
        faults.jump = faults.jump.saturating_add(ticks);
    }

    /// Sends something that is neither RTSP nor RTP.
    pub fn garbage(&self) {
        lock(&self.faults).garbage = true;
    }

    /// Switches to the other clip, or back.
    pub fn change_parameters(&self) {
        let mut faults = lock(&self.faults);
        faults.alternate = !faults.alternate;
    }

    fn start(&self) -> watch::Receiver<Option<Arc<Description>>> {
        let mut running = lock(&self.running);
        if let Some(running) = running.as_ref().filter(|r| !r.task.is_finished()) {
            return running.described.clone();
        }
        let (units, _) = broadcast::channel(LAG);
        let (describe, described) = watch::channel(None);
        let position = Arc::<AtomicI64>::default();
        let weak = units.downgrade();
        let (options, faults) = (self.options.clone(), self.faults.clone());
        let encoder = Encoder::new(options, faults, units, describe, position.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = encoder.run().await {
                log::warn!(target: "camera", "a stream ended: {error}");
            }
        })
        .abort_handle();
        *running = Some(Running { units: weak, described: described.clone(), position, task });
        described
    }
}

/// The contents, also after a panic elsewhere.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
