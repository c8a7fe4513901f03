//! The camera's clock, which may be wrong or lie on request: the clock of the emulated cameras is its local time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ivt_base::wall_time::WallTime;

use super::quirk::{Quirk, Switches};
use crate::camera::web::calendar::Date;
use crate::camera::world::World;

/// How far the clock of [`Quirk::OtherYear`] is behind, in seconds: 20 years.
const YEARS_BEHIND: i64 = 20 * 365 * 86_400;
/// How far [`Quirk::LocalTime`] is ahead, in seconds: 8 hours.
const ZONE: i64 = 8 * 3600;

/// What a client set beside the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Whether the zone's summer time is kept.
    pub daylight: bool,
    /// The zone by POSIX 1003.1; `None` for the one that the camera begins with.
    zone: Option<String>,
}

/// The clock of one camera.
pub struct Clock {
    world: Arc<World>,
    setting: Mutex<Setting>,
}

impl Clock {
    /// The clock of these cameras.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, setting: Mutex::default() }
    }

    /// The time that logins are compared with, in seconds since 1970.
    pub fn now(&self, quirks: &Switches) -> i64 {
        self.shown() - ahead(&self.zone(quirks)).unwrap_or_default() - behind(quirks)
    }

    /// The time that the camera tells as UTC.
    pub fn told(&self, quirks: &Switches) -> Date {
        let lie = if quirks.has(Quirk::LocalTime) { ZONE } else { 0 };
        Date::from_unix(self.now(quirks) + lie)
    }

    /// What the clock shows.
    pub fn local(&self) -> Date {
        Date::from_unix(self.shown())
    }

    /// The zone by POSIX 1003.1.
    pub fn zone(&self, quirks: &Switches) -> String {
        let first = if quirks.has(Quirk::ZoneAhead) { "CST-8" } else { "UTC0" };
        self.setting().zone.unwrap_or_else(|| first.to_owned())
    }

    /// What a client set beside the time.
    pub fn setting(&self) -> Setting {
        self.setting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the clock: by hand to `time`, in seconds since 1970, or by a time server where there is none. `None` for a
    /// time or a zone that the camera cannot have.
    pub fn set(
        &self,
        time: Option<i64>,
        daylight: bool,
        zone: Option<String>,
        quirks: &Switches,
    ) -> Option<()> {
        let zone = zone.unwrap_or_else(|| self.zone(quirks));
        let local = time.unwrap_or_else(computer) + ahead(&zone)? + behind(quirks);
        let local = WallTime::from_seconds(u64::try_from(local).ok()?)?;
        match time {
            Some(_) => self.world.set_clock(local).ok()?,
            None => self.world.follow_server(local).ok()?,
        }
        let mut setting = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        *setting = Setting { daylight, zone: Some(zone) };
        Some(())
    }

    fn shown(&self) -> i64 {
        let shown = self.world.clock().and_then(WallTime::seconds);
        shown.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default()
    }
}

/// How far the clock is behind the right one, in seconds.
fn behind(quirks: &Switches) -> i64 {
    if quirks.has(Quirk::OtherYear) { YEARS_BEHIND } else { 0 }
}

/// How far a zone of POSIX, such as `CST-8` or `<+0530>-5:30`, is ahead of UTC without summer time, in seconds.
fn ahead(zone: &str) -> Option<i64> {
    let rest = match zone.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => zone.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    if rest.len() == zone.len() {
        return None;
    }
    let (west, rest) = match rest.as_bytes().first()? {
        b'-' => (-1, &rest[1..]),
        b'+' => (1, &rest[1..]),
        _ => (1, rest),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let mut parts = rest[..end].split(':').map(|part| part.parse::<i64>().ok());
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    let fits = hours <= 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
    fits.then_some(-west * (hours * 3600 + minutes * 60 + seconds))
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

    fn clock() -> Clock {
        Clock::new(Arc::new(World::new(1)))
    }

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
        let (clock, quirks) = (clock(), Switches::of(&[Quirk::ZoneAhead]));
        clock.set(Some(1_000_000), true, None, &quirks).unwrap();
        assert!((1_000_000..1_000_060).contains(&clock.now(&quirks)));
        let zone = clock.zone(&quirks);
        assert_eq!((clock.setting().daylight, zone.as_str()), (true, "CST-8"));
        assert!(clock.world.is_clock_manual(), "a person set it");
        let local = clock.local().unix().unwrap();
        assert_eq!(local, clock.now(&quirks) + 8 * 3600, "the world's clock shows local time");
        clock.set(None, false, Some("<-01>1".into()), &quirks).unwrap();
        assert!((clock.now(&quirks) - computer()).abs() < 60);
        assert!((clock.local().unix().unwrap() + 3600 - computer()).abs() < 60);
        assert_eq!(
            (clock.zone(&quirks).as_str(), clock.world.is_clock_manual()),
            ("<-01>1", false)
        );
        for (time, zone) in
            [(0, "CST+8"), (1_000_000, "-8"), (1_000_000, "CST"), (i64::MAX / 2, "A0")]
        {
            assert_eq!(
                clock.set(Some(time), false, Some(zone.into()), &quirks),
                None,
                "{time} {zone}"
            );
        }
    }

    #[test]
    fn zones_are_read() {
        for (zone, hours) in [
            ("UTC0", Some(0.0)),
            ("CST-8", Some(8.0)),
            ("EST5EDT,M3.2.0,M11.1.0", Some(-5.0)),
            ("<+0530>-5:30", Some(5.5)),
            ("NST+3:30:00NDT", Some(-3.5)),
            ("CST", None),
            ("<+08-8", None),
            ("CST-25", None),
            ("-8", None),
            ("", None),
        ] {
            let read = ahead(zone).map(|seconds| seconds as f64 / 3600.0);
            assert_eq!(read, hours, "{zone}");
        }
    }

    #[test]
    fn another_year_is_the_clock_and_local_time_only_what_is_told() {
        let clock = clock();
        let year = Switches::of(&[Quirk::OtherYear]);
        assert!((computer() - YEARS_BEHIND - clock.now(&year)).abs() < 60);
        let local = Switches::of(&[Quirk::LocalTime]);
        assert!((clock.now(&local) - computer()).abs() < 60);
        assert!((clock.told(&local).unix().unwrap() - computer() - ZONE).abs() < 60);
    }
}
