use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::frame::{AudioCodec, AudioParams, Track};
use crate::testing::{picture, sound};

const SIZE: usize = 40;
const COST: usize = SIZE + FRAME_OVERHEAD;

/// A frame for each second, with its number as its time.
fn frame(key: bool, second: i64) -> Frame {
    let params = AudioParams {
        codec: AudioCodec::Pcma,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    };
    Frame {
        track: Track::Audio(Arc::new(params)),
        key,
        discontinuity: false,
        leading: false,
        pts: second * 90_000,
        dts: second * 90_000,
        received: Instant::now(),
        data: Bytes::from_static(&[0; SIZE]),
    }
}

fn hub_with(frames: usize, seconds: std::ops::Range<i64>, gop: i64) -> Arc<Hub> {
    let hub = Hub::new(frames * COST);
    for second in seconds {
        hub.push(frame(second % gop == 0, second));
    }
    hub
}

fn second(item: Option<Item>) -> i64 {
    match item {
        Some(Item::Frame(frame)) => frame.dts / 90_000,
        other => panic!("want a frame, got {other:?}"),
    }
}

#[test]
fn slow_reader_gets_one_gap_and_resumes_on_a_key_frame() {
    let hub = hub_with(4, 0..1, 3);
    let mut slow = hub.reader(Start::LastKey);
    assert_eq!(second(slow.try_next()), 0);
    for s in 1..10 {
        hub.push(frame(s % 3 == 0, s));
    }
    assert!(matches!(slow.try_next(), Some(Item::Gap { lost: 5 })), "1 to 5 are gone");
    assert_eq!((6..10).map(|_| second(slow.try_next())).collect::<Vec<_>>(), [6, 7, 8, 9]);
    assert!(slow.try_next().is_none());
}

#[test]
fn catching_up_goes_ahead_only() {
    let hub = hub_with(100, 0..1, 3);
    let mut reader = hub.reader(Start::LastKey);
    for s in 1..9 {
        hub.push(frame(s % 3 == 0, s));
    }
    assert_eq!(second(reader.try_next()), 0);
    assert_eq!(reader.catch_up(), 5, "1 to 5 are lost");
    assert_eq!((reader.catch_up(), second(reader.try_next())), (0, 6));
    assert_eq!((reader.catch_up(), second(reader.try_next())), (0, 7));
}

#[test]
fn the_tracks_are_those_of_the_newest_key_frame() {
    let hub = Hub::new(1 << 20);
    assert!(hub.tracks().is_empty());
    hub.expect_sound(true);
    hub.push(picture(true, 0, 10, Instant::now()));
    assert!(matches!(hub.tracks()[..], [Track::Video(_)]));
    hub.push(sound(1, Instant::now()));
    assert!(matches!(hub.tracks()[..], [Track::Video(_), Track::Audio(_)]));
    hub.interrupt();
    assert!(hub.tracks().is_empty(), "the camera is away");
}

#[test]
fn live_starts_at_the_next_key_frame_without_a_gap() {
    let hub = hub_with(100, 0..5, 4);
    let mut reader = hub.reader(Start::Live);
    hub.push(frame(false, 5));
    assert!(reader.try_next().is_none());
    hub.push(frame(true, 6));
    assert_eq!(second(reader.try_next()), 6);
}

#[test]
fn last_key_starts_at_the_newest_key_frame_held() {
    let hub = hub_with(100, 0..7, 3);
    assert_eq!(second(hub.reader(Start::LastKey).try_next()), 6);
    let empty = Hub::new(1000);
    let mut reader = empty.reader(Start::LastKey);
    empty.push(frame(false, 0));
    assert!(reader.try_next().is_none());
    empty.push(frame(true, 1));
    assert_eq!(second(reader.try_next()), 1);
}

#[test]
fn after_an_interruption_the_last_key_frame_is_one_that_came_since() {
    let hub = hub_with(100, 0..7, 3);
    hub.interrupt();
    let mut reader = hub.reader(Start::LastKey);
    assert!(reader.try_next().is_none());
    assert_eq!(second(hub.reader(Start::Back(Duration::ZERO)).try_next()), 6, "the past stays");
    hub.push(frame(true, 7));
    assert_eq!(second(reader.try_next()), 7);
    assert_eq!(second(hub.reader(Start::LastKey).try_next()), 7);
}

#[test]
fn back_does_not_reach_over_an_outage() {
    let hub = hub_with(100, 0..20, 2);
    for second in 3600..3604 {
        hub.push(frame(second % 2 == 0, second));
    }
    let back = |age| second(hub.reader(Start::Back(Duration::from_secs(age))).try_next());
    assert_eq!(back(0), 3602);
    assert_eq!(back(3), 3600);
    assert_eq!(back(10), 3600, "what was an hour ago is not wanted");
    assert_eq!(back(3590), 12, "unless it is");
}

#[test]
fn back_starts_on_the_latest_key_frame_old_enough() {
    let hub = hub_with(100, 0..12, 4);
    for (age, want) in [(0, 8), (3, 8), (4, 4), (7, 4), (8, 0), (11, 0), (60, 0)] {
        let mut reader = hub.reader(Start::Back(Duration::from_secs(age)));
        assert_eq!(second(reader.try_next()), want, "{age} s back");
    }
}

#[test]
fn endless_gop_stays_within_budget_and_flows_to_who_keeps_up() {
    let hub = hub_with(4, 0..1, 1);
    let mut quick = hub.reader(Start::LastKey);
    assert_eq!(second(quick.try_next()), 0);
    for s in 1..100 {
        hub.push(frame(false, s));
        assert!(hub.held_bytes() <= 4 * COST);
        assert_eq!(second(quick.try_next()), s);
    }
    let mut late = hub.reader(Start::LastKey);
    assert!(late.try_next().is_none(), "nothing held can be decoded from");
    hub.push(frame(true, 100));
    assert_eq!(second(late.try_next()), 100);
    assert_eq!(second(quick.try_next()), 100);
}

#[test]
fn reader_lost_in_an_endless_gop_waits_for_the_next_key_frame() {
    let hub = hub_with(4, 0..1, 1);
    let mut slow = hub.reader(Start::LastKey);
    assert_eq!(second(slow.try_next()), 0);
    for s in 1..50 {
        hub.push(frame(false, s));
        assert!(s < 5 || slow.try_next().is_none());
    }
    hub.push(frame(true, 50));
    assert!(matches!(slow.try_next(), Some(Item::Gap { lost: 49 })));
    assert_eq!(second(slow.try_next()), 50);
}

#[test]
fn a_frame_larger_than_the_ring_pushes_nothing_out_until_the_next_comes() {
    let hub = hub_with(2, 0..2, 1);
    let mut reader = hub.reader(Start::Back(Duration::from_secs(1)));
    hub.push(Frame { data: Bytes::from(vec![0; 1000]), ..frame(true, 2) });
    assert!(reader.crowded().now_or_never().is_some(), "it is time to read");
    assert_eq!(given(&mut reader), [0, 1, 2]);
    hub.push(frame(true, 3));
    assert_eq!(hub.held_bytes(), COST, "and does not stay");
    assert_eq!(given(&mut reader), [3]);
}

#[test]
fn a_ring_follows_its_key_frames_before_they_push_anything_out() {
    let reserve = Reserve::new(1 << 20);
    let hub = Hub::growing(8 * COST, Arc::clone(&reserve));
    let key = |second| Frame { data: Bytes::from(vec![0; 10 * COST]), ..frame(true, second) };
    let mut reader = hub.reader(Start::Live);
    for second in 0..8 {
        hub.push(frame(second == 0, second));
    }
    (8..11).for_each(|second| hub.push(key(second)));
    assert_eq!(given(&mut reader), (0..11).collect::<Vec<_>>());
    let size = 3 * (10 * COST + FRAME_OVERHEAD);
    hub.push(frame(false, 11));
    assert!((2 * size / 3..=size).contains(&hub.held_bytes()), "{}", hub.held_bytes());
    assert!(reserve.lent() > 0);
    hub.clear();
    assert_eq!(reserve.lent(), 0);
    hub.push(key(12));
    drop((hub, reader));
    assert_eq!(reserve.lent(), 0);
}

#[test]
fn a_reader_is_woken_when_its_ring_shrinks() {
    let reserve = Reserve::new(1 << 20);
    let hub = Hub::growing(8 * COST, Arc::clone(&reserve));
    let mut reader = hub.reader(Start::Live);
    hub.push(Frame { data: Bytes::from(vec![0; 10 * COST]), ..frame(true, 0) });
    assert_eq!(given(&mut reader), [0]);
    let mut crowded = Box::pin(reader.crowded());
    assert!(crowded.as_mut().now_or_never().is_none());
    hub.push(frame(false, 1));
    assert!(crowded.as_mut().now_or_never().is_none());
    reserve.resize(0);
    hub.push(frame(true, 2));
    assert!(crowded.as_mut().now_or_never().is_some(), "two of eight wait");
}

#[test]
fn clear_leaves_nothing_to_start_from() {
    let hub = hub_with(100, 0..9, 3);
    hub.clear();
    assert_eq!(hub.held_bytes(), 0);
    let mut reader = hub.reader(Start::Back(Duration::from_secs(5)));
    assert!(reader.try_next().is_none());
    hub.push(frame(true, 9));
    assert_eq!(second(reader.try_next()), 9);
}

/// The numbers of the frames that a reader is given now, with -1 for a gap.
fn given(reader: &mut Reader) -> Vec<i64> {
    std::iter::from_fn(|| match reader.try_next()? {
        Item::Frame(frame) => Some(frame.dts / 90_000),
        Item::Gap { .. } => Some(-1),
    })
    .collect()
}

/// A picture of an open group of four: key, leading, leading, trailing.
fn open_group(number: i64) -> Frame {
    let leading = matches!(number % 4, 1 | 2);
    Frame { leading, ..picture(number % 4 == 0, number * 90_000, SIZE, Instant::now()) }
}

#[test]
fn who_begins_at_a_key_frame_is_not_given_its_leading_pictures() {
    let hub = Hub::new(100 * COST);
    let mut first = hub.reader(Start::Live);
    for number in 0..6 {
        hub.push(open_group(number));
        if number == 1 {
            hub.push(sound(90_000, Instant::now()));
        }
    }
    let mut second = hub.reader(Start::LastKey);
    hub.push(open_group(6));
    hub.push(open_group(7));
    assert_eq!(given(&mut first), [0, 1, 3, 4, 5, 6, 7], "the sound, and then all");
    assert_eq!(given(&mut second), [4, 7]);
    hub.push(Frame { discontinuity: true, ..open_group(8) });
    (9..12).for_each(|number| hub.push(open_group(number)));
    assert_eq!(given(&mut first), [8, 11], "the camera was opened anew");
}

#[test]
fn leading_pictures_behind_a_gap_are_left_out() {
    let hub = Hub::new(6 * COST);
    let mut slow = hub.reader(Start::Live);
    hub.push(open_group(0));
    assert_eq!(given(&mut slow), [0]);
    (1..13).for_each(|number| hub.push(open_group(number)));
    assert_eq!(given(&mut slow), [-1, 8, 11, 12]);
    hub.push(open_group(13));
    assert_eq!(given(&mut slow), [13], "it is in flow again");
}

#[tokio::test]
async fn reader_wakes_on_push_and_ends_on_close() {
    let hub = Hub::new(1000);
    let mut reader = hub.reader(Start::Live);
    let task = tokio::spawn(async move {
        let mut frames = 0;
        while reader.next().await.is_some() {
            frames += 1;
        }
        frames
    });
    tokio::task::yield_now().await;
    hub.push(frame(true, 0));
    tokio::task::yield_now().await;
    hub.push(frame(false, 1));
    hub.close();
    assert_eq!(task.await.unwrap(), 2);
}

#[test]
fn reader_of_batches_is_woken_by_a_quarter_of_the_ring_and_not_before() {
    let hub = hub_with(16, 0..1, 1);
    let mut reader = hub.reader(Start::LastKey);
    assert_eq!(second(reader.try_next()), 0);
    for round in 0..10 {
        let mut crowded = Box::pin(reader.crowded());
        for n in 0..4 {
            assert!(crowded.as_mut().now_or_never().is_none(), "{n} of 16 wait");
            hub.push(frame(n == 0, round * 4 + n + 1));
        }
        assert!(crowded.now_or_never().is_some());
        assert!(reader.crowded().now_or_never().is_some(), "it still is");
        while reader.try_next().is_some() {}
    }
}

#[tokio::test]
async fn each_reader_of_batches_is_woken_in_its_time() {
    let hub = hub_with(16, 0..1, 1);
    let mut readers = [0, 2].map(|_| hub.reader(Start::LastKey));
    assert_eq!(second(readers[0].try_next()), 0);
    let [ahead, behind] = &mut readers;
    let mut waits = Box::pin(futures::future::join(ahead.crowded(), behind.crowded()));
    for n in 1..4 {
        assert!(waits.as_mut().now_or_never().is_none());
        hub.push(frame(true, n));
    }
    assert!(waits.as_mut().now_or_never().is_none(), "one of them has one less to read");
    hub.push(frame(true, 4));
    assert!(waits.now_or_never().is_some());
}

#[tokio::test]
async fn cancelled_wait_loses_no_frame() {
    let hub = Hub::new(10_000);
    let mut reader = hub.reader(Start::Live);
    assert!(reader.next().now_or_never().is_none());
    hub.push(frame(true, 0));
    hub.push(frame(false, 1));
    assert_eq!(second(reader.next().await), 0);
    assert_eq!(second(reader.next().now_or_never().unwrap()), 1);
}

proptest! {
    /// Whatever is pushed and read, the budget holds, frames come in order, every missed frame is
    /// counted, and a key frame follows each gap.
    #[test]
    fn every_frame_is_given_or_counted(
        steps in prop::collection::vec((any::<bool>(), 0usize..400, 0u8..3), 1..200),
        budget in 100usize..4000,
    ) {
        let hub = Hub::new(budget);
        let mut reader = hub.reader(Start::Live);
        let (mut expected, mut after_gap) = (None, true);
        for (number, (key, size, reads)) in steps.into_iter().enumerate() {
            hub.push(Frame { data: Bytes::from(vec![0; size]), ..frame(key, number as i64) });
            let cost = size + FRAME_OVERHEAD;
            let spared = if cost > budget / 4 { cost } else { 0 };
            prop_assert!(hub.held_bytes() <= budget + spared);
            for _ in 0..reads {
                match reader.try_next() {
                    None => break,
                    Some(Item::Gap { lost }) => {
                        expected = expected.map(|e| e + lost as i64);
                        after_gap = true;
                    }
                    Some(Item::Frame(frame)) => {
                        let number = frame.dts / 90_000;
                        prop_assert_eq!(number, expected.unwrap_or(number));
                        prop_assert!(frame.key || !after_gap);
                        expected = Some(number + 1);
                        after_gap = false;
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn declared_sound_is_waited_for_a_second_after_the_first_picture() {
    let patience = Duration::from_secs(1);
    let now = || tokio::time::Instant::now().into_std();
    let hub = Hub::new(1 << 20);
    hub.expect_sound(true);
    let mut reader = hub.reader(Start::LastKey);
    let started = now();
    let pushing = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        hub.push(picture(true, 0, 10, now()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        hub.push_silently(sound(10, now()));
    };
    let (known, ()) = tokio::join!(reader.sound(patience), pushing);
    assert!(known.is_some_and(|params| params.codec == AudioCodec::Pcma));
    assert_eq!(now() - started, Duration::from_millis(5300));
    assert!(reader.sound(patience).await.is_some(), "known at once from now on");

    hub.expect_sound(true);
    hub.push(picture(true, 20, 10, now()));
    let started = now();
    assert_eq!(reader.sound(patience).await, None);
    assert_eq!(now() - started, patience);
    let mut later = hub.reader(Start::LastKey);
    assert_eq!(later.sound(patience).await, None);
    assert_eq!(now() - started, patience, "who comes later waits no second time");
}

#[tokio::test(start_paused = true)]
async fn a_source_without_sound_is_begun_with_at_once() {
    let hub = Hub::new(1 << 20);
    hub.expect_sound(false);
    let mut reader = hub.reader(Start::LastKey);
    assert_eq!(reader.sound(Duration::from_secs(1)).now_or_never(), None, "no picture yet");
    hub.push(picture(true, 0, 10, Instant::now()));
    assert_eq!(reader.sound(Duration::from_secs(1)).now_or_never(), Some(None));
    hub.expect_sound(true);
    hub.learn_sound(&picture(false, 0, 10, Instant::now()));
    hub.learn_sound(&sound(0, Instant::now()));
    let known = reader.sound(Duration::from_secs(1)).now_or_never();
    assert!(known.is_some_and(|params| params.is_some()), "from before the first key frame");
    hub.expect_sound(false);
    hub.close();
    let mut late = hub.reader(Start::Live);
    assert_eq!(late.sound(Duration::from_secs(1)).now_or_never(), Some(None), "the end");
}
