//! What waits for its upload: segments in memory and, where there is a spool, on the disk.

mod keep;
mod queue;
mod turn;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Segment;
use super::budget::Share;
use super::clock::Anchor;
use super::spool::SpoolSession;
use crate::config::SpoolMode;
pub use queue::Dropped;
use queue::{Limits, Phase, Queue, Settled, Spill};
pub(super) use turn::{Job, Source};

/// Part of a share that is for buffers, not for segments.
pub(super) const RESERVE: u64 = 1 << 19;
/// Drops are reported as sums over this time.
const REPORT: Duration = Duration::from_secs(60);

/// How a session's segments are kept.
pub struct BacklogOptions {
    /// For the log: channel and session.
    pub name: String,
    /// Complete segments in memory, [`least_segments`] at least.
    pub max_segments: usize,
    /// What is kept while the service wants nothing.
    pub prerecord: Duration,
    /// The session's part of the spool, and what goes there.
    pub shelf: Option<(SpoolSession, SpoolMode)>,
    /// The memory it may take.
    pub share: Option<Arc<Share>>,
    /// Dates the segments.
    pub anchor: Arc<Anchor>,
}

/// How a backlog is doing. Watchers are not woken for `bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BacklogStats {
    /// Segments that wait, in memory and on the disk.
    pub waiting: usize,
    /// In memory, the segment being cut among them.
    pub bytes: u64,
    /// Segments uploaded.
    pub uploaded: u64,
    /// Segments lost.
    pub dropped: Dropped,
    /// The service wants nothing yet.
    pub not_now: bool,
    /// Why uploads fail, while they do.
    pub last_error: Option<String>,
}

/// The segments of one session. Shared by who records and who uploads.
pub struct Backlog {
    name: String,
    shelf: Option<(SpoolSession, SpoolMode)>,
    share: Option<Arc<Share>>,
    anchor: Arc<Anchor>,
    state: Mutex<State>,
    changed: Notify,
    stats: watch::Sender<BacklogStats>,
}

struct State {
    queue: Queue,
    closed: Option<Instant>,
    /// Where the segment uploaded last came from, and those on the shelf that are to follow.
    last: Option<Source>,
    backfill: usize,
    /// Of those on the shelf, refused and not to be asked about now: durations by number.
    aside: BTreeMap<u64, Duration>,
    /// The shelf offers nothing until then.
    left_alone: Option<Instant>,
    /// Segments that a disk may still hold that did not take them in time.
    lent: Vec<Lent>,
    /// Uploaded, not yet confirmed: its number, and the service's name of it.
    unconfirmed: Option<(u64, String)>,
    dropped: Dropped,
    /// Not yet told to the service, if that wants to know; not yet to the log, and when that was
    /// told last.
    unreported: Option<Dropped>,
    unlogged: Dropped,
    logged: Option<Instant>,
}

/// A segment given to the disk.
struct Lent {
    number: u64,
    bytes: u64,
    chunks: Weak<[Bytes]>,
}

/// How many segments, the one being cut among them, a session must have memory for: one is
/// uploaded, and another may be on its way to the spool.
pub fn least_segments(mode: Option<SpoolMode>) -> u32 {
    match mode {
        Some(SpoolMode::Overflow) => 3,
        Some(SpoolMode::Always) | None => 2,
    }
}

impl Backlog {
    /// An empty one, but for what is on the shelf.
    pub fn new(options: BacklogOptions) -> Arc<Self> {
        let BacklogOptions { name, max_segments, prerecord, shelf, share, anchor } = options;
        let least = least_segments(shelf.as_ref().map(|(_, mode)| *mode)) as usize;
        let limits = Limits { segments: max_segments.max(least), prerecord };
        let state = State {
            queue: Queue::new(limits),
            closed: None,
            last: None,
            backfill: 0,
            aside: BTreeMap::new(),
            left_alone: None,
            lent: Vec::new(),
            unconfirmed: None,
            dropped: Dropped::default(),
            unreported: Some(Dropped::default()),
            unlogged: Dropped::default(),
            logged: None,
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        let stats = watch::Sender::default();
        Arc::new(Self { name, shelf, share, anchor, state, changed, stats })
    }

    /// So many bytes of the next segment are in memory.
    pub fn forming(self: &Arc<Self>, bytes: u64) {
        self.change(|state| state.queue.forming(bytes));
    }

    /// A segment is complete. Never waits.
    pub fn push(self: &Arc<Self>, segment: Segment) {
        self.change(|state| state.queue.push(segment));
        self.changed.notify_one();
    }

    /// No more will come.
    pub fn close(self: &Arc<Self>) {
        self.change(|state| {
            state.queue.forming(0);
            state.closed.get_or_insert_with(Instant::now);
        });
        self.changed.notify_one();
        if let Some(share) = &self.share {
            tokio::spawn(Self::give_way(Arc::downgrade(self), share.squeezed()));
        }
    }

    /// How it is doing.
    pub fn stats(&self) -> watch::Receiver<BacklogStats> {
        self.stats.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.tidy();
    }

    /// After every change: makes room, tells who counts.
    fn tidy(self: &Arc<Self>) {
        let settled = {
            let state = &mut *self.lock();
            let settled = self.settle(state);
            state.lose(settled.dropped.number, settled.dropped.time);
            state.log_drops(&self.name, REPORT);
            self.show(state);
            settled
        };
        let Some(shelf) = self.shelf() else { return };
        if let Some(segment) = settled.store {
            let (backlog, shelf) = (Arc::clone(self), shelf.clone());
            tokio::spawn(async move {
                // The spool has told the log of its trouble.
                let stored = backlog.put_away(&shelf, &segment).await.is_ok();
                backlog.change(|state| {
                    if !stored {
                        state.queue.keep(segment.number);
                        let Segment { number, bytes, ref chunks, .. } = segment;
                        state.lent.push(Lent { number, bytes, chunks: Arc::downgrade(chunks) });
                    } else if state.queue.remove(segment.number).is_some() {
                        state.backfill += 1;
                    }
                });
                backlog.changed.notify_one();
            });
        }
        settled.released.into_iter().for_each(|number| shelf.remove(number));
    }

    fn settle(&self, state: &mut State) -> Settled {
        let allowed =
            self.share.as_ref().map_or(u64::MAX, |share| share.allowed().saturating_sub(RESERVE));
        let lent = state.lent();
        let allowed = allowed.saturating_sub(lent);
        let queue = &mut state.queue;
        let settled = match &self.shelf {
            None => queue.settle(allowed, &Spill::Drop),
            Some((_, SpoolMode::Overflow)) => queue.settle(allowed, &Spill::Store),
            Some((shelf, SpoolMode::Always)) => {
                let has = |segment: &Segment| shelf.rely(segment.number, segment.duration);
                queue.settle(allowed, &Spill::Shelved(&has))
            }
        };
        if let Some((shelf, _)) = &self.shelf {
            let (number, time) = shelf.take_dropped();
            state.lose(number, time);
        }
        if let (Some(_), Some(share)) = (state.closed, &self.share) {
            let more = lent + RESERVE;
            share.drain(state.queue.bytes() + more, state.queue.firm_bytes() + more);
        }
        settled
    }

    fn show(&self, state: &State) {
        self.stats.send_if_modified(|stats| {
            let waiting = state.queue.waiting().len() + state.backfill;
            let not_now = state.queue.phase() == Phase::NotNow;
            let now = (waiting, state.dropped, not_now);
            let news = (stats.waiting, stats.dropped, stats.not_now) != now;
            (stats.waiting, stats.dropped, stats.not_now) = now;
            stats.bytes = state.queue.bytes();
            news
        });
    }

    /// Removes a segment from the shelf, where it may not be.
    fn forget(&self, number: u64) {
        if let Some(shelf) = self.shelf() {
            shelf.remove(number);
        }
    }
}

impl State {
    /// Bytes of segments that are nowhere but on their way to the disk.
    fn lent(&mut self) -> u64 {
        self.lent.retain(|lent| lent.chunks.strong_count() > 0);
        let waits = |lent: &Lent| self.queue.waiting().iter().any(|s| s.number == lent.number);
        self.lent.iter().filter(|lent| !waits(lent)).map(|lent| lent.bytes).sum()
    }

    fn lose(&mut self, number: u64, time: Duration) {
        self.dropped.add(number, time);
        if let Some(unreported) = &mut self.unreported {
            unreported.add(number, time);
        }
        self.unlogged.add(number, time);
    }

    fn log_drops(&mut self, name: &str, every: Duration) {
        let due = self.logged.is_none_or(|logged| logged.elapsed() >= every);
        if self.unlogged.number > 0 && due {
            let Dropped { number, time } = std::mem::take(&mut self.unlogged);
            let seconds = time.as_secs_f64();
            log::warn!("{name}: {number} segments ({seconds:.1} s) are lost: no room or no taker");
            self.logged = Some(Instant::now());
        }
    }
}
