//! The meta stream of uapi and nvc cameras (`camera-families.md`, section 7, "uapi/nvc meta stream"): documents `vca` amid
//! other bytes. Only its counters are in a public text; its events are as public readers of the stream take them, and
//! their words are a guess.

use ivt_hal::Trigger;

use crate::camera::web::events::{AlarmQuirk, Change, Dialect, Subject};
use crate::camera::web::wire::Answer;

/// Bytes before each document, which begin with `@`.
const HEADER: usize = 96;
/// Most bytes of made-up video between documents.
const VIDEO: usize = 512;
const BEGINS: u8 = 1;
const GOES_ON: u8 = 2;
const ENDS: u8 = 3;

/// The stream for a client, as its query asks; `None` where the query is wrong.
pub fn answer(subject: Subject, pairs: &[(String, String)]) -> Option<Answer> {
    let value = |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if !matches!(value("streamno"), Some("first" | "second")) {
        return None;
    }
    let wanted: Vec<_> = value("streamreq")?.split(',').collect();
    if !wanted.iter().any(|part| matches!(*part, "meta" | "metadata")) {
        return None;
    }
    let meta = Meta {
        subject: subject.clone(),
        video: wanted.contains(&"video"),
        bare: value("format") == Some("xml"),
        frame: 0,
        crossings: 0,
        line: None,
        input: None,
    };
    let kind = "application/octet-stream";
    Some(Answer { stream: Some((subject, Box::new(meta))), ..Answer::new(200, kind, "") })
}

struct Meta {
    subject: Subject,
    /// Whether the video comes, too.
    video: bool,
    /// Whether the root has no attribute.
    bare: bool,
    frame: u32,
    /// How often the line was crossed since the client listens.
    crossings: u32,
    /// When the line was crossed, and when the input was closed, while that lasts: seconds of the clock.
    line: Option<u64>,
    input: Option<u64>,
}

impl Dialect for Meta {
    fn begin(&mut self) -> Vec<u8> {
        self.document(&[])
    }

    fn change(&mut self, Change { channel, trigger, active }: Change) -> Vec<u8> {
        if channel != 0 {
            return Vec::new();
        }
        let now = self.now();
        let begun = match trigger {
            // The objects of the document tell of it.
            Trigger::Motion => return self.document(&[]),
            Trigger::Line => {
                self.crossings += u32::from(active);
                std::mem::replace(&mut self.line, active.then_some(now))
            }
            Trigger::Input => std::mem::replace(&mut self.input, active.then_some(now)),
        };
        let status = if active { BEGINS } else { ENDS };
        self.document(&[(trigger, status, begun.filter(|_| !active).unwrap_or(now))])
    }

    fn second(&mut self) -> Vec<u8> {
        let mut going = Vec::new();
        going.extend(self.line.map(|begun| (Trigger::Line, GOES_ON, begun)));
        going.extend(self.input.map(|begun| (Trigger::Input, GOES_ON, begun)));
        if going.is_empty() && !self.moves() && self.subject.has(AlarmQuirk::NoHeartbeat) {
            return Vec::new();
        }
        self.document(&going)
    }
}

impl Meta {
    fn now(&self) -> u64 {
        self.subject.world.clock().and_then(|time| time.seconds()).unwrap_or_default()
    }

    fn moves(&self) -> bool {
        self.subject.world.unit(0).is_some_and(|unit| unit.emulator.world.triggers().motion)
    }

    fn document(&mut self, events: &[(Trigger, u8, u64)]) -> Vec<u8> {
        self.frame += 1;
        let frame = self.frame;
        let object = format!(
            "<object>\n<id>7</id>\n<ch>100</ch>\n<cs>10</cs>\n<ca>20</ca>\n<cls>1</cls>\n<cls_name>Person</cls_name>\n\
             <bb>\n<x>{}</x>\n<y>20000</y>\n<w>6000</w>\n<h>12000</h>\n</bb>\n</object>\n",
            frame * 500 % 60_000
        );
        let objects = if self.moves() { object } else { String::new() };
        let now = self.now();
        let events: String = events.iter().map(|event| spelled(*event, now)).collect();
        let version = if self.bare { "" } else { " schema_version=\"1.6\"" };
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<vca{version}>\n<vca_hdr>\n<frame_id>{frame}</frame_id>\n\
             <vca_status>0</vca_status>\n<trk_mode>1</trk_mode>\n</vca_hdr>\n<objects>\n{objects}</objects>\n\
             <events>\n{events}</events>\n<counts>\n<count>\n<id>0</id>\n<name>Counter 0</name>\n<val>{}</val>\n\
             </count>\n</counts>\n</vca>\n",
            self.crossings
        );
        let mut header = vec![0; HEADER];
        header[0] = b'@';
        header[4..8].copy_from_slice(&frame.to_le_bytes());
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        header[8..12].copy_from_slice(&length.to_le_bytes());
        let video = match self.video {
            true => (0..VIDEO).map(|_| rand::random::<u8>()).filter(|byte| *byte != b'<').collect(),
            false => Vec::new(),
        };
        [&header, text.as_bytes(), &video].concat()
    }
}

fn spelled((trigger, status, begun): (Trigger, u8, u64), now: u64) -> String {
    let (id, kind, rule, zone) = match trigger {
        Trigger::Motion | Trigger::Line => (1, "zone", "linecrossing", "Entrance"),
        Trigger::Input => (2, "din", "din", "Input 1"),
    };
    let end = if status == ENDS { now } else { 0 };
    format!(
        "<event>\n<id>{id}</id>\n<type>{kind}</type>\n<rule_id>{id}</rule_id>\n<rule_name>{zone}</rule_name>\n\
         <rule_type>{rule}</rule_type>\n<zone_id>0</zone_id>\n<zone_name>{zone}</zone_name>\n<obj_id>7</obj_id>\n\
         <obj_cls_name>Person</obj_cls_name>\n<status>{status}</status>\n\
         <start_time>\n<s>{begun}</s>\n<ms>0</ms>\n</start_time>\n<end_time>\n<s>{end}</s>\n<ms>0</ms>\n</end_time>\n\
         <bb>\n<x>1000</x>\n<y>20000</y>\n<w>6000</w>\n<h>12000</h>\n</bb>\n</event>\n"
    )
}
