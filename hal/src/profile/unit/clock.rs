//! Reading and setting a camera's clock.

use async_trait::async_trait;

use super::Unit;
use crate::profile::answer::Row;
use crate::profile::error::Answered;
use crate::profile::exchange::DEADLINE;
use crate::profile::step::Step;
use crate::{Clock, Error, Kind, Result, WallTime};

const NOW: &str = "clock now";
const SET: &str = "clock set";
/// Most bytes of what a camera calls a time.
const LONGEST_TIME: usize = 128;
/// Furthest distance of a time zone from UTC, in seconds.
const FURTHEST_ZONE: i64 = 26 * 3600;

#[async_trait]
impl Clock for Unit {
    async fn now(&self) -> Result<WallTime> {
        let row = self.read_clock(NOW).await?;
        local(&row).ok_or_else(|| unclear(NOW))
    }

    async fn set(&self, time: WallTime) -> Result<()> {
        let set = tokio::time::timeout(DEADLINE, self.set_clock(time));
        set.await.unwrap_or_else(|_| Err(Error::new(SET, Kind::Timeout)))
    }
}

impl Unit {
    pub(super) async fn read_clock(&self, op: &'static str) -> Result<Row> {
        let steps = self.profile.steps(NOW).ok_or_else(|| Error::new(op, Kind::Unsupported))?;
        let rows = self.call(op).run(steps, &self.values()).await?;
        rows.into_iter().next().ok_or_else(|| unclear(op))
    }

    async fn set_clock(&self, time: WallTime) -> Result<()> {
        let steps = self.profile.steps(SET).ok_or_else(|| Error::new(SET, Kind::Unsupported))?;
        let uses =
            |name: &str| self.profile.uses(steps.iter().flat_map(Step::names).collect(), name);
        let mut values = self.values().time(time);
        let needs_utc = uses("utc_year") || uses("epoch");
        if needs_utc || uses("zone") {
            let row = self.read_clock(SET).await?;
            let told = row.get("time").map(String::as_str).unwrap_or_default();
            values = values.text("zone", zone(told));
            if needs_utc {
                let utc = row.get("utc").and_then(|text| moment(text));
                let (local, utc) = local(&row).zip(utc).ok_or_else(|| unclear(SET))?;
                let invalid = || Error::new(SET, Kind::Invalid);
                let seconds =
                    |time: WallTime| time.seconds().and_then(|seconds| i64::try_from(seconds).ok());
                let ahead = seconds(local).zip(seconds(utc)).map(|(local, utc)| local - utc);
                // A zone is a whole number of quarter hours; what is read twice may be a second apart.
                let ahead = ahead.filter(|ahead| ahead.abs() <= FURTHEST_ZONE);
                let ahead = ahead.ok_or_else(|| unclear(SET))?;
                let ahead = (ahead + 450).div_euclid(900) * 900;
                let epoch = seconds(time).map(|seconds| seconds - ahead);
                let utc = epoch.and_then(|epoch| u64::try_from(epoch).ok());
                let utc = utc.and_then(WallTime::from_seconds).ok_or_else(invalid)?;
                values = values.utc(utc).number("epoch", epoch.unwrap_or_default());
            }
        }
        self.run(SET, &values).await.map(drop)
    }
}

fn unclear(op: &'static str) -> Error {
    Error::new(op, Kind::Other).because(Answered("did not say a time that can be read".into()))
}

/// The local time of an answer: in one piece, or in six.
fn local(row: &Row) -> Option<WallTime> {
    if let Some(time) = row.get("time") {
        return moment(time);
    }
    let number = |name| row.get(name)?.trim().trim_matches(['"', '\'', ';']).parse::<u16>().ok();
    let small = |name| number(name).and_then(|number| u8::try_from(number).ok());
    let year = number("year")?;
    let (hour, minute) = (small("hour")?, small("minute")?);
    WallTime::new(year, small("month")?, small("day")?, hour, minute, small("second")?)
}

/// A time in one of the many forms of cameras: `2026-11-30T01:02:03`, with `/` or blanks and without zeros in front, with a
/// fraction or a zone behind it, without separators, or `MMDDhhmmYYYY.ss`.
fn moment(text: &str) -> Option<WallTime> {
    let groups = groups(text);
    let digits: Vec<&str> = groups.iter().map(|(_, digits)| *digits).collect();
    let [year, month, day, hour, minute, second] = match digits[..] {
        [whole, second, ..] if whole.len() == 12 && second.len() == 2 => {
            [&whole[8..], &whole[..2], &whole[2..4], &whole[4..6], &whole[6..8], second]
        }
        [whole, ..] if whole.len() == 14 => {
            let (date, time) = whole.split_at(8);
            [&date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..]]
        }
        [date, time, ..] if date.len() == 8 && time.len() == 6 => {
            [&date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..]]
        }
        [year, month, day, hour, minute, second, ..] => [year, month, day, hour, minute, second],
        _ => return None,
    };
    let year = match year.len() {
        2 => 2000 + year.parse::<u16>().ok()?,
        4 => year.parse().ok()?,
        _ => return None,
    };
    let small = |text: &str| text.parse::<u8>().ok();
    let (hour, minute) = (small(hour)?, small(minute)?);
    WallTime::new(year, small(month)?, small(day)?, hour, minute, small(second)?)
}

/// What stands behind the seconds of `2026-11-30T01:02:03+08:00`, and has to stand there again.
fn zone(text: &str) -> &str {
    let text = text.trim();
    let groups = groups(text);
    let Some((at, digits)) = groups.get(5) else { return "" };
    let rest = &text[at + digits.len()..];
    match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    }
}

/// The digits in a text, each with its place.
fn groups(text: &str) -> Vec<(usize, &str)> {
    let end = (0..=LONGEST_TIME.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let text = &text[..end.unwrap_or_default()];
    let mut groups: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(|c: char| c.is_ascii_digit()) {
        let begin = at + found;
        let rest = &text[begin..];
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        groups.push((begin, &rest[..length]));
        at = begin + length;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_of_cameras() {
        let wanted = WallTime::new(2026, 11, 3, 1, 2, 3);
        for text in [
            "2026-11-03T01:02:03",
            "2026-11-3 1:02:03",
            " 2026/11/03 01:02:03\r",
            "2026-11-03T01:02:03.250Z",
            "2026-11-03T01:02:03+08:00",
            "2026-11-03 01:02:03 CST-8:00:00",
            "26-11-03 01:02:03",
            "20261103010203",
            "20261103T010203Z",
            "110301022026.03",
            "\"2026-11-03 01:02:03\"",
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        for text in [
            "",
            "x",
            "2026-11-03",
            "2026-13-03 01:02:03",
            "2026-11-03 24:02:03",
            "12345-1-1 1:1:1",
            "2026-11-03 01:02:999999999999999999999",
            "202611030102",
            "2026-02-30 01:02:03",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(moment(&"9 ".repeat(1 << 20)), None);
    }

    #[test]
    fn what_stands_behind_a_time_is_known() {
        for (text, wanted) in [
            ("2026-11-03T01:02:03", ""),
            ("2026-11-03T01:02:03Z", "Z"),
            (" 2026-11-03T01:02:03.5+08:00 ", "+08:00"),
            ("2026-11-03T01:02:03-03:30", "-03:30"),
            ("x", ""),
        ] {
            assert_eq!(zone(text), wanted, "{text}");
        }
    }
}
