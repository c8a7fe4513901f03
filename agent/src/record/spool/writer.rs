//! Work for the disk, in order, on a thread that may block.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::SpoolError;
use super::store::Store;

/// Requests and groups that may wait.
const JOBS: usize = 256;
/// Payload of groups that may wait. Mostly it is in memory anyway, in the segment being cut.
pub const BYTES: usize = 4 * 1024 * 1024;
/// How long a disk may take for a request.
const PATIENCE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Does one job after the other. It occupies a thread of the runtime's while there are any.
pub struct DiskThread {
    store: Mutex<Store>,
    queue: Mutex<Queue>,
    jobs: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Whole segments that wait: one, so that a disk that hangs does not collect them.
    segments: Arc<Semaphore>,
    /// What the disk did not do in time, and has not ended yet. Nothing more is asked of it
    /// meanwhile: nobody waits twice, and a read that hangs holds one thread.
    overdue: Mutex<Vec<Weak<()>>>,
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

impl DiskThread {
    /// In the runtime that runs this.
    pub fn new(store: Store) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(store),
            queue: Mutex::default(),
            jobs: Arc::new(Semaphore::new(JOBS)),
            bytes: Arc::new(Semaphore::new(BYTES)),
            segments: Arc::new(Semaphore::new(1)),
            overdue: Mutex::default(),
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
        self.ask(&self.jobs, work).await
    }

    /// The same for work that holds a whole segment.
    pub async fn request_segment<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.ask(&self.segments, work).await
    }

    /// Reads beside the jobs: what is complete does not change, and groups need not wait behind it.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.patiently(|task| async move {
            let read = spawn_blocking(move || {
                let done = read();
                drop(task);
                done
            });
            read.await.map_err(|_| SpoolError::Stalled)
        })
        .await
    }

    /// The disk owes an answer for longer than one waits.
    pub fn stalled(&self) -> bool {
        let mut overdue = self.overdue.lock().unwrap_or_else(PoisonError::into_inner);
        let any = !overdue.is_empty();
        overdue.retain(|task| task.strong_count() > 0);
        if any && overdue.is_empty() {
            log::info!("the spool's disk answers again");
        }
        !overdue.is_empty()
    }

    /// A place for a group of so many bytes, when the disk keeps up. Never waits.
    pub fn place(&self, bytes: usize) -> Option<Place> {
        if self.stalled() {
            return None;
        }
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

    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.patiently(|task| async move {
            let place = Arc::clone(places).acquire_owned().await;
            let (sender, answer) = oneshot::channel();
            self.send(move |store| {
                let done = work(store);
                drop((place, task));
                let _ = sender.send(done);
            });
            answer.await.unwrap_or(Err(SpoolError::Stalled))
        })
        .await
    }

    /// Waits for a task, which lives as long as what it is given.
    async fn patiently<T, F: Future<Output = Result<T, SpoolError>>>(
        &self,
        task: impl FnOnce(Arc<()>) -> F,
    ) -> Result<T, SpoolError> {
        if self.stalled() {
            return Err(SpoolError::Stalled);
        }
        let alive = Arc::new(());
        let overdue = Arc::downgrade(&alive);
        if let Ok(done) = timeout(PATIENCE, task(alive)).await {
            return done;
        }
        let mut list = self.overdue.lock().unwrap_or_else(PoisonError::into_inner);
        if list.is_empty() {
            log::warn!("{}: recordings go on in memory until it does", SpoolError::Stalled);
        }
        list.push(overdue);
        Err(SpoolError::Stalled)
    }

    fn work(&self) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let job = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let job = queue.jobs.pop_front();
                if job.is_none() {
                    store.let_go();
                }
                queue.running = job.is_some();
                job
            };
            let Some(job) = job else { return };
            job(&mut store);
        }
    }
}

impl fmt::Debug for DiskThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskThread").finish_non_exhaustive()
    }
}
