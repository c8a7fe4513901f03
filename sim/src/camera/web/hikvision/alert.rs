//! The alarm stream of Hikvision devices (`camera-families.md`, "Alarm stream"): parts of XML without an end. One stream
//! tells of all inputs of a recorder.

use std::net::IpAddr;

use ivt_hal::Trigger;
use ivt_hal::xml::escape;

use super::{NAMESPACE, clock};
use crate::camera::scene::still;
use crate::camera::web::events::{AlarmQuirk, Change, Dialect, Subject};
use crate::camera::web::wire::Answer;

/// Seconds from one heartbeat to the next.
const HEARTBEAT: u32 = 5;
/// What a recorder adds to the number of an input.
const PROXIED: usize = 32;
const BYTES_OFF: usize = 10;
const XML: &str = "application/xml; charset=\"UTF-8\"";

/// The path of the stream, which has lost its `/ISAPI` on old devices.
pub fn is_here(path: &str, old: bool) -> bool {
    path == if old {
        "/Event/notification/alertStream"
    } else {
        "/ISAPI/Event/notification/alertStream"
    }
}

/// The stream for a client.
pub fn answer(subject: Subject) -> Answer {
    let kind = match subject.has(AlarmQuirk::Boundary) {
        true => "multipart/mixed; boundary=MIME_boundary",
        false => "multipart/mixed; boundary=boundary",
    };
    let alert = AlertStream { subject: subject.clone(), moving: Vec::new(), beats: 0, seconds: 0 };
    Answer { stream: Some((subject, Box::new(alert))), ..Answer::new(200, kind, "") }
}

struct AlertStream {
    subject: Subject,
    /// How often the motion of each input was told, while it lasts.
    moving: Vec<Option<u32>>,
    /// Heartbeats that were sent.
    beats: u32,
    seconds: u32,
}

/// An event as it is told.
#[derive(Clone, Copy)]
struct Event {
    kind: &'static str,
    words: &'static str,
    channel: usize,
    active: bool,
    count: u32,
}

impl Dialect for AlertStream {
    fn begin(&mut self) -> Vec<u8> {
        let units = self.subject.world.units().iter();
        let moves = units.map(|unit| unit.emulator.world.triggers().motion.then_some(0));
        self.moving = moves.collect();
        self.heartbeat()
    }

    fn change(&mut self, change: Change) -> Vec<u8> {
        let Change { channel, trigger, active } = change;
        let event = |kind, words| Event { kind, words, channel, active, count: u32::from(active) };
        let region = self.subject.has(AlarmQuirk::Region);
        match trigger {
            Trigger::Motion => {
                self.moving[channel] = active.then_some(0);
                match active {
                    true => self.motion(channel),
                    false if self.subject.has(AlarmQuirk::MotionEnd) => {
                        self.tell(event(self.motion_kind(), "Motion alarm"))
                    }
                    false => Vec::new(),
                }
            }
            Trigger::Line if !active && !self.subject.has(AlarmQuirk::LineEnd) => Vec::new(),
            Trigger::Line if region => self.tell(event("fielddetection", "fielddetection alarm")),
            Trigger::Line => self.tell(event("linedetection", "linedetection alarm")),
            Trigger::Input => self.tell(event("IO", "IO alarm")),
        }
    }

    fn second(&mut self) -> Vec<u8> {
        let mut said: Vec<u8> =
            (0..self.moving.len()).flat_map(|channel| self.motion(channel)).collect();
        self.seconds += 1;
        if self.seconds.is_multiple_of(HEARTBEAT) {
            said.extend(self.heartbeat());
        }
        said
    }
}

impl AlertStream {
    fn motion_kind(&self) -> &'static str {
        if self.subject.has(AlarmQuirk::Human) { "VMDHumanVehicle" } else { "VMD" }
    }

    /// The motion of an input once more, while it lasts.
    fn motion(&mut self, channel: usize) -> Vec<u8> {
        let kind = self.motion_kind();
        let Some(count) = &mut self.moving[channel] else { return Vec::new() };
        *count += 1;
        let count = *count;
        self.tell(Event { kind, words: "Motion alarm", channel, active: true, count })
    }

    fn heartbeat(&mut self) -> Vec<u8> {
        self.beats += 1;
        let one = self.subject.has(AlarmQuirk::OneHeartbeat) && self.beats > 1;
        if one || self.subject.has(AlarmQuirk::NoHeartbeat) {
            return Vec::new();
        }
        let beat = Event {
            kind: "videoloss",
            words: "videoloss alarm",
            channel: 0,
            active: false,
            count: 0,
        };
        self.part(XML, self.document(beat).as_bytes())
    }

    /// An event, with the parts that quirks add.
    fn tell(&self, event: Event) -> Vec<u8> {
        let has = |quirk| self.subject.has(quirk);
        let document = self.document(event);
        let count = format!("<activePostCount>{}</activePostCount>", event.count);
        let channel = self.channel(event);
        let name = format!("<channelName>{}", escape(&self.name(event.channel)));
        let copies = [
            (
                AlarmQuirk::EmptyCount,
                document.replace(&count, "<activePostCount></activePostCount>"),
            ),
            (AlarmQuirk::NoChannel, document.replace(&channel, "")),
            (AlarmQuirk::LoneAmp, document.replace(&name, &format!("{name} & gate"))),
        ];
        let mut said = Vec::new();
        if has(AlarmQuirk::JsonPart) {
            let json = format!(
                "{{\"eventType\": \"{}\", \"note\": \"</EventNotificationAlert>\"}}",
                event.kind
            );
            said.extend(self.part("application/json; charset=\"UTF-8\"", json.as_bytes()));
        }
        for (_, copy) in copies.iter().filter(|(quirk, _)| has(*quirk)) {
            said.extend(self.part(XML, copy.as_bytes()));
        }
        said.extend(self.part(XML, document.as_bytes()));
        if event.active && event.kind == "linedetection" && has(AlarmQuirk::PicturePart) {
            let unit = self.subject.world.unit(event.channel);
            let picture = unit.map(|unit| still(&unit.emulator.world)).unwrap_or_default();
            said.extend(self.part("image/jpeg", &picture));
        }
        said
    }

    fn part(&self, kind: &str, body: &[u8]) -> Vec<u8> {
        let length = match () {
            () if self.subject.has(AlarmQuirk::LengthShort) => body.len().saturating_sub(BYTES_OFF),
            () if self.subject.has(AlarmQuirk::LengthLong) => body.len() + BYTES_OFF,
            () => body.len(),
        };
        let head =
            format!("--boundary\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body, b"\r\n"].concat()
    }

    fn is_recorder(&self) -> bool {
        self.subject.world.units().len() > 1
    }

    fn name(&self, channel: usize) -> String {
        format!("Camera {}", channel + 1)
    }

    /// The element with the number of the event's input.
    fn channel(&self, event: Event) -> String {
        let input = event.channel + 1;
        let (element, number) = match () {
            () if !self.is_recorder() || self.subject.has(AlarmQuirk::PlainIds) => {
                ("channelID", input)
            }
            () if self.subject.has(AlarmQuirk::DynIds) => ("dynChannelID", input),
            () => ("channelID", PROXIED + input),
        };
        format!("<{element}>{number}</{element}>\r\n")
    }

    fn document(&self, event: Event) -> String {
        let Event { kind, words, channel, active, count } = event;
        let state = if active { "active" } else { "inactive" };
        let host = match self.subject.host {
            IpAddr::V4(host) => format!("<ipAddress>{host}</ipAddress>"),
            IpAddr::V6(host) => format!("<ipv6Address>{host}</ipv6Address>"),
        };
        let port = match (kind, self.is_recorder()) {
            ("IO", true) => format!("<dynInputIOPortID>{}01</dynInputIOPortID>\r\n", channel + 1),
            ("IO", false) => "<inputIOPortID>1</inputIOPortID>\r\n".to_owned(),
            _ => String::new(),
        };
        let (kind, wrapped) = match self.subject.has(AlarmQuirk::Duration) && kind != "videoloss" {
            true => (
                "duration",
                format!(
                    "<DurationList>\r\n<Duration>\r\n<relationEvent>{kind}</relationEvent>\r\n</Duration>\r\n\
                     </DurationList>\r\n"
                ),
            ),
            false => (kind, String::new()),
        };
        let amp = if self.subject.has(AlarmQuirk::AmpName) { " & Co" } else { "" };
        format!(
            "<EventNotificationAlert version=\"2.0\" xmlns=\"{NAMESPACE}\">\r\n{host}\r\n<portNo>80</portNo>\r\n\
             <protocol>HTTP</protocol>\r\n<macAddress>02:00:5e:10:00:01</macAddress>\r\n{}\
             <dateTime>{}</dateTime>\r\n<activePostCount>{count}</activePostCount>\r\n\
             <eventType>{kind}</eventType>\r\n<eventState>{state}</eventState>\r\n\
             <eventDescription>{words}</eventDescription>\r\n<channelName>{}{amp}</channelName>\r\n\
             {port}{}{wrapped}</EventNotificationAlert>\r\n",
            self.channel(event),
            clock::told(&self.subject.world),
            escape(&self.name(channel)),
            region(event),
        )
    }
}

/// Where a line or an area was crossed: its line or its corners, on a grid of 1000.
fn region(event: Event) -> String {
    let points: &[(u32, u32)] = match event.kind {
        "linedetection" if event.active => &[(100, 500), (900, 500)],
        "fielddetection" if event.active => &[(100, 100), (900, 100), (900, 900), (100, 900)],
        _ => return String::new(),
    };
    let point = |(x, y): &(u32, u32)| {
        format!(
            "<RegionCoordinates>\r\n<positionX>{x}</positionX>\r\n<positionY>{y}</positionY>\r\n\
             </RegionCoordinates>\r\n"
        )
    };
    let points: String = points.iter().map(point).collect();
    format!(
        "<DetectionRegionList>\r\n<DetectionRegionEntry>\r\n<regionID>1</regionID>\r\n\
         <sensitivityLevel>50</sensitivityLevel>\r\n<RegionCoordinatesList>\r\n{points}</RegionCoordinatesList>\r\n\
         <detectionTarget>human</detectionTarget>\r\n</DetectionRegionEntry>\r\n</DetectionRegionList>\r\n"
    )
}
