//! The values that templates are filled with: those of the call, and those that a profile derives from them.

use std::collections::BTreeMap;

use super::error::Error;
use super::template::{Lookup, Place, Template, Value};
use super::toml::{Table, hint};
use crate::{Area, Detection, Kind, WallTime};

/// How deep derived values may stand on each other.
pub(super) const DEEPEST: usize = 8;

/// A value that a profile derives from others.
pub(super) enum Derived {
    /// Linear from one range into another.
    Scale { from: String, of: (i64, i64), to: (i64, i64) },
    /// A table of words; a word that is not in it is one that the camera lacks.
    Words { from: String, words: BTreeMap<String, Template> },
    /// A part that is repeated, with what stands between.
    Each { each: Each, count: i64, text: Template, join: String },
    /// Another text.
    Plain(Template),
}

/// What a part is repeated for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Each {
    /// The seven days of the week: `day`, 0 to 6.
    Day,
    /// A fixed count of windows of a day: `slot`, `on` (1 or 0), `from` and `until` in seconds after midnight.
    Slot,
    /// The one or two windows of a day that are armed: as `Slot`.
    Window,
    /// The four corners: `corner`, `x` and `y` in percent.
    Corner,
}

const EACH: [&str; 4] = ["day", "slot", "window", "corner"];
/// Names that repeated parts define.
const INNER: [&str; 7] = ["day", "slot", "on", "from", "until", "corner", "x"];

/// The values of one call. It is not `Debug`, since one may be a password.
#[derive(Clone)]
pub(super) struct Values<'p> {
    derived: &'p BTreeMap<String, Derived>,
    given: Vec<(&'static str, Given)>,
    windows: Vec<(u32, u32)>,
    corners: Vec<(u8, u8)>,
    depth: usize,
}

#[derive(Clone)]
enum Given {
    Number(i64),
    Text(String),
}

impl<'p> Values<'p> {
    pub(super) fn new(derived: &'p BTreeMap<String, Derived>, input: u16) -> Self {
        let given = vec![("input", Given::Number(input.into()))];
        Self { derived, given, windows: Vec::new(), corners: Vec::new(), depth: 0 }
    }

    pub(super) fn number(mut self, name: &'static str, number: impl Into<i64>) -> Self {
        self.given.push((name, Given::Number(number.into())));
        self
    }

    pub(super) fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.given.push((name, Given::Text(text.into())));
        self
    }

    pub(super) fn detection(mut self, detection: &Detection) -> Self {
        self.windows = detection.armed.windows();
        let delay = i64::try_from(detection.delay.as_secs()).unwrap_or(i64::MAX);
        let is_whole = self.windows == [(0, 86_400)];
        self.text("enable", if detection.enable { "true" } else { "false" })
            .number("whole_day", is_whole)
            .number("sensitivity", detection.sensitivity)
            .number("delay", delay)
    }

    pub(super) fn area(mut self, area: Area) -> Self {
        self.corners = area.0.iter().map(|point| (point.x, point.y)).collect();
        let [upper, lower] = area.bounds();
        self.number("area", 1)
            .number("left", upper.x)
            .number("top", upper.y)
            .number("right", lower.x)
            .number("bottom", lower.y)
    }

    pub(super) fn time(self, time: WallTime) -> Self {
        let ((year, month, day), (hour, minute, second)) = (time.date(), time.time());
        self.number("year", year)
            .number("month", month)
            .number("day", day)
            .number("hour", hour)
            .number("minute", minute)
            .number("second", second)
    }

    /// The same moment as the time, in UTC.
    pub(super) fn utc(self, time: WallTime) -> Self {
        let ((year, month, day), (hour, minute, second)) = (time.date(), time.time());
        self.number("utc_year", year)
            .number("utc_month", month)
            .number("utc_day", day)
            .number("utc_hour", hour)
            .number("utc_minute", minute)
            .number("utc_second", second)
    }

    /// Whether a name has a value other than 0, false and the empty text.
    pub(super) fn has(&self, name: &str) -> Result<bool, Kind> {
        let value = self.value(name, Place::Plain)?.map(Value::into_text);
        Ok(value.is_some_and(|value| !matches!(&*value, "" | "0" | "false")))
    }

    fn rounds(&self, each: Each, count: i64) -> Vec<Self> {
        let window = |slot: usize| {
            let window = self.windows.get(slot).copied();
            let (from, until) = window.unwrap_or_default();
            let slot = i64::try_from(slot).unwrap_or_default();
            let round = self.clone().number("slot", slot).number("on", window.is_some());
            round.number("from", from).number("until", until)
        };
        match each {
            Each::Day => (0..7).map(|day| self.clone().number("day", day)).collect(),
            Each::Slot => (0..usize::try_from(count).unwrap_or_default()).map(window).collect(),
            Each::Window => (0..self.windows.len()).map(window).collect(),
            Each::Corner => {
                let corners = self.corners.iter().zip(0..);
                corners
                    .map(|((x, y), corner)| {
                        self.clone().number("corner", corner).number("x", *x).number("y", *y)
                    })
                    .collect()
            }
        }
    }
}

impl Lookup for Values<'_> {
    fn value(&self, name: &str, place: Place) -> Result<Option<Value>, Kind> {
        if let Some((_, given)) = self.given.iter().rev().find(|(other, _)| *other == name) {
            return Ok(Some(match given {
                Given::Number(number) => Value::Number(*number),
                Given::Text(text) => Value::Text(text.clone()),
            }));
        }
        let Some(derived) = self.derived.get(name) else { return Ok(None) };
        if self.depth == DEEPEST {
            return Err(Kind::Invalid);
        }
        let inner = Self { depth: self.depth + 1, ..self.clone() };
        match derived {
            Derived::Plain(text) => Ok(text.render(&inner, place)?.map(Value::Escaped)),
            Derived::Scale { from, of, to } => {
                let Some(value) = inner.value(from, Place::Plain)? else { return Ok(None) };
                Ok(Some(Value::Number(scale(value.number()?, *of, *to))))
            }
            Derived::Words { from, words } => {
                let Some(value) = inner.value(from, Place::Plain)? else { return Ok(None) };
                let text = words.get(&value.into_text()).ok_or(Kind::Unsupported)?;
                Ok(text.render(&inner, place)?.map(Value::Escaped))
            }
            Derived::Each { each, count, text, join } => {
                let mut parts = Vec::new();
                for round in inner.rounds(*each, *count) {
                    match text.render(&round, place)? {
                        Some(part) => parts.push(part),
                        None => return Ok(None),
                    }
                }
                Ok((!parts.is_empty()).then(|| Value::Escaped(parts.join(join))))
            }
        }
    }
}

/// Linear from the range `of` into the range `to`, which may be inverted, rounded to the nearest.
pub(super) fn scale(value: i64, of: (i64, i64), to: (i64, i64)) -> i64 {
    let value = value.clamp(of.0.min(of.1), of.0.max(of.1));
    let (span, wide) = (of.1 - of.0, to.1 - to.0);
    let twice = 2 * (value - of.0) * wide + span;
    to.0 + twice.div_euclid(2 * span)
}

/// Reads the table `values` of a profile.
pub(super) fn read(table: &Table<'_, '_>) -> Result<BTreeMap<String, Derived>, Error> {
    let mut values = BTreeMap::new();
    for (name, at) in table.keys() {
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(usual) {
            return Err(table.error(at, name, "expected lower-case letters, digits and _"));
        }
        let Some(value) = table.table(name)? else { continue };
        values.insert(name.to_owned(), derived(&value)?);
    }
    Ok(values)
}

/// Whether a name is one that repeated parts define.
pub(super) fn is_inner(name: &str) -> bool {
    INNER.contains(&name) || name == "y"
}

impl Derived {
    /// Whether it repeats a part for each of these.
    pub(super) fn is_each(&self, wanted: Each) -> bool {
        matches!(self, Self::Each { each, .. } if *each == wanted)
    }

    /// The names that a value stands on.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Scale { from, .. } => vec![from],
            Self::Words { from, words } => {
                let mut names: Vec<_> = words.values().flat_map(Template::names).collect();
                names.push(from);
                names
            }
            Self::Each { text, .. } | Self::Plain(text) => text.names(),
        }
    }
}

fn derived(value: &Table<'_, '_>) -> Result<Derived, Error> {
    value.only(&["from", "of", "to", "words", "each", "count", "text", "join"])?;
    if let Some(from) = value.text("from")? {
        let from = from.text;
        if let Some(to) = value.pair("to")? {
            let of = value.pair("of")?.unwrap_or((0, 100));
            if of.0 == of.1 {
                return Err(value.error(value.at, "of", "expected two different numbers"));
            }
            return Ok(Derived::Scale { from, of, to });
        }
        let Some(table) = value.table("words")? else {
            return Err(value.error(value.at, "to", "missing; expected `to` or `words`"));
        };
        let words = table.keys().map(|(word, _)| {
            let text = table.insist(word)?;
            Ok((word.to_owned(), template(&table, word, &text.text, text.at)?))
        });
        return Ok(Derived::Words { from, words: words.collect::<Result<_, Error>>()? });
    }
    let text = value.insist("text")?;
    let text = template(value, "text", &text.text, text.at)?;
    let Some(each) = value.text("each")? else { return Ok(Derived::Plain(text)) };
    let kind = match &*each.text {
        "day" => Each::Day,
        "slot" => Each::Slot,
        "window" => Each::Window,
        "corner" => Each::Corner,
        word => {
            let found = format!("{word:?} is unknown; {}", hint(word, &EACH));
            return Err(value.error(each.at, "each", &found));
        }
    };
    let count = value.integer("count")?.unwrap_or(6);
    if !(1..=32).contains(&count) {
        return Err(value.error(value.at, "count", "expected 1 to 32"));
    }
    let join = value.text("join")?.map_or_else(String::new, |join| join.text);
    Ok(Derived::Each { each: kind, count, text, join })
}

/// A template of a profile.
pub(super) fn template(
    table: &Table<'_, '_>,
    key: &str,
    text: &str,
    at: usize,
) -> Result<Template, Error> {
    Template::parse(text).map_err(|wrong| table.error(at, key, &wrong))
}
