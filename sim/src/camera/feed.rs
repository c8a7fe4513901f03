//! One stream of the camera, as its clients find it. The task behind it is in `encoder`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

use super::encoder::{Encoder, EncoderOptions, Item};
use super::sdp::Description;
use super::stream_faults::StreamFaults;

/// Number of units that a client may lag behind before it loses some: about three seconds.
const LAG: usize = 128;

/// A stream that any number of clients can watch.
pub struct Feed {
    options: EncoderOptions,
    faults: StreamFaults,
    running: Mutex<Option<Running>>,
}

/// One run of the encoder. A reboot ends it, and the next run has new identities.
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
    /// A stream that has not started.
    pub fn new(options: EncoderOptions) -> Self {
        Self { options, faults: StreamFaults::default(), running: Mutex::default() }
    }

    /// The description of the stream, which is started if need be; `None` when it cannot be opened.
    pub async fn describe(&self) -> Option<Arc<Description>> {
        let mut described = self.start();
        described.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The units from now on, and the present stream time in 90 kHz ticks; `None` when the stream is no longer
    /// the one described.
    pub fn subscribe(&self, to: &Description) -> Option<(broadcast::Receiver<Item>, i64)> {
        let running = self.lock();
        let running = running.as_ref()?;
        let now = running.described.borrow().clone()?;
        let same = now.tracks.iter().map(|t| t.1).eq(to.tracks.iter().map(|t| t.1));
        let units = running.units.upgrade().filter(|_| same)?.subscribe();
        Some((units, running.position.load(Ordering::Relaxed)))
    }

    /// Ends the run, and with it the connection of every client.
    pub fn stop(&self) {
        *self.lock() = None;
    }

    /// The stream's disturbances.
    pub fn faults(&self) -> &StreamFaults {
        &self.faults
    }

    fn start(&self) -> watch::Receiver<Option<Arc<Description>>> {
        let mut running = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
