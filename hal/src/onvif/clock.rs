//! The camera's clock, by which it judges a login. Cameras in another year are normal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::date::Utc;
use tokio::time::Instant;

use super::zone::ahead_of_utc;
use crate::WallTime;
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
    /// What the camera shows, as it tells it; `None` where it does not, or tells nonsense.
    pub local: Option<WallTime>,
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
        is_zone(self.now().abs_diff(Self::own().now()).as_secs())
    }
}

/// The seconds by which a clock that was just set to `wanted` is off, where it is off by a zone.
pub(super) fn off_by_a_zone(shown: WallTime, wanted: WallTime) -> Option<i64> {
    let (shown, wanted) = (shown.seconds()?, wanted.seconds()?);
    is_zone(shown.abs_diff(wanted)).then(|| quarters(shown.cast_signed() - wanted.cast_signed()))
}

/// Whether clocks that are so many seconds apart may be in different zones.
fn is_zone(off: u64) -> bool {
    let beside = (off + INEXACT) % QUARTER_HOUR <= 2 * INEXACT;
    beside && (QUARTER_HOUR - INEXACT..=LARGEST_ZONE + INEXACT).contains(&off)
}

/// Seconds as whole quarters of an hour.
fn quarters(seconds: i64) -> i64 {
    let quarter = QUARTER_HOUR.cast_signed();
    (seconds + quarter / 2).div_euclid(quarter) * quarter
}

impl DateAndTime {
    /// Reads the answer to GetSystemDateAndTime.
    pub(super) fn read(answer: &Element) -> Self {
        let told = answer.child("SystemDateAndTime").unwrap_or(answer);
        let zone = told.text_at("TimeZone/TZ").to_owned();
        let daylight_saving = matches!(told.text_at("DaylightSavings"), "true" | "1");
        let local = told.child("LocalDateTime").and_then(seconds);
        let utc = told.child("UTCDateTime").and_then(seconds).or_else(|| {
            let ahead = |at| ahead_of_utc(&zone, daylight_saving, at);
            let about = local?.checked_add_signed(-ahead(local?)?)?;
            local?.checked_add_signed(-ahead(about)?)
        });
        // What is further from UTC than any zone is nonsense.
        let local = local
            .filter(|local| utc.is_none_or(|utc| utc.abs_diff(*local) <= LARGEST_ZONE + INEXACT));
        let local = local.and_then(WallTime::from_seconds);
        let utc = utc.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let ntp = told.text_at("DateTimeType").eq_ignore_ascii_case("NTP");
        Self { utc, local, zone, daylight_saving, ntp }
    }

    /// What the camera shows; reckoned by its zone where it does not tell it. `None` where it tells no time at all.
    pub(super) fn shown(&self) -> Option<WallTime> {
        self.local.or_else(|| {
            let utc = self.utc_seconds()?;
            WallTime::from_seconds(utc.checked_add_signed(self.ahead(utc))?)
        })
    }

    /// The moment in UTC, in seconds since 1970, at which the camera shows a time. `None` before 1970.
    pub(super) fn moment_of(&self, shown: WallTime) -> Option<u64> {
        let shown = shown.seconds()?;
        // By the zone at about that moment, since it may be another than now.
        let about = shown.saturating_add_signed(-self.ahead(shown));
        shown.checked_add_signed(-self.ahead(about))
    }

    /// Seconds by which what the camera shows is ahead of what it calls UTC, at a moment. What it tells of both counts
    /// for more than its zone, as some cameras call their local time UTC.
    fn ahead(&self, at: u64) -> i64 {
        let by_zone = |at| ahead_of_utc(&self.zone, self.daylight_saving, at);
        let told = self.local.and_then(WallTime::seconds).zip(self.utc_seconds());
        let Some((local, utc)) = told else { return by_zone(at).unwrap_or(0) };
        let off = quarters(local.cast_signed() - utc.cast_signed());
        if by_zone(utc) == Some(off) { by_zone(at).unwrap_or(off) } else { off }
    }

    fn utc_seconds(&self) -> Option<u64> {
        Some(self.utc?.duration_since(UNIX_EPOCH).ok()?.as_secs())
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
    }

    #[test]
    fn what_is_shown_is_told_or_reckoned() {
        let utc = at("UTCDateTime", [2026, 7, 1, 4, 0, 0]);
        let local = |hour| at("LocalDateTime", [2026, 7, 1, hour, 0, 0]);
        let zone = |zone: &str, summer| {
            format!(
                "<DaylightSavings>{summer}</DaylightSavings><TimeZone><TZ>{zone}</TZ></TimeZone>"
            )
        };
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        for (inner, shown, winter) in [
            (utc.clone() + &local(12) + &zone("CST-8", false), "12:00:00", 8),
            (utc.clone() + &zone("CST-8", false), "12:00:00", 8),
            (utc.clone() + &zone(berlin, true), "06:00:00", 1),
            (utc.clone() + &local(6) + &zone(berlin, true), "06:00:00", 1),
            // The zone is another one than the camera follows, or unknown.
            (utc.clone() + &local(9) + &zone(berlin, true), "09:00:00", 5),
            (utc.clone() + &local(6) + &zone("Europe/Berlin", true), "06:00:00", 2),
            (utc.clone(), "04:00:00", 0),
            // Local time that is called UTC.
            (utc.clone() + &local(4) + &zone("CST-8", false), "04:00:00", 0),
            // Nonsense beside UTC.
            (
                utc.clone() + &at("LocalDateTime", [1999, 1, 1, 0, 0, 0]) + &zone("CST-8", false),
                "12:00:00",
                8,
            ),
            (
                utc.clone() + &at("LocalDateTime", [0, 0, 0, 0, 0, 0]) + &zone("CST-8", false),
                "12:00:00",
                8,
            ),
            (local(6) + &zone(berlin, true), "06:00:00", 1),
        ] {
            let told = told(&inner);
            let wall = |text: &str| text.parse::<WallTime>().unwrap();
            assert_eq!(told.shown(), Some(wall(&format!("2026-07-01T{shown}"))), "{inner}");
            let noon = 1_767_268_800 - winter * 3600;
            assert_eq!(told.moment_of(wall("2026-01-01T12:00:00")), Some(noon), "{inner}");
        }
        assert_eq!(told("").shown(), None);
        let east = told(&(utc + &zone("CST-8", false)));
        assert_eq!(east.moment_of("1970-01-01T07:00:00".parse().unwrap()), None);
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
