//! The configuration that clients read and set. A key that the camera lacks, also one in letters of the wrong case, is
//! ignored and answered OK; values are clamped (`camera-families.md`, trap 8).

use std::collections::BTreeMap;

use ivt_hal::{Area, Armed, Detection, Point};

use crate::camera::world::{Order, World};

/// Last column and row of the grid of coordinates.
const GRID: u32 = 8191;
const DAYS: usize = 7;
const SECTIONS: usize = 6;
const ROWS: usize = 18;
const ALWAYS: &str = "1 00:00:00-23:59:59";
const NEVER: &str = "0 00:00:00-23:59:59";
const DAY: u32 = 86_400;
/// The word that has to come with a switch of motion detection on newer firmware.
const VERSION: &str = "V3.0";

/// Keys with their values, without `table.`.
pub struct Config(BTreeMap<String, String>);

impl Config {
    /// The configuration of a device with so many inputs that nobody has set up.
    pub fn factory(inputs: usize) -> Self {
        let mut all = BTreeMap::new();
        let mut add = |key: String, value: &str| all.insert(key, value.to_owned());
        for i in 0..inputs {
            let motion = format!("MotionDetect[{i}]");
            let rule = format!("VideoAnalyseRule[{i}][0]");
            add(format!("{motion}.Enable"), "false");
            add(format!("{motion}.DetectVersion"), VERSION);
            add(format!("{motion}.MotionDetectWindow[0].Sensitive"), "60");
            add(format!("{motion}.MotionDetectWindow[0].Threshold"), "5");
            for row in 0..ROWS {
                add(format!("{motion}.MotionDetectWindow[0].Region[{row}]"), "4194303");
            }
            add(format!("{rule}.Enable"), "false");
            add(format!("{rule}.Name"), "rule 1");
            add(format!("{rule}.Type"), "CrossLineDetection");
            add(format!("{rule}.Class"), "Normal");
            add(format!("{rule}.Config.Direction"), "Both");
            for (corner, [x, y]) in
                [["0", "0"], ["8191", "0"], ["8191", "8191"], ["0", "8191"]].into_iter().enumerate()
            {
                add(format!("{rule}.Config.DetectRegion[{corner}][0]"), x);
                add(format!("{rule}.Config.DetectRegion[{corner}][1]"), y);
            }
            for (end, x) in ["1000", "7000"].into_iter().enumerate() {
                add(format!("{rule}.Config.DetectLine[{end}][0]"), x);
                add(format!("{rule}.Config.DetectLine[{end}][1]"), "4000");
            }
            for root in [motion, rule] {
                for day in 0..DAYS {
                    for k in 0..SECTIONS {
                        let section = format!("{root}.EventHandler.TimeSection[{day}][{k}]");
                        add(section, if k == 0 { ALWAYS } else { NEVER });
                    }
                }
            }
            add(format!("Alarm[{i}].Enable"), "true");
            add(format!("Alarm[{i}].Name"), &format!("input {}", i + 1));
        }
        add("RTSP.Port".to_owned(), "554");
        add("NTP.Enable".to_owned(), "false");
        add("NTP.TimeZone".to_owned(), "13");
        Self(all)
    }

    /// The lines of everything with this name; `None` where there is no such name.
    pub fn list(&self, name: &str) -> Option<String> {
        let is_in = |key: &str| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let lines = self.0.iter().filter(|(key, _)| is_in(key));
        let lines: String = lines.map(|(key, value)| format!("table.{key}={value}\r\n")).collect();
        Some(lines).filter(|lines| !lines.is_empty())
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    /// Sets the pairs of a query, and returns what that means to the cameras.
    pub fn set(&mut self, world: &World, pairs: &[(String, String)]) -> Vec<(usize, Order)> {
        let said =
            |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let mut orders = Vec::new();
        let (ssid, password) = (said("WLan.eth2.SSID"), said("WLan.eth2.Keys[0]"));
        if ssid.is_some() || password.is_some() {
            orders.push((0, Order::Join { ssid, password }));
        }
        for (key, value) in pairs {
            let switch =
                key.strip_suffix(".Enable").filter(|root| root.starts_with("MotionDetect["));
            let version = |root: &str| said(&format!("{root}.DetectVersion"));
            if switch.is_some_and(|root| version(root).as_deref() != Some(VERSION)) {
                continue;
            }
            if let (Some(kept), Some(value)) = (self.0.get_mut(key), clamped(key, value)) {
                *kept = value;
            }
        }
        for (channel, unit) in world.units().iter().enumerate() {
            let touches = |root: &str| pairs.iter().any(|(key, _)| key.starts_with(root));
            if touches(&format!("MotionDetect[{channel}].")) {
                let detection = self.motion(channel, unit.emulator.world.motion());
                orders.extend(detection.map(|detection| (channel, Order::Motion(detection))));
            }
            if touches(&format!("VideoAnalyseRule[{channel}][0].")) {
                let (detection, _) = unit.emulator.world.tripwire();
                let rule = self.rule(channel, detection);
                orders.extend(
                    rule.map(|(detection, area)| (channel, Order::Tripwire(detection, Some(area)))),
                );
            }
        }
        orders
    }

    /// Motion detection as it is set up; `None` while its days differ, which the HAL cannot say.
    fn motion(&self, channel: usize, before: Detection) -> Option<Detection> {
        let root = format!("MotionDetect[{channel}]");
        let level = self.value(&format!("{root}.MotionDetectWindow[0].Sensitive"));
        let detection = self.detection(&root, before)?;
        Some(Detection { sensitivity: level.parse().ok()?, ..detection })
    }

    fn rule(&self, channel: usize, before: Detection) -> Option<(Detection, Area)> {
        let root = format!("VideoAnalyseRule[{channel}][0]");
        let corner = |corner: usize| {
            let percent = |axis: usize| {
                let place = self.value(&format!("{root}.Config.DetectRegion[{corner}][{axis}]"));
                u8::try_from((place.parse::<u32>().ok()? * 100 + GRID / 2) / GRID).ok()
            };
            Some(Point { x: percent(0)?, y: percent(1)? })
        };
        let area = Area([corner(0)?, corner(1)?, corner(2)?, corner(3)?]);
        Some((self.detection(&root, before)?, area))
    }

    fn detection(&self, root: &str, before: Detection) -> Option<Detection> {
        let enable = self.value(&format!("{root}.Enable")) == "true";
        let day = |day: usize| {
            let section = |k| self.value(&format!("{root}.EventHandler.TimeSection[{day}][{k}]"));
            let mut on: Vec<_> =
                (0..SECTIONS).filter_map(|k| window(section(k))).flatten().collect();
            on.sort_unstable();
            on
        };
        let days: Vec<_> = (0..DAYS).map(day).collect();
        if days.iter().any(|windows| *windows != days[0]) {
            return None;
        }
        let armed = match days[0].as_slice() {
            [(start, end)] => Armed { start: *start, end: *end },
            [(0, end), (start, DAY)] if end < start => Armed { start: *start, end: *end },
            _ => return None,
        };
        Some(Detection { enable, armed, ..before })
    }
}

/// The value that the camera keeps; `None` where it keeps the one before.
fn clamped(key: &str, value: &str) -> Option<String> {
    let number = |most: u32| {
        value.parse::<i64>().ok().map(|number| number.clamp(0, most.into()).to_string())
    };
    let known = |words: &[&str]| words.contains(&value).then(|| value.to_owned());
    match key.rsplit('.').next().unwrap_or_default() {
        "Enable" => known(&["true", "false"]),
        "Sensitive" | "Threshold" => number(100),
        "Type" => known(&["CrossLineDetection", "CrossRegionDetection"]),
        "Class" => known(&["Normal"]),
        "DetectVersion" => known(&[VERSION]),
        name if name.starts_with("DetectRegion[") || name.starts_with("DetectLine[") => {
            number(GRID)
        }
        name if name.starts_with("Region[") => number(4_194_303),
        name if name.starts_with("TimeSection[") => window(value).map(|_| value.to_owned()),
        _ => (value.len() <= 64 && !value.contains(char::is_control)).then(|| value.to_owned()),
    }
}

/// The seconds of a section that is on, `Some(None)` of one that is off, and `None` of what is no section.
fn window(text: &str) -> Option<Option<(u32, u32)>> {
    let (mask, times) = text.split_once(' ')?;
    let (from, to) = times.split_once('-')?;
    let (from, to) = (seconds(from)?, seconds(to)?);
    // The last second of the day is its end.
    let to = if to == DAY - 1 { DAY } else { to };
    match mask {
        "0" => Some(None),
        "1" if from < to => Some(Some((from, to))),
        _ => None,
    }
}

/// Seconds after midnight of a time such as `06:30:00`.
fn seconds(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| {
        let pair = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        pair.then(|| part.parse::<u32>().ok())?
    });
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let all = hour * 3600 + minute * 60 + second;
    (minute < 60 && second < 60 && all <= DAY && parts.next().is_none()).then_some(all)
}
