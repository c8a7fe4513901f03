//! The local time at a camera: what its own clock shows, where it has one that answers and can be right, else the device's.

use std::time::{Duration, SystemTime};

use ivt_base::wall_time::WallTime;
use ivt_hal::Clock;
use tokio::time::Instant;

use crate::build_date::plausible;

/// How long the distance between the camera's clock and ours is taken for granted.
const NOTED_FOR: Duration = Duration::from_secs(600);

/// The same of one in doubt: some cameras hang up after each alarm.
const LEAST_PAUSE: Duration = Duration::from_secs(60);
/// How far a camera's clock may be from the device's: a time zone and a day. One that is further off was never set.
const FARTHEST: Duration = Duration::from_secs(2 * 86_400);

/// The clock of one camera.
#[derive(Default)]
pub(super) struct LocalTime {
    /// What the camera's clock showed, in seconds since 1970 of that clock, and when. Our own clock may be set meanwhile.
    noted: Option<(u64, Instant)>,
    asked: Option<Instant>,
    is_doubted: bool,
    is_settled: bool,
}

impl LocalTime {
    /// When the camera's clock is asked next.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let pause = if self.is_doubted { LEAST_PAUSE } else { NOTED_FOR };
        self.asked.map_or(now, |asked| asked + pause)
    }

    /// The camera's clock is being asked.
    pub(super) fn asks(&mut self, now: Instant) {
        (self.asked, self.is_doubted) = (Some(now), false);
    }

    /// Takes over what the clock shows now. One that did not answer is taken to go on as before; one that cannot be right
    /// counts no longer.
    pub(super) fn note(&mut self, shown: Option<WallTime>, now: Instant) {
        self.is_settled = true;
        if let Some(shown) = shown {
            let right = Some(shown).filter(|shown| can_be_right(*shown, SystemTime::now()));
            self.noted = right.and_then(WallTime::seconds).map(|seconds| (seconds, now));
        }
    }

    /// The clock is asked anew soon: the camera may have started anew.
    pub(super) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// The clock is asked anew before it counts again: it may have been set.
    pub(super) fn unsettled(self) -> Self {
        Self { asked: None, is_settled: false, ..self }
    }

    /// Whether the camera's clock was asked, with or without an answer, since it may have been set.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What the clock shows at this moment.
    pub(super) fn now(&self, now: Instant) -> WallTime {
        let noted = self.noted.and_then(|(seconds, at)| {
            WallTime::from_seconds(
                seconds.saturating_add(now.saturating_duration_since(at).as_secs()),
            )
        });
        noted.unwrap_or_else(|| crate::local_time::local(SystemTime::now()))
    }

    /// Seconds since midnight.
    pub(super) fn second(&self, now: Instant) -> u32 {
        let (hour, minute, second) = self.now(now).time();
        u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second)
    }
}

/// Whether a camera's clock can be right while the device's shows `ours`, which may never have been set either.
fn can_be_right(shown: WallTime, ours: SystemTime) -> bool {
    let shown = crate::local_time::moment(shown);
    let apart = shown.duration_since(ours).unwrap_or_else(|e| e.duration());
    plausible(shown) && (apart <= FARTHEST || !plausible(ours))
}

/// What the clock shows; `None` where it does not answer.
pub(super) async fn ask(clock: &dyn Clock, number: usize) -> Option<WallTime> {
    let shown = clock.now().await;
    let told = |e: &_| log::debug!("channel {number}: its camera's clock is not known: {e}");
    shown.inspect_err(told).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a clock shows so many seconds after the last midnight of the device.
    fn today(second: u64) -> WallTime {
        let now = crate::local_time::local(SystemTime::now()).seconds().unwrap();
        WallTime::from_seconds(now - now % 86_400 + second).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_cameras_clock_counts_where_it_is_known() {
        let (mut time, start) = (LocalTime::default(), Instant::now());
        let ours = time.now(start).date();
        assert!(ours.0 >= 2020, "the device's: {ours:?}");
        assert_eq!(time.due(start), start);
        time.asks(start);
        assert!(!time.is_settled());
        time.note(Some(today(86_390)), start);
        let later = start + Duration::from_secs(25);
        assert_eq!(time.now(later), today(86_415));
        assert_eq!((time.second(start), time.second(later)), (86_390, 15));
        assert_eq!(time.due(later), start + NOTED_FOR);
        time.note(None, later);
        assert_eq!(time.now(later), today(86_415), "it goes on");
        time.doubt();
        assert_eq!((time.due(later), time.is_settled()), (start + LEAST_PAUSE, true));
        assert!(!time.unsettled().is_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_never_set_does_not_count() {
        let start = Instant::now();
        for wrong in [
            "1969-12-31T23:59:50",
            "1970-01-01T00:00:05",
            "2000-01-01T00:03:12",
            "2099-01-01T00:00:00",
        ] {
            let mut time = LocalTime::default();
            time.note(Some(today(1)), start);
            time.note(wrong.parse().ok(), start);
            let ours = crate::local_time::local(SystemTime::now()).seconds().unwrap();
            let shown = time.now(start).seconds().unwrap();
            assert!(shown.abs_diff(ours) <= 2 && time.is_settled(), "{wrong}: the device's");
        }
        let day = Duration::from_secs(86_400);
        let ours = SystemTime::now();
        let shows = |at| can_be_right(crate::local_time::local(at), ours);
        assert!(shows(ours + day) && !shows(ours + 3 * day));
        let never_set = SystemTime::UNIX_EPOCH + day;
        assert!(can_be_right(today(1), never_set), "the camera's is the better one");
        assert!(!can_be_right("1970-01-02T00:00:00".parse().unwrap(), never_set));
    }
}
