//! Those who watch something as it changes: how many there may be.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reply::Refusal;

/// Most viewers at a time.
const MOST: usize = 16;

static VIEWERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST)));

/// Room for one viewer, until it is dropped.
///
/// # Errors
/// There are too many.
pub(super) fn permit() -> Result<OwnedSemaphorePermit, Refusal> {
    Arc::clone(&VIEWERS).try_acquire_owned().map_err(|_| {
        let message = "too many pages show this: close some of them";
        Refusal::unavailable("too_many_viewers", message)
    })
}
