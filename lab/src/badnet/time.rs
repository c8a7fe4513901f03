//! Times as people write them: `500ms`, `30s`, `10m`, `1h`.

use std::fmt;
use std::time::Duration;

use ivt_base::short_time::{UNITS, short_time};

/// Longest time that is taken: 30 days.
const MOST: Duration = Duration::from_secs(30 * 86_400);

/// The error for text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time: expected a number and ms, s, m or h, such as 500ms or 1.5s, of whole milliseconds, 30 days at most"
)]
pub struct WrongTime(String);

/// Reads a time.
pub(super) fn parse_time(text: &str) -> Result<Duration, WrongTime> {
    let time = short_time(text).filter(|time| *time <= MOST);
    time.ok_or_else(|| WrongTime(text.to_owned()))
}

/// A time of whole milliseconds in its largest unit.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits =
            |(_, unit): &&(&str, u64)| millis > 0 && millis.is_multiple_of(u128::from(*unit));
        let (name, unit) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", millis / u128::from(*unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        for (text, millis) in
            [("0ms", 0), ("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("1h", 3_600_000)]
        {
            let time = parse_time(text).unwrap();
            assert_eq!((time.as_millis(), Shown(time).to_string().as_str()), (millis, text));
        }
        let time = parse_time("1.5s").unwrap();
        assert_eq!(Shown(time).to_string(), "1500ms");
        for text in
            ["", "s", "5", "0.5ms", "-1s", "9999999999h", "99999999999999999999ms", "5 s", "1d"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
