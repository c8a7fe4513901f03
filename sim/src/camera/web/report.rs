//! Reports of the analytics. They are made up, but the same for the same hours, and they add up: the counts of
//! ten minutes are part of the count of their hour.

use std::fmt::Write as _;

use super::calendar::{DAY, Date};
use super::moment::moment;
use super::parameters::Refusal;

const HOUR: i64 = 3600;
/// Number of records that a table of counters keeps: the oldest ones are gone, whatever time is asked for.
const KEPT_COUNTS: i64 = 2000;
/// Number of maps that the camera keeps, one of each hour.
const KEPT_MAPS: i64 = 24;
/// Number of counters of the camera.
const COUNTERS: i64 = 4;
/// Number of counters that are switched on.
const ACTIVE: i64 = 2;
/// Columns and rows of a heat map. With the line of its time a map has 46 lines, by which servers tell maps apart.
const MAP: (i64, i64) = (80, 45);
/// Number of people who pass in each hour of a day.
const HOURS: [i64; 24] = [
    3, 1, 0, 0, 2, 9, 31, 84, 120, 96, 88, 110, 142, 131, 104, 99, 117, 153, 171, 120, 77, 48, 22,
    9,
];

/// The query of a report.
pub trait Query {
    /// The value of the parameter `name`.
    fn value(&self, name: &str) -> Option<&str>;
}

/// The report of `countreport.cgi`: how many people passed each counter.
///
/// # Errors
/// When a parameter is missing or wrong.
pub fn counting(query: &impl Query, now: i64) -> Result<String, Refusal> {
    let (from, to) = span(query, now)?;
    let sampling = number(query.value("sampling"), HOUR)?;
    if sampling <= 0 || sampling % 60 != 0 {
        return Err(Refusal::BadRequest);
    }
    let counters = counters(query.value("counter").unwrap_or("active"))?;
    let running = match query.value("value") {
        None | Some("diff") => false,
        Some("sum" | "abs") => true,
        Some(_) => return Err(Refusal::BadRequest),
    };
    // A step that is not over yet is left out.
    let mut starts = starts(from, to - to.rem_euclid(sampling), sampling, KEPT_COUNTS);
    match query.value("order").map(str::to_ascii_lowercase).as_deref() {
        None | Some("ascending" | "asc") => {}
        Some("descending" | "desc") => starts.reverse(),
        Some(_) => return Err(Refusal::BadRequest),
    }
    let mut report = format!("Records:{} Counter:{}", starts.len(), counters.len());
    counters.iter().for_each(|counter| _ = write!(report, ",{counter}:Counter {counter}"));
    report.push('\n');
    for start in starts {
        report.push_str(&Date::from_unix(start).count_text());
        for counter in &counters {
            let end = passed(start + sampling, *counter);
            let count = if running { end } else { end - passed(start, *counter) };
            let _ = write!(report, ",{count}");
        }
        report.push('\n');
    }
    Ok(report)
}

/// The report of `reporthm.cgi`: where people were, in one map of the whole time or one map of each hour. A map is
/// its time and its rows.
///
/// # Errors
/// When a parameter is missing or wrong.
pub fn heat_map(query: &impl Query, now: i64) -> Result<String, Refusal> {
    let (from, to) = span(query, now)?;
    let table = number(query.value("table"), 0)?;
    let hours = starts(from, to - to.rem_euclid(HOUR), HOUR, KEPT_MAPS);
    let maps = match query.value("individual") {
        Some("yes") => hours.iter().map(|hour| vec![*hour]).collect(),
        None | Some("no") if hours.is_empty() => Vec::new(),
        None | Some("no") => vec![hours],
        Some(_) => return Err(Refusal::BadRequest),
    };
    let (width, height) = MAP;
    let mut report = String::new();
    for hours in maps {
        report.push_str(&Date::from_unix(hours[0]).map_text());
        report.push('\n');
        for y in 0..height {
            let row = (0..width).map(|x| hours.iter().map(|hour| heat(*hour, table, x, y)).sum());
            let row: Vec<_> = row.map(|heat: i64| heat.to_string()).collect();
            report.push_str(&row.join(","));
            report.push('\n');
        }
    }
    Ok(report)
}

fn span(query: &impl Query, now: i64) -> Result<(i64, i64), Refusal> {
    if !matches!(query.value("reportfmt"), None | Some("csv" | "txt")) {
        return Err(Refusal::BadRequest);
    }
    let time = |name| query.value(name).and_then(|text| moment(text, now));
    let (from, to) = (time("from"), time("to"));
    from.zip(to).filter(|(from, to)| from < to).ok_or(Refusal::BadRequest)
}

fn number(text: Option<&str>, default: i64) -> Result<i64, Refusal> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (0..=DAY).contains(number));
    number.ok_or(Refusal::BadRequest)
}

fn counters(text: &str) -> Result<Vec<i64>, Refusal> {
    match text {
        "active" => Ok((0..ACTIVE).collect()),
        "all" => Ok((0..COUNTERS).collect()),
        list => list.split(',').map(|one| number(Some(one), 0)).collect::<Result<Vec<_>, _>>(),
    }
    .and_then(|list| {
        let known = list.len() <= COUNTERS as usize && list.iter().all(|one| *one < COUNTERS);
        if known { Ok(list) } else { Err(Refusal::NotFound) }
    })
}

/// The beginnings of the whole steps from `from` to `to`, oldest first, and only the newest `kept`.
fn starts(from: i64, to: i64, step: i64, kept: i64) -> Vec<i64> {
    let from = from.max(to - kept * step);
    let first = from - from.rem_euclid(step);
    (0..).map(|i| first + i * step).take_while(|start| *start < to).collect()
}

/// Number of people who had ever passed a counter at that time.
fn passed(time: i64, counter: i64) -> i64 {
    let (days, clock) = (time / DAY, time % DAY);
    let hour = (clock / 3600) as usize;
    let today: i64 = HOURS[..hour].iter().sum::<i64>() * 3600 + HOURS[hour] * (clock % 3600);
    let ever = days * HOURS.iter().sum::<i64>() + today / 3600;
    ever * (COUNTERS - counter) / COUNTERS
}

fn heat(hour: i64, table: i64, x: i64, y: i64) -> i64 {
    let (width, height) = MAP;
    let spot = ((hour / HOUR * 5 + table * 3) % width, (hour / HOUR * 3 + table * 2) % height);
    let far = (x - spot.0).pow(2) + 2 * (y - spot.1).pow(2);
    (255 - 2 * far).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2020-04-01 06:00.
    const NOW: i64 = 1_585_720_800;

    struct Text(Vec<(&'static str, &'static str)>);

    impl Query for Text {
        fn value(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        }
    }

    fn count(more: &[(&'static str, &'static str)]) -> Result<String, Refusal> {
        let base = [("from", "now-06:00"), ("to", "now"), ("reportfmt", "csv")];
        counting(&Text(more.iter().chain(&base).copied().collect()), NOW)
    }

    #[test]
    fn the_documented_command_makes_a_report() {
        let report = count(&[
            ("counter", "active"),
            ("sampling", "600"),
            ("order", "Descending"),
            ("value", "diff"),
        ])
        .unwrap();
        let lines: Vec<_> = report.lines().collect();
        assert_eq!(lines[0], "Records:36 Counter:2,0:Counter 0,1:Counter 1");
        assert!(lines[1].starts_with("2020/04/01 05:50:00,"), "{}", lines[1]);
        assert!(lines[36].starts_with("2020/04/01 00:00:00,"), "{}", lines[36]);
    }

    #[test]
    fn a_report_has_whole_steps_whenever_it_is_asked_for() {
        let query = Text(vec![("from", "now-06:00"), ("to", "now"), ("sampling", "600")]);
        for second in [0, 1, 599] {
            let report = counting(&query, NOW + second).unwrap();
            assert!(report.starts_with("Records:36 "), "{report}");
            assert!(
                report.contains("\n2020/04/01 05:50:00,") && !report.contains("06:00:00,"),
                "{report}"
            );
        }
    }

    #[test]
    fn the_parts_of_an_hour_add_up_to_it() {
        let sum = |sampling| -> i64 {
            let report = count(&[("sampling", sampling), ("counter", "0")]).unwrap();
            report
                .lines()
                .skip(1)
                .map(|l| l.split(',').nth(1).unwrap().parse::<i64>().unwrap())
                .sum()
        };
        assert_eq!(sum("600"), HOURS[..6].iter().sum::<i64>());
        assert_eq!(sum("600"), sum("3600"));
    }

    #[test]
    fn parameters_change_the_report() {
        let all = count(&[("counter", "all")]).unwrap();
        assert!(all.starts_with("Records:6 Counter:4,0:Counter 0,"), "{all}");
        assert_ne!(count(&[("value", "sum")]).unwrap(), count(&[]).unwrap());
        assert_eq!(count(&[("order", "asc"), ("value", "abs")]), count(&[("value", "sum")]));
        let third =
            heat_map(&Text(vec![("from", "now-01:00"), ("to", "now"), ("table", "3")]), NOW);
        let first = heat_map(&Text(vec![("from", "now-01:00"), ("to", "now")]), NOW);
        assert_ne!(third.unwrap(), first.unwrap());
    }

    #[test]
    fn a_heat_map_has_46_lines_of_which_the_first_is_its_time() {
        let mut query = vec![("from", "now-02:00"), ("to", "now"), ("individual", "yes")];
        let each = heat_map(&Text(query.clone()), NOW + 599).unwrap();
        let lines: Vec<_> = each.trim().lines().collect();
        assert_eq!(lines.len(), 2 * 46);
        assert_eq!((lines[0], lines[46]), ("2020-04-01_04:00:00", "2020-04-01_05:00:00"));
        assert!(lines[1].split(',').count() == 80 && lines[45].split(',').count() == 80);
        query[2] = ("individual", "no");
        let all = heat_map(&Text(query.clone()), NOW).unwrap();
        assert_eq!(all.lines().count(), 46);
        query[1] = ("to", "now-07:10");
        query[0] = ("from", "now-07:30");
        assert_eq!(heat_map(&Text(query), NOW).unwrap(), "", "no hour is over");
    }

    #[test]
    fn what_servers_ask_for_at_first_is_answered_by_what_the_camera_keeps() {
        for from in ["2018/11/12 00:00", "1970/01/01 01:00"] {
            let report = count(&[("from", from), ("to", "now-600"), ("sampling", "600")]).unwrap();
            assert!(report.starts_with("Records:2000 Counter:2,"), "{}", &report[..40]);
            assert_eq!(report.lines().count(), 2001);
            let last = report.lines().last().unwrap();
            assert!(last.starts_with("2020/04/01 05:40:00,"), "{last}");
            let query = vec![("from", from), ("to", "now"), ("table", "3"), ("individual", "yes")];
            assert_eq!(heat_map(&Text(query), NOW).unwrap().lines().count(), 24 * 46);
        }
    }

    #[test]
    fn endless_or_senseless_reports_are_refused() {
        for more in [
            [("sampling", "0")],
            [("sampling", "1")],
            [("sampling", "-5")],
            [("from", "tomorrow")],
            [("from", "now-99999999999:00")],
            [("to", "2019-01-01 10:30")],
            [("order", "Random")],
            [("reportfmt", "pdf")],
        ] {
            assert_eq!(count(&more), Err(Refusal::BadRequest), "{more:?}");
        }
        assert_eq!(count(&[("counter", "9")]), Err(Refusal::NotFound));
    }
}
