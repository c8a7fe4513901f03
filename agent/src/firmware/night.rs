//! When the cloud is asked for a firmware each day: in the hour from 3 o'clock on, device by device at another time.

use std::time::Duration;

use ivt_hal::WallTime;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

const DAY: u64 = 86_400;
/// The second of the day at which the hour begins.
const BEGIN: u64 = 3 * 3600;
/// How often the clock is looked at, as it may be set.
const LOOK: Duration = Duration::from_secs(60);
/// The clock may be set back over the time of this day, which does not come twice.
const APART: Duration = Duration::from_secs(20 * 3600);

/// Tells the device's local time.
pub(super) type LocalTime = Box<dyn Fn() -> WallTime + Send + Sync>;

/// The time of each day.
pub(super) struct Night {
    /// Second of the day.
    at: u64,
    /// Tells the local time.
    clock: LocalTime,
    /// When it was due last.
    last: Option<Instant>,
}

impl Night {
    /// A time that is this device's own, by its name at the cloud.
    pub(super) fn of(device: &str, clock: LocalTime) -> Self {
        let digest = Sha256::digest(device);
        let spread = u64::from(u16::from_be_bytes([digest[0], digest[1]])) * 3600 / 65_536;
        Self { at: BEGIN + spread, clock, last: None }
    }

    /// Returns when it is due. Cancel safe. The clock may be set while this waits: a time that it jumps over is left
    /// out on that day.
    pub(super) async fn due(&mut self) {
        loop {
            let left = self.left();
            sleep(left.min(LOOK)).await;
            // The clock has come here by itself.
            let is_due = left <= LOOK && self.left() > Duration::from_secs(DAY / 2);
            if is_due && self.last.is_none_or(|last| last.elapsed() >= APART) {
                self.last = Some(Instant::now());
                return;
            }
        }
    }

    /// How long it is until the time of the day; at the time itself a day.
    fn left(&self) -> Duration {
        let (hour, minute, second) = (self.clock)().time();
        let now = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
        let left = (self.at + DAY - now) % DAY;
        Duration::from_secs(if left == 0 { DAY } else { left })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::timeout;

    use super::*;

    /// A clock that begins at `second` of a day and runs with the virtual time; what is added sets it.
    fn clock(second: u32) -> (Arc<AtomicU32>, LocalTime) {
        let (set, start) = (Arc::new(AtomicU32::new(second)), Instant::now());
        let shown = Arc::clone(&set);
        let clock = move || {
            let second = u64::from(shown.load(Ordering::SeqCst)) + start.elapsed().as_secs();
            WallTime::from_seconds(1_795_219_200 + second).unwrap()
        };
        (set, Box::new(clock))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn it_is_due_once_a_day_in_the_hour_of_three() {
        let mut times = Vec::new();
        for device in ["a", "b", "c", "d"] {
            let (set, clock) = clock(12 * 3600);
            let (start, mut night) = (Instant::now(), Night::of(device, clock));
            night.due().await;
            let first = start.elapsed();
            assert!((15 * HOUR..16 * HOUR).contains(&first), "{device}: {first:?}");
            for day in 1..4 {
                night.due().await;
                assert_eq!(start.elapsed(), first + 24 * day * HOUR, "{device}");
            }
            drop(set);
            times.push(first);
        }
        times.dedup();
        assert_eq!(times.len(), 4, "each device has a time of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_makes_no_second_time_in_a_day() {
        let (set, clock) = clock(2 * 3600);
        let mut night = Night::of("a", clock);
        night.due().await;
        set.fetch_sub(2 * 3600, Ordering::SeqCst);
        assert!(timeout(10 * HOUR, night.due()).await.is_err(), "set back over the time");
        set.fetch_add(2 * 3600, Ordering::SeqCst);
        assert!(timeout(10 * HOUR, night.due()).await.is_err(), "and again");
        let start = Instant::now();
        night.due().await;
        assert!(start.elapsed() < 5 * HOUR, "but on the next day: {:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_comes_to_its_own_night() {
        let (set, clock) = clock(0);
        let mut night = Night::of("a", clock);
        assert!(timeout(HOUR, night.due()).await.is_err());
        // The clock was twelve hours slow.
        set.fetch_add(12 * 3600, Ordering::SeqCst);
        let start = Instant::now();
        night.due().await;
        assert!((14 * HOUR..15 * HOUR).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}
