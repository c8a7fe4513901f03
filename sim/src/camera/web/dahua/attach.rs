//! The event stream of Dahua devices (`camera-families.md`, "Event stream"): `eventManager.cgi?action=attach`.

use std::sync::{Arc, Mutex, PoisonError};

use ivt_hal::Trigger;

use super::config::Config;
use crate::camera::web::events::{AlarmQuirk, Change, Dialect, Subject};
use crate::camera::web::wire::Answer;

const BYTES_OFF: usize = 10;

/// The stream for a client, as its query asks; `None` where the query is wrong.
pub fn answer(subject: Subject, config: Arc<Mutex<Config>>, query: &str) -> Option<Answer> {
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let codes = value("codes")?.strip_prefix('[')?.strip_suffix(']')?;
    let codes: Vec<_> = codes.split(',').map(str::to_owned).collect();
    let heartbeat = match value("heartbeat") {
        Some(seconds) => {
            Some(seconds.parse::<u32>().ok().filter(|seconds| (1..=60).contains(seconds))?)
        }
        None => None,
    };
    let kind = match subject.has(AlarmQuirk::Boundary) {
        true => "multipart/x-mixed-replace; boundary=theirboundary",
        false => "multipart/x-mixed-replace; boundary=myboundary",
    };
    let attached = Attached { subject: subject.clone(), config, codes, heartbeat, seconds: 0 };
    Some(Answer { stream: Some((subject, Box::new(attached))), ..Answer::new(200, kind, "") })
}

struct Attached {
    subject: Subject,
    config: Arc<Mutex<Config>>,
    /// The codes that the client asked for; `All` is every code.
    codes: Vec<String>,
    /// Seconds from one heartbeat to the next.
    heartbeat: Option<u32>,
    seconds: u32,
}

impl Dialect for Attached {
    fn begin(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn change(&mut self, Change { channel, trigger, active }: Change) -> Vec<u8> {
        let pulse = trigger == Trigger::Line && self.subject.has(AlarmQuirk::Pulse);
        if !active && (pulse || self.subject.has(AlarmQuirk::NoStop)) {
            return Vec::new();
        }
        let action = match active {
            true if pulse => "Pulse",
            true => "Start",
            false => "Stop",
        };
        let code = match trigger {
            Trigger::Motion => "VideoMotion".to_owned(),
            Trigger::Line => self.rule(channel),
            Trigger::Input if self.subject.has(AlarmQuirk::AlarmIpc) => "AlarmIPC".to_owned(),
            Trigger::Input => "AlarmLocal".to_owned(),
        };
        let mut said = self.event(&code, action, channel, &self.data(trigger, channel, &code));
        if trigger == Trigger::Motion && active {
            // Noise that comes with motion.
            said.extend(self.event("VideoMotionInfo", "State", channel, ""));
        }
        said
    }

    fn second(&mut self) -> Vec<u8> {
        self.seconds += 1;
        let due = self.heartbeat.is_some_and(|every| self.seconds.is_multiple_of(every));
        let one = self.subject.has(AlarmQuirk::OneHeartbeat) && Some(self.seconds) > self.heartbeat;
        match due && !one && !self.subject.has(AlarmQuirk::NoHeartbeat) {
            true => self.part("Heartbeat"),
            false => Vec::new(),
        }
    }
}

impl Attached {
    /// The code of the input's rule, as it is set up.
    fn rule(&self, channel: usize) -> String {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        match self.subject.has(AlarmQuirk::Region) {
            true => "CrossRegionDetection".to_owned(),
            false => config.value(&format!("VideoAnalyseRule[{channel}][0].Type")).to_owned(),
        }
    }

    fn data(&self, trigger: Trigger, channel: usize, code: &str) -> String {
        let odd = self.subject.has(AlarmQuirk::OddData);
        let name = if odd { "gate;action=Stop;index=9;data={x=1}" } else { "rule 1" };
        let time = self.subject.world.clock().and_then(|time| time.seconds()).unwrap_or_default();
        match trigger {
            Trigger::Motion => format!(
                "{{\n   \"Id\" : [ 0 ],\n   \"RegionName\" : [ \"{name}\" ],\n   \"SmartMotionEnable\" : false\n}}\n"
            ),
            Trigger::Line => {
                let (drawn, action) = match code {
                    "CrossRegionDetection" => (
                        "\"DetectRegion\" : [ [ 0, 0 ], [ 8191, 0 ], [ 8191, 8191 ], [ 0, 8191 ] ]",
                        "\"Action\" : \"Cross\",\n   ",
                    ),
                    _ => ("\"DetectLine\" : [ [ 1000, 4000 ], [ 7000, 4000 ] ]", ""),
                };
                format!(
                    "{{\n   {action}\"Class\" : \"Normal\",\n   {drawn},\n   \"Direction\" : \"LeftToRight\",\n   \
                     \"Name\" : \"{name}\",\n   \"Object\" : {{\n      \"BoundingBox\" : [ 3000, 3000, 4000, 5000 ],\n      \
                     \"ObjectType\" : \"Human\"\n   }},\n   \"RuleId\" : {},\n   \"UTC\" : {time},\n   \"UTCMS\" : 0\n}}\n",
                    channel + 1
                )
            }
            Trigger::Input if odd => format!("{{\n   \"Name\" : \"{name}\"\n}}\n"),
            Trigger::Input => String::new(),
        }
    }

    fn event(&self, code: &str, action: &str, index: usize, data: &str) -> Vec<u8> {
        if !self.codes.iter().any(|wanted| wanted == "All" || wanted == code) {
            return Vec::new();
        }
        let data = if data.is_empty() { String::new() } else { format!(";data={data}") };
        let part = self.part(&format!("Code={code};action={action};index={index}{data}"));
        match self.subject.has(AlarmQuirk::EmbeddedHead) {
            true => {
                let head = "HTTP/1.1 200 OK\r\nServer: camera-sim\r\nContent-Type: multipart/x-mixed-replace; \
                            boundary=myboundary\r\nConnection: close\r\n\r\n";
                [head.as_bytes(), &part].concat()
            }
            false => part,
        }
    }

    fn part(&self, body: &str) -> Vec<u8> {
        let has = |quirk| self.subject.has(quirk);
        let length = match () {
            () if has(AlarmQuirk::LengthShort) => body.len().saturating_sub(BYTES_OFF),
            () if has(AlarmQuirk::LengthLong) => body.len() + BYTES_OFF,
            () => body.len(),
        };
        let blank = if has(AlarmQuirk::NoBlank) { "" } else { "\r\n" };
        let dashes = if has(AlarmQuirk::SpacedBoundary) { "-- " } else { "--" };
        format!(
            "{dashes}myboundary\r\nContent-Type: text/plain\r\nContent-Length:{length}\r\n{blank}{body}\r\n\r\n"
        )
        .into_bytes()
    }
}
