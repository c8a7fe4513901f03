//! The times of a subscription, which cameras write in odd ways.

use std::time::Duration;

use crate::xml::Element;

/// How long a subscription is asked to live.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// How long one lives whose camera does not say.
pub(super) const UNTOLD: Duration = Duration::from_secs(60);
/// Longest life that is believed.
const LONGEST: i64 = 24 * 3600;

/// When a subscription ends, by the camera's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Term {
    /// What the clock showed, in seconds since 1970; `None` where that was not told.
    pub(super) now: Option<i64>,
    /// When the subscription ends, in the same way.
    pub(super) end: Option<i64>,
}

impl Term {
    /// Reads CurrentTime and TerminationTime of an answer. `clock` is the camera's clock, where the answer tells none.
    pub(super) fn read(answer: &Element, clock: i64) -> Self {
        let at = |name| seconds(answer.text_at(name));
        Self { now: Some(at("CurrentTime").unwrap_or(clock)), end: at("TerminationTime") }
    }

    /// How long the subscription lives on; `None` where the camera says nothing or nonsense.
    pub(super) fn left(self) -> Option<Duration> {
        let left = self.end?.checked_sub(self.now?)?;
        let left = Some(left).filter(|left| (1..=LONGEST).contains(left));
        left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_secs)
    }
}

/// The seconds since 1970 of a date and time. White space or `-` may stand for its `T`, the zone may be missing, and
/// an hour may have more than 60 minutes.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = (text.get(..10)?, text.get(10..)?);
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let date = ivt_base::date::Utc { year, month, day, hour: 0, minute: 0, second: 0 };
    let time = time.trim_start_matches(['T', 't', '-', ' ']);
    let end = time.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.'));
    let (time, zone) = time.split_at(end.unwrap_or(time.len()));
    Some(i64::try_from(date.seconds()?).ok()? + clock(time)? - offset(zone.trim()).unwrap_or(0))
}

/// The seconds of `HH:MM:SS`, with or without fractions.
fn clock(time: &str) -> Option<i64> {
    let whole = time.split('.').next()?;
    let mut parts = whole.split(':').map(|part| part.parse::<i64>().ok());
    let [hour, minute] = [parts.next()??, parts.next()??];
    let second = parts.next().flatten().unwrap_or(0);
    let is_near = [hour, minute, second].into_iter().all(|part| (0..100).contains(&part));
    is_near.then_some(hour * 3600 + minute * 60 + second)
}

/// The seconds by which a zone such as `+08:00` is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    Some(sign * clock(zone.get(1..)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse};

    #[test]
    fn times_are_read_however_odd_they_are() {
        let noon = Some(1_795_262_400);
        for (text, want) in [
            ("2026-11-21T12:00:00Z", noon),
            (" 2026-11-21T12:00:00.123456Z\n", noon),
            ("2026-11-21T12:00:00", noon),
            ("2026-11-21 12:00:00Z", noon),
            ("2026-11-21-12:00:00Z", noon),
            ("2026-11-21T20:00:00+08:00", noon),
            ("2026-11-21T06:30:00-05:30", noon),
            ("2026-11-21T12:00", noon),
            ("2026-11-21T11:60:00Z", noon),
            ("0000-00-00T00:00:00Z", None),
            ("2026-13-21T12:00:00Z", None),
            ("2026-11-21T12", None),
            ("2026-11-21", None),
            ("", None),
            ("PT600S", None),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", None),
            ("2026-11-21T-1:-1:-1", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_a_time_or_unknown() {
        let left = |now: &str, end: &str| {
            let text = format!(
                "<R><CurrentTime>{now}</CurrentTime><e:TerminationTime>{end}</e:TerminationTime></R>"
            );
            Term::read(&parse(text.as_bytes(), &Limits::default()).unwrap(), 1_795_262_400).left()
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (now, end, want) in [
            ("2026-11-21T12:00:00Z", "2026-11-21T12:10:00Z", seconds(600)),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z", seconds(60)),
            ("", "2026-11-21T12:01:01Z", seconds(61)),
            ("2026-11-21T12:00:00Z", "", None),
            ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z", None),
            ("2026-11-21T12:00:00Z", "1970-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", "2026-11-21T12:00:00Z", None),
            ("", "", None),
        ] {
            assert_eq!(left(now, end), want, "{now} {end}");
        }
    }
}
