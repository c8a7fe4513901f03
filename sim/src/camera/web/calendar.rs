//! Dates of the Gregorian calendar without time zones: the camera has one clock.

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Years that a date may have: four digits.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=9999;

/// A date with its time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

impl Date {
    /// The date so many seconds after the beginning of 1970; an earlier one becomes 1970.
    pub fn from_unix(seconds: i64) -> Self {
        let seconds = seconds.max(0);
        let (mut rest, clock) = (seconds / DAY, seconds % DAY);
        let mut year = 1970 + rest / 366; // Never too late; the steps below lead on.
        rest -= days_before(year);
        while rest >= days_before(year + 1) - days_before(year) {
            rest -= days_before(year + 1) - days_before(year);
            year += 1;
        }
        let mut month = 1;
        while rest >= length(year, month) {
            rest -= length(year, month);
            month += 1;
        }
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        Self { year, month, day: rest + 1, hour, minute, second }
    }

    /// Seconds since the beginning of 1970; `None` where there is no such date.
    pub fn unix(self) -> Option<i64> {
        let Self { year, month, day, hour, minute, second } = self;
        let valid = YEARS.contains(&year)
            && (1..=12).contains(&month)
            && (1..=length(year, month)).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second);
        let days = days_before(year) + (1..month).map(|month| length(year, month)).sum::<i64>();
        valid.then(|| (days + day - 1) * DAY + hour * 3600 + minute * 60 + second)
    }

    /// The beginning of a day.
    pub fn day(year: i64, month: i64, day: i64) -> Self {
        Self { year, month, day, hour: 0, minute: 0, second: 0 }
    }

    /// The date as reports of counters write it, such as `2020/04/01 06:00:00`.
    pub fn count_text(self) -> String {
        let Self { year, month, day, hour, minute, second } = self;
        format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// The date as heat maps write it, such as `2020-04-01_06:00:00`.
    pub fn map_text(self) -> String {
        let Self { year, month, day, hour, minute, second } = self;
        format!("{year:04}-{month:02}-{day:02}_{hour:02}:{minute:02}:{second:02}")
    }

    /// The date in the form in which it is set: `MMDDhhmmYYYY.ss`.
    pub fn compact(self) -> String {
        let Self { year, month, day, hour, minute, second } = self;
        format!("{month:02}{day:02}{hour:02}{minute:02}{year:04}.{second:02}")
    }

    /// Reads a date in the form of [`compact`](Self::compact).
    pub fn parse_compact(text: &str) -> Option<Self> {
        let digits = |range| {
            let part: &str = text.get(range)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let date = Self {
            month: digits(0..2)?,
            day: digits(2..4)?,
            hour: digits(4..6)?,
            minute: digits(6..8)?,
            year: digits(8..12)?,
            second: digits(13..15)?,
        };
        (text.len() == 15 && text.as_bytes()[12] == b'.' && date.unix().is_some()).then_some(date)
    }
}

/// Days from the beginning of 1970 to the beginning of a year.
fn days_before(year: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected dates are those of `date -u -d @N`.
    #[test]
    fn seconds_become_dates_and_back() {
        for (unix, text) in [
            (0, "010100001970.00"),
            (951_782_399, "022823592000.59"),
            (951_782_400, "022900002000.00"),
            (1_585_720_800, "040106002020.00"),
            (4_107_542_400, "030100002100.00"),
        ] {
            assert_eq!(Date::from_unix(unix).compact(), text);
            assert_eq!(Date::parse_compact(text).and_then(Date::unix), Some(unix), "{text}");
        }
        assert_eq!(Date::from_unix(1_585_720_801).count_text(), "2020/04/01 06:00:01");
        assert_eq!(Date::from_unix(1_585_720_801).map_text(), "2020-04-01_06:00:01");
    }

    #[test]
    fn what_is_no_date_is_not_taken() {
        for text in [
            "",
            "040106002020",
            "130106002020.00",
            "023000002020.00",
            "040124002020.00",
            "040106002020,00",
            "+40106002020.00",
            "040106002020.000",
            "04010600202\u{e9}.0",
        ] {
            assert_eq!(Date::parse_compact(text), None, "{text:?}");
        }
    }
}
