//! What a profile says of a family's event stream: how it is asked for, how it is cut, and what of it is an alarm.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::answer::{Document, Format, Piece, bounded, pattern};
use super::error::Error;
use super::template::{Place, Template};
use super::toml::{Table, hint};
use super::values::{Values, template};
use crate::parts::{Elements, Messages, Pairs, Splitter};
use crate::shared::Raised;
use crate::{Alarm, LONGEST_WHAT, Signal, Trigger};

/// Keys of the section beside `listen`.
pub(super) const KEYS: [&str; 8] =
    ["framing", "element", "silence", "heartbeat", "beat", "port", "again", "rules"];
/// Keys of its requests, whose answers have no end.
pub(super) const REQUEST: [&str; 9] =
    ["method", "path", "query", "type", "body", "when", "unless", "instead", "note"];
const FRAMINGS: [&str; 3] = ["xml", "pairs", "messages"];
const TRIGGERS: [&str; 3] = ["input", "motion", "line"];
const RULE: [&str; 11] = [
    "trigger", "rows", "if", "state", "begins", "ends", "detected", "input", "single", "id", "what",
];
const MOST_RULES: usize = 64;
/// Most rows of one part that one rule looks at.
const MOST_ROWS: usize = 256;

/// A family's event stream.
pub(super) struct Hearing {
    framing: Framing,
    /// Longest silence of a stream before it is taken for dead.
    pub(super) silence: Duration,
    /// What a heartbeat says, and the longest silence behind one.
    beat: Option<(Regex, Duration)>,
    /// The place of the port in the answer to the first request, for a stream at a port of its own.
    pub(super) port: Option<String>,
    /// How often the request is sent again on the connection.
    pub(super) again: Option<Duration>,
    rules: Vec<Rule>,
}

enum Framing {
    Xml(String),
    Pairs,
    Messages,
}

/// Which events are alarms of one trigger.
struct Rule {
    trigger: Trigger,
    /// Where the events are inside a part; the part is the event without it.
    rows: Option<String>,
    /// Places, and what their values have to match as a whole.
    conditions: Vec<(String, Regex)>,
    /// The place of the event's state; an empty text where it is absent.
    state: Option<String>,
    signals: Vec<(Signal, Regex)>,
    /// Places of the number of the input, and how an input is written there.
    input: Vec<(String, Vec<Template>)>,
    /// Whether it belongs to the only camera, whichever number it has.
    single: bool,
    /// The places that tell apart alarms of the same trigger and input.
    id: Vec<String>,
    /// The places of words for people.
    what: Vec<String>,
}

/// What a part of a stream came to.
#[derive(Default)]
pub(super) struct Heard {
    /// The alarms in it, each with whether it only says how things are.
    pub(super) raised: Vec<(Raised, bool)>,
    /// Whether it is a heartbeat.
    pub(super) is_beat: bool,
}

impl Hearing {
    /// Reads the section, without the requests.
    pub(super) fn parse(table: &Table<'_, '_>) -> Result<Self, Error> {
        let word = table.insist("framing")?;
        let element = table.text("element")?;
        let framing = match (&*word.text, element) {
            ("xml", Some(element)) => Framing::Xml(element.text),
            ("xml", None) => {
                let found = "missing; expected the name of the XML element that is an event";
                return Err(table.error(table.at, "element", found));
            }
            ("pairs" | "messages", Some(element)) => {
                let found = "only framing = \"xml\" has elements";
                return Err(table.error(element.at, "element", found));
            }
            ("pairs", None) => Framing::Pairs,
            ("messages", None) => Framing::Messages,
            (other, _) => {
                let found = format!("{other:?} is unknown; {}", hint(other, &FRAMINGS));
                return Err(table.error(word.at, "framing", &found));
            }
        };
        let seconds = |key: &str, least: u16| {
            let Some(seconds) = table.integer(key)? else { return Ok(None) };
            let seconds = u16::try_from(seconds).ok().filter(|s| (least..=3600).contains(s));
            let found = format!("expected {least} to 3600 seconds");
            let seconds = seconds.ok_or_else(|| table.error(table.at, key, &found))?;
            Ok(Some(Duration::from_secs(seconds.into())))
        };
        // Heartbeats are not guaranteed, and a stream that is given up too soon is opened for ever.
        let silence = seconds("silence", 60)?.unwrap_or(Duration::from_secs(300));
        let heartbeat = table.text("heartbeat")?;
        let beat = match (&heartbeat, seconds("beat", 10)?) {
            (Some(text), Some(beat)) => {
                Some((pattern(table, "heartbeat", &text.text, text.at)?, beat))
            }
            (None, None) => None,
            (Some(_), None) => {
                return Err(table.error(table.at, "beat", "missing beside heartbeat"));
            }
            (None, Some(_)) => {
                return Err(table.error(table.at, "heartbeat", "missing beside beat"));
            }
        };
        let tables = table.tables("rules")?;
        if tables.is_empty() || tables.len() > MOST_RULES {
            let found = format!("expected 1 to {MOST_RULES} of them");
            return Err(table.error(table.at, "rules", &found));
        }
        let rules = tables.iter().map(Rule::parse).collect::<Result<_, _>>()?;
        let port = table.text("port")?.map(|port| port.text);
        Ok(Self { framing, silence, beat, port, again: seconds("again", 10)?, rules })
    }

    /// The names in the templates.
    pub(super) fn names(&self) -> Vec<&str> {
        let inputs = self.rules.iter().flat_map(|rule| &rule.input);
        inputs.flat_map(|(_, texts)| texts).flat_map(Template::names).collect()
    }

    /// What cuts the stream.
    pub(super) fn splitter(&self) -> Splitter {
        match &self.framing {
            Framing::Xml(name) => Splitter::Elements(Elements::new(name)),
            Framing::Pairs => Splitter::Pairs(Pairs::default()),
            Framing::Messages => Splitter::Messages(Messages::default()),
        }
    }

    /// The longest silence of a stream that has heartbeats; `None` for a family without them.
    pub(super) fn beat(&self) -> Option<Duration> {
        self.beat.as_ref().map(|(_, beat)| *beat)
    }

    /// What a part says of these inputs; nothing for one that cannot be read. `values` gives the values of an input.
    pub(super) fn hear<'v>(
        &self,
        part: &[u8],
        inputs: &[u16],
        values: &dyn Fn(u16) -> Values<'v>,
    ) -> Heard {
        let text = String::from_utf8_lossy(part);
        if let Some((heartbeat, _)) = &self.beat
            && heartbeat.is_match(bounded(&text))
        {
            return Heard { is_beat: true, ..Heard::default() };
        }
        let document = match self.framing {
            Framing::Xml(_) => Document::parse(Format::Xml, part),
            Framing::Pairs => Ok(Document::Json(pairs(&text))),
            Framing::Messages if text.trim_start().starts_with('{') => {
                Document::parse(Format::Json, part)
            }
            Framing::Messages => Ok(Document::Json(form(&text))),
        };
        let document = match document {
            Ok(document) => document,
            Err(wrong) => {
                log::debug!("a part of an event stream is passed over: the camera {wrong}");
                return Heard::default();
            }
        };
        let mut raised = Vec::new();
        for rule in &self.rules {
            let rows = document.pieces(rule.rows.as_deref().unwrap_or_default());
            for row in rows.iter().take(MOST_ROWS) {
                let is_told = matches!(row, Piece::Digit(..));
                raised.extend(rule.raised(row, inputs, values).map(|raised| (raised, is_told)));
            }
        }
        Heard { raised, is_beat: false }
    }
}

impl Rule {
    fn parse(table: &Table<'_, '_>) -> Result<Self, Error> {
        table.only(&RULE)?;
        let word = table.insist("trigger")?;
        let trigger = match &*word.text {
            "input" => Trigger::Input,
            "motion" => Trigger::Motion,
            "line" => Trigger::Line,
            other => {
                let found = format!("{other:?} is unknown; {}", hint(other, &TRIGGERS));
                return Err(table.error(word.at, "trigger", &found));
            }
        };
        let whole = |table: &Table<'_, '_>, key: &str, text: &super::toml::Text| {
            pattern(table, key, &format!("^(?:{})$", text.text), text.at)
        };
        let mut conditions = Vec::new();
        if let Some(inner) = table.table("if")? {
            for (place, _) in inner.keys() {
                conditions.push((place.to_owned(), whole(&inner, place, &inner.insist(place)?)?));
            }
        }
        let mut signals = Vec::new();
        let words =
            [("begins", Signal::Begins), ("ends", Signal::Ends), ("detected", Signal::Detected)];
        for (key, signal) in words {
            if let Some(text) = table.text(key)? {
                signals.push((signal, whole(table, key, &text)?));
            }
        }
        if signals.iter().all(|(signal, _)| *signal == Signal::Ends) {
            let found = "missing; expected it or `detected`: the states that are an alarm";
            return Err(table.error(table.at, "begins", found));
        }
        let mut input = Vec::new();
        for inner in table.tables("input")? {
            inner.only(&["at", "is"])?;
            let texts = inner.texts("is")?;
            let texts = texts.iter().map(|text| template(&inner, "is", &text.text, text.at));
            let texts: Vec<_> = texts.collect::<Result<_, _>>()?;
            if texts.is_empty() {
                let found = "missing; expected how an input is written there, such as \"{input}\"";
                return Err(inner.error(inner.at, "is", found));
            }
            input.push((inner.insist("at")?.text, texts));
        }
        let texts = |key: &str| Ok(table.texts(key)?.into_iter().map(|text| text.text).collect());
        Ok(Self {
            trigger,
            rows: table.text("rows")?.map(|rows| rows.text),
            conditions,
            state: table.text("state")?.map(|state| state.text),
            signals,
            input,
            single: table.flag("single")?,
            id: texts("id")?,
            what: texts("what")?,
        })
    }

    /// What an event raises; `None` for one that is none of the rule, or does not say whose it is.
    fn raised<'v>(
        &self,
        event: &Piece<'_>,
        inputs: &[u16],
        values: &dyn Fn(u16) -> Values<'v>,
    ) -> Option<Raised> {
        let fits = |(place, wanted): &(String, Regex)| {
            event.value(place).is_some_and(|value| wanted.is_match(bounded(value.trim())))
        };
        if !self.conditions.iter().all(fits) {
            return None;
        }
        let state = self.state.as_ref().and_then(|place| event.value(place)).unwrap_or_default();
        let mut signals = self.signals.iter();
        let (signal, _) = signals.find(|(_, wanted)| wanted.is_match(bounded(state.trim())))?;
        let input = self.input(event, inputs, values)?;
        let mut key = DefaultHasher::new();
        (self.trigger, &input).hash(&mut key);
        for place in &self.id {
            event.value(place).hash(&mut key);
        }
        let what = self.what.iter().filter_map(|place| event.value(place));
        let what = what.map(|text| clean(&text)).find(|text| !text.is_empty());
        let alarm =
            Alarm { trigger: self.trigger, signal: *signal, what: what.unwrap_or_default() };
        Some(Raised { input, key: key.finish(), alarm })
    }

    /// The number of the input, and a star behind it where it may be another one of the only camera; empty for an event of
    /// whoever listens.
    fn input<'v>(
        &self,
        event: &Piece<'_>,
        inputs: &[u16],
        values: &dyn Fn(u16) -> Values<'v>,
    ) -> Option<Vec<String>> {
        if self.input.is_empty() {
            return Some(Vec::new());
        }
        let told = |(place, texts): &'_ (String, Vec<Template>)| {
            event
                .value(place)
                .filter(|told| !told.trim().is_empty())
                .map(|told| (told, texts.clone()))
        };
        let (told, texts) = self.input.iter().find_map(told)?;
        let told = number(&told);
        let is_written = |input: &u16| {
            let values = values(*input);
            texts.iter().any(|text| {
                let text = text.render(&values, Place::Plain).ok().flatten();
                text.is_some_and(|text| number(&text) == told)
            })
        };
        let input = inputs.iter().copied().find(is_written);
        let mut names: Vec<_> = vec![input.unwrap_or_default().to_string()];
        if self.single {
            names.push("*".to_owned());
        }
        (input.is_some() || self.single).then_some(names)
    }
}

/// A number as it is compared: without the zeros in front of it, and without what is glued behind it.
fn number(text: &str) -> String {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let digits = text[..end].trim_start_matches('0');
    match (end, digits) {
        (0, _) => text.to_owned(),
        (_, "") => "0".to_owned(),
        _ => digits.to_owned(),
    }
}

/// A camera's words, for people to read.
fn clean(text: &str) -> String {
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    words.trim().chars().take(LONGEST_WHAT).collect::<String>().trim_end().to_owned()
}

/// `Code=A;action=Start;index=0;data={…}` as JSON. Data that are no JSON are left out.
fn pairs(text: &str) -> Value {
    let (head, data) = match text.split_once(";data=") {
        Some((head, data)) => (head, Some(data)),
        None => (text, None),
    };
    let mut event = Map::new();
    for (name, value) in head.split(';').filter_map(|pair| pair.split_once('=')) {
        event.insert(name.trim().to_owned(), value.trim().into());
    }
    if let Some(data) = data.and_then(|data| serde_json::from_str(data).ok()) {
        event.insert("data".to_owned(), data);
    }
    Value::Object(event)
}

/// `type=3&status=1&channelno=0` as JSON.
fn form(text: &str) -> Value {
    let words = text.split(['&', '?', ' ', '\r', '\n', ';', ',']);
    let words = words.filter_map(|pair| pair.split_once('='));
    Value::Object(words.map(|(name, value)| (name.to_owned(), value.into())).collect())
}
