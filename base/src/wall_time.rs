//! A date and time of day as a camera's own clock shows them.

use std::fmt;
use std::str::FromStr;

use crate::date::{Utc, civil};

/// A date and time of day at the camera, without a time zone; always one the calendar has. Written
/// `2016-12-05T02:15:32`; a year of two digits is read as 20YY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct WallTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl WallTime {
    /// None: the calendar or the clock has no such time, or the year has no four digits.
    pub fn new(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let calendar = (1..=9999).contains(&year) && (1..=days(year, month)).contains(&day);
        let clock = hour < 24 && minute < 60 && second < 60;
        (calendar && clock).then_some(Self { year, month, day, hour, minute, second })
    }

    /// Year, month and day, the latter two from 1.
    pub fn date(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Seconds from 1970-01-01T00:00:00 of the same clock; `None` for years before 1970.
    pub fn seconds(self) -> Option<u64> {
        let [year, hour] = [self.year.into(), self.hour.into()];
        let [month, day] = [self.month.into(), self.day.into()];
        let [minute, second] = [self.minute.into(), self.second.into()];
        Utc { year, month, day, hour, minute, second }.seconds()
    }

    /// The time so many seconds after 1970-01-01T00:00:00 of the same clock; `None` beyond the year 9999.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let (year, month, day) = civil(seconds / 86_400);
        let part = |seconds: u64| u8::try_from(seconds).ok();
        let (hour, minute) = (part(seconds / 3600 % 24)?, part(seconds / 60 % 60)?);
        let second = part(seconds % 60)?;
        Self::new(u16::try_from(year).ok()?, part(month)?, part(day)?, hour, minute, second)
    }

    /// Hour, minute and second.
    pub fn time(self) -> (u8, u8, u8) {
        (self.hour, self.minute, self.second)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// Text that is no [`WallTime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a date and time like 2016-12-05T02:15:32")]
pub struct NoWallTime;

impl FromStr for WallTime {
    type Err = NoWallTime;

    fn from_str(text: &str) -> Result<Self, NoWallTime> {
        fields(text).ok_or(NoWallTime)
    }
}

impl TryFrom<String> for WallTime {
    type Error = NoWallTime;

    fn try_from(text: String) -> Result<Self, NoWallTime> {
        text.parse()
    }
}

impl From<WallTime> for String {
    fn from(time: WallTime) -> Self {
        time.to_string()
    }
}

fn fields(text: &str) -> Option<WallTime> {
    let (date, time) = text.split_once('T')?;
    let (year, rest) = date.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let year = match year.len() {
        2 => 2000 + digits(year)?,
        4 => digits(year)?,
        _ => return None,
    };
    WallTime::new(year, pair(month)?, pair(day)?, pair(hour)?, pair(minute)?, pair(second)?)
}

fn pair(text: &str) -> Option<u8> {
    if text.len() == 2 { digits(text)?.try_into().ok() } else { None }
}

/// Digits only: `parse` alone would take a sign.
fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn days(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_is_read_and_written() {
        let time: WallTime = "2016-12-05T02:15:32".parse().unwrap();
        assert_eq!((time.date(), time.time()), ((2016, 12, 5), (2, 15, 32)));
        assert_eq!(time.to_string(), "2016-12-05T02:15:32");
        assert_eq!("16-12-05T02:15:32".parse(), Ok(time));
    }

    #[test]
    fn seconds_and_dates_are_the_same_moments() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00", 0),
            ("2016-12-05T02:15:32", 1_480_904_132),
            ("2024-02-29T23:59:59", 1_709_251_199),
            ("9999-12-31T23:59:59", 253_402_300_799),
        ] {
            let time: WallTime = text.parse().unwrap();
            assert_eq!(time.seconds(), Some(seconds), "{text}");
            assert_eq!(WallTime::from_seconds(seconds), Some(time), "{text}");
        }
        assert_eq!(WallTime::from_seconds(253_402_300_800), None);
        assert_eq!(WallTime::from_seconds(u64::MAX), None);
        assert_eq!("1969-12-31T23:59:59".parse::<WallTime>().unwrap().seconds(), None);
    }

    #[test]
    fn a_leap_day_exists_in_leap_years_only() {
        for (text, exists) in [
            ("2024-02-29T00:00:00", true),
            ("2023-02-29T00:00:00", false),
            ("2000-02-29T00:00:00", true),
            ("1900-02-29T00:00:00", false),
            ("2023-04-31T00:00:00", false),
            ("2023-12-31T23:59:59", true),
        ] {
            assert_eq!(text.parse::<WallTime>().is_ok(), exists, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2016-12-05",
            "2016-12-05 02:15:32",
            "2016-12-05T02:15",
            "2016-12-05T02:15:32Z",
            "2016-12-05T02:15:60",
            "2016-12-05T24:00:00",
            "2016-12-05T2:15:32",
            "2016-00-05T02:15:32",
            "2016-13-05T02:15:32",
            "2016-12-00T02:15:32",
            "0000-12-05T02:15:32",
            "12016-12-05T02:15:32",
            "+016-12-05T02:15:32",
            "2016-12-05T02:15:+2",
            "2016-12-05T02:15:٣٢",
        ] {
            assert_eq!(text.parse::<WallTime>(), Err(NoWallTime), "{text}");
        }
    }
}
