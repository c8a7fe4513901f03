//! The uploader's side of a backlog: whose turn it is, and what became of it.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::queue::Phase;
use super::{Backlog, Dropped, State};
use crate::record::Start;
use crate::record::clock::Anchor;
use crate::record::spool::{SpoolSession, Stored};

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Memory,
    SpoolSession,
}

/// A segment whose turn it is.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) start: Start,
    pub(crate) duration: Duration,
    pub(crate) discontinuity: bool,
    pub(crate) bytes: u64,
    pub(crate) source: Source,
    /// No other waits, and this one is as new as can be.
    pub(crate) alone: bool,
}

enum Turn {
    Of(Job),
    /// When something changes, or at this time.
    Later(Option<Instant>),
    Over,
}

impl Backlog {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    pub(crate) fn shelf(&self) -> Option<&SpoolSession> {
        self.shelf.as_ref().map(|(shelf, _)| shelf)
    }

    /// Since when no more can come.
    pub(crate) fn closed(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Segments that wait, the one being uploaded among them.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        state.queue.waiting().len() + state.backfill
    }

    /// The segment whose turn it is, once there is one; `None` at the end.
    pub(crate) async fn next(&self) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            match self.turn() {
                Turn::Of(job) => return Some(job),
                Turn::Over => return None,
                Turn::Later(None) => changed.await,
                // Either is what was waited for.
                Turn::Later(Some(until)) => timeout_at(until, changed).await.unwrap_or(()),
            }
        }
    }

    /// Returns when more than one waits, or after `delay`.
    pub(crate) async fn crowded(&self, delay: Duration) {
        let crowd = async {
            while self.waiting() < 2 {
                self.changed.notified().await;
            }
        };
        // A delay that has passed is what was asked for.
        timeout(delay, crowd).await.ok();
    }

    /// The upload of a segment in memory begins. `None`: it has had to go.
    pub(crate) fn take(self: &Arc<Self>, number: u64) -> Option<Arc<[Bytes]>> {
        let mut taken = None;
        self.change(|state| {
            taken = state.queue.take(number).map(|segment| Arc::clone(&segment.chunks));
        });
        taken
    }

    /// The service has given an address.
    pub(crate) fn begin(&self) {
        self.lock().queue.begin();
        self.stats.send_if_modified(|stats| mem::take(&mut stats.not_now));
    }

    /// Whether it ever has.
    pub(crate) fn begun(&self) -> bool {
        self.lock().queue.phase() == Phase::Begun
    }

    /// The upload has failed; the segment waits again.
    pub(crate) fn release(self: &Arc<Self>) {
        self.change(|state| state.queue.release());
    }

    /// The service wants nothing at the moment.
    pub(crate) fn decline(self: &Arc<Self>) {
        self.change(|state| state.queue.decline());
    }

    /// A segment is uploaded under this name.
    pub(crate) fn uploaded(self: &Arc<Self>, number: u64, source: Source, name: String) {
        self.stats.send_modify(|stats| stats.uploaded += 1);
        self.change(|state| {
            state.queue.remove(number);
            state.unconfirmed = Some((number, name));
            state.last = Some(source);
        });
    }

    /// A segment was uploaded under this name before a crash.
    pub(crate) fn adopt(&self, number: u64, name: String) {
        self.lock().unconfirmed = Some((number, name));
    }

    /// The service's name of the segment that waits for its confirmation.
    pub(crate) fn unconfirmed(&self) -> Option<String> {
        self.lock().unconfirmed.as_ref().map(|(_, name)| name.clone())
    }

    /// It is confirmed.
    pub(crate) fn confirm(&self) {
        let confirmed = self.lock().unconfirmed.take();
        if let Some((number, _)) = confirmed {
            self.forget(number);
        }
    }

    /// A segment cannot be uploaded.
    pub(crate) fn drop_segment(self: &Arc<Self>, job: &Job) {
        self.change(|state| {
            state.queue.remove(job.number);
            state.last = Some(job.source);
            state.lose(1, job.duration);
        });
        self.forget(job.number);
    }

    /// A segment on the shelf is not offered until [`Self::recall_aside`]. False where it is not
    /// there.
    pub(crate) fn set_aside(self: &Arc<Self>, job: &Job) -> bool {
        let kept = self.shelf().is_some_and(|shelf| shelf.rely(job.number, job.duration));
        if kept {
            self.change(|state| {
                state.queue.remove(job.number);
                state.last = Some(job.source);
                state.aside.insert(job.number, job.duration);
            });
        }
        kept
    }

    /// What was set aside has its turn again.
    pub(crate) fn recall_aside(&self) {
        self.lock().aside.clear();
    }

    /// What was set aside is lost.
    pub(crate) fn drop_aside(self: &Arc<Self>) {
        let aside = mem::take(&mut self.lock().aside);
        for (number, duration) in aside {
            // Else it had to make room, and is counted.
            if self.shelf().is_some_and(|shelf| shelf.rely(number, duration)) {
                self.change(|state| state.lose(1, duration));
                self.forget(number);
            }
        }
    }

    /// The shelf does not give a segment: nothing of it is offered for so long.
    pub(crate) fn leave_shelf(&self, time: Duration) {
        let state = &mut *self.lock();
        state.last = Some(Source::SpoolSession);
        state.left_alone = Some(Instant::now() + time);
    }

    /// What the service has not been told of and wants to know.
    pub(crate) fn unreported(&self) -> Dropped {
        self.lock().unreported.unwrap_or_default()
    }

    /// The service does not want to know.
    pub(crate) fn keep_drops(&self) {
        self.lock().unreported = None;
    }

    /// It has been told of so much.
    pub(crate) fn reported(&self, told: Dropped) {
        if let Some(unreported) = &mut self.lock().unreported {
            unreported.number = unreported.number.saturating_sub(told.number);
            unreported.time = unreported.time.saturating_sub(told.time);
        }
    }

    /// Why uploads fail, or that they do not.
    pub(crate) fn note(&self, error: Option<String>) {
        self.stats.send_if_modified(|stats| {
            let changed = stats.last_error != error;
            stats.last_error = error;
            changed
        });
    }

    /// Tells the log of what it has not been told.
    pub(crate) fn log_drops(&self) {
        self.lock().log_drops(&self.name, Duration::ZERO);
    }

    fn turn(&self) -> Turn {
        let state = &mut *self.lock();
        let stored = self.stored(state);
        let (closed, begun) = (state.closed.is_some(), state.queue.phase() == Phase::Begun);
        // What an earlier run stored was wanted once.
        let insist = closed && (begun || !stored.is_empty());
        let over = stored.is_empty() && state.queue.waiting().is_empty();
        if closed && (over || !state.queue.ready() && !insist) {
            return Turn::Over;
        }
        if !state.queue.ready() && !insist {
            return Turn::Later(None);
        }
        let left_alone = state.left_alone.filter(|until| Instant::now() < *until);
        let offered = if left_alone.is_some() { &[] } else { &stored[..] };
        state.next(offered).map_or(Turn::Later(left_alone), Turn::Of)
    }

    /// Segments on the shelf that are in nobody's hands, the oldest first.
    fn stored(&self, state: &mut State) -> Vec<Stored> {
        let Some(shelf) = self.shelf() else { return Vec::new() };
        let mut held: BTreeSet<u64> = state.queue.waiting().iter().map(|s| s.number).collect();
        held.extend(state.unconfirmed.as_ref().map(|(number, _)| *number));
        held.extend(state.aside.keys());
        let mut stored = shelf.stored();
        // One that is newer than all in memory is about to be pushed.
        let complete = |number| state.closed.is_some() || Some(number) <= state.queue.newest();
        stored.retain(|stored| !held.contains(&stored.head.number) && complete(stored.head.number));
        state.backfill = stored.len();
        stored
    }
}

impl Job {
    pub(crate) fn stored(stored: &Stored) -> Self {
        Self {
            number: stored.head.number,
            start: Start::Unix(stored.head.start_micros),
            duration: stored.duration,
            discontinuity: stored.head.discontinuity,
            bytes: stored.bytes,
            source: Source::SpoolSession,
            alone: false,
        }
    }
}

impl State {
    /// Live segments come first; between two of them one from the shelf may go.
    fn next(&self, stored: &[Stored]) -> Option<Job> {
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
}
