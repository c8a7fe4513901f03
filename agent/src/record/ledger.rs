//! The account of a session's segments: where each one is, and what is due. Pure.
//!
//! ```text
//! recorder: completed, forming ──┐
//! card:     found, evicted ──────┤             ┌ place: memory, writing, card, both
//! service:  sent, refused, … ────┼─▶  number ──┤
//! memory:   allowed, reclaim ────┘     │       └ fate: waiting, sending, sent as NAME, deferred, lost
//!                                      ▼
//!                       upload, store, remove, report
//! ```
//!
//! # Rules
//!
//! 1. A segment leaves the ledger in one of four ways: the service has confirmed it, the service has
//!    refused it, it is older than what is kept while the service wants nothing, or it is nowhere any
//!    more. A refused segment and one that is nowhere are losses, and each is counted once. So is one
//!    of which the card has lost a part.
//! 2. A segment is nowhere when memory does not have it and the card neither has nor gets it.
//! 3. Memory holds what the limits allow, and beyond that only what is being uploaded or stored. The
//!    oldest segment goes first. It goes without a loss when the card has it or gets it.
//! 4. A segment that was sent is not offered again. It stays under the name that the service gave it
//!    until it is confirmed, with the question for the next address or by a call of its own. Only
//!    then is it removed from the card.
//! 5. Segments in memory are uploaded first, and one segment from the card between two from memory; or,
//!    where the configuration says so, the oldest segment is always the next.
//! 6. "Not now" is the pre-record state, whenever the service says it: from then on the newest
//!    `prerecord` is kept, what is older is dropped without a loss from memory and card, and nothing
//!    goes to the card. What waited because uploads had failed stays wanted, since the service had asked for it,
//!    and so does what an earlier run left on the card:
//!    one odd answer at the end of an outage must not cost what the outage has piled up.

mod due;
mod entry;
mod losses;
mod marks;
mod room;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Segment;
use super::spool::{Holding, SegmentHead, Stored};
use crate::config::{Backfill, SpoolMode};
pub use due::{Action, Next, RecordingStats, Upload, least_segments};
use entry::{Entry, Fate, Phase};
pub use entry::{OnCard, Source};
pub use losses::{Dropped, Losses};
pub use marks::{Mark, Marked, Marks, Reason};
use room::Room;
use turn::Turn;

/// The segments of one session that are neither confirmed nor lost.
#[derive(Debug, Default)]
pub struct Ledger {
    mode: Option<SpoolMode>,
    /// Duration of what is kept while the service wants nothing.
    prerecord: Duration,
    entries: BTreeMap<u64, Entry>,
    room: Room,
    /// Number and bytes of the segment that the disk is storing as a whole.
    storing: Option<(u64, u64)>,
    /// Whether the disk has taken nothing since the newest segment came. It is asked again with the
    /// next one.
    unstorable: bool,
    /// Whether others need the memory. No upload begins while the disk takes what it can.
    reclaiming: bool,
    phase: Phase,
    /// Segments up to this number waited when an upload failed after the service had given addresses.
    /// They stay wanted whatever it says later.
    owed: Option<u64>,
    /// Whether the service has said "not now", and no new segment has come since.
    declined: bool,
    /// When the recorder said that no more segments will come.
    closed: Option<Instant>,
    turn: Turn,
    /// Segments to be removed from the card, and those whose write had not ended when they were to
    /// be removed.
    removals: Vec<u64>,
    unwritten: BTreeSet<u64>,
    /// What became of segments that are not lost.
    pub marks: Marks,
    uploaded: u64,
    /// The losses, and what the service was told of them.
    pub losses: Losses,
}

impl Ledger {
    /// An empty ledger. `max_segments` is the most complete segments in memory, at least
    /// [`least_segments`]; `prerecord` is how much is kept while the service wants nothing.
    pub fn new(
        mode: Option<SpoolMode>,
        max_segments: usize,
        prerecord: Duration,
        backfill: Backfill,
    ) -> Self {
        let room = Room::new(max_segments.max(least_segments(mode) as usize));
        Self { mode, prerecord, room, turn: Turn::new(backfill), ..Self::default() }
    }

    // Input from the recorder:

    /// This many bytes of the next segment are in memory.
    pub fn forming(&mut self, bytes: u64) {
        self.room.forming(bytes);
    }

    /// The segment that was being cut is complete, and the card has this part of it.
    pub fn completed(&mut self, segment: Segment, card: OnCard) {
        let Segment { number, start, duration, discontinuity, bytes, chunks } = segment;
        self.room.add(bytes);
        self.declined = false;
        self.unstorable &= self.storing.is_some();
        let (chunks, fate) = (Some(chunks), Fate::Waiting);
        let entry = Entry { start, duration, discontinuity, bytes, chunks, card, fate };
        self.marks.note(&entry, Mark::Waiting);
        self.entries.insert(number, entry);
    }

    /// No more segments will come.
    pub fn close(&mut self, now: Instant) {
        self.room.forming(0);
        self.turn.wake_card();
        self.closed.get_or_insert(now);
    }

    // Input from the card:

    /// A segment was on the card before this session began: an earlier run stored it because it was
    /// wanted.
    pub fn inherit(&mut self, whole: &Stored) {
        let number = whole.head.number;
        self.owed = self.owed.max(Some(number));
        self.entries.entry(number).or_insert_with(|| Entry::stored(whole));
    }

    /// A segment is being written as it grows, and not by [`Action::Store`].
    pub fn writing(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.card = OnCard::Writing;
        }
    }

    /// The write of a segment has ended, and the card has this part of it.
    pub fn found(&mut self, number: u64, holding: Holding) {
        let stored = self.storing.take_if(|(storing, _)| *storing == number).is_some();
        self.unstorable |= stored && !matches!(holding, Holding::Whole(_));
        let Some(entry) = self.entries.get_mut(&number) else {
            match holding {
                _ if self.unwritten.remove(&number) => self.removals.push(number),
                // An earlier session recorded the segment, and its last write took long.
                Holding::Whole(whole) => self.inherit(&whole),
                Holding::Nothing | Holding::Part => {}
            }
            return;
        };
        entry.card = match holding {
            Holding::Nothing => OnCard::Nothing,
            Holding::Part => OnCard::Part,
            Holding::Whole(_) => OnCard::Whole,
        };
        let mut cut = Duration::ZERO;
        if let (Holding::Whole(whole), None) = (holding, &entry.chunks) {
            // The file may have been cut to what can be read.
            cut = entry.duration.saturating_sub(whole.duration);
            (entry.duration, entry.bytes) = (whole.duration, whole.bytes);
        }
        let whole = entry.card == OnCard::Whole && entry.fate != Fate::Sending;
        if !cut.is_zero() {
            self.losses.lose_part(entry.start.after(entry.duration), cut, Reason::Disk);
        }
        if stored && whole && self.wants(number) {
            self.drop_chunks(number);
        }
        self.check(number, Reason::Disk);
    }

    /// The disk does not take the segment that it was asked to store, or not in time.
    pub fn stalled(&mut self) {
        self.unstorable = true;
    }

    /// A segment was removed from the card to make room.
    pub fn evicted(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.card = OnCard::Nothing;
        }
        self.check(number, Reason::Spool);
    }

    /// The card gives a segment no more: nothing is offered from it until this time.
    pub fn card_rests(&mut self, until: Instant) {
        self.turn.card_rests(until);
    }

    /// The card does not give what is on it: what only the card has is lost to this run, and stays
    /// there for another.
    pub fn give_up_card(&mut self) {
        let lost = self.entries.extract_if(.., |_, entry| entry.waits_on_card());
        lost.for_each(|(_, entry)| self.losses.lose(&entry, Reason::Disk));
    }

    // Input from the service:

    /// The upload of a segment begins, if the segment is still where it was when it was offered.
    /// The segment stays there until the upload has ended.
    pub fn sending(&mut self, upload: &Upload) -> bool {
        let available = upload.source == Source::Card || !self.reclaiming;
        let entry = self.entries.get_mut(&upload.number).filter(|entry| {
            available && entry.fate == Fate::Waiting && entry.source() == Some(upload.source)
        });
        entry.map(|entry| entry.fate = Fate::Sending).is_some()
    }

    /// The service has given an address. The question for it also confirmed the segment that was
    /// sent before.
    pub fn created(&mut self) {
        self.phase = Phase::Begun;
        self.confirmed();
    }

    /// A segment is uploaded under this name.
    pub fn sent(&mut self, upload: &Upload, name: String) {
        self.uploaded += 1;
        self.turn.sent(upload.source, upload.start.after(upload.duration));
        self.drop_chunks(upload.number);
        if let Some(entry) = self.entries.get_mut(&upload.number) {
            self.marks.note(entry, Mark::Uploaded);
            entry.fate = Fate::Sent(name);
        }
    }

    /// A segment was uploaded under this name before a crash, and is no longer on the card.
    pub fn adopt(&mut self, number: u64, name: String) {
        let head = SegmentHead { number, start_micros: 0, discontinuity: false };
        let gone = Entry::stored(&Stored { head, duration: Duration::ZERO, bytes: 0 });
        let entry = Entry { card: OnCard::Nothing, fate: Fate::Sent(name), ..gone };
        self.entries.entry(number).or_insert(entry);
    }

    /// The service has confirmed the segment that was sent.
    pub fn confirmed(&mut self) {
        let sent = self.entries.iter().find(|(_, entry)| matches!(entry.fate, Fate::Sent(_)));
        if let Some((&number, _)) = sent {
            self.remove(number);
        }
    }

    /// An upload has failed. The segment waits again, if it is still there. All that wait with it stay
    /// wanted if the service has given addresses.
    pub fn failed(&mut self, number: u64) {
        if self.phase == Phase::Begun {
            self.owed = self.owed.max(self.entries.keys().next_back().copied());
        }
        self.wait_again(number);
    }

    fn wait_again(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number).filter(|e| e.fate == Fate::Sending) {
            entry.fate = Fate::Waiting;
        }
        self.check(number, Reason::Spool);
    }

    /// The service wants no segment at the moment, and is asked again when the next one is complete.
    /// The question confirmed the segment that was sent before, as any other.
    pub fn not_now(&mut self, number: u64) {
        self.declined = true;
        self.phase = Phase::NotNow;
        self.turn.tried(self.entries.get(&number).and_then(Entry::source));
        self.confirmed();
        self.wait_again(number);
    }

    /// The service refuses a segment. The segment is lost, unless it is to be `kept` because the
    /// service may refuse every segment: then it is deferred if the card has it.
    pub fn refused(&mut self, upload: &Upload, kept: bool) {
        self.turn.tried(Some(upload.source));
        match self.entries.get_mut(&upload.number) {
            Some(entry) if kept && entry.will_be_stored() => {
                entry.fate = Fate::Deferred;
                self.drop_chunks(upload.number);
            }
            Some(entry) => {
                self.losses.lose(entry, Reason::Refused);
                self.remove(upload.number);
            }
            // The segment was dropped and counted while the service was asked.
            None => {}
        }
    }

    /// Deferred segments may be offered again or, if they are `lost`, count as refused for good.
    pub fn end_deferral(&mut self, lost: bool) {
        let deferred = self.entries.iter().filter(|(_, entry)| entry.fate == Fate::Deferred);
        for number in deferred.map(|(number, _)| *number).collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            entry.fate = Fate::Waiting;
            if lost {
                self.losses.lose(entry, Reason::Refused);
                self.remove(number);
            }
        }
    }

    // Input from the memory budget:

    /// Others need some of the memory. While they are `patient`, what is too much waits for the
    /// disk. A disk that took nothing is asked once more.
    pub fn reclaim(&mut self, patient: bool) {
        self.reclaiming = patient;
        self.unstorable &= !patient || self.storing.is_some();
    }

    /// Drops what is in memory beyond `allowed` bytes, unless others are patient. Returns what is
    /// to be done on the card, after this and all input before it.
    pub fn settle(&mut self, allowed: u64) -> Vec<Action> {
        let allowed = allowed.saturating_sub(self.in_flight_bytes());
        while let Some(number) = self.needless() {
            self.discard(number);
        }
        let disk_takes = self.mode == Some(SpoolMode::Overflow) && !self.unstorable;
        while self.room.is_over(0, allowed) {
            let Some(number) = self.idle() else { break };
            // Of two segments that come at once, the second waits until the disk has taken the
            // first.
            let patient = self.reclaiming || self.room.bytes() <= allowed;
            if disk_takes && patient && self.wants(number) {
                break;
            }
            self.drop_from_memory(number, Reason::Memory);
        }
        let mut actions: Vec<_> = self.removals.drain(..).map(Action::Remove).collect();
        while disk_takes && self.storing.is_none() && self.room.is_over(1, allowed) {
            let Some(number) = self.idle().filter(|number| self.wants(*number)) else { break };
            match self.on_card(number) {
                OnCard::Whole => self.drop_chunks(number),
                OnCard::Writing => break,
                OnCard::Nothing | OnCard::Part => actions.extend(self.spill(number)),
            }
        }
        self.reclaiming &= self.room.is_over(0, allowed);
        actions
    }

    /// Ends the use of memory by uploads: what the card neither has nor gets is lost, if it was
    /// ever wanted. What was not is removed from the card, too.
    pub fn give_up(&mut self) {
        let held: Vec<u64> = self.in_memory().map(|(number, _)| number).collect();
        for entry in self.entries.values_mut().filter(|entry| entry.fate == Fate::Sending) {
            entry.fate = Fate::Waiting;
        }
        held.into_iter().for_each(|number| self.drop_from_memory(number, Reason::GivenUp));
        let unwanted = self
            .entries
            .iter()
            .filter(|(number, entry)| entry.fate == Fate::Waiting && !self.wants(**number));
        let unwanted: Vec<u64> = unwanted.map(|(number, _)| *number).collect();
        unwanted.into_iter().for_each(|number| self.discard(number));
    }

    // What is due, and the state of the session:

    /// What an uploader has to do at this time.
    pub fn next_upload(&self, now: Instant) -> Next {
        let closed = self.closed.is_some();
        let stored = self.stored();
        if closed && stored.is_none() && self.room.held() == 0 {
            return Next::Over;
        }
        if self.declined && !self.insists() {
            return if closed { Next::Over } else { Next::Wait(None) };
        }
        let rests = self.turn.rest(now);
        let stored = stored.filter(|_| rests.is_none());
        let live = self.in_memory().find(|(number, entry)| {
            !self.reclaiming && entry.fate == Fate::Waiting && !self.is_storing(*number)
        });
        let cards = |stored: u64| live.is_none_or(|(live, _)| self.turn.is_cards(stored, live));
        match (stored.filter(|(number, _)| cards(**number)), live) {
            (Some((number, entry)), _) => Next::Upload(self.upload(*number, entry, Source::Card)),
            (None, Some((number, _))) if self.turn.is_strict() && self.stores_before(number) => {
                Next::Wait(rests)
            }
            (None, Some((number, entry))) => {
                let alone = self.room.held() == 1 && stored.is_none();
                Next::Upload(Upload { alone, ..self.upload(number, entry, Source::Memory) })
            }
            (None, None) => Next::Wait(rests),
        }
    }

    /// The upload of a segment that is whole on the card, even if it is not the next one.
    pub fn upload_from_card(&self, number: u64) -> Option<Upload> {
        let entry = self.entries.get(&number).filter(|entry| entry.card == OnCard::Whole)?;
        Some(self.upload(number, entry, Source::Card))
    }

    /// The bytes of a segment, if it is in memory.
    pub fn chunks(&self, number: u64) -> Option<Arc<[Bytes]>> {
        self.entries.get(&number)?.chunks.clone()
    }

    /// What the card has of a segment.
    pub fn on_card(&self, number: u64) -> OnCard {
        self.entries.get(&number).map_or(OnCard::Nothing, |entry| entry.card)
    }

    /// The segments in memory that the service wants, and that the card neither has nor gets.
    pub fn unstored(&self) -> Vec<Segment> {
        let missing =
            |(number, entry): &(u64, &Entry)| self.wants(*number) && !entry.will_be_stored();
        let missing = self.in_memory().filter(missing);
        missing.filter_map(|(number, entry)| entry.segment(number)).collect()
    }

    /// The service's name of the segment that was sent and not confirmed.
    pub fn unconfirmed(&self) -> Option<&str> {
        self.entries.values().find_map(|entry| match &entry.fate {
            Fate::Sent(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Number of segments that wait, the one that is being uploaded among them.
    pub fn waiting(&self) -> usize {
        let waits = |entry: &&Entry| matches!(entry.fate, Fate::Waiting | Fate::Sending);
        self.entries.values().filter(waits).count()
    }

    /// Bytes in memory, the segment that is being cut among them.
    pub fn bytes(&self) -> u64 {
        self.room.bytes()
    }

    /// Bytes in memory that cannot be dropped now, since they are being uploaded or stored.
    pub fn firm_bytes(&self) -> u64 {
        self.in_memory().filter(|(n, entry)| self.stays(*n, entry)).map(|(_, e)| e.bytes).sum()
    }

    /// Bytes of a segment that memory has dropped while the disk is still writing it.
    pub fn in_flight_bytes(&self) -> u64 {
        let held = |number| self.entries.get(&number).is_some_and(|entry| entry.chunks.is_some());
        self.storing.filter(|(number, _)| !held(*number)).map_or(0, |(_, bytes)| bytes)
    }

    /// Since when no more segments can come.
    pub fn closed(&self) -> Option<Instant> {
        self.closed
    }

    /// After the recording has ended, the service is asked again although it said "not now": what
    /// waits was wanted before. So was what an earlier run stored.
    pub fn insists(&self) -> bool {
        let wanted =
            |(number, entry): (&u64, &Entry)| entry.fate == Fate::Waiting && self.wants(*number);
        self.closed.is_some() && self.entries.iter().any(wanted)
    }

    /// The counts of the session, without the reason why uploads fail.
    pub fn stats(&self) -> RecordingStats {
        RecordingStats {
            waiting: self.waiting(),
            bytes: self.bytes(),
            uploaded: self.uploaded,
            dropped: self.losses.dropped(),
            not_now: self.phase == Phase::NotNow,
            last_error: None,
        }
    }

    // Upkeep:

    /// Drops a segment from memory for this reason.
    fn drop_from_memory(&mut self, number: u64, reason: Reason) {
        if self.wants(number) {
            self.drop_chunks(number);
            self.check(number, reason);
        } else {
            self.discard(number);
        }
    }

    /// Drops a segment that the service does not want.
    fn discard(&mut self, number: u64) {
        #[cfg(feature = "ui")]
        if let Some(entry) = self.entries.get(&number) {
            self.marks.note(entry, Mark::Unwanted);
        }
        self.remove(number);
    }

    /// Whether the service wants the segment, or has wanted it before uploads failed.
    fn wants(&self, number: u64) -> bool {
        self.phase != Phase::NotNow || self.owed.is_some_and(|newest| number <= newest)
    }

    /// Counts a segment as lost, for this reason, if it is nowhere any more.
    fn check(&mut self, number: u64, reason: Reason) {
        let nowhere = |entry: &&Entry| entry.chunks.is_none() && !entry.will_be_stored();
        let Some(entry) = self.entries.get(&number).filter(nowhere) else { return };
        if matches!(entry.fate, Fate::Waiting | Fate::Deferred) {
            self.losses.lose(entry, reason);
            self.entries.remove(&number);
        }
    }

    /// Drops a segment from memory, and has it removed from the card.
    fn remove(&mut self, number: u64) {
        self.drop_chunks(number);
        if let Some(entry) = self.entries.remove(&number)
            && entry.card != OnCard::Nothing
        {
            self.removals.push(number);
            if entry.card == OnCard::Writing {
                self.unwritten.insert(number);
            }
        }
    }

    fn drop_chunks(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number)
            && entry.chunks.take().is_some()
        {
            self.room.drop(entry.bytes);
        }
    }

    fn spill(&mut self, number: u64) -> Option<Action> {
        let entry = self.entries.get_mut(&number)?;
        entry.card = OnCard::Writing;
        self.storing = Some((number, entry.bytes));
        entry.segment(number).map(Action::Store)
    }

    /// The oldest segment that nobody wants, in memory or on the card, if it is older than what is kept
    /// while the service wants nothing. The newest segment is always kept, since the service is asked about it.
    fn needless(&self) -> Option<u64> {
        let mut unwanted = self.entries.iter().filter(|(number, entry)| {
            (entry.chunks.is_some() || entry.waits_on_card()) && !self.wants(**number)
        });
        let (&oldest, entry) = unwanted.next()?;
        let newer: Vec<Duration> = unwanted.map(|(_, entry)| entry.duration).collect();
        let enough = !newer.is_empty() && newer.iter().sum::<Duration>() >= self.prerecord;
        (enough && !self.stays(oldest, entry)).then_some(oldest)
    }

    /// The oldest segment in memory that may be dropped.
    fn idle(&self) -> Option<u64> {
        let mut idle = self.in_memory().filter(|(number, entry)| !self.stays(*number, entry));
        idle.next().map(|(number, _)| number)
    }

    fn stays(&self, number: u64, entry: &Entry) -> bool {
        entry.fate == Fate::Sending || self.is_storing(number)
    }

    /// Whether the disk is expected to take the segment soon.
    fn is_storing(&self, number: u64) -> bool {
        self.storing.is_some_and(|(storing, _)| storing == number) && !self.unstorable
    }

    /// Whether an older segment is on its way to the disk.
    fn stores_before(&self, number: u64) -> bool {
        self.storing.is_some_and(|(storing, _)| storing < number && self.is_storing(storing))
    }

    /// The oldest segment that waits on the card only.
    fn stored(&self) -> Option<(&u64, &Entry)> {
        self.entries.iter().find(|(_, entry)| entry.waits_on_card())
    }

    fn in_memory(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let held = self.entries.iter().filter(|(_, entry)| entry.chunks.is_some());
        held.map(|(number, entry)| (*number, entry))
    }

    fn upload(&self, number: u64, entry: &Entry, source: Source) -> Upload {
        Upload {
            number,
            start: entry.start,
            duration: entry.duration,
            discontinuity: entry.discontinuity || !self.turn.continues(entry),
            bytes: entry.bytes,
            source,
            alone: false,
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
