use proptest::prelude::*;

use super::room::SLACK;
use super::*;
use crate::record::Start;
use crate::record::stock::RESERVE;

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const OVERFLOW: Option<SpoolMode> = Some(SpoolMode::Overflow);

fn segment(number: u64, bytes: u64, duration: Duration) -> Segment {
    let start = Start::Media(duration * number as u32);
    let chunks: Arc<[Bytes]> = Arc::new([]);
    Segment { number, start, duration, discontinuity: false, bytes, chunks }
}

fn whole(number: u64, bytes: u64, duration: Duration) -> Stored {
    let head = SegmentHead { number, start_micros: 0, discontinuity: false };
    Stored { head, duration, bytes }
}

fn ledger(mode: Option<SpoolMode>, segments: usize, prerecord: Duration) -> Ledger {
    Ledger::new(mode, segments, prerecord, Backfill::Beside)
}

/// The outcome of [`Ledger::settle`].
#[derive(Debug, Default)]
struct Settled {
    store: Option<u64>,
    removed: Vec<u64>,
    dropped: Dropped,
}

fn settle(ledger: &mut Ledger, allowed: u64) -> Settled {
    let (before, mut settled) = (ledger.losses.dropped(), Settled::default());
    for action in ledger.settle(allowed) {
        match action {
            Action::Store(segment) => settled.store = Some(segment.number),
            Action::Remove(number) => settled.removed.push(number),
        }
    }
    Settled { dropped: ledger.losses.dropped().since(before), ..settled }
}

fn numbers(ledger: &Ledger) -> Vec<u64> {
    ledger.in_memory().map(|(number, _)| number).collect()
}

fn push(ledger: &mut Ledger, number: u64, bytes: u64) {
    ledger.completed(segment(number, bytes, SECOND), OnCard::Nothing);
}

/// Pushes a segment and settles. Returns what was dropped.
fn push_all(ledger: &mut Ledger, numbers: std::ops::Range<u64>, bytes: u64) -> Dropped {
    let before = ledger.losses.dropped();
    for number in numbers {
        ledger.completed(segment(number, bytes, 10 * SECOND), OnCard::Nothing);
        settle(ledger, u64::MAX);
    }
    ledger.losses.dropped().since(before)
}

fn take(ledger: &mut Ledger, number: u64) -> bool {
    let Some(entry) = ledger.entries.get(&number) else { return false };
    let upload = ledger.upload(number, entry, Source::Memory);
    ledger.sending(&upload)
}

fn uploaded(ledger: &mut Ledger, number: u64) {
    let upload = ledger.upload(number, &ledger.entries[&number], Source::Memory);
    ledger.sent(&upload, "n".into());
    ledger.confirmed();
}

fn stored(ledger: &mut Ledger, number: u64) {
    ledger.found(number, Holding::Whole(whole(number, MIB, SECOND)));
}

fn first(ledger: &Ledger) -> Option<u64> {
    match ledger.next_upload(Instant::now()) {
        Next::Upload(upload) => Some(upload.number),
        Next::Wait(_) | Next::Over => None,
    }
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let mut ledger = ledger(None, 3, Duration::ZERO);
    let dropped = push_all(&mut ledger, 0..5, 100);
    assert_eq!(dropped, Dropped { number: 2, time: 20 * SECOND });
    assert_eq!(numbers(&ledger), [2, 3, 4]);
}

#[test]
fn the_one_being_uploaded_stays() {
    let mut ledger = ledger(None, 3, Duration::ZERO);
    push_all(&mut ledger, 0..3, 100);
    assert!(take(&mut ledger, 0));
    push_all(&mut ledger, 3..5, 100);
    assert_eq!(numbers(&ledger), [0, 3, 4]);
    ledger.failed(0);
    push_all(&mut ledger, 5..6, 100);
    assert_eq!(numbers(&ledger), [3, 4, 5]);
    assert!(!take(&mut ledger, 0), "it had to go");
}

#[test]
fn what_is_being_cut_takes_its_part_of_the_memory() {
    let mut ledger = ledger(None, 4, Duration::ZERO);
    push_all(&mut ledger, 0..4, 10 * MIB);
    ledger.forming(MIB);
    let dropped = settle(&mut ledger, u64::MAX).dropped.number;
    assert_eq!(dropped, 0, "40 MiB and 1.5 are allowed");
    ledger.forming(2 * MIB);
    assert_eq!(settle(&mut ledger, u64::MAX).dropped.number, 1);
    ledger.forming(10 * MIB);
    assert_eq!(settle(&mut ledger, u64::MAX).dropped.number, 0);
    assert_eq!(ledger.bytes(), 40 * MIB);
}

#[test]
fn a_share_is_never_passed() {
    let mut ledger = ledger(None, 100, Duration::ZERO);
    push_all(&mut ledger, 0..10, MIB);
    assert_eq!(settle(&mut ledger, 4 * MIB).dropped.number, 6);
    assert_eq!(numbers(&ledger), [6, 7, 8, 9]);
}

#[test]
fn who_gives_way_waits_for_the_disk_as_long_as_it_takes_something() {
    let mut ledger = ledger(OVERFLOW, 10, Duration::ZERO);
    push_all(&mut ledger, 0..6, 100);
    assert!(take(&mut ledger, 0));
    ledger.reclaim(true);
    let settled = settle(&mut ledger, 200);
    assert_eq!((settled.dropped.number, settled.store), (0, Some(1)));
    assert_eq!((ledger.firm_bytes(), first(&ledger)), (200, None), "no more is fixed");
    assert!(!take(&mut ledger, 2));
    stored(&mut ledger, 1);
    assert_eq!(settle(&mut ledger, 200).store, Some(2));
    ledger.found(2, Holding::Nothing);
    assert_eq!(settle(&mut ledger, 200).dropped.number, 3, "the disk takes nothing");
    assert_eq!((numbers(&ledger), ledger.entries[&0].fate == Fate::Sending), (vec![0, 5], true));

    ledger.reclaim(true);
    let settled = settle(&mut ledger, 0);
    assert_eq!((settled.dropped.number, settled.store), (0, Some(5)), "asked again");
    ledger.failed(0);
    ledger.reclaim(false);
    assert_eq!(settle(&mut ledger, 0).dropped.number, 1, "the time is over");
    assert_eq!(numbers(&ledger), [5], "it is still on its way to the disk");
}

#[test]
fn the_oldest_is_always_the_next_where_times_have_to_rise() {
    let mut ledger = Ledger::new(OVERFLOW, 3, Duration::ZERO, Backfill::Before);
    for number in 0..3 {
        ledger.inherit(&whole(number, MIB, SECOND));
    }
    (3..6).for_each(|number| push(&mut ledger, number, MIB));
    let mut offered = Vec::new();
    while let Next::Upload(upload) = ledger.next_upload(Instant::now()) {
        assert!(ledger.sending(&upload));
        offered.push(upload.number);
        ledger.sent(&upload, "n".into());
        ledger.confirmed();
        if upload.number == 1 {
            assert_eq!(settle(&mut ledger, u64::MAX).store, Some(3));
        }
        if upload.number == 2 {
            assert!(first(&ledger).is_none(), "the disk is storing the next one");
            stored(&mut ledger, 3);
        }
    }
    assert_eq!(offered, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn only_what_begins_where_the_last_one_ended_continues_it() {
    let mut ledger = ledger(OVERFLOW, 9, Duration::ZERO);
    for number in 0..6 {
        push(&mut ledger, number, MIB);
    }
    let mut marks = Vec::new();
    let send = |ledger: &mut Ledger, number| {
        let entry = &ledger.entries[&number];
        let upload = ledger.upload(number, entry, entry.source().unwrap());
        ledger.sent(&upload, "n".into());
        ledger.confirmed();
        upload.discontinuity
    };
    marks.push(send(&mut ledger, 0));
    marks.push(send(&mut ledger, 1));
    // A part of the next one is lost on the card.
    ledger.writing(2);
    ledger.drop_chunks(2);
    ledger.found(2, Holding::Whole(whole(2, MIB, SECOND / 4)));
    assert_eq!(ledger.stats().dropped, Dropped { number: 1, time: SECOND - SECOND / 4 });
    marks.push(send(&mut ledger, 2));
    marks.push(send(&mut ledger, 3));
    // From the card, and in its place.
    ledger.writing(4);
    ledger.drop_chunks(4);
    stored(&mut ledger, 4);
    marks.push(send(&mut ledger, 4));
    marks.push(send(&mut ledger, 5));
    assert_eq!(marks, [true, false, false, true, false, false]);
    assert_eq!(ledger.stats().dropped.number, 1);
}

#[test]
fn one_at_a_time_is_stored_before_it_would_be_lost() {
    let mut ledger = ledger(OVERFLOW, 4, Duration::ZERO);
    let live = |ledger: &Ledger| {
        let found = ledger.in_memory().find(|(number, _)| !ledger.is_storing(*number));
        found.map(|(number, _)| number)
    };
    for number in 0..3 {
        push(&mut ledger, number, MIB);
        assert!(settle(&mut ledger, u64::MAX).store.is_none(), "{number}");
    }
    assert!(take(&mut ledger, 0));
    push(&mut ledger, 3, MIB);
    assert_eq!(settle(&mut ledger, u64::MAX).store, Some(1));
    assert_eq!(live(&ledger), Some(0));
    ledger.failed(0);
    assert!(settle(&mut ledger, u64::MAX).store.is_none(), "the disk is busy");
    push(&mut ledger, 4, MIB);
    let dropped = settle(&mut ledger, 5 * MIB).dropped.number;
    assert_eq!(dropped, 0, "the share has room until then");
    push(&mut ledger, 5, MIB);
    assert_eq!(settle(&mut ledger, 5 * MIB).dropped.number, 1, "too slow for that");
    assert_eq!(numbers(&ledger), [1, 2, 3, 4, 5]);
    assert_eq!(first(&ledger), Some(2), "the first is on its way to the disk");

    stored(&mut ledger, 1);
    assert_eq!(settle(&mut ledger, u64::MAX).store, Some(2));
    stored(&mut ledger, 2);
    assert!(settle(&mut ledger, u64::MAX).store.is_none(), "there is room for one more");
    push(&mut ledger, 6, MIB);
    assert_eq!(settle(&mut ledger, u64::MAX).store, Some(3));
    ledger.found(3, Holding::Nothing);
    assert!(settle(&mut ledger, u64::MAX).store.is_none(), "a bad disk is not asked at once");
    push(&mut ledger, 7, MIB);
    assert_eq!(settle(&mut ledger, u64::MAX).store, Some(3));
}

#[test]
fn two_that_come_at_once_both_reach_the_disk() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    let mut given = Vec::new();
    for number in 0..6 {
        push(&mut ledger, number, MIB);
        let settled = settle(&mut ledger, 8 * MIB);
        assert_eq!(settled.dropped.number, 0);
        given.extend(settled.store);
    }
    assert_eq!(given, [0], "one at a time");
    while let Some((number, _)) = ledger.storing {
        stored(&mut ledger, number);
        given.extend(settle(&mut ledger, 8 * MIB).store);
    }
    assert_eq!((given, numbers(&ledger)), (vec![0, 1, 2, 3], vec![4, 5]));
}

#[test]
fn what_a_bad_disk_does_not_take_goes_with_the_count() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    for number in 0..5 {
        push(&mut ledger, number, MIB);
        settle(&mut ledger, u64::MAX);
    }
    ledger.found(0, Holding::Nothing);
    assert_eq!(settle(&mut ledger, u64::MAX).dropped.number, 2);
    assert_eq!(numbers(&ledger), [2, 3, 4]);
}

#[test]
fn what_is_on_the_shelf_already_is_no_loss() {
    let mut ledger = ledger(Some(SpoolMode::Always), 2, Duration::ZERO);
    for number in 0..5 {
        let card = if number == 1 { OnCard::Nothing } else { OnCard::Whole };
        ledger.completed(segment(number, MIB, SECOND), card);
        settle(&mut ledger, u64::MAX);
    }
    assert_eq!(ledger.losses.dropped().number, 1);
    assert_eq!(numbers(&ledger), [3, 4]);
}

#[test]
fn what_was_to_be_written_counts_when_it_is_not() {
    let mut ledger = ledger(Some(SpoolMode::Always), 2, Duration::ZERO);
    for number in 0..4 {
        ledger.completed(segment(number, MIB, SECOND), OnCard::Writing);
        settle(&mut ledger, u64::MAX);
    }
    assert_eq!((ledger.losses.dropped().number, numbers(&ledger)), (0, vec![2, 3]));
    ledger.found(0, Holding::Part);
    ledger.found(2, Holding::Nothing);
    assert_eq!(ledger.losses.dropped(), Dropped { number: 1, time: SECOND });
    ledger.evicted(2);
    assert_eq!(ledger.losses.dropped().number, 1, "memory has it");
}

#[test]
fn what_the_disk_writes_although_it_is_not_wanted_any_more_is_deleted() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    push(&mut ledger, 0, MIB);
    assert!(take(&mut ledger, 0));
    ledger.writing(0);
    uploaded(&mut ledger, 0);
    assert_eq!(settle(&mut ledger, u64::MAX).removed, [0]);
    stored(&mut ledger, 0);
    assert_eq!(settle(&mut ledger, u64::MAX).removed, [0], "it came after it was removed");
    assert_eq!(first(&ledger), None);
}

#[test]
fn what_an_earlier_run_wrote_late_is_uploaded() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    ledger.found(9, Holding::Part);
    assert_eq!((first(&ledger), ledger.waiting()), (None, 0), "a part is of use after a crash");
    stored(&mut ledger, 9);
    assert_eq!((first(&ledger), ledger.waiting()), (Some(9), 1));
    ledger.evicted(9);
    assert_eq!(
        (first(&ledger), ledger.losses.dropped()),
        (None, Dropped { number: 1, time: SECOND })
    );
}

#[test]
fn a_disk_that_hangs_holds_what_it_was_given() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    for number in 0..3 {
        push(&mut ledger, number, MIB);
        settle(&mut ledger, u64::MAX);
    }
    ledger.stalled();
    for number in 3..6 {
        push(&mut ledger, number, MIB);
        assert!(settle(&mut ledger, u64::MAX).store.is_none());
    }
    assert_eq!((numbers(&ledger), ledger.in_flight_bytes()), (vec![3, 4, 5], MIB));
    assert_eq!(ledger.losses.dropped().number, 2, "one may still arrive");
    stored(&mut ledger, 0);
    assert_eq!((first(&ledger), ledger.in_flight_bytes(), ledger.waiting()), (Some(3), 0, 4));
}

#[derive(Clone, Debug)]
enum Step {
    Forming(u64),
    Push(u64, u64),
    Take(usize),
    Release,
    Done,
    Begin,
    Decline,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6 * MIB).prop_map(Step::Forming),
        4 => (1..6 * MIB, 1..20u64).prop_map(|(bytes, seconds)| Step::Push(bytes, seconds)),
        2 => (0..4usize).prop_map(Step::Take),
        1 => Just(Step::Release),
        2 => Just(Step::Done),
        1 => Just(Step::Begin),
        1 => Just(Step::Decline),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    /// An account of where each segment is runs beside the ledger.
    #[test]
    fn every_segment_is_accounted_for(
        steps in steps(),
        capacity in 2..6usize,
        prerecord in 0..60u64,
        allowed in prop_oneof![Just(u64::MAX), 8 * MIB..20 * MIB],
    ) {
        let mut ledger = ledger(None, capacity, Duration::from_secs(prerecord));
        let mut held: Vec<(u64, u64, u64)> = Vec::new();
        let (mut next, mut busy, mut largest, mut forming) = (0, None, 0, 0);
        for step in steps {
            match step {
                Step::Forming(bytes) => {
                    forming = bytes;
                    ledger.forming(bytes);
                }
                Step::Push(bytes, seconds) => {
                    forming = 0;
                    held.push((next, bytes, seconds));
                    let time = Duration::from_secs(seconds);
                    ledger.completed(segment(next, bytes, time), OnCard::Nothing);
                    next += 1;
                    largest = largest.max(bytes);
                }
                Step::Take(i) if busy.is_none() => {
                    busy = held.get(i).map(|(number, ..)| *number);
                    if let Some(number) = busy {
                        prop_assert!(take(&mut ledger, number));
                    }
                }
                Step::Take(_) => {}
                Step::Release => if let Some(number) = busy.take() {
                    ledger.failed(number);
                }
                Step::Done => if let Some(number) = busy.take() {
                    uploaded(&mut ledger, number);
                    held.retain(|(n, ..)| *n != number);
                }
                Step::Begin => ledger.created(),
                Step::Decline => ledger.not_now(busy.take().unwrap_or(u64::MAX)),
            }
            largest = largest.max(forming);
            let settled = settle(&mut ledger, allowed);
            let kept = numbers(&ledger);
            prop_assert!(kept.iter().all(|n| held.iter().any(|(number, ..)| number == n)));
            let gone: Vec<_> = held.iter().filter(|(n, ..)| !kept.contains(n)).copied().collect();

            // Every segment that was dropped was counted or was not wanted.
            let counted: Vec<_> = gone.iter().filter(|(n, ..)| ledger.wants(*n)).collect();
            prop_assert_eq!(settled.dropped.number, counted.len() as u64);
            let time = counted.iter().map(|(.., seconds)| *seconds).sum();
            prop_assert_eq!(settled.dropped.time, Duration::from_secs(time));
            // The oldest segments are dropped first, and never the one that is being uploaded. What is
            // wanted stays when something newer is not.
            prop_assert!(gone.iter().all(|(n, ..)| Some(*n) != busy));
            for wanted in [true, false] {
                let newest = gone.iter().map(|(n, ..)| *n).filter(|n| ledger.wants(*n) == wanted).max();
                let mut kept = kept.iter().filter(|n| ledger.wants(**n) == wanted);
                prop_assert!(kept.all(|n| Some(*n) == busy || Some(*n) > newest));
            }

            // What is left fits, unless none of it may be dropped.
            let most = (largest * capacity as u64 + SLACK).min(allowed);
            let fits = |sizes: &[u64]| {
                sizes.len() <= capacity && sizes.iter().sum::<u64>() + forming <= most
            };
            let sizes: Vec<u64> = ledger.in_memory().map(|(_, entry)| entry.bytes).collect();
            let stuck = kept.iter().all(|n| Some(*n) == busy);
            prop_assert!(fits(&sizes) || stuck, "{} + {forming} > {most}", ledger.bytes());
            prop_assert_eq!(ledger.bytes(), sizes.iter().sum::<u64>() + forming);

            // Nothing was dropped that could have stayed.
            if let Some((number, bytes, _)) = gone.last() {
                let unwanted = ledger.in_memory().filter(|(n, _)| !ledger.wants(*n));
                let newer = unwanted.map(|(_, entry)| entry.duration.as_secs()).sum::<u64>();
                let needless = !ledger.wants(*number) && newer >= prerecord;
                prop_assert!(!fits(&[&sizes[..], &[*bytes]].concat()) || needless);
            }
            held.retain(|(n, ..)| kept.contains(n));
        }
    }
}

/// Changes of what is in memory: the segment that is being cut grows, is complete, and so on.
#[derive(Clone, Debug)]
enum Event {
    Grow(u64),
    Complete,
    Upload,
    Uploaded,
    Failed,
    Stored,
    Refused,
}

proptest! {
    /// The ledger has the share that a session of this many segments sets aside.
    #[test]
    fn complete_and_forming_and_storing_never_exceed_the_share(
        events in prop::collection::vec(
            prop_oneof![
                4 => (1..=4 * MIB).prop_map(Event::Grow),
                4 => Just(Event::Complete),
                2 => Just(Event::Upload),
                1 => Just(Event::Uploaded),
                1 => Just(Event::Failed),
                1 => Just(Event::Stored),
                1 => Just(Event::Refused),
            ],
            1..200,
        ),
        count in 1..5u32,
        max_bytes in prop_oneof![Just(100_000), Just(MIB), Just(4 * MIB), 1..8 * MIB],
        mode in prop_oneof![
            Just(None),
            Just(Some(SpoolMode::Overflow)),
            Just(Some(SpoolMode::Always)),
        ],
    ) {
        let count = count.max(least_segments(mode));
        let allowed = u64::from(count) * max_bytes + 2 * MIB - RESERVE;
        let card = if mode == Some(SpoolMode::Always) { OnCard::Whole } else { OnCard::Nothing };
        let mut ledger = ledger(mode, count as usize, Duration::ZERO);
        ledger.created();
        let (mut next, mut forming, mut storing, mut busy) = (0, 0, None, None);
        for event in events {
            match event {
                Event::Grow(bytes) => {
                    forming = max_bytes.min(forming + bytes);
                    ledger.forming(forming);
                }
                Event::Complete => {
                    ledger.completed(segment(next, std::mem::take(&mut forming), SECOND), card);
                    next += 1;
                }
                Event::Upload => if busy.is_none() {
                    let mut free = numbers(&ledger).into_iter();
                    busy = free.find(|number| !ledger.is_storing(*number));
                    busy = busy.filter(|number| take(&mut ledger, *number));
                }
                Event::Uploaded => if let Some(number) = busy.take() {
                    uploaded(&mut ledger, number);
                }
                Event::Failed => if let Some(number) = busy.take() {
                    ledger.failed(number);
                }
                Event::Stored => if let Some(number) = storing.take() {
                    stored(&mut ledger, number);
                }
                Event::Refused => if let Some(number) = storing.take() {
                    ledger.found(number, Holding::Nothing);
                }
            }
            storing = settle(&mut ledger, allowed).store.or(storing);
            prop_assert!(ledger.bytes() <= allowed, "{} > {allowed}", ledger.bytes());
        }
    }
}

#[path = "ledger_model_tests.rs"]
mod model;

#[path = "ledger_pause_tests.rs"]
mod pause;
