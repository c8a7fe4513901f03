//! What waits for its upload: segments in memory and, where there is a spool, on the disk.

mod queue;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::budget::Share;
use super::clock::Anchor;
use super::spool::{SegmentHead, Shelf, Stored};
use super::{Segment, Start};
use crate::config::SpoolMode;
pub use queue::Dropped;
use queue::{Limits, Phase, Queue, Settled, Spill};

/// Part of a share that is for buffers, not for segments.
const RESERVE: u64 = 1 << 19;
/// Drops are reported as sums over this time.
const REPORT: Duration = Duration::from_secs(60);

/// How a session's segments are kept.
pub struct BacklogOptions {
    /// For the log: channel and session.
    pub name: String,
    /// Complete segments in memory. One is uploaded and one waits, so 2 is the least, and 3 beside
    /// a spool that takes what does not fit.
    pub max_segments: usize,
    /// What is kept while the service wants nothing.
    pub prerecord: Duration,
    /// The session's part of the spool, and what goes there.
    pub shelf: Option<(Shelf, SpoolMode)>,
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
    shelf: Option<(Shelf, SpoolMode)>,
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
    /// Uploaded, not yet confirmed: its number, and the service's name of it.
    unconfirmed: Option<(u64, String)>,
    dropped: Dropped,
    /// Not yet told to the service; not yet to the log, and when that was told last.
    unreported: Dropped,
    unlogged: Dropped,
    logged: Option<Instant>,
}

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Memory,
    Shelf,
}

/// A segment whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) start: Start,
    pub(super) duration: Duration,
    pub(super) discontinuity: bool,
    pub(super) bytes: u64,
    pub(super) source: Source,
    /// No other waits, and this one is as new as can be.
    pub(super) alone: bool,
}

impl Backlog {
    /// An empty one, but for what is on the shelf.
    pub fn new(options: BacklogOptions) -> Arc<Self> {
        let BacklogOptions { name, max_segments, prerecord, shelf, share, anchor } = options;
        let least = if matches!(shelf, Some((_, SpoolMode::Overflow))) { 3 } else { 2 };
        let limits = Limits { segments: max_segments.max(least), prerecord };
        let state = State {
            queue: Queue::new(limits),
            closed: None,
            last: None,
            backfill: 0,
            unconfirmed: None,
            dropped: Dropped::default(),
            unreported: Dropped::default(),
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
    }

    /// How it is doing.
    pub fn stats(&self) -> watch::Receiver<BacklogStats> {
        self.stats.subscribe()
    }

    /// Stores what waits, as far as there is a shelf: the agent ends before it is uploaded.
    pub async fn store(&self) {
        let Some((shelf, _)) = &self.shelf else { return };
        let held: Vec<Segment> = {
            let queue = &self.lock().queue;
            let wanted = queue.phase() != Phase::NotNow;
            queue.waiting().iter().filter(|_| wanted).cloned().collect()
        };
        for segment in held {
            if let Err(e) = self.put_away(shelf, &segment).await {
                log::warn!("{}: segment {} is lost: {e}", self.name, segment.number);
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    pub(super) fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref().map(|(shelf, _)| shelf)
    }

    /// Since when no more can come.
    pub(super) fn closed(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Segments that wait, the one being uploaded among them.
    pub(super) fn waiting(&self) -> usize {
        let state = self.lock();
        state.queue.waiting().len() + state.backfill
    }

    /// The segment whose turn it is, once there is one; `None` at the end.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            if let Some(next) = self.turn() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Returns when more than one waits, or after `delay`.
    pub(super) async fn crowded(&self, delay: Duration) {
        let crowd = async {
            while self.waiting() < 2 {
                self.changed.notified().await;
            }
        };
        // A delay that has passed is what was asked for.
        timeout(delay, crowd).await.ok();
    }

    /// The upload of a segment in memory begins. `None`: it has had to go.
    pub(super) fn take(&self, number: u64) -> Option<Arc<[Bytes]>> {
        self.lock().queue.take(number).map(|segment| Arc::clone(&segment.chunks))
    }

    /// The service has given an address.
    pub(super) fn begin(&self) {
        self.lock().queue.begin();
        self.stats.send_if_modified(|stats| std::mem::take(&mut stats.not_now));
    }

    /// Whether it ever has.
    pub(super) fn begun(&self) -> bool {
        self.lock().queue.phase() == Phase::Begun
    }

    /// The upload has failed; the segment waits again.
    pub(super) fn release(self: &Arc<Self>) {
        self.change(|state| state.queue.release());
    }

    /// The service wants nothing at the moment.
    pub(super) fn decline(self: &Arc<Self>) {
        self.change(|state| state.queue.decline());
    }

    /// A segment is uploaded under this name.
    pub(super) fn uploaded(self: &Arc<Self>, number: u64, source: Source, name: String) {
        self.stats.send_modify(|stats| stats.uploaded += 1);
        self.change(|state| {
            state.queue.remove(number);
            state.unconfirmed = Some((number, name));
            state.last = Some(source);
        });
    }

    /// A segment was uploaded under this name before a crash.
    pub(super) fn adopt(&self, number: u64, name: String) {
        self.lock().unconfirmed = Some((number, name));
    }

    /// The service's name of the segment that waits for its confirmation.
    pub(super) fn unconfirmed(&self) -> Option<String> {
        self.lock().unconfirmed.as_ref().map(|(_, name)| name.clone())
    }

    /// It is confirmed.
    pub(super) async fn confirm(&self) {
        let confirmed = self.lock().unconfirmed.take();
        if let Some((number, _)) = confirmed {
            self.forget(number).await;
        }
    }

    /// A segment cannot be uploaded.
    pub(super) async fn drop_segment(self: &Arc<Self>, job: &Job) {
        self.change(|state| {
            state.queue.remove(job.number);
            state.last = Some(job.source);
            state.lose(1, job.duration);
        });
        self.forget(job.number).await;
    }

    /// The segment is on a disk that does not give it: others come first.
    pub(super) fn pass(&self) {
        self.lock().last = Some(Source::Shelf);
    }

    /// Nobody takes what waits: what can be is stored, and the rest is lost, if it was ever wanted.
    pub(super) async fn give_up(self: &Arc<Self>) {
        self.store().await;
        let stored = self.shelf().map(Shelf::stored).unwrap_or_default();
        let stored: BTreeSet<u64> = stored.iter().map(|stored| stored.head.number).collect();
        let mut unwanted = Vec::new();
        self.change(|state| {
            let rest: Vec<u64> = state.queue.waiting().iter().map(|s| s.number).collect();
            let wanted = state.queue.phase() != Phase::NotNow;
            for number in rest {
                let Some(segment) = state.queue.remove(number) else { continue };
                if !wanted {
                    unwanted.push(segment.number);
                } else if !stored.contains(&segment.number) {
                    state.lose(1, segment.duration);
                }
            }
        });
        for number in unwanted {
            self.forget(number).await;
        }
    }

    /// What the service has not been told of.
    pub(super) fn unreported(&self) -> Dropped {
        self.lock().unreported
    }

    /// It has been told of so much.
    pub(super) fn reported(&self, told: Dropped) {
        let state = &mut *self.lock();
        state.unreported.number = state.unreported.number.saturating_sub(told.number);
        state.unreported.time = state.unreported.time.saturating_sub(told.time);
    }

    /// Why uploads fail, or that they do not.
    pub(super) fn note(&self, error: Option<String>) {
        self.stats.send_if_modified(|stats| {
            let changed = stats.last_error != error;
            stats.last_error = error;
            changed
        });
    }

    /// Tells the log of what it has not been told.
    pub(super) fn log_drops(&self) {
        self.lock().log_drops(&self.name, Duration::ZERO);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: that is not known yet.
    fn turn(&self) -> Option<Option<Job>> {
        let state = &mut *self.lock();
        let stored = self.stored(state);
        let (closed, begun) = (state.closed.is_some(), state.queue.phase() == Phase::Begun);
        if !(state.queue.ready() || closed && begun) {
            return closed.then_some(None);
        }
        let over = closed && stored.is_empty() && state.queue.waiting().is_empty();
        if over { Some(None) } else { state.next(stored).map(Some) }
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
                    } else if state.queue.remove(segment.number).is_some() {
                        state.backfill += 1;
                    }
                });
                backlog.changed.notify_one();
            });
        }
        if matches!(self.shelf, Some((_, SpoolMode::Always))) && !settled.released.is_empty() {
            let backlog = Arc::clone(self);
            tokio::spawn(async move {
                for number in settled.released {
                    backlog.forget(number).await;
                }
            });
        }
    }

    fn settle(&self, state: &mut State) -> Settled {
        let allowed =
            self.share.as_ref().map_or(u64::MAX, |share| share.allowed().saturating_sub(RESERVE));
        let queue = &mut state.queue;
        let settled = match &self.shelf {
            None => queue.settle(allowed, &Spill::Drop),
            Some((_, SpoolMode::Overflow)) => queue.settle(allowed, &Spill::Store),
            Some((shelf, SpoolMode::Always)) => {
                let has = |number| shelf.stored().iter().any(|s| s.head.number == number);
                queue.settle(allowed, &Spill::Shelved(&has))
            }
        };
        if let Some((shelf, _)) = &self.shelf {
            let (number, time) = shelf.take_dropped();
            state.lose(number, time);
        }
        if let (Some(_), Some(share)) = (state.closed, &self.share) {
            share.drain(state.queue.bytes() + RESERVE);
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

    /// Segments on the shelf that are in nobody's hands, the oldest first.
    fn stored(&self, state: &mut State) -> Vec<Stored> {
        let Some(shelf) = self.shelf() else { return Vec::new() };
        let mut held: BTreeSet<u64> = state.queue.waiting().iter().map(|s| s.number).collect();
        held.extend(state.unconfirmed.as_ref().map(|(number, _)| *number));
        let mut stored = shelf.stored();
        // One that is newer than all in memory is about to be pushed.
        let complete = |number| state.closed.is_some() || Some(number) <= state.queue.newest();
        stored.retain(|stored| !held.contains(&stored.head.number) && complete(stored.head.number));
        state.backfill = stored.len();
        stored
    }

    async fn put_away(
        &self,
        shelf: &Shelf,
        segment: &Segment,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let date = self.anchor.unix_micros(segment.start);
        let start_micros = date.ok_or("nobody knows the date yet")?;
        let Segment { number, discontinuity, .. } = *segment;
        let head = SegmentHead { number, start_micros, discontinuity };
        shelf.store(head, segment.duration, Arc::clone(&segment.chunks)).await?;
        Ok(())
    }

    /// Removes a segment from the shelf, where it may not be.
    async fn forget(&self, number: u64) {
        if let Some(shelf) = self.shelf() {
            // Nothing is lost: at worst it is uploaded once more.
            shelf.remove(number).await.ok();
        }
    }
}

impl Job {
    pub(super) fn stored(stored: &Stored) -> Self {
        Self {
            number: stored.head.number,
            start: Start::Unix(stored.head.start_micros),
            duration: stored.duration,
            discontinuity: stored.head.discontinuity,
            bytes: stored.bytes,
            source: Source::Shelf,
            alone: false,
        }
    }
}

impl State {
    /// Live segments come first; between two of them one from the shelf may go.
    fn next(&self, stored: Vec<Stored>) -> Option<Job> {
        let live = self.queue.first();
        let turn = live.is_none() || self.last == Some(Source::Memory);
        if let Some(stored) = stored.first().filter(|_| turn) {
            return Some(Job::stored(stored));
        }
        let live = live?;
        Some(Job {
            number: live.number,
            start: live.start,
            duration: live.duration,
            discontinuity: live.discontinuity,
            bytes: live.bytes,
            source: Source::Memory,
            alone: self.queue.waiting().len() == 1 && stored.is_empty(),
        })
    }

    fn lose(&mut self, number: u64, time: Duration) {
        self.dropped.add(number, time);
        self.unreported.add(number, time);
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
