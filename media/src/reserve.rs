//! Sizes of rings, which follow the key frames that the rings see. Memory beyond their usual size
//! comes from a reserve that all rings share; when it shrinks, rings give back at their next key
//! frame.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many of the largest key frames a ring is to hold: the newest with what follows, and what a
/// reader has not taken when it comes.
const KEYS: usize = 3;
/// Largest ring that key frames can ask for, in bytes.
const MOST: usize = 8 << 20;
/// Shortest time for which a larger key frame of the past counts; it counts for twice as long at
/// most.
const MEMORY: Duration = Duration::from_secs(120);
/// How often the growth of a ring is counted: a publisher, too, sets aside what a slow server has
/// not taken.
const HOLDERS: u64 = 2;

/// Memory that rings may grow into.
#[derive(Debug, Default)]
pub struct Reserve(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    capacity: u64,
    lent: u64,
}

impl Reserve {
    /// A reserve of `bytes` for all rings together.
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Account { capacity: bytes, lent: 0 })))
    }

    /// Changes the reserve to `bytes`. Rings that hold more let go at their next key frame.
    pub fn resize(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Bytes lent to rings.
    pub fn lent(&self) -> u64 {
        self.lock().lent
    }

    /// Takes `held` back and lends up to `wanted`. Returns what it lent.
    fn exchange(&self, held: u64, wanted: u64) -> u64 {
        let mut account = self.lock();
        let others = account.lent.saturating_sub(held);
        let lent = wanted.min(account.capacity.saturating_sub(others));
        account.lent = others.saturating_add(lent);
        lent
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of one ring. Dropping it gives back what it was lent.
#[derive(Debug)]
pub(crate) struct Size {
    least: usize,
    reserve: Arc<Reserve>,
    lent: u64,
    /// When the present period of [`MEMORY`] began.
    since: Option<Instant>,
    /// Bytes of the largest key frame in the present period and in the one before.
    largest: [usize; 2],
}

impl Size {
    /// The size of a ring that holds `least` bytes whatever comes.
    pub(crate) fn new(least: usize, reserve: Arc<Reserve>) -> Self {
        Self { least, reserve, lent: 0, since: None, largest: [0; 2] }
    }

    /// Notes a key frame of `key` bytes. Returns what the ring may hold now, in bytes.
    pub(crate) fn follow(&mut self, key: usize, received: Instant) -> usize {
        let since = *self.since.get_or_insert(received);
        if received.saturating_duration_since(since) >= MEMORY {
            self.since = Some(received);
            self.largest = [0, self.largest[0]];
        }
        let [newer, older] = self.largest;
        self.largest[0] = newer.max(key);
        let wanted = self.largest[0].max(older).saturating_mul(KEYS).min(MOST);
        self.take(wanted.saturating_sub(self.least))
    }

    /// Goes back to the least size, as the ring holds nothing. Returns that size in bytes.
    pub(crate) fn reset(&mut self) -> usize {
        (self.since, self.largest) = (None, [0; 2]);
        self.take(0)
    }

    fn take(&mut self, more: usize) -> usize {
        self.lent = self.reserve.exchange(self.lent, HOLDERS.saturating_mul(more as u64));
        // What was lent is no more than was asked for, so it fits.
        self.least.saturating_add(usize::try_from(self.lent / HOLDERS).unwrap_or(more))
    }
}

impl Drop for Size {
    fn drop(&mut self) {
        self.take(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ring_holds_three_of_the_largest_key_frames_and_its_least() {
        let reserve = Reserve::new(1 << 40);
        let mut size = Size::new(MIB, Arc::clone(&reserve));
        let now = Instant::now();
        assert_eq!(size.follow(300_000, now), MIB);
        assert_eq!(size.follow(1_200_000, now), 3_600_000);
        assert_eq!(reserve.lent(), 2 * (3_600_000 - (1 << 20)));
        assert_eq!(size.follow(100_000, now), 3_600_000);
        assert_eq!(size.follow(7 << 20, now), 8 << 20, "no more than that");
        assert_eq!(size.follow(usize::MAX, now), 8 << 20);
        assert_eq!((size.reset(), reserve.lent()), (MIB, 0));
        size.follow(1_200_000, now);
        drop(size);
        assert_eq!(reserve.lent(), 0);
    }

    #[test]
    fn a_ring_shrinks_when_key_frames_were_small_for_minutes() {
        let mut size = Size::new(MIB, Reserve::new(1 << 40));
        let start = Instant::now();
        size.follow(1_000_000, start);
        for second in 1..=300 {
            let ring = size.follow(500_000, start + second * SECOND);
            let large = second < 240;
            assert_eq!(ring, if large { 3_000_000 } else { 1_500_000 }, "{second} s");
        }
    }

    #[test]
    fn rings_share_what_there_is_and_let_go_what_is_asked_back() {
        let reserve = Reserve::new(6 << 20);
        let now = Instant::now();
        let mut rings = [0; 2].map(|_| Size::new(MIB, Arc::clone(&reserve)));
        assert_eq!(rings[0].follow(MIB, now), 3 * MIB);
        assert_eq!(rings[1].follow(MIB, now), 2 * MIB);
        assert_eq!(reserve.lent(), 6 << 20);
        reserve.resize(2 << 20);
        assert_eq!(rings[0].follow(1, now), MIB);
        assert_eq!(rings[1].follow(1, now), 2 * MIB);
        reserve.resize(0);
        assert_eq!(rings[1].follow(1, now), MIB);
        assert_eq!(reserve.lent(), 0);
    }
}
