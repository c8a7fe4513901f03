//! How long a server asks to be left alone (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::date::http_date;

/// A server that asks for a longer pause is asked again after this one.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// The pause that a `Retry-After` asks for, in seconds or as a date, at most [`LONGEST`]. A date
/// counts from the `Date` of the same answer, so that a device whose clock is wrong waits as long as
/// any other; without that, from the device's clock. None: the value cannot be read.
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let seconds = if digits > 0 {
        // Only a number with too many digits cannot be read.
        value[..digits].parse().unwrap_or(u64::MAX)
    } else {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        http_date(value)?.saturating_sub(date.and_then(http_date).unwrap_or_else(now))
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded_by_an_hour() {
        let date = Some("Mon, 30 Nov 2026 12:00:00 GMT");
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("1.5", Some(1)),
            ("3600", Some(3600)),
            ("3601", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Mon, 30 Nov 2026 12:00:07 GMT", Some(7)),
            ("Monday, 30-Nov-26 12:01:00 GMT", Some(60)),
            ("Mon Nov 30 12:00:30 2026", Some(30)),
            ("Mon, 30 Nov 2026 11:59:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
            ("-5", None),
            ("", None),
            ("soon", None),
            ("Mon, 30 Nov", None),
        ] {
            assert_eq!(retry_after(value, date), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn a_date_without_a_reference_counts_from_the_clock() {
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(past, None), Some(Duration::ZERO));
        assert_eq!(retry_after(past, Some("no date")), Some(Duration::ZERO));
        assert_eq!(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", None), Some(LONGEST));
    }
}
