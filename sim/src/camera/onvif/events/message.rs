//! Notification messages (`camera-families.md`, section 8, "Event topics and items"): what a trigger became, in the topics
//! of the specification or of a vendor.

use ivt_hal::Trigger;

use crate::camera::onvif::clock::utc_text;
use crate::camera::onvif::node::{Node, leaf, node};
use crate::camera::onvif::quirk::Quirk;
use crate::camera::onvif::site::Site;
use crate::camera::web::Change;
use crate::camera::web::calendar::Date;

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A state as it is, at the subscription or on request.
    Initialized,
    /// A state has changed, or something happened.
    Changed,
}

/// A message before it is spelled.
struct Event {
    topic: String,
    source: Vec<(&'static str, String)>,
    data: Vec<(&'static str, String)>,
}

type Items = Vec<(&'static str, String)>;

/// The messages of a change; none where the camera says nothing of it.
pub fn of(site: &Site, change: Change, operation: Operation) -> Vec<Node> {
    let has = |quirk| site.quirks.has(quirk);
    let events = match change.trigger {
        Trigger::Motion
            if has(Quirk::NoEnd) && !change.active && operation == Operation::Changed =>
        {
            Vec::new()
        }
        Trigger::Motion => motion(site, change),
        Trigger::Line => line(site, change, operation),
        Trigger::Input => vec![input(site, change)],
    };
    let mut messages = Vec::new();
    if has(Quirk::MalformedMessage) && !events.is_empty() {
        messages.extend(malformed(site));
    }
    messages.extend(events.into_iter().map(|event| spelled(site, event, operation)));
    messages
}

fn motion(site: &Site, Change { channel, active, .. }: Change) -> Vec<Event> {
    let has = |quirk| site.quirks.has(quirk);
    let state = word(site, active);
    let digit = if active { "1" } else { "0" }.to_owned();
    let source = format!("source_{channel}");
    let alarm = |state| Event {
        topic: "tns1:VideoSource/MotionAlarm".to_owned(),
        source: vec![("Source", source.clone())],
        data: vec![("State", state)],
    };
    match () {
        () if has(Quirk::MotionAlarm) => vec![alarm(state)],
        () if has(Quirk::MotionRegion) => vec![Event {
            topic: "tns1:RuleEngine/MotionRegionDetector/Motion".to_owned(),
            source: vec![("VideoSource", source), ("RuleName", "Region 1".to_owned())],
            data: vec![("State", digit)],
        }],
        () if has(Quirk::MotionBoth) => {
            let data = vec![("IsMotion", state.clone())];
            vec![rule(site, channel, "CellMotionDetector/Motion", data), alarm(state)]
        }
        () if has(Quirk::Reolink) => vec![
            alarm(state.clone()),
            Event {
                topic: "tns1:RuleEngine/MyRuleDetector/PeopleDetect".to_owned(),
                source: vec![("Source", format!("{channel:03}"))],
                data: vec![("State", state)],
            },
        ],
        () if has(Quirk::Axis) => vec![Event {
            topic: format!("tnsaxis:CameraApplicationPlatform/VMD/Camera{}ProfileANY", channel + 1),
            source: Vec::new(),
            data: vec![("classTypes", "human".to_owned()), ("active", digit)],
        }],
        () if has(Quirk::Tapo) => {
            let people = "tns1:RuleEngine/PeopleDetector/People".to_owned();
            let of = |name, value| vec![(name, value)];
            let motion =
                rule(site, channel, "CellMotionDetector/Motion", of("IsMotion", state.clone()));
            vec![motion, Event { topic: people, ..rule(site, channel, "", of("IsPeople", state)) }]
        }
        () => vec![rule(site, channel, "CellMotionDetector/Motion", vec![("IsMotion", state)])],
    }
}

fn line(site: &Site, Change { channel, active, .. }: Change, operation: Operation) -> Vec<Event> {
    let has = |quirk| site.quirks.has(quirk);
    let object = |number: u16| vec![("ObjectId", number.to_string())];
    match operation {
        _ if has(Quirk::Tapo) => {
            let data = vec![("IsLineCross", word(site, active))];
            vec![rule(site, channel, "CellMotionDetector/LineCross", data)]
        }
        _ if has(Quirk::Field) => {
            let data = vec![("IsInside", word(site, active))];
            vec![rule(site, channel, "FieldDetector/ObjectsInside", data)]
        }
        _ if has(Quirk::Axis) => vec![Event {
            topic: format!(
                "tnsaxis:CameraApplicationPlatform/FenceGuard/Camera{}Profile1",
                channel + 1
            ),
            source: Vec::new(),
            data: vec![("active", if active { "1" } else { "0" }.to_owned())],
        }],
        Operation::Initialized if has(Quirk::LineInitialized) => {
            vec![rule(site, channel, "LineDetector/Crossed", object(0))]
        }
        Operation::Changed if active => {
            let number = rand::random::<u16>().max(1);
            vec![rule(site, channel, "LineDetector/Crossed", object(number))]
        }
        // A crossing is no state: it is not told at the subscription, and has no end.
        Operation::Initialized | Operation::Changed => Vec::new(),
    }
}

fn input(site: &Site, Change { channel, active, .. }: Change) -> Event {
    let has = |quirk| site.quirks.has(quirk);
    let state = word(site, active);
    let (topic, token, value) = match () {
        () if has(Quirk::HikInput) => (
            "tns1:Device/Trigger/tnshik:AlarmIn",
            ("AlarmInToken", format!("AlarmIn_{}", channel + 1)),
            ("State", state),
        ),
        () if has(Quirk::Axis) => (
            "tns1:Device/tnsaxis:IO/Port",
            ("port", channel.to_string()),
            ("state", if active { "1" } else { "0" }.to_owned()),
        ),
        () => (
            match has(Quirk::ImouInput) {
                true => "tns1:VideoSource/tns1:Device/Trigger/DigitalInput",
                false => "tns1:Device/Trigger/DigitalInput",
            },
            ("InputToken", token(channel)),
            ("LogicalState", state),
        ),
    };
    Event { topic: topic.to_owned(), source: vec![token], data: vec![value] }
}

/// The token of a channel's digital input.
pub fn token(channel: usize) -> String {
    format!("{channel:05}")
}

/// An event of a rule of the video analytics.
fn rule(site: &Site, channel: usize, name: &str, data: Items) -> Event {
    let tokens = match site.quirks.has(Quirk::Tapo) {
        true => ["vsconf".to_owned(), "VideoAnalyticsToken".to_owned()],
        false => [format!("source_{channel}"), format!("analytics_{channel}")],
    };
    let [video, analytics] = tokens;
    let source = vec![
        ("VideoSourceConfigurationToken", video),
        ("VideoAnalyticsConfigurationToken", analytics),
        ("Rule", "Rule 1".to_owned()),
    ];
    Event { topic: format!("tns1:RuleEngine/{name}"), source, data }
}

fn word(site: &Site, active: bool) -> String {
    let words = if site.quirks.has(Quirk::Ones) { ["0", "1"] } else { ["false", "true"] };
    words[usize::from(active)].to_owned()
}

fn topic(site: &Site, text: &str) -> Node {
    let end = match () {
        () if site.quirks.has(Quirk::TopicSlash) => "/",
        () if site.quirks.has(Quirk::TopicDots) => "//.",
        () => "",
    };
    leaf("wsnt:Topic", format!("{text}{end}"))
        .with("xmlns:tns1", "http://www.onvif.org/ver10/topics")
        .with("xmlns:tnsaxis", "http://www.axis.com/2009/event/topics")
        .with("xmlns:tnshik", "http://www.hikvision.com/2011/event/topics")
        .with("Dialect", "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet")
}

fn spelled(
    site: &Site,
    Event { topic: text, source, mut data }: Event,
    operation: Operation,
) -> Node {
    if site.quirks.has(Quirk::SeveralItems) {
        data.insert(0, ("Confidence", "87".to_owned()));
        data.push(("ClassTypes", "true Human".to_owned()));
    }
    let time = match site.quirks.has(Quirk::OddTimes) {
        true => "0000-00-00T00:00:00Z".to_owned(),
        false => utc_text(Date::from_unix(site.clock.now(&site.quirks))),
    };
    let message = node("tt:Message", [items("tt:Source", source), items("tt:Data", data)])
        .with("UtcTime", time);
    let word = match operation {
        Operation::Changed if !site.quirks.has(Quirk::OnlyInitialized) => "Changed",
        Operation::Changed | Operation::Initialized => "Initialized",
    };
    let message = match site.quirks.has(Quirk::NoOperation) {
        true => message,
        false => message.with("PropertyOperation", word),
    };
    notification([topic(site, &text), node("wsnt:Message", [message])])
}

fn items(name: &'static str, items: Items) -> Node {
    let item = |(name, value)| node("tt:SimpleItem", []).with("Name", name).with("Value", value);
    node(name, items.into_iter().map(item))
}

fn notification(content: impl IntoIterator<Item = Node>) -> Node {
    node("wsnt:NotificationMessage", content)
}

/// Messages that say nothing: without a topic, without a message, and with items that have no name or no value.
fn malformed(site: &Site) -> [Node; 3] {
    let motion = || topic(site, "tns1:RuleEngine/CellMotionDetector/Motion");
    let nameless = node("tt:SimpleItem", []).with("Value", "true");
    let empty = node("tt:SimpleItem", []).with("Name", "IsMotion");
    let message = node("tt:Message", [node("tt:Data", [nameless, empty])])
        .with("UtcTime", "2026-11-30T06:61:00")
        .with("PropertyOperation", "");
    [
        notification([node("wsnt:Message", [node("tt:Message", [])])]),
        notification([motion()]),
        notification([motion(), node("wsnt:Message", [message])]),
    ]
}
