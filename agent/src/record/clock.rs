//! Dates for a session's media time. Setting the device's clock moves nothing that was dated
//! before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Start;
use crate::build_date::plausible;

/// The date of a session's first frame. It never changes once it is known.
#[derive(Debug)]
pub struct Anchor {
    /// When the first frame was taken.
    first: Instant,
    /// The date of the first frame, in microseconds since 1970, once it is known.
    date: Option<i64>,
    device: fn() -> SystemTime,
}

impl Anchor {
    /// An anchor for a session whose first frame was taken at `first`. Its date is `given`, in
    /// seconds since 1970, if the cloud says so; otherwise the clock `device` dates it as soon as
    /// that clock is plausible.
    pub fn new(given: Option<u64>, first: Instant, device: fn() -> SystemTime) -> Self {
        let date = given.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000_000));
        Self { first, date, device }
    }

    /// Corrects when the first frame was taken. Changes nothing once the date is known.
    pub fn taken(&mut self, first: Instant) {
        self.first = first;
    }

    /// The date of a moment, in microseconds since 1970; `None` while no clock can be believed.
    pub fn unix_micros(&mut self, start: Start) -> Option<i64> {
        let offset = match start {
            Start::Unix(date) => return Some(date),
            Start::Media(offset) => micros(offset),
        };
        self.set(known((self.device)()));
        Some(self.date?.saturating_add(offset))
    }

    /// The date of a moment as far as that of the first frame is known, in microseconds since 1970.
    #[cfg(feature = "ui")]
    pub fn known(&self, start: Start) -> Option<i64> {
        match start {
            Start::Unix(date) => Some(date),
            Start::Media(offset) => Some(self.date?.saturating_add(micros(offset))),
        }
    }

    /// Takes the service's word that it is `now`, in seconds since 1970. Changes nothing once the
    /// date is known.
    pub fn learn(&mut self, now: f64) {
        let Ok(now) = Duration::try_from_secs_f64(now) else { return };
        // Adding a `Duration` to a `SystemTime` can overflow.
        self.set(UNIX_EPOCH.checked_add(now).and_then(known));
    }

    /// Dates the first frame, given that it is `now`.
    fn set(&mut self, now: Option<i64>) {
        self.date = self.date.or(now.map(|now| now - micros(self.first.elapsed())));
    }
}

/// Microseconds since 1970; `None` if the clock was never set.
fn known(clock: SystemTime) -> Option<i64> {
    plausible(clock).then(|| clock.duration_since(UNIX_EPOCH).map_or(0, micros))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::advance;

    use super::*;
    use crate::build_date::BUILT;

    const YEAR: u64 = 365 * 24 * 3600;

    fn media(seconds: u64) -> Start {
        Start::Media(Duration::from_secs(seconds))
    }

    fn never_set() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(100)
    }

    #[tokio::test]
    async fn the_cloud_dates_the_first_frame() {
        let mut anchor = Anchor::new(Some(1_700_000_000), Instant::now(), never_set);
        assert_eq!(anchor.unix_micros(media(0)), Some(1_700_000_000_000_000));
        assert_eq!(anchor.unix_micros(media(90)), Some(1_700_000_090_000_000));
    }

    #[tokio::test]
    async fn a_date_from_the_spool_stands_for_itself() {
        let mut anchor = Anchor::new(None, Instant::now(), never_set);
        assert_eq!(anchor.unix_micros(Start::Unix(5)), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_clock_moves_nothing() {
        static CLOCK: Mutex<u64> = Mutex::new(0);
        fn stepping() -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(*CLOCK.lock().unwrap())
        }
        let mut anchor = Anchor::new(None, Instant::now(), stepping);
        assert_eq!(anchor.unix_micros(media(0)), None, "1970 is not believed");

        advance(Duration::from_secs(30)).await;
        *CLOCK.lock().unwrap() = BUILT + YEAR;
        let first = i64::try_from((BUILT + YEAR - 30) * 1_000_000).unwrap();
        assert_eq!(anchor.unix_micros(media(0)), Some(first), "the first frame was 30 s ago");

        *CLOCK.lock().unwrap() = BUILT + 2 * YEAR;
        assert_eq!(anchor.unix_micros(media(10)), Some(first + 10_000_000));
        anchor.learn((BUILT + 3 * YEAR) as f64);
        assert_eq!(anchor.unix_micros(media(10)), Some(first + 10_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn segments_keep_their_order_and_length_over_steps_of_the_clock() {
        const NOW: u64 = BUILT + YEAR;
        static CLOCK: Mutex<u64> = Mutex::new(NOW);
        fn stepping() -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(*CLOCK.lock().unwrap())
        }
        let mut anchor = Anchor::new(None, Instant::now(), stepping);
        let day = 24 * 3600;
        let mut begins = Vec::new();
        for (number, clock) in [NOW, NOW + day, NOW - day, 100, NOW + YEAR].into_iter().enumerate()
        {
            *CLOCK.lock().unwrap() = clock;
            begins.extend(anchor.unix_micros(media(10 * number as u64)));
            advance(Duration::from_secs(10)).await;
        }
        let first = i64::try_from(NOW * 1_000_000).unwrap();
        assert_eq!(begins, [0, 10, 20, 30, 40].map(|seconds| first + seconds * 1_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_frame_that_was_taken_earlier_is_dated_earlier() {
        const NOW: u64 = BUILT + YEAR;
        fn set() -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(NOW)
        }
        let date = |before| Some(i64::try_from((NOW - before) * 1_000_000).unwrap());
        advance(Duration::from_secs(60)).await;
        let mut anchor = Anchor::new(None, Instant::now(), set);
        anchor.taken(Instant::now() - Duration::from_secs(2));
        assert_eq!(anchor.unix_micros(media(0)), date(2));
        anchor.taken(Instant::now() - Duration::from_secs(30));
        assert_eq!(anchor.unix_micros(media(0)), date(2), "a date that was told stays");

        let mut anchor = Anchor::new(Some(NOW - 9), Instant::now(), set);
        anchor.taken(Instant::now() - Duration::from_secs(2));
        assert_eq!(anchor.unix_micros(media(0)), date(9), "the cloud's word counts");
    }

    #[tokio::test(start_paused = true)]
    async fn dates_after_2038_are_like_any_other() {
        const LATER: u64 = 1 << 33;
        fn later() -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(LATER)
        }
        let date = i64::try_from(LATER * 1_000_000).unwrap();
        let mut anchor = Anchor::new(None, Instant::now(), later);
        assert_eq!(anchor.unix_micros(media(0)), Some(date), "from the device's clock");
        let mut anchor = Anchor::new(Some(LATER), Instant::now(), never_set);
        assert_eq!(anchor.unix_micros(media(0)), Some(date), "from the cloud");
        let mut anchor = Anchor::new(None, Instant::now(), never_set);
        anchor.learn(LATER as f64);
        assert_eq!(anchor.unix_micros(media(0)), Some(date), "from the recording service");
    }

    #[tokio::test(start_paused = true)]
    async fn the_cloud_helps_a_device_without_a_clock() {
        let mut anchor = Anchor::new(None, Instant::now(), never_set);
        advance(Duration::from_secs(5)).await;
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e19, 1e300] {
            anchor.learn(nonsense);
            assert_eq!(anchor.unix_micros(media(0)), None, "{nonsense}");
        }
        anchor.learn((BUILT + YEAR) as f64);
        let first = i64::try_from((BUILT + YEAR - 5) * 1_000_000).unwrap();
        assert_eq!(anchor.unix_micros(media(0)), Some(first));
    }
}
