//! What may wait for its upload in memory, and what goes when that is too much. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::record::Segment;

/// Of the segment that is being cut, and of what the sizes of segments vary.
const SLACK: u64 = 3 << 19;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Complete segments, the one being uploaded among them.
    pub(super) segments: usize,
    /// What is kept while the service wants nothing.
    pub(super) prerecord: Duration,
}

/// What the service thinks of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has said nothing yet.
    Unasked,
    /// It wants nothing yet: the pre-record state.
    NotNow,
    /// It has taken a segment.
    Begun,
}

/// What happens to the oldest segment when there is no room.
pub(super) enum Spill<'a> {
    /// It is dropped.
    Drop,
    /// It is stored before that, when there is time.
    Store,
    /// It is dropped unless it is on the shelf.
    Shelved(&'a dyn Fn(&Segment) -> bool),
}

/// Segments that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub number: u64,
    /// Their durations together.
    pub time: Duration,
}

/// What [`Queue::settle`] leaves to do.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// To be stored now.
    pub(super) store: Option<Segment>,
    /// Not wanted any more: no loss.
    pub(super) released: Vec<u64>,
    /// Lost.
    pub(super) dropped: Dropped,
}

/// The segments in memory, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    waiting: VecDeque<Segment>,
    /// Of `waiting` together, and the largest there was.
    bytes: u64,
    largest: u64,
    /// Of the segment that is being cut.
    forming: u64,
    /// These two stay: they are on their way to the service and to the disk.
    busy: Option<u64>,
    storing: Option<u64>,
    /// The disk has taken nothing since the newest segment came: that is when it is asked again.
    unstorable: bool,
    /// Others need the memory: no upload begins while the disk takes what it can.
    yielding: bool,
    phase: Phase,
    /// The service has said "not now", and there is nothing new to ask it about.
    declined: bool,
    newest: Option<u64>,
}

impl Dropped {
    /// Counts one more, or many.
    pub(super) fn add(&mut self, number: u64, time: Duration) {
        self.number += number;
        self.time += time;
    }
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            bytes: 0,
            largest: 0,
            forming: 0,
            busy: None,
            storing: None,
            unstorable: false,
            yielding: false,
            phase: Phase::Unasked,
            declined: false,
            newest: None,
        }
    }

    /// Complete segments.
    pub(super) fn waiting(&self) -> &VecDeque<Segment> {
        &self.waiting
    }

    /// The one to upload next: the oldest that is not just being stored.
    pub(super) fn first(&self) -> Option<&Segment> {
        let free = |segment: &&Segment| !self.yielding && Some(segment.number) != self.storing;
        self.waiting.iter().find(free)
    }

    /// Of everything, the segment being cut among it.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.forming
    }

    /// Of what cannot go now: it is on its way to the service or to the disk.
    pub(super) fn firm_bytes(&self) -> u64 {
        self.waiting.iter().filter(|s| self.stays(s)).map(|s| s.bytes).sum()
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// There may be a point in asking the service.
    pub(super) fn ready(&self) -> bool {
        !self.declined
    }

    /// The number of the newest segment there was.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest
    }

    pub(super) fn forming(&mut self, bytes: u64) {
        self.forming = bytes;
        self.largest = self.largest.max(bytes);
    }

    /// The segment that was being cut is complete.
    pub(super) fn push(&mut self, segment: Segment) {
        self.forming = 0;
        self.bytes += segment.bytes;
        self.largest = self.largest.max(segment.bytes);
        self.newest = Some(segment.number);
        self.declined = false;
        self.unstorable = false;
        self.waiting.push_back(segment);
    }

    /// The upload of a segment begins, if it is still there. It stays until that has ended.
    pub(super) fn take(&mut self, number: u64) -> Option<&Segment> {
        let mine = |segment: &&Segment| !self.yielding && segment.number == number;
        let segment = self.waiting.iter().find(mine)?;
        self.busy = Some(number);
        Some(segment)
    }

    /// The upload has ended without success.
    pub(super) fn release(&mut self) {
        self.busy = None;
    }

    /// The segment needs its place no more: it is uploaded, stored or given up.
    pub(super) fn remove(&mut self, number: u64) -> Option<Segment> {
        self.busy.take_if(|busy| *busy == number);
        self.storing.take_if(|storing| *storing == number);
        let i = self.waiting.iter().position(|segment| segment.number == number)?;
        self.take_out(i)
    }

    /// The disk did not take the segment.
    pub(super) fn keep(&mut self, number: u64) {
        self.storing.take_if(|storing| *storing == number);
        self.unstorable = true;
    }

    /// The service has given an address: what is held from now on is all wanted.
    pub(super) fn begin(&mut self) {
        self.phase = Phase::Begun;
    }

    /// The service has said "not now". It is asked again when the next segment is complete.
    pub(super) fn decline(&mut self) {
        self.busy = None;
        self.declined = true;
        if self.phase == Phase::Unasked {
            self.phase = Phase::NotNow;
        }
    }

    /// Others need some of the memory: what is too much waits for the disk, until it is called off
    /// or all is done. A disk that took nothing is asked once more.
    pub(super) fn give_way(&mut self, patient: bool) {
        self.yielding = patient;
        self.unstorable &= !patient;
    }

    /// Makes room, within `allowed` bytes unless it gives way.
    pub(super) fn settle(&mut self, allowed: u64, spill: &Spill<'_>) -> Settled {
        let mut settled = Settled::default();
        while self.needless() {
            settled.released.extend(self.take_out(0).map(|segment| segment.number));
        }
        let wanted = self.phase != Phase::NotNow;
        let disk_takes = matches!(spill, Spill::Store) && wanted && !self.unstorable;
        while self.over(0, allowed) {
            // Two that come at once: the second waits for the disk to have taken the first.
            if disk_takes && (self.yielding || self.bytes() <= allowed) {
                break;
            }
            let Some(segment) = self.idle().and_then(|i| self.take_out(i)) else { break };
            match spill {
                _ if self.phase == Phase::NotNow => settled.released.push(segment.number),
                Spill::Shelved(has) if has(&segment) => {}
                _ => settled.dropped.add(1, segment.duration),
            }
        }
        if disk_takes && self.storing.is_none() && self.over(1, allowed) {
            settled.store = self.idle().map(|i| self.waiting[i].clone());
            self.storing = settled.store.as_ref().map(|segment| segment.number);
        }
        self.yielding &= self.over(0, allowed);
        settled
    }

    /// The oldest is not part of what is kept while the service wants nothing.
    fn needless(&self) -> bool {
        let rest: Duration = self.waiting.iter().skip(1).map(|segment| segment.duration).sum();
        self.phase == Phase::NotNow
            && self.waiting.len() > 1
            && self.idle() == Some(0)
            && rest >= self.limits.prerecord
    }

    /// There would not be room for `more` segments.
    fn over(&self, more: usize, allowed: u64) -> bool {
        let segments = self.limits.segments.saturating_sub(more);
        let most = self.largest.saturating_mul(segments as u64).saturating_add(SLACK);
        let allowed = allowed.saturating_sub(self.largest.saturating_mul(more as u64));
        self.waiting.len() > segments || self.bytes() > most.min(allowed)
    }

    /// The oldest that may go.
    fn idle(&self) -> Option<usize> {
        self.waiting.iter().position(|segment| !self.stays(segment))
    }

    fn stays(&self, segment: &Segment) -> bool {
        [self.busy, self.storing].contains(&Some(segment.number))
    }

    fn take_out(&mut self, i: usize) -> Option<Segment> {
        let segment = self.waiting.remove(i)?;
        self.bytes -= segment.bytes;
        Some(segment)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
