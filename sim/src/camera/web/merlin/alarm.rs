//! The bodies of `SetAlarmCfg.cgi` and `SetIntDetectCfg.cgi`, as the device SDK's own example writes them.

use std::time::Duration;

use ivt_hal::{Area, Armed, Detection, Point};
use serde_json::Value;

use crate::camera::world::Order;

/// Last column and row of the grid of coordinates.
const GRID: u64 = 8192;
/// Columns and rows of the map of motion.
const MAP: (usize, usize) = (22, 18);
const DAYS: usize = 7;
const SECTORS: usize = 6;
const DAY: u32 = 86_400;

/// What a body asks for.
pub struct Alarm {
    pub channel: usize,
    pub order: Order,
}

/// Reads the set-up of motion detection.
pub fn motion(set: &Value) -> Result<Alarm, &'static str> {
    let alarm = only(set)?;
    let row = |row: &Value| {
        row.as_str().is_some_and(|row| {
            row.len() == MAP.0 && row.bytes().all(|cell| matches!(cell, b'0' | b'1'))
        })
    };
    let region = alarm["Region"].as_array().ok_or("Region is missing")?;
    if region.len() != MAP.1 || !region.iter().all(row) {
        return Err("Region has 18 rows of 22 cells, 0 or 1");
    }
    let (channel, detection) = detection(alarm, "Motion")?;
    Ok(Alarm { channel, order: Order::Motion(detection) })
}

/// Reads the set-up of the tripwire. Without `RectInfo` the area stays.
pub fn intrusion(set: &Value) -> Result<Alarm, &'static str> {
    let alarm = only(set)?;
    let (channel, detection) = detection(alarm, "Rect")?;
    let state = &set["configState"][0];
    if state["Channel"].as_u64() != u64::try_from(channel).ok()
        || !matches!(state["Enabled"]["CrossNet"].as_u64(), Some(0 | 1))
    {
        return Err("configState names the channel, and CrossNet in Enabled");
    }
    let area = match alarm["RectInfo"].as_array().map(Vec::as_slice) {
        None => None,
        Some([rect]) if alarm["RectNum"] == 1 => {
            let corner = |name: &str| {
                let percent = |axis: &str| {
                    let place = rect[name][axis].as_u64().filter(|place| *place <= GRID);
                    place.and_then(|place| u8::try_from((place * 100 + GRID / 2) / GRID).ok())
                };
                percent("x").zip(percent("y")).map(|(x, y)| Point { x, y })
            };
            let corners = [corner("LU"), corner("RU"), corner("RD"), corner("LD")];
            let [Some(a), Some(b), Some(c), Some(d)] = corners else {
                return Err("RectInfo has LU, RU, RD and LD with x and y, 0 to 8192");
            };
            Some(Area([a, b, c, d]))
        }
        Some(_) => return Err("RectInfo has as many areas as RectNum says, and one fits"),
    };
    Ok(Alarm { channel, order: Order::Tripwire(detection, area) })
}

fn only(set: &Value) -> Result<&Value, &'static str> {
    match set["AlarmCfg"].as_array().map(Vec::as_slice) {
        Some([alarm]) => Ok(alarm),
        _ => Err("AlarmCfg is a list of one"),
    }
}

fn detection(alarm: &Value, kind: &str) -> Result<(usize, Detection), &'static str> {
    if alarm["Type"] != kind {
        return Err("Type is not the one of this CGI");
    }
    let channel = alarm["Channel"].as_u64().and_then(|channel| usize::try_from(channel).ok());
    let enable = match &alarm["Enable"] {
        Value::Bool(on) => Some(*on),
        number => number.as_u64().filter(|on| *on < 2).map(|on| on == 1),
    };
    let level = alarm["Level"].as_u64().filter(|level| (1..=6).contains(level));
    let level = level.and_then(|level| u8::try_from(level).ok()).ok_or("Level is 1 to 6")?;
    let latch = alarm["EventHandler"]["EventLatch"].as_u64().filter(|latch| *latch <= 3600);
    let detection = Detection {
        enable: enable.ok_or("Enable is 0 or 1")?,
        armed: armed(&alarm["Sector"])?,
        sensitivity: (level - 1) * 20,
        delay: Duration::from_secs(latch.ok_or("EventLatch is a number of seconds")?),
    };
    Ok((channel.ok_or("Channel is a number")?, detection))
}

/// The part of each day in which a sector is on. The days have to be alike, as the HAL knows only one.
fn armed(sectors: &Value) -> Result<Armed, &'static str> {
    const WRONG: &str = "Sector has 7 days of 6 times such as \"1 0:0:0-24:0:0\"";
    let days = sectors.as_array().filter(|days| days.len() == DAYS).ok_or(WRONG)?;
    let mut windows = Vec::new();
    for (place, day) in days.iter().enumerate() {
        let sectors = day.as_array().filter(|sectors| sectors.len() == SECTORS).ok_or(WRONG)?;
        let mut on = Vec::new();
        for sector in sectors {
            let (armed, from, to) = sector.as_str().and_then(sector_of).ok_or(WRONG)?;
            on.extend(armed.then_some((from, to)));
        }
        on.sort_unstable();
        if place > 0 && on != windows {
            return Err("the days differ");
        }
        windows = on;
    }
    match windows.as_slice() {
        [] => Err("no sector is armed"),
        [(0, DAY)] => Ok(Armed::ALWAYS),
        [(start, end)] => Ok(Armed { start: *start, end: *end }),
        [(0, end), (start, DAY)] if end < start => Ok(Armed { start: *start, end: *end }),
        _ => Err("the sectors are more than one time"),
    }
}

/// Whether a sector is on, and its seconds after midnight.
fn sector_of(text: &str) -> Option<(bool, u32, u32)> {
    let (on, times) = text.split_once(' ')?;
    let (from, to) = times.split_once('-')?;
    let seconds = |text: &str| {
        let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
        let fits = hour <= 24 && minute < 60 && second < 60 && parts.next().is_none();
        let all = fits.then(|| hour * 3600 + minute * 60 + second)?;
        (all <= DAY).then_some(all)
    };
    let (from, to) = (seconds(from)?, seconds(to)?);
    match on {
        "0" => Some((false, from, to)),
        "1" if from < to => Some((true, from, to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alarm(kind: &str, sectors: [&str; 2]) -> Value {
        let off = "0 0:0:0-24:0:0";
        let day = [sectors[0], sectors[1], off, off, off, off];
        json!({
            "Channel": 1, "Enable": 1, "Level": 3, "Type": kind, "Sector": vec![day; 7],
            "Region": vec!["1".repeat(22); 18],
            "EventHandler": { "AlarmOutEn": 0, "EventLatch": 7, "Mail": 0 },
        })
    }

    fn body(alarm: &Value) -> Value {
        json!({
            "AlarmCfg": [alarm],
            "configState": [{ "Channel": 1, "Enabled": { "CrossNet": 1, "Face": 0 } }],
        })
    }

    #[test]
    fn motion_is_read_with_its_times() {
        let night = alarm("Motion", ["1 0:0:0-6:0:0", "1 22:30:0-24:0:0"]);
        let read = motion(&body(&night)).map(|alarm| (alarm.channel, alarm.order));
        let armed = Armed { start: 81_000, end: 21_600 };
        let detection =
            Detection { enable: true, armed, sensitivity: 40, delay: Duration::from_secs(7) };
        assert_eq!(read, Ok((1, Order::Motion(detection))));
    }

    #[test]
    fn corners_are_read_from_the_grid() {
        let mut wire = alarm("Rect", ["1 0:0:0-24:0:0", "0 0:0:0-24:0:0"]);
        let read = |wire: &Value| intrusion(&body(wire)).map(|alarm| alarm.order);
        assert!(matches!(read(&wire), Ok(Order::Tripwire(_, None))));
        wire["RectNum"] = json!(1);
        wire["RectInfo"] = json!([{ "index": 0, "LU": { "x": 819, "y": 0 }, "RU": { "x": 8192, "y": 1638 },
            "RD": { "x": 7373, "y": 8192 }, "LD": { "x": 0, "y": 4096 } }]);
        let point = |x, y| Point { x, y };
        let area = Area([point(10, 0), point(100, 20), point(90, 100), point(0, 50)]);
        assert!(matches!(read(&wire), Ok(Order::Tripwire(_, Some(read))) if read == area));
        wire["RectInfo"][0]["LD"]["y"] = json!(8193);
        assert!(read(&wire).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let right = alarm("Motion", ["1 0:0:0-24:0:0", "0 0:0:0-24:0:0"]);
        assert!(motion(&body(&right)).is_ok());
        for (place, value) in [
            ("/Level", json!(0)),
            ("/Level", json!(7)),
            ("/Enable", json!(2)),
            ("/Type", json!("Rect")),
            ("/Channel", json!("1")),
            ("/EventHandler/EventLatch", json!(-1)),
            ("/Region", json!(vec!["1".repeat(22); 17])),
            ("/Region/3", json!("1")),
            ("/Sector", json!([])),
            ("/Sector/0/0", json!("1 0:0:0-25:0:0")),
            ("/Sector/0/0", json!("1 6:0:0-5:0:0")),
            ("/Sector/6/1", json!("1 3:0:0-4:0:0")),
        ] {
            let mut wrong = right.clone();
            *wrong.pointer_mut(place).unwrap() = value;
            assert!(motion(&body(&wrong)).is_err(), "{place}");
        }
        let never = alarm("Motion", ["0 0:0:0-24:0:0"; 2]);
        assert!(motion(&body(&never)).is_err(), "no sector is armed");
    }
}
