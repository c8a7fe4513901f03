//! What deployed clouds write otherwise than the specification says, and what it is read as.

use std::time::{Duration, Instant};

use serde_json::{Number, Value};

use super::{MAX_BLANKS, Violation};

/// The time in which [`MAX_BLANKS`] may come.
const PERIOD: Duration = Duration::from_secs(10);
/// Longest integer that is written as a string, in bytes.
const DIGITS: usize = 24;
/// Floats from here on are not taken for integers: 2^63.
const LARGEST: f64 = 9_223_372_036_854_775_808.0;

/// A packet without the byte order mark before it and the NUL behind it. White space on either side
/// goes with them.
pub(super) fn packet(text: &str) -> &str {
    text.trim_start_matches(is_blank).trim_end_matches(|c| c == '\0' || is_blank(c))
}

/// Whether a message holds no packet at all, as the sign of life of some clouds does.
pub(super) fn says_nothing(text: &str) -> bool {
    packet(text).is_empty()
}

fn is_blank(c: char) -> bool {
    c == '\u{feff}' || c.is_whitespace()
}

/// The number as an integer of at most 64 bits, also where it is written as a float without a
/// fraction: 1.0, 1e0.
pub(super) fn integer(number: &Number) -> Option<Number> {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            (float.fract() == 0.0 && float.abs() < LARGEST).then(|| Number::from(float as i64))
        }
        _ => Some(number.clone()),
    }
}

/// The integer that a `seq` stands for, also where it is written as a string.
pub(super) fn seq(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => integer(number),
        Value::String(text) if text.len() <= DIGITS => integer(&text.parse().ok()?),
        _ => None,
    }
}

/// Counts messages that hold nothing, which some clouds send as a sign of life.
#[derive(Default)]
pub(super) struct Blanks {
    since: Option<Instant>,
    count: usize,
}

impl Blanks {
    /// Counts one more.
    ///
    /// # Errors
    ///
    /// More than [`MAX_BLANKS`] came within 10 s, and no packet between them.
    pub(super) fn push(&mut self, now: Instant) -> Result<(), Violation> {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= PERIOD {
            *self = Self { since: Some(now), count: 0 };
        }
        if self.count >= MAX_BLANKS {
            return Err(Violation::TooManyBlanks);
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_some_peers_put_around_a_packet_is_left_out() {
        for text in ["{}", "\u{feff}{}", " \u{feff}\n{}", "{}\0", "{}\0\0", "{} \0\r\n", "{}\n\0 "]
        {
            assert_eq!(packet(text), "{}", "{text:?}");
        }
        assert_eq!(packet("\0{}"), "\0{}", "NUL before a packet is no habit of anybody");
        for text in ["", " ", "\n", "\r\n\t", "\u{feff}", "\0", "\0\0", "\n\0", "\0 \0\n"] {
            assert!(says_nothing(text), "{text:?}");
        }
        assert!(!says_nothing("\0{}") && !says_nothing("{}"));
    }

    #[test]
    fn integers_are_read_in_every_spelling() {
        for (value, read) in [
            ("1", Some(json!(1))),
            ("1.0", Some(json!(1))),
            ("1e0", Some(json!(1))),
            ("1.5e1", Some(json!(15))),
            ("-0", Some(json!(0))),
            ("-0.0", Some(json!(0))),
            ("-3.0", Some(json!(-3))),
            ("1e18", Some(json!(1_000_000_000_000_000_000_u64))),
            ("18446744073709551615", Some(json!(u64::MAX))),
            (r#""1""#, Some(json!(1))),
            (r#""-7""#, Some(json!(-7))),
            (r#""1.0""#, Some(json!(1))),
            (r#""18446744073709551615""#, Some(json!(u64::MAX))),
            ("1.5", None),
            ("1e19", None),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("1e300", None),
            (r#""""#, None),
            (r#""x""#, None),
            (r#""1 ""#, None),
            (r#"" 1""#, None),
            (r#""+1""#, None),
            (r#""01""#, None),
            (r#""0x1""#, None),
            (r#""1.5""#, None),
            (r#""18446744073709551616""#, None),
            (r#""0000000000000000000000001""#, None),
            ("true", None),
            ("null", None),
            ("[1]", None),
        ] {
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(seq(&value).map(Value::Number), read, "{value}");
        }
    }
}
