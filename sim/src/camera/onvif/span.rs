//! Durations of XML Schema.

use std::time::Duration;

/// Reads a duration of days, hours, minutes and seconds such as `P1DT2H3M4.5S`; `None` for any other text, and
/// for months and years.
pub fn parse(text: &str) -> Option<Duration> {
    let rest = text.trim().strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut total = part(days, &[('D', 86_400.0)])?;
    let mut any = !days.is_empty();
    if let Some(time) = time {
        any |= !time.is_empty();
        total += part(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| any)
}

/// The seconds of numbers with these units, each of them once at most and in this order.
fn part(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let (mut rest, mut total) = (text, 0.0);
    for (unit, seconds) in units {
        if let Some((number, after)) = rest.split_once(*unit) {
            let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            total += number.parse::<f64>().ok().filter(|_| plain)? * seconds;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [
            ("PT1S", Some(1.0)),
            ("PT0.5S", Some(0.5)),
            ("PT1M30.5S", Some(90.5)),
            ("P1DT1H", Some(90_000.0)),
            ("P1D", Some(86_400.0)),
            ("PT0S", Some(0.0)),
            ("P1Y", None),
            ("P1M", None),
            ("PT", None),
            ("P", None),
            ("-PT1S", None),
            ("PT-1S", None),
            ("PT1S1M", None),
            ("PT1e9S", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(|time| time.as_secs_f64()), seconds, "{text}");
        }
    }
}
