//! Reading the messages of a pull point.

use std::hash::{DefaultHasher, Hash, Hasher};

use ivt_base::text;

use super::topic::Topic;
use crate::Trigger;
use crate::xml::{self, Element, Limits};

/// Most messages of one answer that are read, and most items of one message.
const MOST: usize = 512;
const MOST_ITEMS: usize = 64;
/// Items of a message's source that name the video input, the most telling first.
const INPUTS: [&str; 5] = [
    "videosourceconfigurationtoken",
    "videosourcetoken",
    "videosource",
    "source",
    "videoanalyticsconfigurationtoken",
];
/// Items of a message's source that name what has raised it, for people, the most telling first.
const NAMES: [&str; 8] = [
    "rulename",
    "rule",
    "inputtoken",
    "alarmintoken",
    "digitalinputtoken",
    "port",
    "source",
    "videosource",
];

/// What one message tells of one alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) trigger: Trigger,
    pub(super) operation: Operation,
    pub(super) value: Value,
    /// The camera's names of the video input, the most telling first.
    pub(super) input: Vec<String>,
    /// The same for what tells of the same thing.
    pub(super) key: u64,
    /// What has raised it, for people.
    pub(super) what: String,
}

/// Why a camera sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It tells how things are.
    Initialized,
    /// Something has changed.
    Changed,
    /// What it told of is no more.
    Deleted,
    /// It does not say.
    Untold,
}

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Whether the alarm is active.
    State(bool),
    /// A line was crossed, by an object of this number as a hash; `None` for the number 0 or none.
    Crossed(Option<u64>),
}

/// What all messages of an answer tell, in their order. One that cannot be read is left out.
pub(super) fn read(answer: &Element) -> Vec<Told> {
    let messages = answer.children("NotificationMessage").take(MOST);
    messages.flat_map(|message| read_one(message).unwrap_or_default()).collect()
}

/// How many messages an answer has.
pub(super) fn count(answer: &Element) -> usize {
    answer.children("NotificationMessage").count()
}

/// The messages of an answer that is no XML as a whole, each read by itself. One that is broken is left out.
pub(in crate::onvif) fn salvage(document: &[u8]) -> Option<Element> {
    const NAME: &str = "NotificationMessage";
    let text = String::from_utf8_lossy(document);
    let mut answer = Element::new("PullMessagesResponse");
    let mut rest = &*text;
    for _ in 0..MOST {
        let Some(at) = rest.find(NAME) else { break };
        let (before, behind) = rest.split_at(at);
        let open = before.rfind('<').map(|open| &before[open + 1..]);
        // A prefix may stand between the sign and the name.
        let is_start = open.is_some_and(|prefix| {
            let is_name = !prefix.contains(['/', '>']) && !prefix.contains(char::is_whitespace);
            is_name && (prefix.is_empty() || prefix.ends_with(':'))
        });
        let Some(prefix) = open.filter(|_| is_start) else {
            rest = &behind[NAME.len()..];
            continue;
        };
        let end = format!("</{prefix}{NAME}");
        let next = format!("<{prefix}{NAME}");
        // One that is not closed ends where the next one begins.
        let next = behind.find(&next);
        let span = &behind[..next.unwrap_or(behind.len())];
        let closed = span.find(&end).map(|end| end + span[end..].find('>').map_or(0, |n| n + 1));
        let Some(until) = closed.or(next) else { break };
        let whole = format!("<{prefix}{}", &behind[..until]);
        if let Ok(message) = xml::parse(whole.as_bytes(), &Limits::default()) {
            answer.push(message);
        }
        rest = &behind[until..];
    }
    (count(&answer) > 0).then_some(answer)
}

fn read_one(message: &Element) -> Option<Vec<Told>> {
    let topic = Topic::read(message.text_at("Topic"));
    let inner = message.find("Message/Message").or_else(|| message.child("Message"))?;
    if topic.is_noise() {
        return None;
    }
    let operation = match inner.attribute("PropertyOperation").map(str::trim) {
        Some(word) if word.eq_ignore_ascii_case("Initialized") => Operation::Initialized,
        Some(word) if word.eq_ignore_ascii_case("Changed") => Operation::Changed,
        Some(word) if word.eq_ignore_ascii_case("Deleted") => Operation::Deleted,
        _ => Operation::Untold,
    };
    let [source, key, data] = ["Source", "Key", "Data"].map(|part| items(inner, part));
    // By this number Axis cameras mean any of their inputs.
    if source.iter().any(|(name, value)| name == "port" && value.trim() == "-1") {
        return None;
    }
    let told = |trigger, value, item: &str, detail: &str| Told {
        trigger,
        operation,
        value,
        input: inputs(&topic, &source),
        key: hash(&topic, &source, &key, item),
        what: what(&source, detail),
    };
    let mut all = Vec::new();
    for (name, value) in data.iter().chain(&key) {
        let Some(state) = is_active(value).filter(|_| is_state(name)) else { continue };
        if let Some(trigger) = of_item(name).or(topic.trigger()).filter(|_| name != "istamper") {
            let detail = name.strip_prefix("is").unwrap_or(topic.shown());
            all.push(told(trigger, Value::State(state), name, detail));
        }
    }
    let has_state = data.iter().chain(&key).any(|(name, _)| is_state(name));
    if let (false, Some(trigger)) = (has_state, topic.trigger()) {
        let named = |wanted: &str| data.iter().chain(&key).find(|(name, _)| name == wanted);
        if topic.is_crossing() {
            let number = named("objectid").map_or("", |(_, number)| number.trim());
            let number = (!matches!(number, "" | "0")).then(|| {
                let mut hasher = DefaultHasher::new();
                number.hash(&mut hasher);
                hasher.finish()
            });
            all.push(told(trigger, Value::Crossed(number), "", topic.shown()));
        } else if let Some((name, classes)) = named("classtypes") {
            // The classes of what is seen; none of them is the end.
            let is_seen = !classes.trim().is_empty();
            all.push(told(trigger, Value::State(is_seen), name, topic.shown()));
        }
    }
    Some(all)
}

/// Names in lower case and values of the items in a part of a message.
fn items(inner: &Element, part: &str) -> Vec<(String, String)> {
    let parts = inner.children(part);
    let items = parts.flat_map(|part| part.children("SimpleItem")).take(MOST_ITEMS);
    let items = items.filter_map(|item| {
        let value = item.attribute("Value").unwrap_or(item.text());
        Some((item.attribute("Name")?.trim().to_lowercase(), value.to_owned()))
    });
    items.collect()
}

/// Whether an item tells whether an alarm is active, where its value is one of two.
fn is_state(name: &str) -> bool {
    matches!(name, "state" | "logicalstate" | "active" | "detected") || name.starts_with("is")
}

/// The trigger that an item has by its name alone.
fn of_item(name: &str) -> Option<Trigger> {
    match name {
        "ismotion" | "ispeople" | "isperson" | "ishuman" | "isvehicle" | "ispet" | "isanimal"
        | "isface" => Some(Trigger::Motion),
        "islinecross" | "iscrossed" | "isintrusion" | "isinside" => Some(Trigger::Line),
        _ => None,
    }
}

fn is_active(value: &str) -> Option<bool> {
    match &*value.trim().to_ascii_lowercase() {
        "true" | "1" | "active" | "on" | "high" | "closed" => Some(true),
        "false" | "0" | "inactive" | "off" | "low" | "open" => Some(false),
        _ => None,
    }
}

fn inputs(topic: &Topic, source: &[(String, String)]) -> Vec<String> {
    let named = INPUTS.iter().filter_map(|name| source.iter().find(|(other, _)| other == name));
    let mut inputs: Vec<_> = named.map(|(_, token)| token.trim().to_owned()).collect();
    inputs.extend(topic.input().map(|number| format!("{CAMERA}{number}")));
    inputs.retain(|input| !input.is_empty());
    inputs
}

/// What stands before the number of a video input that was named by its number alone.
pub(super) const CAMERA: &str = "camera ";

fn hash(topic: &Topic, source: &[(String, String)], key: &[(String, String)], item: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    topic.words().hash(&mut hasher);
    source.hash(&mut hasher);
    for named in key.iter().filter(|(name, _)| !is_state(name)) {
        named.hash(&mut hasher);
    }
    item.hash(&mut hasher);
    hasher.finish()
}

fn what(source: &[(String, String)], detail: &str) -> String {
    let named = NAMES.iter().find_map(|name| {
        let (_, value) = source.iter().find(|(other, _)| other == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    });
    text::name(&match named {
        Some(name) if name.eq_ignore_ascii_case(detail) => name.to_owned(),
        Some(name) => format!("{name}, {detail}"),
        None => detail.to_owned(),
    })
}

#[cfg(test)]
mod tests;
