//! The times in the query of a report, as cameras of the family read them.

use super::calendar::{DAY, Date};

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/// Weekday of the first day of 1970, counted from Sunday.
const FIRST_WEEKDAY: i64 = 4;

/// Reads `now`, `today`, `thisweek` and the like, with so many seconds or, behind `now`, hours and minutes added or
/// taken; or `2020/04/01` or `2020-04-01` with or without `06:00` or `06:00:00`. In seconds since 1970.
pub fn moment(text: &str, now: i64) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let (name, offset) = text.split_at(text.find(['-', '+', ' ']).unwrap_or(text.len()));
    let Some(named) = named(name, now) else { return dated(&text) };
    let Some((sign, by)) = offset.split_at_checked(1) else { return Some(named) };
    let by = if by.contains(':') { clock(by)? } else { digits(by)? };
    Some(if sign == "-" { named - by } else { named + by })
}

fn named(name: &str, now: i64) -> Option<i64> {
    let today = now - now.rem_euclid(DAY);
    let weekday = (today / DAY + FIRST_WEEKDAY) % 7;
    let month = |back: i64| {
        let Date { year, month, .. } = Date::from_unix(today);
        let months = year * 12 + month - 1 - back;
        Date::day(months / 12, months % 12 + 1, 1).unix()
    };
    Some(match name {
        "now" => now,
        "today" => today,
        "yesterday" => today - DAY,
        "thisweek" | "this_week" => today - weekday * DAY,
        "lastweek" | "last_week" => today - (weekday + 7) * DAY,
        "thismonth" | "this_month" => month(0)?,
        "lastmonth" | "last_month" => month(1)?,
        name => {
            let wanted = WEEKDAYS.iter().position(|day| *day == name)? as i64;
            today - (weekday - wanted).rem_euclid(7) * DAY
        }
    })
}

fn dated(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00"));
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.splitn(3, separator).map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Some(Date::day(year, month, day).unix()? + clock(time)?)
}

/// Reads `06:00` or `06:00:00`.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':').map(digits);
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    Some(hours * 3600 + minutes * 60 + seconds)
}

fn digits(text: &str) -> Option<i64> {
    text.parse::<u32>().ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2020-04-01 06:00, a Wednesday.
    const NOW: i64 = 1_585_720_800;

    #[test]
    fn every_spelling_of_a_time_is_understood() {
        for (text, date) in [
            ("now", "040106002020.00"),
            ("now-600", "040105502020.00"),
            ("now+600", "040106102020.00"),
            ("now 600", "040106102020.00"),
            ("now-06:00", "040100002020.00"),
            ("today", "040100002020.00"),
            ("today-60", "033123592020.00"),
            ("Yesterday", "033100002020.00"),
            ("thisweek", "032900002020.00"),
            ("last_week", "032200002020.00"),
            ("thismonth", "040100002020.00"),
            ("lastmonth", "030100002020.00"),
            ("wednesday", "040100002020.00"),
            ("thursday", "032600002020.00"),
            ("2018/11/12", "111200002018.00"),
            ("2018/11/12 00:00", "111200002018.00"),
            ("2018-11-12 01:02:03", "111201022018.03"),
            ("1970/01/01 01:00", "010101001970.00"),
        ] {
            let read = moment(text, NOW).map(|unix| Date::from_unix(unix).compact());
            assert_eq!(read.as_deref(), Some(date), "{text}");
        }
        for text in ["", "tomorrow", "now-", "now-x", "2018/11", "2018/13/01", "2018/11-12", "600"]
        {
            assert_eq!(moment(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn the_month_before_january_is_december() {
        let january = moment("2020/01/31", NOW).unwrap();
        assert_eq!(moment("lastmonth", january), moment("2019/12/01", NOW));
    }
}
