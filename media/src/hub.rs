//! One ring of frames with many readers. The writer never waits for a reader, and readers never
//! wait for each other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::frame::{AudioParams, CLOCK_HZ, Frame, Track, duration_to_ticks};
use crate::join::Join;
use crate::reserve::{Reserve, Size};

/// A longer time between two frames is an outage, in 90 kHz ticks.
const OUTAGE: i64 = 10 * CLOCK_HZ;
/// Bytes that a frame costs in the ring besides its data.
const FRAME_OVERHEAD: usize = 160;

/// A ring of frames bounded by bytes. A frame larger than a quarter of the ring is counted only
/// from the next frame on: it is in memory anyway, and so pushes out nothing that a reader was
/// about to take.
pub struct Hub {
    ring: Mutex<Ring>,
    arrived: Notify,
    /// Wakes the readers that wait until a quarter of the ring is to be read.
    crowded: Notify,
}

/// Where a new reader begins. It always begins at a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The next key frame that arrives.
    Live,
    /// The newest key frame held from after the last interruption, or else the next to arrive.
    LastKey,
    /// The newest key frame that is older than the newest frame by at least this time, or else the
    /// oldest key frame held, or else the next to arrive.
    Back(Duration),
}

/// What a reader is given. The first pictures never refer to a picture from before them.
#[derive(Clone, Debug)]
pub enum Item {
    /// The next frame.
    Frame(Arc<Frame>),
    /// Frames that this reader has lost. The next item is a key frame.
    Gap {
        /// How many frames were lost.
        lost: u64,
    },
}

/// The place of one reader in a [`Hub`].
pub struct Reader {
    hub: Arc<Hub>,
    cursor: Cursor,
}

impl Hub {
    /// An empty ring that holds at most `max_bytes`, or one frame if that is larger. Each frame
    /// counts with its data and a small overhead.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Self::with(Ring::new(max_bytes))
    }

    /// A ring of at least `least` bytes, which grows as far as its key frames want and `reserve`
    /// allows.
    pub fn growing(least: usize, reserve: Arc<Reserve>) -> Arc<Self> {
        Self::with(Ring { size: Some(Size::new(least, reserve)), ..Ring::new(least) })
    }

    fn with(ring: Ring) -> Arc<Self> {
        let ring = Mutex::new(ring);
        Arc::new(Self { ring, arrived: Notify::new(), crowded: Notify::new() })
    }

    /// Appends a frame and wakes the readers that wait for a frame.
    pub fn push(&self, frame: impl Into<Arc<Frame>>) {
        self.push_silently(frame);
        self.announce();
    }

    /// Appends a frame of which waiting readers are told later, by [`Self::announce`] or the next
    /// [`Self::push`]. A reader that looks without waiting finds the frame at once.
    pub fn push_silently(&self, frame: impl Into<Arc<Frame>>) {
        let frame = frame.into();
        let (learned, crowded) = {
            let mut ring = self.lock();
            (ring.sound.note(&frame), ring.push(frame))
        };
        if crowded {
            self.crowded.notify_waiters();
        }
        // A reader that waits to begin needs to know of the first sound only.
        if learned {
            self.announce();
        }
    }

    /// Wakes the readers that wait for a frame.
    pub fn announce(&self) {
        self.arrived.notify_waiters();
    }

    /// Ends every reader once it has read all frames held.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_waiters();
    }

    /// Whether the hub was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Drops every frame held. Readers that have not read them see a gap.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Drops the oldest frames held until these many bytes are gone, but never the newest frame. Readers that
    /// have read them see no gap. Returns how many bytes are left to be dropped.
    pub fn drop_oldest(&self, bytes: usize) -> usize {
        self.lock().drop_oldest(bytes)
    }

    /// Marks that the next frames do not continue the frames held.
    pub fn interrupt(&self) {
        let mut ring = self.lock();
        ring.resumed = ring.end();
    }

    /// Notes that a source was opened, and whether it declares sound. The sound of the source before
    /// is forgotten.
    pub fn expect_sound(&self, declared: bool) {
        self.lock().sound = if declared { Sound::Awaited(None) } else { Sound::None };
    }

    /// Learns the parameters of sound that readers are not given.
    pub fn learn_sound(&self, frame: &Frame) {
        if !frame.is_video() {
            self.lock().sound.note(frame);
        }
    }

    /// The parameters of the newest key frame, if it came since the last interruption, and those of the source's sound.
    pub fn tracks(&self) -> Vec<Track> {
        let ring = self.lock();
        let key =
            ring.keys.back().filter(|&&key| key >= ring.resumed).and_then(|&key| ring.at(key));
        let Some(track) = key.map(|frame| frame.track.clone()) else { return Vec::new() };
        match &ring.sound {
            Sound::Known(params) => vec![track, Track::Audio(Arc::clone(params))],
            _ => vec![track],
        }
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
    /// The next item, in order. `None` once the hub is closed and every frame held was read. Cancel
    /// safe.
    pub async fn next(&mut self) -> Option<Item> {
        loop {
            // The waiter is made under the lock, so that a push after it cannot be missed.
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

    /// The next item, if it is there already.
    pub fn try_next(&mut self) -> Option<Item> {
        self.cursor.take(&self.hub.lock())
    }

    /// Goes on at the newest key frame held, if that was not given out yet. Returns how many frames are lost by that.
    pub fn catch_up(&mut self) -> u64 {
        let ring = self.hub.lock();
        let cursor = &mut self.cursor;
        let Some(&key) = ring.keys.back().filter(|&&key| key > cursor.next) else { return 0 };
        cursor.begins = true;
        key - std::mem::replace(&mut cursor.next, key)
    }

    /// The parameters of the source's sound, once there is a frame for this reader to begin with.
    /// `None` where the source has no sound, or has sent none within `patience` of its first
    /// picture or before the frames to begin with fill half of the ring, or the hub was closed. For
    /// a reader that was given nothing yet. Cancel safe.
    pub async fn sound(&mut self, patience: Duration) -> Option<Arc<AudioParams>> {
        loop {
            let (arrived, due) = {
                let ring = self.hub.lock();
                let key = ring.keys.back().copied().filter(|&key| key >= self.cursor.next);
                let due = match (key, &ring.sound) {
                    (Some(_), Sound::Known(params)) => return Some(Arc::clone(params)),
                    _ if ring.closed => return None,
                    (Some(_), Sound::None) => return None,
                    // The ring drops what is not read, and must not drop the key frame.
                    (Some(key), _) if ring.bytes_from(key) >= ring.max_bytes / 2 => return None,
                    (Some(_), Sound::Awaited(since)) => since.map(|since| since + patience),
                    (None, _) => None,
                };
                (self.hub.arrived.notified(), due)
            };
            let Some(due) = due else {
                arrived.await;
                continue;
            };
            tokio::select! {
                () = arrived => {}
                () = sleep_until(due.into()) => return None,
            }
        }
    }

    /// Returns when the frames for this reader fill a quarter of the ring, so that a reader that
    /// reads only now and then loses nothing of a burst. Cancel safe.
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
    /// Whether nothing was given out yet, so that frames before the first key frame are not counted
    /// as lost.
    fresh: bool,
    /// Whether the next frame is a key frame that does not continue the frames given out.
    begins: bool,
    join: Join,
}

impl Cursor {
    fn new(next: u64) -> Self {
        Self { next, fresh: true, begins: true, join: Join::default() }
    }

    fn take(&mut self, ring: &Ring) -> Option<Item> {
        if self.fresh || self.next < ring.first {
            // Only a key frame can be given now. A gap is reported once there is a key frame to go
            // on with.
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
            // Pictures of a camera that was opened anew do not refer to pictures from before.
            if std::mem::take(&mut self.begins) || frame.discontinuity {
                self.join.begin();
            } else if !self.join.admits(frame) {
                continue;
            }
            return Some(Item::Frame(Arc::clone(frame)));
        }
    }
}

/// What is known of the sound of the source that is open.
enum Sound {
    /// The source declares none.
    None,
    /// The source declares sound and has sent none. Holds when the first picture came.
    Awaited(Option<Instant>),
    /// The parameters of the newest sound.
    Known(Arc<AudioParams>),
}

impl Sound {
    /// Notes a frame. True if it is the first sound of a source that declares some.
    fn note(&mut self, frame: &Frame) -> bool {
        let awaited = matches!(self, Self::Awaited(_));
        match (&frame.track, &mut *self) {
            (Track::Audio(params), Self::Known(known)) if Arc::ptr_eq(known, params) => {}
            (Track::Audio(params), _) => *self = Self::Known(Arc::clone(params)),
            (Track::Video(_), Self::Awaited(since)) => {
                since.get_or_insert(frame.received);
            }
            (Track::Video(_), _) => {}
        }
        awaited && !frame.is_video()
    }
}

struct Ring {
    /// The frames held, numbered from `first` up. Frames before the first of `keys` serve only
    /// readers that are past their key frame already, so that a GOP larger than the ring still
    /// flows.
    frames: VecDeque<Arc<Frame>>,
    first: u64,
    /// Numbers of the key frames in `frames`, ascending.
    keys: VecDeque<u64>,
    /// Number of the first frame after the last interruption.
    resumed: u64,
    bytes: usize,
    max_bytes: usize,
    /// Sets `max_bytes` anew at each key frame; `None` for a ring that does not grow.
    size: Option<Size>,
    /// Bytes pushed since the ring was made.
    pushed: u64,
    /// The value of `pushed` at which readers that wait for a quarter of the ring are woken.
    alarm: u64,
    sound: Sound,
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
            size: None,
            pushed,
            alarm,
            sound: Sound::None,
            closed: false,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn at(&self, number: u64) -> Option<&Arc<Frame>> {
        self.frames.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Appends a frame. True if readers that wait for a quarter of the ring are to be woken.
    fn push(&mut self, frame: Arc<Frame>) -> bool {
        let cost = cost(&frame);
        self.pushed += cost as u64;
        if frame.key {
            self.keys.push_back(self.end());
            if let Some(size) = &mut self.size {
                let max_bytes = size.follow(cost, frame.received);
                self.resize(max_bytes);
            }
        }
        self.bytes += cost;
        self.frames.push_back(frame);
        let counted = if cost > self.quarter() { self.bytes - cost } else { self.bytes };
        self.drop_oldest(counted.saturating_sub(self.max_bytes));
        let due = self.pushed >= self.alarm;
        if due {
            self.alarm = u64::MAX;
        }
        due
    }

    fn quarter(&self) -> usize {
        self.max_bytes / 4
    }

    /// Bytes of the frames held with this number and higher ones.
    fn bytes_from(&self, number: u64) -> usize {
        let passed = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.frames.iter().skip(passed).map(|frame| cost(frame)).sum()
    }

    fn resize(&mut self, max_bytes: usize) {
        if max_bytes < self.max_bytes {
            // A quarter of the ring is less now, so readers that wait for it have to look again.
            self.alarm = self.alarm.min(self.pushed);
        }
        self.max_bytes = max_bytes;
    }

    fn drop_oldest(&mut self, mut bytes: usize) -> usize {
        while bytes > 0 && self.frames.len() > 1 {
            bytes = bytes.saturating_sub(self.drop_front());
        }
        bytes
    }

    /// Drops the oldest frame, and returns the bytes that it had taken.
    fn drop_front(&mut self) -> usize {
        let Some(frame) = self.frames.pop_front() else { return 0 };
        let cost = cost(&frame);
        self.bytes -= cost;
        if self.keys.front() == Some(&self.first) {
            self.keys.pop_front();
        }
        self.first += 1;
        cost
    }

    fn clear(&mut self) {
        self.first = self.end();
        self.bytes = 0;
        // Clearing would keep the memory; new deques give it back.
        (self.frames, self.keys) = (VecDeque::new(), VecDeque::new());
        if let Some(size) = &mut self.size {
            self.max_bytes = size.reset();
        }
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
        // Frames from before an outage are not given to a reader that wants frames from after it.
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
#[path = "hub_tests.rs"]
mod tests;
