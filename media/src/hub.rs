//! One ring of frames, many readers. The writer never waits for a reader, and no reader for another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::frame::{CLOCK_HZ, Frame, duration_to_ticks};
use crate::join::Join;

/// A longer silence is no slow stream.
const OUTAGE: i64 = 10 * CLOCK_HZ;
/// What a frame costs in the ring besides its data.
const FRAME_OVERHEAD: usize = 160;

/// A ring of frames bounded by bytes.
pub struct Hub {
    ring: Mutex<Ring>,
    arrived: Notify,
    /// For readers who wait until there is much to read.
    crowded: Notify,
}

/// Where a new reader begins. It always begins at a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The next key frame to arrive.
    Live,
    /// The newest key frame held from since the last interruption, or else the next.
    LastKey,
    /// The latest key frame at least this much older than the newest frame, or else the oldest
    /// held, or else the next.
    Back(Duration),
}

/// What a reader is given. It never begins with pictures that refer to one from before its first.
#[derive(Clone, Debug)]
pub enum Item {
    /// The next frame.
    Frame(Arc<Frame>),
    /// This many frames were lost to this reader. The next item is a key frame.
    Gap {
        /// Frames skipped.
        lost: u64,
    },
}

/// A position in a [`Hub`].
pub struct Reader {
    hub: Arc<Hub>,
    cursor: Cursor,
}

impl Hub {
    /// An empty ring holding at most `max_bytes` (or one frame, if that is larger), counting a
    /// little for each frame beside its data.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        let ring = Mutex::new(Ring::new(max_bytes));
        Arc::new(Self { ring, arrived: Notify::new(), crowded: Notify::new() })
    }

    /// Appends a frame and wakes the readers that wait for one. Readers still busy are left alone.
    pub fn push(&self, frame: impl Into<Arc<Frame>>) {
        let crowded = self.lock().push(frame.into());
        self.arrived.notify_waiters();
        if crowded {
            self.crowded.notify_waiters();
        }
    }

    /// Ends every reader once it has read what is held.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_waiters();
    }

    /// Whether the hub was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Forgets every frame held. Readers behind get a gap.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Tells that what comes from now on is not the sequel of what is held.
    pub fn interrupt(&self) {
        let mut ring = self.lock();
        ring.resumed = ring.end();
    }

    /// Bytes held, including the overhead of each frame.
    pub fn held_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A new reader.
    pub fn reader(self: &Arc<Self>, from: Start) -> Reader {
        let next = self.lock().start(from);
        Reader { hub: Arc::clone(self), cursor: Cursor::new(next) }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// The next item, in order. `None` once the hub is closed and everything held was read.
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            // Taken under the lock, so that a push after it cannot be missed.
            let arrived = {
                let ring = self.hub.lock();
                if let Some(item) = self.cursor.take(&ring) {
                    return Some(item);
                }
                if ring.closed {
                    return None;
                }
                self.hub.arrived.notified()
            };
            arrived.await;
        }
    }

    /// The next item if there is one already.
    pub fn try_next(&mut self) -> Option<Item> {
        self.cursor.take(&self.hub.lock())
    }

    /// Returns when what waits for this reader fills a quarter of the ring: who reads only now and
    /// then loses nothing of a burst. Cancel safe.
    pub async fn crowded(&mut self) {
        loop {
            let crowded = {
                let ring = &mut *self.hub.lock();
                let (waiting, quarter) = (ring.bytes_from(self.cursor.next), ring.quarter());
                if waiting >= quarter {
                    return;
                }
                ring.alarm = ring.alarm.min(ring.pushed + (quarter - waiting) as u64);
                self.hub.crowded.notified()
            };
            crowded.await;
        }
    }
}

struct Cursor {
    /// Number of the next frame wanted.
    next: u64,
    /// Nothing was given out yet: frames before the first key frame are not missed.
    fresh: bool,
    /// The next frame is a key frame that does not follow those given out.
    begins: bool,
    join: Join,
}

impl Cursor {
    fn new(next: u64) -> Self {
        Self { next, fresh: true, begins: true, join: Join::default() }
    }

    fn take(&mut self, ring: &Ring) -> Option<Item> {
        if self.fresh || self.next < ring.first {
            // Only a key frame will do; a gap is reported when there is one to go on with.
            let key = ring.keys.iter().copied().find(|&key| key >= self.next)?;
            let lost = key - self.next;
            self.next = key;
            self.begins = true;
            if !std::mem::take(&mut self.fresh) && lost > 0 {
                return Some(Item::Gap { lost });
            }
        }
        loop {
            let frame = ring.at(self.next)?;
            self.next += 1;
            // A camera that was opened anew knows nothing of its pictures from before.
            if std::mem::take(&mut self.begins) || frame.discontinuity {
                self.join.begin();
            } else if !self.join.admits(frame) {
                continue;
            }
            return Some(Item::Frame(Arc::clone(frame)));
        }
    }
}

struct Ring {
    /// Numbered from `first` up. What stands before the first of `keys` serves only readers that
    /// are already past its key frame, so that a GOP larger than the ring still flows.
    frames: VecDeque<Arc<Frame>>,
    first: u64,
    /// Numbers of the key frames in `frames`, ascending.
    keys: VecDeque<u64>,
    /// Number of the first frame after the last interruption.
    resumed: u64,
    bytes: usize,
    max_bytes: usize,
    /// Bytes there ever were, and at how many of them a reader is to be woken.
    pushed: u64,
    alarm: u64,
    closed: bool,
}

impl Ring {
    fn new(max_bytes: usize) -> Self {
        let (frames, keys) = (VecDeque::new(), VecDeque::new());
        let (pushed, alarm) = (0, u64::MAX);
        Self {
            frames,
            first: 0,
            keys,
            resumed: 0,
            bytes: 0,
            max_bytes,
            pushed,
            alarm,
            closed: false,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn at(&self, number: u64) -> Option<&Arc<Frame>> {
        self.frames.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// True when it is time for the alarm.
    fn push(&mut self, frame: Arc<Frame>) -> bool {
        self.pushed += cost(&frame) as u64;
        if frame.key {
            self.keys.push_back(self.end());
        }
        self.bytes += cost(&frame);
        self.frames.push_back(frame);
        // The newest stays whatever its size: it is in memory anyway, and its readers are waiting.
        while self.bytes > self.max_bytes && self.frames.len() > 1 {
            self.drop_front();
        }
        let due = self.pushed >= self.alarm;
        if due {
            self.alarm = u64::MAX;
        }
        due
    }

    fn quarter(&self) -> usize {
        self.max_bytes / 4
    }

    /// What is held of the frames from this one on.
    fn bytes_from(&self, number: u64) -> usize {
        let passed = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.frames.iter().skip(passed).map(|frame| cost(frame)).sum()
    }

    fn drop_front(&mut self) {
        let Some(frame) = self.frames.pop_front() else { return };
        self.bytes -= cost(&frame);
        if self.keys.front() == Some(&self.first) {
            self.keys.pop_front();
        }
        self.first += 1;
    }

    fn clear(&mut self) {
        self.first = self.end();
        self.bytes = 0;
        // New ones, to give the memory back.
        (self.frames, self.keys) = (VecDeque::new(), VecDeque::new());
    }

    fn start(&self, from: Start) -> u64 {
        let held = match from {
            Start::Live => None,
            Start::LastKey => self.keys.back().copied().filter(|&key| key >= self.resumed),
            Start::Back(age) => self.key_before(age).or_else(|| self.keys.front().copied()),
        };
        held.unwrap_or_else(|| self.end())
    }

    fn key_before(&self, age: Duration) -> Option<u64> {
        let newest = self.frames.back()?.dts;
        let limit = newest.saturating_sub(duration_to_ticks(age));
        let after = self.frames.iter().rposition(|frame| frame.dts <= limit)? + 1;
        let (last, next) = (&self.frames[after - 1], self.frames.get(after));
        let after = self.first + after as u64;
        // Nobody asked for what was before a camera went away that long ago.
        if next.is_some_and(|next| next.dts - last.dts > OUTAGE && last.dts < limit) {
            return self.keys.iter().copied().find(|&key| key >= after);
        }
        self.keys.iter().rev().copied().find(|&key| key < after)
    }
}

fn cost(frame: &Frame) -> usize {
    frame.data.len() + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{AudioCodec, AudioParams, Track};
    use crate::testing::{picture, sound};

    const SIZE: usize = 40;
    const COST: usize = SIZE + FRAME_OVERHEAD;

    /// One frame a second, numbered by its time.
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
    fn a_frame_larger_than_the_ring_is_still_given() {
        let hub = hub_with(2, 0..1, 1);
        let mut reader = hub.reader(Start::LastKey);
        hub.push(Frame { data: Bytes::from(vec![0; 1000]), ..frame(true, 1) });
        assert_eq!(second(reader.try_next()), 1);
        hub.push(frame(true, 2));
        assert_eq!(hub.held_bytes(), COST, "and does not stay");
        assert_eq!(second(reader.try_next()), 2);
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

    /// The numbers of the frames a reader is given now.
    fn given(reader: &mut Reader) -> Vec<i64> {
        std::iter::from_fn(|| match reader.try_next()? {
            Item::Frame(frame) => Some(frame.dts / 90_000),
            Item::Gap { .. } => Some(-1),
        })
        .collect()
    }

    /// A picture of an open group: key, leading, leading, trailing; sound with each second of them.
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
        /// Whatever is pushed and read in whatever order: the budget holds, frames come in order,
        /// every frame missed is counted, and after a gap comes a key frame.
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
                prop_assert!(hub.held_bytes() <= budget.max(size + FRAME_OVERHEAD));
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
}
