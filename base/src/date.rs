//! Dates as people read them.

use std::fmt::{self, Display, Formatter};
use std::time::{SystemTime, UNIX_EPOCH};

/// A date in UTC; printed as `2026-11-21T12:40:11Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// 1970 or later.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
    /// 0 to 23.
    pub hour: u64,
    /// 0 to 59.
    pub minute: u64,
    /// 0 to 59.
    pub second: u64,
}

impl From<SystemTime> for Utc {
    /// The date of a moment; moments before 1970 count as 1970.
    fn from(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        Self { year, month, day, hour, minute, second }
    }
}

impl Display for Utc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day since 1970. Years are counted from March here, so that a leap day
/// is the last one of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const YEAR: u64 = 365;
    const CENTURY: u64 = 100 * YEAR + 24;
    const FOUR_CENTURIES: u64 = 4 * CENTURY + 1;
    // Days since 1 March of the year 0.
    let days = days + 719_468;
    let (era, day) = (days / FOUR_CENTURIES, days % FOUR_CENTURIES);
    let year = (day - day / (4 * YEAR) + day / CENTURY - day / (FOUR_CENTURIES - 1)) / YEAR;
    let day = day - (year * YEAR + year / 4 - year / 100);
    // March to July, and August to December, take 153 days each.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_written_in_utc_also_after_2038_and_2106() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_265_611, "2026-11-21T12:53:31Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_294_967_296, "2106-02-07T06:28:16Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Utc::from(time).to_string(), date);
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Utc::from(before), Utc::from(UNIX_EPOCH), "a clock before 1970 breaks nothing");
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let (year, month, day) = civil(days);
            let follows = match before {
                (y, m, d) if (year, month) == (y, m) => day == d + 1,
                (y, m, d) if year == y => month == m + 1 && day == 1 && d >= 28,
                (y, m, d) => (year, month, day) == (y + 1, 1, 1) && (m, d) == (12, 31),
            };
            assert!(follows, "{before:?} is followed by {year}-{month}-{day}");
            before = (year, month, day);
        }
    }
}
