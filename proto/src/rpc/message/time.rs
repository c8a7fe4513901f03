//! Setting a camera's clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// SyncTime: set the clock, unless it is nearly right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTime {
    /// The time at the camera.
    pub datetime: WallTime,
    /// Up to which difference the clock is left alone, s.
    pub offset: u64,
}

/// A date and time of day at the camera, without a time zone; always one the calendar has. Written
/// `2016-12-05T02:15:32`; a year of two digits is read as 20YY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
