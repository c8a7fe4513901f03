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

impl Utc {
    /// The seconds since 1970; None for what is no date, and outside the years 1970 to 9999. A second of 60 is a
    /// leap second.
    pub fn seconds(&self) -> Option<u64> {
        let Self { year, month, day, hour, minute, second } = *self;
        let real = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (hour < 24 && minute < 60 && second <= 60);
        let days = real.then(|| days(year, month, day))?;
        days.map(|days| days * 86_400 + hour * 3600 + minute * 60 + second)
    }
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

/// The seconds since 1970 of a date in a header of HTTP, in any of its three forms (RFC 9110, 5.6.7).
/// None for dates before 1970 and for what is no date.
pub fn http_date(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (mut time, mut month, mut numbers) = (None, None, Vec::new());
    for word in text.split([' ', ',', '-']).filter(|word| !word.is_empty()).take(8) {
        if let Some((hour, rest)) = word.split_once(':') {
            let (minute, second) = rest.split_once(':')?;
            time = Some([hour, minute, second].map(|part| part.parse::<u64>().ok()));
        } else if let Ok(number) = word.parse::<u64>() {
            numbers.push(number);
        } else if month.is_none() && word.len() >= 3 {
            // The place of the name, of three letters each.
            month =
                MONTHS.find(word.get(..3)?).filter(|at| at % 3 == 0).map(|at| at as u64 / 3 + 1);
        }
    }
    let ([Some(hour), Some(minute), Some(second)], [day, year, ..]) = (time?, &*numbers) else {
        return None;
    };
    let year = match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => *year,
    };
    Utc { year, month: month?, day: *day, hour, minute, second }.seconds()
}

/// Days from 1970 to a date, which is 1970 or later; the reverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

/// Year, month and day of a day since 1970. Years are counted from March here, so that a leap day
/// is the last one of its year.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
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
            assert_eq!(Utc::from(time).seconds(), Some(seconds));
        }
        let real = Utc { year: 2000, month: 2, day: 29, hour: 23, minute: 59, second: 60 };
        assert_eq!(real.seconds(), Some(951_868_800));
        for none in [
            Utc { year: 0, ..real },
            Utc { year: 10_000, ..real },
            Utc { month: 0, ..real },
            Utc { month: 13, ..real },
            Utc { day: 0, ..real },
            Utc { hour: 24, ..real },
            Utc { minute: 60, ..real },
            Utc { second: u64::MAX, ..real },
        ] {
            assert_eq!(none.seconds(), None, "{none:?}");
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Utc::from(before), Utc::from(UNIX_EPOCH), "a clock before 1970 breaks nothing");
    }

    #[test]
    fn dates_of_http_are_read_in_their_three_forms() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(http_date(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 18446744073709551615 08:49:37 GMT",
            "Sun, 06 N\u{f6}v 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
        for day in (0..200_000).step_by(37) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
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
