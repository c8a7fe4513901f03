//! The camera's clock, by which it judges a login. Cameras in another year are normal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::date::Utc;
use tokio::time::Instant;

use crate::xml::Element;

/// How far two clocks may differ and count as the same.
const SAME: Duration = Duration::from_secs(2);
const QUARTER_HOUR: u64 = 900;
/// How far a zone's time may be from UTC, in seconds.
const LARGEST_ZONE: u64 = 14 * 3600;
/// How far a camera whose clock is set may be from ours, in seconds.
const INEXACT: u64 = 30;

/// A clock as it was read once. It goes on by the time that passes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Since 1970 in UTC.
    read: Duration,
    at: Instant,
}

/// What a camera says of its date and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateAndTime {
    /// The camera's date and time; `None` where it tells none that exists.
    pub utc: Option<SystemTime>,
    /// The camera's time zone as POSIX has it, such as `CET-1CEST,M3.5.0,M10.5.0/3`; may be empty.
    pub zone: String,
    /// Whether the camera keeps daylight saving time.
    pub daylight_saving: bool,
    /// Whether NTP sets the clock.
    pub ntp: bool,
}

impl Clock {
    /// Our own clock.
    pub(super) fn own() -> Self {
        Self::of(SystemTime::now())
    }

    /// A clock that shows this time now; times before 1970 count as 1970.
    pub(super) fn of(time: SystemTime) -> Self {
        Self { read: time.duration_since(UNIX_EPOCH).unwrap_or_default(), at: Instant::now() }
    }

    /// What the clock shows now, since 1970.
    pub(super) fn now(&self) -> Duration {
        self.read + self.at.elapsed()
    }

    /// What the clock shows now, as `Created` of a login has it.
    pub(super) fn created(&self) -> String {
        let now = self.now();
        let date = Utc::from(UNIX_EPOCH + now).to_string();
        format!("{}.{:03}Z", date.trim_end_matches('Z'), now.subsec_millis())
    }

    /// Seconds by which the clock is ahead of ours.
    pub(super) fn ahead(&self) -> i64 {
        let seconds = |clock: &Self| i64::try_from(clock.now().as_secs()).unwrap_or(i64::MAX);
        seconds(self) - seconds(&Self::own())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.now().abs_diff(other.now()) < SAME
    }

    /// Whether the clock may show the time of a zone and call it UTC: it differs from ours by whole quarters of an
    /// hour.
    pub(super) fn may_be_local(&self) -> bool {
        let off = self.now().abs_diff(Self::own().now()).as_secs();
        let beside = (off + INEXACT) % QUARTER_HOUR <= 2 * INEXACT;
        beside && (QUARTER_HOUR - INEXACT..=LARGEST_ZONE + INEXACT).contains(&off)
    }
}

impl DateAndTime {
    /// Reads the answer to GetSystemDateAndTime.
    pub(super) fn read(answer: &Element) -> Self {
        let told = answer.child("SystemDateAndTime").unwrap_or(answer);
        let zone = told.text_at("TimeZone/TZ").to_owned();
        let daylight_saving = matches!(told.text_at("DaylightSavings"), "true" | "1");
        let utc = told.child("UTCDateTime").and_then(seconds);
        let utc = utc.or_else(|| {
            let local = i64::try_from(seconds(told.child("LocalDateTime")?)?).ok()?;
            let summer = if daylight_saving { 3600 } else { 0 };
            u64::try_from(local + west_of_utc(&zone)? - summer).ok()
        });
        let utc = utc.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let ntp = told.text_at("DateTimeType").eq_ignore_ascii_case("NTP");
        Self { utc, zone, daylight_saving, ntp }
    }
}

/// Seconds since 1970 of a date and time of ONVIF, as if it were in UTC.
fn seconds(at: &Element) -> Option<u64> {
    let number = |path| at.text_at(path).parse::<u64>().ok();
    let date = Utc {
        year: number("Date/Year")?,
        month: number("Date/Month")?,
        day: number("Date/Day")?,
        hour: number("Time/Hour")?,
        minute: number("Time/Minute")?,
        second: number("Time/Second")?,
    };
    date.seconds()
}

/// The seconds that a zone of POSIX, such as `CST-8` or `<+0530>-5:30`, is behind UTC without daylight saving time.
fn west_of_utc(zone: &str) -> Option<i64> {
    let rest = match zone.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => zone.trim_start_matches(|c: char| c.is_alphabetic()),
    };
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let mut seconds = 0;
    for (part, unit) in rest[..end].split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|part| *part < 100)? * unit;
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse};

    fn told(inner: &str) -> DateAndTime {
        let text = format!("<R><SystemDateAndTime>{inner}</SystemDateAndTime></R>");
        DateAndTime::read(&parse(text.as_bytes(), &Limits::default()).unwrap())
    }

    fn at(kind: &str, [year, month, day, hour, minute, second]: [u64; 6]) -> String {
        format!(
            "<{kind}><Time><Hour>{hour}</Hour><Minute>{minute}</Minute><Second>{second}</Second></Time>\
             <Date><Year>{year}</Year><Month>{month}</Month><Day>{day}</Day></Date></{kind}>"
        )
    }

    fn since_1970(told: &DateAndTime) -> Option<u64> {
        told.utc.map(|utc| utc.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_camera_may_be_in_any_year() {
        for (date, seconds) in [
            ([1970, 1, 1, 0, 0, 7], 7),
            ([2000, 2, 29, 0, 0, 0], 951_782_400),
            ([2038, 1, 19, 3, 14, 8], 2_147_483_648),
            ([2106, 2, 7, 6, 28, 16], 4_294_967_296),
        ] {
            let told = told(&at("UTCDateTime", date));
            assert_eq!(since_1970(&told), Some(seconds));
            let created = Clock::of(told.utc.unwrap()).created();
            let [year, month, day, ..] = date;
            assert!(created.starts_with(&format!("{year}-{month:02}-{day:02}T")), "{created}");
            assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
        }
        for nonsense in ["", &at("UTCDateTime", [0, 0, 0, 0, 0, 0]), "<UTCDateTime/>"] {
            assert_eq!(told(nonsense).utc, None, "{nonsense}");
        }
    }

    #[test]
    fn local_time_and_zone_serve_where_utc_is_missing() {
        let noon = at("LocalDateTime", [2026, 7, 1, 12, 0, 0]);
        let utc_noon = since_1970(&told(&at("UTCDateTime", [2026, 7, 1, 12, 0, 0]))).unwrap();
        for (zone, summer, hours) in [
            ("CST-8", false, -8),
            ("CET-1CEST,M3.5.0,M10.5.0/3", true, -2),
            ("EST5EDT", true, 4),
            ("GMT+03:00", false, 3),
            ("UTC0", false, 0),
        ] {
            let zone = format!(
                "<DaylightSavings>{summer}</DaylightSavings><TimeZone><TZ>{zone}</TZ></TimeZone>{noon}"
            );
            let told = told(&zone);
            assert_eq!(since_1970(&told), utc_noon.checked_add_signed(hours * 3600), "{zone}");
            assert_eq!(told.daylight_saving, summer);
        }
        assert_eq!(west_of_utc("<+0530>-5:30"), Some(-19_800));
        for zone in ["", "Europe/Berlin", "X99999999999999999999", "<a"] {
            assert_eq!(west_of_utc(zone), None, "{zone}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_on_by_the_time_that_passes_here() {
        let clock = Clock::of(UNIX_EPOCH + Duration::from_millis(1_500));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.created(), "1970-01-01T01:00:01.500Z");
    }

    #[test]
    fn whole_quarters_of_an_hour_look_like_a_zone() {
        let ahead = |seconds: u64| Clock::of(SystemTime::now() + Duration::from_secs(seconds));
        for (seconds, is) in [
            (0, false),
            (20, false),
            (3600, true),
            (3610, true),
            (3590, true),
            (3660, false),
            (900, true),
            (450, false),
            (50_400, true),
            (54_000, false),
            (8 * 3600, true),
            (86_400 * 365, false),
        ] {
            assert_eq!(ahead(seconds).may_be_local(), is, "{seconds}");
        }
        let behind = Clock::of(SystemTime::now() - Duration::from_secs(5 * 3600));
        assert!(behind.may_be_local() && (-18_001..=-17_999).contains(&behind.ahead()));
    }
}
