//! The places of those who look at the cameras at once. They are the device's, whichever agent runs.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::reply::Refusal;

/// Most viewers of live pictures at a time.
pub(crate) const VIEWERS: usize = 4;
/// How many single pictures are taken at a time.
pub(crate) const SNAPSHOTS: usize = 2;

/// The places, each of which is given back by dropping it.
pub(crate) struct Seats {
    viewers: Arc<Semaphore>,
    snapshots: Semaphore,
}

impl Default for Seats {
    fn default() -> Self {
        let viewers = Arc::new(Semaphore::new(VIEWERS));
        Self { viewers, snapshots: Semaphore::new(SNAPSHOTS) }
    }
}

impl Seats {
    /// A place for a viewer of a live picture.
    ///
    /// # Errors
    /// All are taken.
    pub(crate) fn viewer(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.viewers).try_acquire_owned().map_err(|_| {
            let message = format!("{VIEWERS} people look at this device: close a live picture");
            Refusal::unavailable("viewers", message)
        })
    }

    /// How many viewers there are.
    pub(crate) fn taken(&self) -> usize {
        VIEWERS - self.viewers.available_permits()
    }

    /// Leave to take a single picture.
    ///
    /// # Errors
    /// Others are being taken.
    pub(crate) fn snapshot(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let busy = |_| Refusal::unavailable("busy", "other pictures are being taken; try again");
        self.snapshots.try_acquire().map_err(busy)
    }
}
