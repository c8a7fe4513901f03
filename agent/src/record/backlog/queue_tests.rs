use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::SpoolMode;
use crate::record::Start;
use crate::record::backlog::{RESERVE, least_segments};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

fn segment(number: u64, bytes: u64, duration: Duration) -> Segment {
    let start = Start::Media(duration * number as u32);
    let chunks: std::sync::Arc<[Bytes]> = std::sync::Arc::new([]);
    Segment { number, start, duration, discontinuity: false, bytes, chunks }
}

fn queue(segments: usize, prerecord: Duration) -> Queue {
    Queue::new(Limits { segments, prerecord })
}

fn settle(queue: &mut Queue) -> Settled {
    queue.settle(u64::MAX, &Spill::Drop)
}

fn numbers(queue: &Queue) -> Vec<u64> {
    queue.waiting().iter().map(|segment| segment.number).collect()
}

/// Pushes and settles; what was dropped.
fn push_all(queue: &mut Queue, numbers: std::ops::Range<u64>, bytes: u64) -> Dropped {
    let mut dropped = Dropped::default();
    for number in numbers {
        queue.push(segment(number, bytes, 10 * SECOND));
        let gone = settle(queue).dropped;
        dropped.add(gone.number, gone.time);
    }
    dropped
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let mut queue = queue(3, Duration::ZERO);
    let dropped = push_all(&mut queue, 0..5, 100);
    assert_eq!(dropped, Dropped { number: 2, time: 20 * SECOND });
    assert_eq!(numbers(&queue), [2, 3, 4]);
}

#[test]
fn the_one_being_uploaded_stays() {
    let mut queue = queue(3, Duration::ZERO);
    push_all(&mut queue, 0..3, 100);
    assert_eq!(queue.take(0).unwrap().number, 0);
    push_all(&mut queue, 3..5, 100);
    assert_eq!(numbers(&queue), [0, 3, 4]);
    queue.release();
    push_all(&mut queue, 5..6, 100);
    assert_eq!(numbers(&queue), [3, 4, 5]);
    assert!(queue.take(0).is_none(), "it had to go");
}

#[test]
fn what_is_being_cut_takes_its_part_of_the_memory() {
    let mut queue = queue(4, Duration::ZERO);
    push_all(&mut queue, 0..4, 10 * MIB);
    queue.forming(MIB);
    assert_eq!(settle(&mut queue).dropped.number, 0, "40 MiB and 1.5 are allowed");
    queue.forming(2 * MIB);
    assert_eq!(settle(&mut queue).dropped.number, 1);
    queue.forming(10 * MIB);
    assert_eq!(settle(&mut queue).dropped.number, 0);
    assert_eq!(queue.bytes(), 40 * MIB);
}

#[test]
fn a_share_is_never_passed() {
    let mut queue = queue(100, Duration::ZERO);
    push_all(&mut queue, 0..10, MIB);
    assert_eq!(queue.settle(4 * MIB, &Spill::Drop).dropped.number, 6);
    assert_eq!(numbers(&queue), [6, 7, 8, 9]);
}

#[test]
fn who_gives_way_waits_for_the_disk_as_long_as_it_takes_something() {
    let mut queue = queue(10, Duration::ZERO);
    push_all(&mut queue, 0..6, 100);
    queue.take(0).unwrap();
    queue.give_way(true);
    let settled = queue.settle(200, &Spill::Store);
    assert_eq!((settled.dropped.number, settled.store.unwrap().number), (0, 1));
    assert_eq!((queue.firm_bytes(), queue.first().is_none()), (200, true), "no more is fixed");
    assert!(queue.take(2).is_none());
    queue.remove(1);
    assert_eq!(queue.settle(200, &Spill::Store).store.unwrap().number, 2);
    queue.keep(2);
    assert_eq!(queue.settle(200, &Spill::Store).dropped.number, 3, "the disk takes nothing");
    assert_eq!((numbers(&queue), queue.first().unwrap().number), (vec![0, 5], 0));

    queue.give_way(true);
    let settled = queue.settle(0, &Spill::Store);
    assert_eq!((settled.dropped.number, settled.store.unwrap().number), (0, 5), "asked again");
    queue.release();
    queue.give_way(false);
    assert_eq!(queue.settle(0, &Spill::Store).dropped.number, 1, "the time is over");
    assert_eq!(numbers(&queue), [5], "it is still on its way to the disk");
}

#[test]
fn while_nobody_wants_it_as_much_is_kept_as_was_ordered() {
    for (prerecord, kept) in [(0, 1), (10, 1), (11, 2), (25, 3), (30, 3), (1000, 5)] {
        let mut queue = queue(5, prerecord * SECOND);
        queue.push(segment(0, 100, 10 * SECOND));
        queue.take(0).unwrap();
        queue.decline();
        let dropped = push_all(&mut queue, 1..20, 100);
        assert_eq!(dropped.number, 0, "nothing of it is a loss");
        assert_eq!(numbers(&queue), (20 - kept..20).collect::<Vec<_>>(), "{prerecord} s");
    }
}

#[test]
fn a_question_in_flight_keeps_what_follows_it() {
    let mut queue = queue(10, 20 * SECOND);
    push_all(&mut queue, 0..1, 100);
    queue.decline();
    push_all(&mut queue, 1..3, 100);
    queue.take(1).unwrap();
    push_all(&mut queue, 3..6, 100);
    assert_eq!(numbers(&queue), [1, 2, 3, 4, 5], "the answer may be an address");
    queue.begin();
    push_all(&mut queue, 6..8, 100);
    assert_eq!(numbers(&queue), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn it_is_asked_again_when_the_next_is_complete() {
    let mut queue = queue(5, Duration::ZERO);
    push_all(&mut queue, 0..1, 100);
    assert!(queue.ready());
    queue.decline();
    assert!(!queue.ready());
    push_all(&mut queue, 1..2, 100);
    assert!(queue.ready());
}

#[test]
fn a_not_now_after_the_first_address_lets_nothing_go() {
    let mut queue = queue(5, Duration::ZERO);
    push_all(&mut queue, 0..2, 100);
    queue.begin();
    queue.decline();
    push_all(&mut queue, 2..4, 100);
    assert_eq!((queue.phase(), numbers(&queue)), (Phase::Begun, vec![0, 1, 2, 3]));
}

#[test]
fn one_at_a_time_is_stored_before_it_would_be_lost() {
    let mut queue = queue(4, Duration::ZERO);
    let spill = &Spill::Store;
    for number in 0..3 {
        queue.push(segment(number, MIB, SECOND));
        assert!(queue.settle(u64::MAX, spill).store.is_none(), "{number}");
    }
    queue.take(0).unwrap();
    queue.push(segment(3, MIB, SECOND));
    assert_eq!(queue.settle(u64::MAX, spill).store.unwrap().number, 1);
    assert_eq!(queue.first().unwrap().number, 0);
    queue.release();
    assert!(queue.settle(u64::MAX, spill).store.is_none(), "the disk is busy");
    queue.push(segment(4, MIB, SECOND));
    assert_eq!(queue.settle(5 * MIB, spill).dropped.number, 0, "the share has room until then");
    queue.push(segment(5, MIB, SECOND));
    assert_eq!(queue.settle(5 * MIB, spill).dropped.number, 1, "too slow for that");
    assert_eq!(numbers(&queue), [1, 2, 3, 4, 5]);
    assert_eq!(queue.first().unwrap().number, 2, "the first is on its way to the disk");

    queue.remove(1);
    assert_eq!(queue.settle(u64::MAX, spill).store.unwrap().number, 2);
    queue.remove(2);
    assert!(queue.settle(u64::MAX, spill).store.is_none(), "there is room for one more");
    queue.push(segment(6, MIB, SECOND));
    assert_eq!(queue.settle(u64::MAX, spill).store.unwrap().number, 3);
    queue.keep(3);
    assert!(queue.settle(u64::MAX, spill).store.is_none(), "a bad disk is not asked at once");
    queue.push(segment(7, MIB, SECOND));
    assert_eq!(queue.settle(u64::MAX, spill).store.unwrap().number, 3);
}

#[test]
fn two_that_come_at_once_both_reach_the_disk() {
    let mut queue = queue(3, Duration::ZERO);
    let mut stored = Vec::new();
    for number in 0..6 {
        queue.push(segment(number, MIB, SECOND));
        let settled = queue.settle(8 * MIB, &Spill::Store);
        assert_eq!(settled.dropped.number, 0);
        stored.extend(settled.store.map(|segment| segment.number));
    }
    assert_eq!(stored, [0], "one at a time");
    while let Some(number) = queue.storing {
        queue.remove(number);
        let next = queue.settle(8 * MIB, &Spill::Store).store;
        stored.extend(next.map(|segment| segment.number));
    }
    assert_eq!((stored, numbers(&queue)), (vec![0, 1, 2, 3], vec![4, 5]));
}

#[test]
fn what_a_bad_disk_does_not_take_goes_with_the_count() {
    let mut queue = queue(3, Duration::ZERO);
    for number in 0..3 {
        queue.push(segment(number, MIB, SECOND));
        queue.settle(u64::MAX, &Spill::Store);
    }
    for number in 3..5 {
        queue.push(segment(number, MIB, SECOND));
        queue.settle(u64::MAX, &Spill::Store);
    }
    queue.keep(0);
    assert_eq!(queue.settle(u64::MAX, &Spill::Store).dropped.number, 2);
    assert_eq!(numbers(&queue), [2, 3, 4]);
}

#[test]
fn what_is_on_the_shelf_already_is_no_loss() {
    let mut queue = queue(2, Duration::ZERO);
    let has = |segment: &Segment| segment.number != 1;
    let mut dropped = 0;
    for number in 0..5 {
        queue.push(segment(number, MIB, SECOND));
        dropped += queue.settle(u64::MAX, &Spill::Shelved(&has)).dropped.number;
    }
    assert_eq!(dropped, 1);
    assert_eq!(numbers(&queue), [3, 4]);
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
    /// Beside the queue runs an account of where each segment is.
    #[test]
    fn every_segment_is_accounted_for(
        steps in steps(),
        capacity in 2..6usize,
        prerecord in 0..60u64,
        allowed in prop_oneof![Just(u64::MAX), 8 * MIB..20 * MIB],
    ) {
        let mut queue = queue(capacity, Duration::from_secs(prerecord));
        let mut held: Vec<(u64, u64, u64)> = Vec::new();
        let (mut next, mut busy, mut largest, mut forming) = (0, None, 0, 0);
        for step in steps {
            match step {
                Step::Forming(bytes) => {
                    forming = bytes;
                    queue.forming(bytes);
                }
                Step::Push(bytes, seconds) => {
                    forming = 0;
                    held.push((next, bytes, seconds));
                    queue.push(segment(next, bytes, Duration::from_secs(seconds)));
                    next += 1;
                    largest = largest.max(bytes);
                }
                Step::Take(i) if busy.is_none() => {
                    busy = held.get(i).map(|(number, ..)| *number);
                    if let Some(number) = busy {
                        prop_assert_eq!(queue.take(number).unwrap().number, number);
                    }
                }
                Step::Take(_) => {}
                Step::Release => {
                    busy = None;
                    queue.release();
                }
                Step::Done => if let Some(number) = busy.take() {
                    queue.remove(number).unwrap();
                    held.retain(|(n, ..)| *n != number);
                }
                Step::Begin => queue.begin(),
                Step::Decline => {
                    busy = None;
                    queue.decline();
                }
            }
            largest = largest.max(forming);
            let settled = settle_within(&mut queue, allowed);
            let kept: BTreeSet<u64> = numbers(&queue).into_iter().collect();
            prop_assert!(numbers(&queue).windows(2).all(|pair| pair[0] < pair[1]), "in order");
            prop_assert!(kept.iter().all(|n| held.iter().any(|(number, ..)| number == n)));
            let gone: Vec<_> = held.iter().filter(|(n, ..)| !kept.contains(n)).copied().collect();

            // All that went was either counted or not wanted.
            let lost = settled.dropped.number + settled.released.len() as u64;
            prop_assert_eq!(gone.len() as u64, lost);
            if queue.phase() == Phase::NotNow {
                prop_assert_eq!(settled.dropped, Dropped::default());
            } else {
                let time = gone.iter().map(|(.., seconds)| *seconds).sum();
                prop_assert_eq!(settled.dropped.time, Duration::from_secs(time));
            }
            // The oldest go, and never the one being uploaded.
            let newest = gone.iter().map(|(n, ..)| *n).max();
            prop_assert!(gone.iter().all(|(n, ..)| Some(*n) != busy));
            prop_assert!(kept.iter().all(|n| Some(*n) == busy || Some(*n) > newest));

            // What is left fits, unless nothing of it may go.
            let most = (largest * capacity as u64 + SLACK).min(allowed);
            let fits = |sizes: &[u64]| {
                sizes.len() <= capacity && sizes.iter().sum::<u64>() + forming <= most
            };
            let sizes: Vec<u64> = queue.waiting().iter().map(|s| s.bytes).collect();
            let stuck = kept.iter().all(|n| Some(*n) == busy);
            prop_assert!(fits(&sizes) || stuck, "{} + {forming} > {most}", queue.bytes());
            prop_assert_eq!(queue.bytes(), sizes.iter().sum::<u64>() + forming);

            // And nothing went that could have stayed.
            if let Some((_, bytes, _)) = gone.last() {
                let rest: u64 = queue.waiting().iter().skip(1).map(|s| s.duration.as_secs()).sum();
                let first = queue.waiting().front().map_or(0, |s| s.duration.as_secs());
                let needless = queue.phase() == Phase::NotNow && first + rest >= prerecord;
                prop_assert!(!fits(&[&sizes[..], &[*bytes]].concat()) || needless);
            }
            held.retain(|(n, ..)| kept.contains(n));
        }
    }
}

/// What happens to memory: the segment being cut grows, is complete, and so on.
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
    /// With the share that a session of this many segments sets aside.
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
        let spill = match mode {
            None => Spill::Drop,
            Some(SpoolMode::Overflow) => Spill::Store,
            Some(SpoolMode::Always) => Spill::Shelved(&|_| true),
        };
        let mut queue = queue(count as usize, Duration::ZERO);
        queue.begin();
        let (mut next, mut forming, mut storing) = (0, 0, None);
        for event in events {
            match event {
                Event::Grow(bytes) => {
                    forming = max_bytes.min(forming + bytes);
                    queue.forming(forming);
                }
                Event::Complete => {
                    queue.push(segment(next, std::mem::take(&mut forming), SECOND));
                    next += 1;
                }
                Event::Upload => if queue.busy.is_none() {
                    let first = queue.first().map(|segment| segment.number);
                    first.map(|number| queue.take(number).is_some());
                }
                Event::Uploaded => if let Some(number) = queue.busy {
                    queue.remove(number);
                }
                Event::Failed => queue.release(),
                Event::Stored => if let Some(number) = storing.take() {
                    queue.remove(number);
                }
                Event::Refused => if let Some(number) = storing.take() {
                    queue.keep(number);
                }
            }
            let settled = queue.settle(allowed, &spill);
            storing = settled.store.map(|segment| segment.number).or(storing);
            prop_assert!(queue.bytes() <= allowed, "{} > {allowed}", queue.bytes());
        }
    }
}

fn settle_within(queue: &mut Queue, allowed: u64) -> Settled {
    queue.settle(allowed, &Spill::Drop)
}
