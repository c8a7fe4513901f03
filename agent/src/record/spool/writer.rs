//! Jobs for the disk, done in order on a thread that may block.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ivt_base::task::spawn_blocking;
use ivt_base::told::Told;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use super::index::Index;
use super::store::Store;
use super::{SpoolError, Stats};

/// How many requests and groups may wait.
const JOBS: usize = 256;
/// Bytes of groups that may wait. Most of them are in memory anyway, in the segment that is being
/// cut.
pub const BYTES: usize = 4 * 1024 * 1024;
/// How long a disk may take for one request.
const PATIENCE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Does one job after the other. It occupies a thread of the runtime while there are jobs.
pub struct DiskThread {
    store: Mutex<Store>,
    index: Arc<Mutex<Index>>,
    queue: Mutex<Queue>,
    jobs: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// How many whole segments may wait: one, so that a disk that hangs does not collect them.
    segments: Arc<Semaphore>,
    stats: watch::Sender<Stats>,
    runtime: Handle,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
    /// Requests that the disk did not finish in time and that still run. Meanwhile nothing more is
    /// asked of it, so that nobody waits twice and a read that hangs holds only one thread.
    overdue: Vec<Weak<()>>,
    slow: Told,
}

/// A place in the queue of jobs.
pub struct Place(
    #[expect(dead_code, reason = "held until the job is done")] Vec<OwnedSemaphorePermit>,
);

impl DiskThread {
    /// Starts a disk thread in the current runtime.
    pub fn new(store: Store) -> Arc<Self> {
        let index = store.index();
        let stats = lock(&index).stats();
        Arc::new(Self {
            store: Mutex::new(store),
            index,
            queue: Mutex::default(),
            jobs: Arc::new(Semaphore::new(JOBS)),
            bytes: Arc::new(Semaphore::new(BYTES)),
            segments: Arc::new(Semaphore::new(1)),
            stats: watch::Sender::new(stats),
            runtime: Handle::current(),
        })
    }

    /// Does `work` in its turn, and returns its result. If this future is dropped, `work` may be
    /// done or not.
    ///
    /// # Errors
    /// `work` fails, or the disk does not answer.
    pub async fn request<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.ask(&self.jobs, work).await
    }

    /// Does as [`Self::request`] for work that holds a whole segment in memory.
    ///
    /// # Errors
    /// `work` fails, or the disk does not answer.
    pub async fn request_segment<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        self.ask(&self.segments, work).await
    }

    /// Reads beside the jobs: complete files do not change, and groups need not wait behind a read.
    ///
    /// # Errors
    /// The disk does not answer.
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

    /// Whether the disk owes an answer for longer than a request may take.
    pub fn stalled(&self) -> bool {
        let stalled = {
            let overdue = &mut lock(&self.queue).overdue;
            let any = !overdue.is_empty();
            overdue.retain(|task| task.strong_count() > 0);
            if any && overdue.is_empty() {
                log::info!("the spool's disk answers again");
            }
            !overdue.is_empty()
        };
        self.show(stalled);
        stalled
    }

    /// How full the spool is, and whether its disk works.
    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.stats.subscribe()
    }

    /// A place for a group of this many bytes, if the disk keeps up. Never waits.
    pub fn place(&self, bytes: usize) -> Option<Place> {
        if self.stalled() {
            return None;
        }
        let job = Arc::clone(&self.jobs).try_acquire_owned();
        // One group has a place whatever its size.
        let bytes = u32::try_from(bytes.min(BYTES)).unwrap_or(u32::MAX);
        let payload = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
        if let Ok((job, payload)) = job.and_then(|job| Ok((job, payload?))) {
            return Some(Place(vec![job, payload]));
        }
        if lock(&self.queue).slow.is_news(()) {
            log::warn!("the spool's disk is too slow: some segments are recorded in memory only");
        }
        None
    }

    /// Does `work` in its turn, without a result.
    pub fn send(self: &Arc<Self>, work: impl FnOnce(&mut Store) + Send + 'static) {
        let mut queue = lock(&self.queue);
        queue.jobs.push_back(Box::new(work));
        if !queue.running {
            queue.running = true;
            let disk = Arc::clone(self);
            self.runtime.spawn_blocking(move || disk.work());
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

    /// Waits for a task, but no longer than a request may take. The task holds what it is given for
    /// as long as it runs.
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
        {
            let list = &mut lock(&self.queue).overdue;
            if list.is_empty() {
                log::warn!("{}: recordings go on in memory until it does", SpoolError::Stalled);
            }
            list.push(overdue);
        }
        self.show(true);
        Err(SpoolError::Stalled)
    }

    fn work(&self) {
        let mut store = lock(&self.store);
        loop {
            let next = {
                let mut queue = lock(&self.queue);
                let next = queue.jobs.pop_front().ok_or_else(|| store.let_go());
                queue.running = next.is_ok();
                next
            };
            match next {
                Ok(job) => job(&mut store),
                // Closing a file may take as long as the disk wants, and nobody waits for the queue
                // meanwhile. The next to work waits for the store.
                Err(claim) => return drop(claim),
            }
            self.stalled();
        }
    }

    fn show(&self, stalled: bool) {
        let stats = lock(&self.index).stats();
        let now = Stats { healthy: stats.healthy && !stalled, ..stats };
        self.stats.send_if_modified(|shown| std::mem::replace(shown, now) != now);
    }
}

impl fmt::Debug for DiskThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskThread").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
