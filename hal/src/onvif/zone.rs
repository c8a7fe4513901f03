//! The camera's time zone.

use tz::TimeZoneSettings;

/// Seconds by which the zone of a camera is ahead of UTC at a moment, in seconds since 1970. `zone` is as POSIX has
/// it, such as `CST-8` or `CET-1CEST,M3.5.0,M10.5.0/3`; `summer` is whether the camera says that it keeps daylight
/// saving time, which counts for a zone that does not say when. `None` for text that is no such zone.
pub(super) fn ahead_of_utc(zone: &str, summer: bool, at: u64) -> Option<i64> {
    let standard = -west_of_utc(zone)?;
    if !summer {
        return Some(standard);
    }
    // A zone that names a file is none: a camera has no say in what is read here.
    let settings = TimeZoneSettings::new(&[], |_| Err("no files are read".into()));
    let rule = settings.parse_posix_tz(zone).ok().filter(|_| zone.contains(','));
    let moment = i64::try_from(at).ok()?;
    let by_rule = rule.and_then(|rule| Some(rule.find_local_time_type(moment).ok()?.ut_offset()));
    Some(by_rule.map_or(standard + 3600, i64::from))
}

/// The seconds that a zone is behind UTC without daylight saving time.
fn west_of_utc(zone: &str) -> Option<i64> {
    let zone = zone.trim();
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

    /// Noon of 1 January and of 1 July 2026 in UTC.
    const WINTER: u64 = 1_767_268_800;
    const SUMMER: u64 = 1_782_907_200;

    #[test]
    fn zones_are_read_as_cameras_write_them() {
        for (zone, summer, winter_hours, summer_hours) in [
            ("CST-8", false, 8.0, 8.0),
            ("CST-8:00:00", false, 8.0, 8.0),
            ("UTC0", false, 0.0, 0.0),
            ("GMT+03:00", false, -3.0, -3.0),
            ("<+0530>-5:30", false, 5.5, 5.5),
            ("EST5EDT", true, -4.0, -4.0),
            ("EST5EDT", false, -5.0, -5.0),
            ("CET-1CEST,M3.5.0,M10.5.0/3", true, 1.0, 2.0),
            ("CET-1CEST,M3.5.0,M10.5.0/3", false, 1.0, 1.0),
            ("EST5EDT,M3.2.0,M11.1.0", true, -5.0, -4.0),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", true, 11.0, 10.0),
            ("CET-1CEST,nonsense", true, 2.0, 2.0),
        ] {
            for (at, hours) in [(WINTER, winter_hours), (SUMMER, summer_hours)] {
                let ahead = ahead_of_utc(zone, summer, at);
                assert_eq!(ahead, Some((hours * 3600.0) as i64), "{zone} {summer} {at}");
            }
        }
    }

    #[test]
    fn what_is_no_zone_is_unknown_and_reads_no_file() {
        for zone in ["", "Europe/Berlin", ":/etc/localtime", "localtime", "X99999999999999", "<a"] {
            assert_eq!(ahead_of_utc(zone, true, SUMMER), None, "{zone}");
        }
        assert_eq!(ahead_of_utc("CET-1CEST,M3.5.0,M10.5.0/3", true, u64::MAX), None);
    }
}
