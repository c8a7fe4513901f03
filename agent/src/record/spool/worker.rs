//! Work for the disk, in order, on a thread that may block.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::SpoolError;
use super::store::Store;

/// Requests and groups that may wait.
const JOBS: usize = 256;
/// Payload of groups that may wait. Mostly it is in memory anyway, in the segment being cut.
pub const BYTES: usize = 4 * 1024 * 1024;
/// How long a disk may take for a request.
pub const PATIENCE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Does one job after the other. It occupies a thread of the runtime's while there are any.
pub struct Worker {
    store: Mutex<Store>,
    queue: Mutex<Queue>,
    jobs: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Whole segments that wait: one, so that a disk that hangs does not collect them.
    segments: Arc<Semaphore>,
    said_slow: AtomicBool,
    runtime: Handle,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
}

/// A place in the queue.
pub struct Place(
    #[expect(dead_code, reason = "held until the job is done")] Vec<OwnedSemaphorePermit>,
);

impl Worker {
    /// In the runtime that runs this.
    pub fn new(store: Store) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(store),
            queue: Mutex::default(),
            jobs: Arc::new(Semaphore::new(JOBS)),
            bytes: Arc::new(Semaphore::new(BYTES)),
            segments: Arc::new(Semaphore::new(1)),
            said_slow: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    /// Does `work` when its turn comes, and returns what it returned. When this is dropped, `work`
    /// may be done or not.
    pub async fn request<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.patiently(async {
            let permit = Arc::clone(&self.jobs).acquire_owned().await;
            self.answer(Place(permit.into_iter().collect()), work).await
        })
        .await
    }

    /// The same for work that holds a whole segment.
    pub async fn request_segment<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.patiently(async {
            let permit = Arc::clone(&self.segments).acquire_owned().await;
            self.answer(Place(permit.into_iter().collect()), work).await
        })
        .await
    }

    /// A place for a group of so many bytes, when the disk keeps up. Never waits.
    pub fn place(&self, bytes: usize) -> Option<Place> {
        let job = Arc::clone(&self.jobs).try_acquire_owned();
        // One group of any size has a place.
        let bytes = u32::try_from(bytes.min(BYTES)).unwrap_or(u32::MAX);
        let payload = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
        if let Ok((job, payload)) = job.and_then(|job| Ok((job, payload?))) {
            return Some(Place(vec![job, payload]));
        }
        if !self.said_slow.swap(true, Ordering::Relaxed) {
            log::warn!("the spool's disk is too slow: some segments are recorded in memory only");
        }
        None
    }

    /// Does `work` when its turn comes.
    pub fn send(self: &Arc<Self>, work: impl FnOnce(&mut Store) + Send + 'static) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.jobs.push_back(Box::new(work));
        if !queue.running {
            queue.running = true;
            let worker = Arc::clone(self);
            self.runtime.spawn_blocking(move || worker.work());
        }
    }

    async fn patiently<T>(
        &self,
        answer: impl Future<Output = Result<T, SpoolError>>,
    ) -> Result<T, SpoolError> {
        timeout(PATIENCE, answer).await.unwrap_or(Err(SpoolError::Stalled))
    }

    async fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        place: Place,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let (sender, answer) = oneshot::channel();
        self.send(move |store| {
            let done = work(store);
            drop(place);
            let _ = sender.send(done);
        });
        answer.await.unwrap_or(Err(SpoolError::Stalled))
    }

    fn work(&self) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let job = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let job = queue.jobs.pop_front();
                queue.running = job.is_some();
                job
            };
            let Some(job) = job else { return };
            job(&mut store);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
