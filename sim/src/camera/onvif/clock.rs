//! The camera's clock, which may be wrong or lie on request.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use super::quirk::{Quirk, Switches};
use crate::camera::web::calendar::Date;

/// How far the clock of [`Quirk::OtherYear`] is behind, in seconds: 20 years.
const YEARS_BEHIND: i64 = 20 * 365 * 86_400;
/// How far [`Quirk::LocalTime`] is ahead, in seconds: 8 hours.
const ZONE: i64 = 8 * 3600;

/// How the clock is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Seconds that are added to the computer's clock.
    offset: i64,
    /// Whether a time server sets the clock, and not a person.
    pub ntp: bool,
    /// Whether the zone's summer time is kept.
    pub daylight: bool,
    /// The zone by POSIX 1003.1.
    pub zone: String,
}

/// The clock of one camera.
#[derive(Debug)]
pub struct Clock(Mutex<Setting>);

impl Default for Clock {
    fn default() -> Self {
        let zone = "CST-8".to_owned();
        Self(Mutex::new(Setting { offset: 0, ntp: true, daylight: false, zone }))
    }
}

impl Clock {
    /// The time that logins are compared with, in seconds since 1970.
    pub fn now(&self, quirks: &Switches) -> i64 {
        let behind = if quirks.has(Quirk::OtherYear) { YEARS_BEHIND } else { 0 };
        computer() + self.setting().offset - behind
    }

    /// The time that the camera tells as UTC.
    pub fn told(&self, quirks: &Switches) -> Date {
        let ahead = if quirks.has(Quirk::LocalTime) { ZONE } else { 0 };
        Date::from_unix(self.now(quirks) + ahead)
    }

    /// How the clock is set.
    pub fn setting(&self) -> Setting {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the clock: by hand to `time`, in seconds since 1970, or by a time server where there is none.
    pub fn set(&self, time: Option<i64>, daylight: bool, zone: Option<String>, quirks: &Switches) {
        let running = self.now(quirks);
        let mut setting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        setting.offset = time.map_or(0, |time| setting.offset + time - running);
        (setting.ntp, setting.daylight) = (time.is_none(), daylight);
        setting.zone = zone.unwrap_or(std::mem::take(&mut setting.zone));
    }
}

/// The computer's clock in seconds since 1970.
fn computer() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Reads `2026-11-30T06:07:08.123Z`, with or without a fraction, and `+08:00` or nothing in the place of the
/// `Z`, as seconds since 1970.
pub fn parse_utc(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once('T')?;
    let numbers = |text: &str, separator: char| {
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let all = text.split(separator);
        all.map(|part| part.parse::<i64>().ok().filter(|_| plain(part))).collect::<Option<Vec<_>>>()
    };
    let (time, ahead) = match time.find(['Z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, "Z"),
    };
    let ahead = match (ahead, numbers(ahead.get(1..)?, ':').as_deref()) {
        ("Z", _) => 0,
        (zone, Some(&[hours, minutes])) => {
            (hours * 3600 + minutes * 60) * if zone.starts_with('-') { -1 } else { 1 }
        }
        _ => return None,
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    numbers(fraction, '.')?;
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (&*date, &*time) else { return None };
    Some(Date { year, month, day, hour, minute, second }.unix()? - ahead)
}

/// A time as XML Schema writes it.
pub fn utc_text(date: Date) -> String {
    let Date { year, month, day, hour, minute, second } = date;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, time) in [
            ("2020-04-01T06:00:00Z", Some(1_585_720_800)),
            ("2020-04-01T06:00:00.123Z", Some(1_585_720_800)),
            (" 2020-04-01T06:00:00 ", Some(1_585_720_800)),
            ("2020-04-01T06:00:00+00:00", Some(1_585_720_800)),
            ("2020-04-01T14:00:00.5+08:00", Some(1_585_720_800)),
            ("2020-04-01T05:30:00-00:30", Some(1_585_720_800)),
            ("2020-04-01T06:00:00+0", None),
            ("2020-04-01T06:00:00Z+", None),
            ("2020-04-01T06:00Z", None),
            ("2020-13-01T06:00:00Z", None),
            ("2020-04-01 06:00:00Z", None),
            ("2020-04-01T06:00:00.x", None),
            ("", None),
        ] {
            assert_eq!(parse_utc(text), time, "{text}");
        }
        assert_eq!(utc_text(Date::from_unix(1_585_720_800)), "2020-04-01T06:00:00Z");
    }

    #[test]
    fn a_clock_that_was_set_goes_on_from_there() {
        let (clock, quirks) = (Clock::default(), Switches::of(&[]));
        clock.set(Some(1_000_000), true, None, &quirks);
        assert!((1_000_000..1_000_060).contains(&clock.now(&quirks)));
        let setting = clock.setting();
        assert_eq!((setting.ntp, setting.daylight, setting.zone.as_str()), (false, true, "CST-8"));
        clock.set(None, false, Some("UTC0".into()), &quirks);
        assert!((clock.now(&quirks) - computer()).abs() < 60);
        assert_eq!(clock.setting().zone, "UTC0");
    }

    #[test]
    fn another_year_is_the_clock_and_local_time_only_what_is_told() {
        let clock = Clock::default();
        let year = Switches::of(&[Quirk::OtherYear]);
        assert!((computer() - YEARS_BEHIND - clock.now(&year)).abs() < 60);
        let local = Switches::of(&[Quirk::LocalTime]);
        assert!((clock.now(&local) - computer()).abs() < 60);
        assert!((clock.told(&local).unix().unwrap() - computer() - ZONE).abs() < 60);
    }
}
