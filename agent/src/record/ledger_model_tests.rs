//! The ledger against a naive model: whatever happens, nothing is lost within the bounds, nothing is
//! uploaded twice, and the counts are exact.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;

use super::*;

/// Something that happens to a session. The order is random.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A segment of this many bytes and seconds is complete.
    Complete(u64, u64),
    Forming(u64),
    /// The oldest write ends well, fails, or leaves a part.
    Written(Outcome),
    /// The disk does not answer in time.
    Stalled,
    /// The nth segment on the card is removed to make room.
    Evicted(usize),
    /// The segment that is offered is uploaded.
    Upload,
    Created,
    Sent,
    Failed,
    NotNow,
    /// The service refuses the segment, for good or perhaps with all others.
    Refused(bool),
    EndDeferral(bool),
    Confirmed,
    Reclaim(bool),
    Reported,
    Close,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Whole,
    Part,
    Nothing,
}

fn happens() -> impl Strategy<Value = Happens> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Whole),
        1 => Just(Outcome::Part),
        1 => Just(Outcome::Nothing),
    ];
    prop_oneof![
        8 => (1..4 * MIB, 1..20u64).prop_map(|(bytes, time)| Happens::Complete(bytes, time)),
        3 => (0..4 * MIB).prop_map(Happens::Forming),
        6 => outcome.prop_map(Happens::Written),
        1 => Just(Happens::Stalled),
        1 => (0..6usize).prop_map(Happens::Evicted),
        8 => Just(Happens::Upload),
        6 => Just(Happens::Created),
        6 => Just(Happens::Sent),
        2 => Just(Happens::Failed),
        2 => Just(Happens::NotNow),
        1 => any::<bool>().prop_map(Happens::Refused),
        1 => any::<bool>().prop_map(Happens::EndDeferral),
        1 => Just(Happens::Confirmed),
        1 => any::<bool>().prop_map(Happens::Reclaim),
        1 => Just(Happens::Reported),
        1 => Just(Happens::Close),
    ]
}

/// The naive model: the same session as sets of numbers.
#[derive(Default)]
struct Model {
    mode: Option<SpoolMode>,
    capacity: usize,
    /// Bytes and duration of every segment that was completed or found on the card.
    all: Vec<(u64, Duration)>,
    memory: BTreeSet<u64>,
    writing: BTreeSet<u64>,
    /// The segment that the disk is storing as a whole.
    given: Option<u64>,
    card: BTreeSet<u64>,
    sending: Option<Upload>,
    sent: Option<u64>,
    deferred: BTreeSet<u64>,
    sent_ever: BTreeSet<u64>,
    confirmed: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    /// Segments that were not kept while the service wanted nothing.
    released: BTreeSet<u64>,
    reported: u64,
    forming: u64,
    largest: u64,
    /// The service has given an address since it last said "not now".
    begun: bool,
    /// "Not now" was the service's last word.
    unwanted: bool,
    prerecord: Duration,
    /// Segments up to this number waited while uploads failed, although the service wanted them.
    owed: Option<u64>,
    /// The oldest segment is always the next.
    before: bool,
    /// "Not now" was the answer, and no segment has been completed since.
    declined: bool,
    reclaiming: bool,
    closed: bool,
    /// The session is over, and keeps nothing in memory.
    given_up: bool,
}

impl Model {
    /// Numbers of the segments that are still to be uploaded or confirmed.
    fn alive(&self) -> Vec<u64> {
        let over = |n: &u64| {
            self.confirmed.contains(n) || self.lost.contains(n) || self.released.contains(n)
        };
        (0..self.all.len() as u64).filter(|n| !over(n)).collect()
    }

    /// Whether the service wants the segment, or has wanted it before uploads failed.
    fn wanted(&self, number: u64) -> bool {
        !self.unwanted || self.owed.is_some_and(|newest| number <= newest)
    }

    fn fails(&mut self) {
        if self.begun {
            self.owed = self.all.len().checked_sub(1).map(|newest| newest as u64);
        }
    }

    fn apply(&mut self, ledger: &mut Ledger, happens: Happens) {
        match happens {
            Happens::Complete(bytes, seconds) if !self.closed => {
                let (number, time) = (self.all.len() as u64, Duration::from_secs(seconds));
                let card = match self.mode {
                    Some(SpoolMode::Always) => OnCard::Writing,
                    _ => OnCard::Nothing,
                };
                self.writing.extend((card == OnCard::Writing).then_some(number));
                ledger.completed(segment(number, bytes, time), card);
                self.all.push((bytes, time));
                self.memory.insert(number);
                self.declined = false;
                (self.forming, self.largest) = (0, self.largest.max(bytes));
            }
            Happens::Forming(bytes) if !self.closed => {
                ledger.forming(bytes);
                (self.forming, self.largest) = (bytes, self.largest.max(bytes));
            }
            Happens::Written(outcome) => {
                let Some(number) = self.writing.pop_first() else { return };
                let (bytes, time) = self.all[number as usize];
                if self.given == Some(number) {
                    self.given = None;
                }
                ledger.found(
                    number,
                    match outcome {
                        Outcome::Whole => Holding::Whole(whole(number, bytes, time)),
                        Outcome::Part => Holding::Part,
                        Outcome::Nothing => Holding::Nothing,
                    },
                );
                if matches!(outcome, Outcome::Whole) {
                    self.card.insert(number);
                }
            }
            Happens::Stalled if self.given.is_some() => ledger.stalled(),
            Happens::Evicted(nth) => {
                // A pending segment is not removed to make room.
                let sending = self.sending.as_ref().map(|upload| upload.number);
                let mut may_go =
                    self.card.iter().filter(|n| Some(**n) != self.sent && Some(**n) != sending);
                let Some(number) = may_go.nth(nth).copied() else { return };
                self.card.remove(&number);
                ledger.evicted(number);
            }
            Happens::Upload if self.sending.is_none() => self.upload(ledger),
            Happens::Created if self.sending.is_some() => {
                ledger.created();
                self.confirmed.extend(self.sent.take());
                (self.begun, self.unwanted) = (true, false);
            }
            Happens::Sent if self.begun && self.sent.is_none() => {
                let Some(upload) = self.sending.take() else { return };
                ledger.sent(&upload, upload.number.to_string());
                self.sent = Some(upload.number);
                assert!(self.sent_ever.insert(upload.number), "{} is doubled", upload.number);
                self.memory.remove(&upload.number);
            }
            Happens::Failed => {
                let Some(upload) = self.sending.take() else { return };
                ledger.failed(upload.number);
                self.fails();
            }
            Happens::NotNow => {
                let Some(upload) = self.sending.take() else { return };
                ledger.not_now(upload.number);
                self.confirmed.extend(self.sent.take());
                (self.begun, self.unwanted, self.declined) = (false, true, true);
            }
            Happens::Refused(kept) => {
                let Some(upload) = self.sending.take() else { return };
                let number = upload.number;
                ledger.failed(number);
                self.fails();
                ledger.refused(&upload, kept);
                self.memory.remove(&number);
                if kept && (self.card.contains(&number) || self.writing.contains(&number)) {
                    self.deferred.insert(number);
                } else {
                    self.lost.insert(number);
                }
            }
            Happens::EndDeferral(lost) => {
                ledger.end_deferral(lost);
                let deferred = std::mem::take(&mut self.deferred);
                self.lost.extend(deferred.into_iter().filter(|_| lost));
            }
            Happens::Confirmed => {
                ledger.confirmed();
                self.confirmed.extend(self.sent.take());
            }
            Happens::Reclaim(patient) => {
                ledger.reclaim(patient);
                self.reclaiming = patient;
            }
            Happens::Reported => {
                let unreported = ledger.losses.unreported();
                self.reported += unreported.number;
                ledger.losses.reported(unreported);
            }
            Happens::Close => {
                ledger.close(Instant::now());
                (self.closed, self.forming) = (true, 0);
            }
            _ => {}
        }
    }

    /// Segments that can be read from the card only, and wait.
    fn on_card_only(&self) -> Vec<u64> {
        let mut waits = self.alive();
        waits.retain(|n| self.card.contains(n) && !self.memory.contains(n));
        waits.retain(|n| Some(*n) != self.sent && !self.deferred.contains(n));
        waits
    }

    /// Segments that can be uploaded from memory for certain.
    fn live(&self) -> Vec<u64> {
        let may = |n: &u64| !self.reclaiming && Some(*n) != self.given;
        self.memory.iter().copied().filter(may).collect()
    }

    /// Whether something waits that the service wants, or has wanted.
    fn wants_some(&self) -> bool {
        self.live().into_iter().chain(self.on_card_only()).any(|n| self.wanted(n))
    }

    /// The segments that wait although nobody wants them, and the one that is sent from memory.
    fn unwanted(&self) -> BTreeSet<u64> {
        let sending = self.sending.as_ref().map(|upload| upload.number);
        let stored = self.on_card_only().into_iter().filter(|n| Some(*n) != sending);
        let all = self.memory.iter().copied().chain(stored);
        all.filter(|n| !self.wanted(*n)).collect()
    }

    fn upload(&mut self, ledger: &mut Ledger) {
        let upload = match ledger.next_upload(Instant::now()) {
            Next::Upload(upload) => upload,
            Next::Wait(_) => {
                let insists = self.closed && self.wants_some();
                let idle = self.on_card_only().is_empty() && self.live().is_empty();
                let waits = self.before && self.given.is_some();
                assert!(idle || waits || self.declined && !insists, "something could be uploaded");
                return;
            }
            Next::Over => {
                assert!(self.closed);
                let waits = |n: &u64| self.memory.contains(n) || self.card.contains(n);
                let held = |n: &u64| Some(*n) == self.sent || self.deferred.contains(n);
                let waiting = self.alive().into_iter().any(|n| waits(&n) && !held(&n));
                assert!(!waiting || self.unwanted, "something still waits");
                let wanted = |n: &u64| waits(n) && self.wanted(*n) && !held(n);
                assert!(!self.alive().iter().any(wanted), "something wanted still waits");
                return;
            }
        };
        let number = upload.number;
        assert!(self.alive().contains(&number) && Some(number) != self.sent, "{number}");
        assert!(!self.sent_ever.contains(&number), "{number} is offered twice");
        assert!(!self.deferred.contains(&number));
        let place = if self.memory.contains(&number) { Source::Memory } else { Source::Card };
        assert!(place == Source::Memory || self.card.contains(&number));
        assert_eq!((upload.source, upload.bytes), (place, self.all[number as usize].0));
        let mut older = self.on_card_only().into_iter().chain(self.live());
        assert!(!self.before || older.all(|older| older >= number), "{number} before an older one");
        assert!(ledger.sending(&upload));
        self.sending = Some(upload);
    }

    fn step(&mut self, ledger: &mut Ledger, happens: Happens, allowed: u64) {
        self.apply(ledger, happens);
        self.settle(ledger, allowed);
        self.compare(ledger);
    }

    /// The recording ends, and disk and service work from now on: all goes, and in few steps.
    fn drain(&mut self, ledger: &mut Ledger) {
        for happens in [Happens::Close, Happens::Failed, Happens::Reclaim(false)] {
            self.step(ledger, happens, u64::MAX);
        }
        while !self.writing.is_empty() {
            self.step(ledger, Happens::Written(Outcome::Whole), u64::MAX);
        }
        self.step(ledger, Happens::EndDeferral(false), u64::MAX);
        // The service may want nothing at first: memory and card are asked about in turns.
        let mut before = None;
        for _ in 0..3 {
            let both =
                self.wants_some() && !self.on_card_only().is_empty() && !self.live().is_empty();
            self.step(ledger, Happens::Upload, u64::MAX);
            let source = self.sending.as_ref().map(|upload| upload.source);
            assert!(!both || source.is_some(), "nothing is offered");
            assert!(!both || self.before || source != before, "{source:?} again");
            before = source;
            self.step(ledger, Happens::NotNow, u64::MAX);
        }
        for _ in 0..=self.all.len() {
            // Since it wants what waits, the disk may be given some of it.
            let written = Happens::Written(Outcome::Whole);
            for happens in [written, Happens::Upload, Happens::Created, Happens::Sent] {
                self.step(ledger, happens, u64::MAX);
            }
        }
        self.step(ledger, Happens::Confirmed, u64::MAX);
        assert!(matches!(ledger.next_upload(Instant::now()), Next::Over), "it never ends");
        // What nobody ever wanted is in memory still, and goes with the session.
        ledger.give_up();
        self.given_up = true;
        self.settle(ledger, u64::MAX);
        assert_eq!((self.alive(), self.card.len()), (vec![], 0), "something is left");
    }

    /// Whether these segments are too many for memory, by bytes or by number.
    fn is_over(&self, numbers: &BTreeSet<u64>, allowed: u64) -> bool {
        let bytes = self.bytes(numbers) + self.forming;
        let most = (self.largest * self.capacity as u64 + SLACK).min(allowed);
        numbers.len() > self.capacity || bytes > most
    }

    fn bytes(&self, numbers: &BTreeSet<u64>) -> u64 {
        numbers.iter().map(|n| self.all[*n as usize].0).sum()
    }

    /// Checks what the ledger has dropped and what it asks of the card.
    fn settle(&mut self, ledger: &mut Ledger, allowed: u64) {
        // The disk is given no more than what is left beside the segments that it holds already.
        let in_flight = self.given.filter(|n| !self.memory.contains(n));
        let allowed = allowed - in_flight.map_or(0, |n| self.all[n as usize].0).min(allowed);
        for action in ledger.settle(allowed + ledger.in_flight_bytes()) {
            match action {
                Action::Store(segment) => {
                    assert_eq!((self.mode, self.given), (OVERFLOW, None));
                    assert!(self.memory.contains(&segment.number));
                    assert!(!self.card.contains(&segment.number));
                    assert!(self.wanted(segment.number), "nobody wants {} stored", segment.number);
                    self.given = Some(segment.number);
                    assert!(self.writing.insert(segment.number));
                }
                Action::Remove(number) => {
                    self.card.remove(&number);
                    let alive = self.alive().contains(&number);
                    assert!(
                        !alive || !self.wanted(number),
                        "{number} is deleted, and nobody has it"
                    );
                    self.released.extend(alive.then_some(number));
                }
            }
        }
        let kept: BTreeSet<u64> = ledger.in_memory().map(|(number, _)| number).collect();
        assert!(kept.is_subset(&self.memory), "from nowhere: {kept:?}");
        let gone: Vec<u64> = self.memory.difference(&kept).copied().collect();
        let sending = self.sending.as_ref().map(|upload| upload.number);
        assert!(gone.iter().all(|n| Some(*n) != sending), "it is being sent");
        for number in &gone {
            let saved = self.card.contains(number) || self.writing.contains(number);
            if !self.wanted(*number) {
                self.released.insert(*number);
                let left = kept.iter().chain(gone.iter().filter(|newer| *newer >= number));
                let with: BTreeSet<u64> = left.copied().collect();
                let newer = self.unwanted().split_off(&(number + 1));
                let newer: Duration = newer.iter().map(|n| self.all[*n as usize].1).sum();
                let enough = newer >= self.prerecord && !newer.is_zero();
                let over = self.given_up || self.is_over(&with, allowed);
                assert!(enough || over, "{number} was to be kept");
            } else if !saved {
                // The dropped segment would not have fitted beside what is left and what was
                // dropped after it.
                let newer = gone.iter().filter(|newer| *newer >= number);
                let with: BTreeSet<u64> = kept.iter().chain(newer).copied().collect();
                assert!(self.is_over(&with, allowed), "{number} is lost within the bounds");
                let older = kept.iter().filter(|n| **n < *number && Some(**n) != sending);
                let older: Vec<_> = older.filter(|n| Some(**n) != self.given).collect();
                assert!(older.is_empty(), "{number} went before {older:?}");
            }
        }
        self.memory = kept;
        // Of what is not wanted the newest are kept, as much as was ordered and no more.
        let mut unwanted = self.unwanted().into_iter();
        if let Some(oldest) = unwanted.next() {
            let newer: Vec<Duration> = unwanted.map(|n| self.all[n as usize].1).collect();
            let needed = newer.is_empty() || newer.iter().sum::<Duration>() < self.prerecord;
            let firm = Some(oldest) == sending || Some(oldest) == self.given;
            assert!(needed || firm, "{oldest} is kept for nobody");
        }
        let useless = |n: &u64| self.confirmed.contains(n) || self.released.contains(n);
        assert!(!self.card.iter().any(useless), "it stays on the card: {:?}", self.card);
        // What is nowhere is lost; this is all that the ledger may count beside refusals.
        for number in self.alive() {
            let somewhere = self.memory.contains(&number)
                || self.card.contains(&number)
                || self.writing.contains(&number);
            let busy = Some(number) == sending || Some(number) == self.sent;
            if !somewhere && !busy {
                self.deferred.remove(&number);
                self.lost.insert(number);
            }
        }
        let firm = |n: &u64| Some(*n) == sending || Some(*n) == self.given;
        let stuck = self.memory.iter().all(firm);
        let next = self.memory.iter().copied().find(|n| !firm(n));
        let stores = self.given.is_some() || next.is_some_and(|n| self.wanted(n));
        let waits = self.mode == OVERFLOW && stores;
        let over = self.is_over(&self.memory, allowed);
        let bytes = self.bytes(&self.memory) + self.forming;
        assert!(!over || stuck || waits && (self.reclaiming || bytes <= allowed), "too much");
    }

    /// Checks that all counts are exact.
    fn compare(&self, ledger: &Ledger) {
        let time = self.lost.iter().map(|n| self.all[*n as usize].1).sum();
        let lost = Dropped { number: self.lost.len() as u64, time };
        assert_eq!(ledger.losses.unreported().number, lost.number - self.reported);
        let held = |n: &u64| Some(*n) == self.sent || self.deferred.contains(n);
        let waiting = self.alive().into_iter().filter(|n| !held(n)).count();
        let stats = RecordingStats {
            waiting,
            bytes: self.bytes(&self.memory) + self.forming,
            uploaded: self.sent_ever.len() as u64,
            dropped: lost,
            not_now: self.unwanted,
            last_error: None,
        };
        assert_eq!(ledger.stats(), stats, "{:?}", self.lost);
        let name = self.sent.map(|number| number.to_string());
        assert_eq!(ledger.unconfirmed(), name.as_deref());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_within_the_bounds_nothing_is_doubled_and_counts_are_exact(
        events in vec((happens(), option::weighted(0.1, 2 * MIB..40 * MIB)), 1..200),
        mode in prop_oneof![
            Just(None),
            Just(Some(SpoolMode::Overflow)),
            Just(Some(SpoolMode::Always)),
        ],
        capacity in 3..6usize,
        prerecord in 0..60u64,
        inherited in 0..4u64,
        before in any::<bool>(),
    ) {
        let prerecord = Duration::from_secs(prerecord);
        let backfill = if before { Backfill::Before } else { Backfill::Beside };
        let mut ledger = Ledger::new(mode, capacity, prerecord, backfill);
        let mut model = Model { mode, capacity, prerecord, before, ..Model::default() };
        // What an earlier run stored was wanted.
        model.owed = (inherited * u64::from(mode.is_some())).checked_sub(1);
        for number in 0..inherited * u64::from(mode.is_some()) {
            ledger.inherit(&whole(number, MIB, SECOND));
            model.all.push((MIB, SECOND));
            model.card.insert(number);
        }
        let mut allowed = u64::MAX;
        for (event, share) in events {
            // A share shrinks when others need memory.
            allowed = share.unwrap_or(allowed);
            model.step(&mut ledger, event, allowed);
        }
        model.drain(&mut ledger);
    }
}
