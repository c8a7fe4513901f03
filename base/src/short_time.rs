//! Short times as people write them: `500ms`, `1.5s`, `2m`, `1h`.

use std::time::Duration;

/// Units with their milliseconds, the shortest first. A name that another one ends with comes behind that one.
pub const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
/// Most digits behind the point.
const MAX_FRACTION: usize = 6;

/// Reads a time of whole milliseconds; `None` for other text. Whoever asks bounds it.
pub fn short_time(text: &str) -> Option<Duration> {
    UNITS.iter().find_map(|(unit, millis)| {
        let amount = text.strip_suffix(unit)?;
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
        if fraction.len() > MAX_FRACTION {
            return None;
        }
        let (part, one) = (number(fraction)? * millis, 10u64.pow(fraction.len() as u32));
        let rest = part.is_multiple_of(one).then_some(part / one)?;
        Some(Duration::from_millis(number(whole)?.checked_mul(*millis)?.checked_add(rest)?))
    })
}

/// Digits only: `parse` alone takes a sign too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_whole_milliseconds_are_read() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("12s", 12_000),
            ("1.5s", 1500),
            ("0.25m", 15_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(short_time(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "s",
            "ms",
            "12",
            "+1s",
            "-1s",
            "1e3s",
            "nans",
            "infs",
            "1d",
            "1 s",
            "1.s",
            ".5s",
            "1.2.3s",
            "0.1ms",
            "1.0005s",
            "0.000001h",
            "1.0000000s",
            "99999999999999999999h",
            "9999999999999999h",
            "1S",
        ] {
            assert_eq!(short_time(text), None, "{text}");
        }
    }
}
