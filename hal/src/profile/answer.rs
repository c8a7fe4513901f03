//! Reading what a camera answers: lines of `Group.name=value`, JSON, XML, or text by regular expressions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use super::error::Error;
use super::template::{Place, Template};
use super::toml::{Table, hint};
use super::values::{Values, template};
use crate::xml::{self, Element, Limits};
use crate::{Kind, MOST_NAMED};

/// Most bytes of an answer that a regular expression is tried on, as the time for it grows with both.
const SEARCHED: usize = 256 * 1024;
/// Most bytes of JSON, which takes many times its size once it is read.
const JSON: usize = 1 << 20;
/// Longest regular expression of a profile, in bytes.
const PATTERN: usize = 512;

/// One row of an answer: the values of its fields.
pub(super) type Row = BTreeMap<&'static str, String>;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Lines,
    Json,
    Xml,
    Text,
}

const FORMATS: [&str; 4] = ["lines", "json", "xml", "text"];

/// How an answer is read.
pub(super) struct Read {
    format: Format,
    /// The part of the text that is read: the first group of this expression.
    within: Option<Regex>,
    /// Where the rows are; without it, the answer is one row.
    rows: Option<Rows>,
    fields: Vec<(&'static str, Vec<Template>)>,
    /// A place in the row, and what its value has to match.
    only: Option<(Template, Regex)>,
}

enum Rows {
    At(Template),
    Matches(Regex),
}

/// An answer that has been taken apart.
pub(super) enum Document {
    Lines(Vec<(String, String)>),
    Json(Value),
    Xml(Element),
}

impl Read {
    pub(super) fn parse(table: &Table<'_, '_>, names: &[&'static str]) -> Result<Self, Error> {
        let allowed = [&["format", "within", "rows", "only", "is"], names].concat();
        table.only(&allowed)?;
        let format = Format::parse(table)?;
        let within =
            table.text("within")?.map(|text| pattern(table, "within", &text.text, text.at));
        let rows = match table.text("rows")? {
            Some(text) if format == Format::Text => {
                Some(Rows::Matches(pattern(table, "rows", &text.text, text.at)?))
            }
            Some(text) => Some(Rows::At(template(table, "rows", &text.text, text.at)?)),
            None if format == Format::Text => {
                return Err(table.error(
                    table.at,
                    "rows",
                    "missing; expected a regular expression",
                ));
            }
            None => None,
        };
        let mut fields = Vec::new();
        for name in names {
            let at = table.texts(name)?;
            let at = at.iter().map(|text| template(table, name, &text.text, text.at));
            let at = at.collect::<Result<Vec<_>, _>>()?;
            if !at.is_empty() {
                fields.push((*name, at));
            }
        }
        if fields.is_empty() {
            let wanted = format!("reads nothing; allowed are {}", names.join(", "));
            return Err(table.error(table.at, "format", &wanted));
        }
        let only = match table.text("only")? {
            Some(at) => {
                let is = table.insist("is")?;
                let is_whole = format!("^(?:{})$", is.text);
                let at = template(table, "only", &at.text, at.at)?;
                Some((at, pattern(table, "is", &is_whole, is.at)?))
            }
            None => None,
        };
        Ok(Self { format, within: within.transpose()?, rows, fields, only })
    }

    /// The names in the templates.
    pub(super) fn names(&self) -> Vec<&str> {
        let rows = match &self.rows {
            Some(Rows::At(rows)) => rows.names(),
            _ => Vec::new(),
        };
        let fields = self.fields.iter().flat_map(|(_, at)| at).flat_map(Template::names);
        rows.into_iter().chain(fields).collect()
    }

    /// The rows of an answer, at most [`MOST_NAMED`].
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub(super) fn rows(&self, body: &[u8], values: &Values<'_>) -> Result<Vec<Row>, String> {
        let whole = String::from_utf8_lossy(body);
        let text = match &self.within {
            None => whole,
            Some(within) => match within.captures(bounded(&whole)).and_then(|found| found.get(1)) {
                Some(found) => Cow::Owned(found.as_str().to_owned()),
                // A list that is not there is empty.
                None => return Ok(Vec::new()),
            },
        };
        let place = |at: &Template| match at.render(values, Place::Plain) {
            Ok(Some(text)) => Ok(text),
            _ => Err("was asked with a value that its profile cannot place".to_owned()),
        };
        let mut fields = Vec::new();
        for (name, at) in &self.fields {
            for at in at {
                fields.push((*name, place(at)?));
            }
        }
        if let Some((at, _)) = &self.only {
            fields.push(("only", place(at)?));
        }
        let mut rows = match &self.rows {
            Some(Rows::Matches(pattern)) => matches(pattern, bounded(&text), &fields),
            Some(Rows::At(at)) => {
                let document = match &self.within {
                    None => Document::parse(self.format, body)?,
                    Some(_) => Document::parse(self.format, text.as_bytes())?,
                };
                document.rows(&place(at)?, &fields)
            }
            None => {
                let document = Document::parse(self.format, text.as_bytes())?;
                vec![row(&fields, |at, exact| document.find(at, exact))]
            }
        };
        if let Some((_, is)) = &self.only {
            rows.retain(|row| row.get("only").is_some_and(|value| is.is_match(bounded(value))));
        }
        for row in &mut rows {
            row.remove("only");
        }
        rows.retain(|row| !row.is_empty());
        rows.truncate(MOST_NAMED);
        Ok(rows)
    }
}

impl Format {
    /// The format that a table names; lines without it.
    pub(super) fn parse(table: &Table<'_, '_>) -> Result<Self, Error> {
        let Some(word) = table.text("format")? else { return Ok(Self::Lines) };
        match &*word.text {
            "lines" => Ok(Self::Lines),
            "json" => Ok(Self::Json),
            "xml" => Ok(Self::Xml),
            "text" => Ok(Self::Text),
            other => {
                let found = format!("{other:?} is unknown; {}", hint(other, &FORMATS));
                Err(table.error(word.at, "format", &found))
            }
        }
    }
}

impl Document {
    pub(super) fn parse(format: Format, body: &[u8]) -> Result<Self, String> {
        match format {
            Format::Xml => match xml::parse(body, &Limits::default()) {
                Ok(root) => Ok(Self::Xml(root)),
                Err(error) => Err(format!("answered {error}")),
            },
            Format::Json if body.len() > JSON => {
                Err(format!("answered more than {JSON} bytes of JSON"))
            }
            Format::Json => match serde_json::from_slice(body) {
                Ok(value) => Ok(Self::Json(value)),
                Err(_) => Err("answered no JSON".into()),
            },
            Format::Lines | Format::Text => {
                let text = String::from_utf8_lossy(body);
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                let pairs = pairs.map(|(name, value)| {
                    // Dahua and Axis put these in front of what they are asked for.
                    let name = name.trim();
                    let name = name.strip_prefix("table.").unwrap_or(name);
                    let name = name.strip_prefix("root.").unwrap_or(name);
                    (name.to_owned(), value.to_owned())
                });
                Ok(Self::Lines(unquoted(pairs.collect())))
            }
        }
    }

    /// The value at a name, a JSON pointer, or a path of XML, which may end in `@attribute`, with the blanks around it.
    pub(super) fn value(&self, at: &str) -> Option<String> {
        self.find(at, true)
    }

    /// The pieces at a place: the rows of a list, the characters of a text, or the one thing that is there; the document
    /// itself for the empty place.
    pub(super) fn pieces(&self, at: &str) -> Vec<Piece<'_>> {
        match self {
            Self::Lines(_) => Vec::new(),
            Self::Xml(root) => root.find_all(at).into_iter().map(Piece::Xml).collect(),
            Self::Json(value) => match value.pointer(at) {
                None => Vec::new(),
                Some(Value::Array(rows)) => rows.iter().map(Piece::Json).collect(),
                Some(Value::String(text)) => {
                    text.chars().enumerate().map(|(at, digit)| Piece::Digit(at, digit)).collect()
                }
                Some(single) => vec![Piece::Json(single)],
            },
        }
    }

    fn find(&self, at: &str, exact: bool) -> Option<String> {
        match self {
            Self::Lines(lines) => {
                let (_, value) = lines.iter().find(|(name, _)| name == at)?;
                Some(trimmed(value, exact))
            }
            Self::Json(value) => plain(value.pointer(at)?),
            Self::Xml(root) => inside(root, at, exact),
        }
    }

    fn rows(&self, at: &str, fields: &[(&'static str, String)]) -> Vec<Row> {
        match self {
            Self::Lines(lines) => line_rows(lines, at, fields),
            Self::Json(value) => {
                let rows = match value.pointer(at) {
                    Some(Value::Array(rows)) => rows.iter().take(MOST_NAMED * 4).collect(),
                    // A single row may stand without its list.
                    Some(single @ Value::Object(_)) => vec![single],
                    _ => Vec::new(),
                };
                let of = |value: &Value| row(fields, |at, _| plain(value.pointer(at)?));
                rows.into_iter().map(of).collect()
            }
            Self::Xml(root) => {
                let rows = root.find_all(at).into_iter().take(MOST_NAMED * 4);
                rows.map(|element| row(fields, |at, exact| inside(element, at, exact))).collect()
            }
        }
    }
}

/// A piece of a document: an event of a stream.
pub(super) enum Piece<'d> {
    Json(&'d Value),
    Xml(&'d Element),
    /// One character of a text that has one for each input: its place, from 0, and the character.
    Digit(usize, char),
}

impl Piece<'_> {
    /// The value at a place of the piece. A digit has the places `/at` and `/is`.
    pub(super) fn value(&self, at: &str) -> Option<String> {
        match self {
            Self::Json(value) => plain(value.pointer(at)?),
            Self::Xml(element) => inside(element, at, false),
            Self::Digit(place, digit) => match at {
                "/at" => Some(place.to_string()),
                "/is" => Some(digit.to_string()),
                _ => None,
            },
        }
    }
}

/// The first value of each field. `value` is asked whether to leave the blanks around it.
fn row(fields: &[(&'static str, String)], value: impl Fn(&str, bool) -> Option<String>) -> Row {
    let mut row = Row::new();
    for (name, at) in fields {
        if !row.contains_key(name)
            && let Some(value) = value(at, is_exact(name))
        {
            row.insert(name, value);
        }
    }
    row
}

/// Rows of lines, such as `presets[*]`, where the star is the same for all lines of a row. The field `*` is what
/// stands there.
fn line_rows(lines: &[(String, String)], at: &str, fields: &[(&'static str, String)]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (field, end) in fields.iter().filter(|(_, end)| end != "*") {
        let whole = format!("{at}{end}");
        let Some((before, after)) = whole.split_once('*') else { continue };
        for (name, value) in lines {
            let star = name.strip_prefix(before).and_then(|name| name.strip_suffix(after));
            let Some(star) = star.filter(|star| !star.is_empty() && !star.contains(['.', '[']))
            else {
                continue;
            };
            let index = match known.get(star) {
                Some(index) => *index,
                None if rows.len() == MOST_NAMED * 4 => continue,
                None => {
                    known.insert(star, rows.len());
                    let named = fields.iter().filter(|(_, end)| end == "*");
                    rows.push(named.map(|(name, _)| (*name, star.to_owned())).collect());
                    rows.len() - 1
                }
            };
            rows[index].entry(field).or_insert_with(|| trimmed(value, is_exact(field)));
        }
    }
    rows
}

/// A row for each match, with its named groups.
fn matches(pattern: &Regex, text: &str, fields: &[(&'static str, String)]) -> Vec<Row> {
    let found = pattern.captures_iter(text).take(MOST_NAMED * 4);
    let group = |found: &regex_lite::Captures<'_>, at: &str, exact| {
        found.name(at).map(|group| trimmed(group.as_str(), exact))
    };
    found.map(|found| row(fields, |at, exact| group(&found, at, exact))).collect()
}

fn inside(element: &Element, at: &str, exact: bool) -> Option<String> {
    match at.rsplit_once('@') {
        Some((path, name)) => {
            let path = path.trim_end_matches('/');
            element.find(path)?.attribute(name).map(str::to_owned)
        }
        None if exact => element.find(at).map(Element::exact_text),
        None => element.find(at).map(|found| found.text().to_owned()),
    }
}

/// Whether blanks around the value of a field belong to it: those of a wireless network's name and password do.
fn is_exact(field: &str) -> bool {
    matches!(field, "ssid" | "password")
}

fn trimmed(value: &str, exact: bool) -> String {
    if exact { value.to_owned() } else { value.trim().to_owned() }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Takes the quotes off an answer that has them around every value. Quotes around some values belong to these.
fn unquoted(mut lines: Vec<(String, String)>) -> Vec<(String, String)> {
    for quote in ['"', '\''] {
        let within = |value: &str| {
            let inner = value.trim().strip_prefix(quote)?.strip_suffix(quote)?;
            Some(inner.to_owned())
        };
        if lines.iter().all(|(_, value)| within(value).is_some()) {
            for (_, value) in &mut lines {
                *value = within(value).unwrap_or_default();
            }
            break;
        }
    }
    lines
}

/// The beginning of a text that a regular expression is tried on.
pub(super) fn bounded(text: &str) -> &str {
    let end = (0..=SEARCHED.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// A regular expression of a profile.
pub(super) fn pattern(
    table: &Table<'_, '_>,
    key: &str,
    text: &str,
    at: usize,
) -> Result<Regex, Error> {
    if text.len() > PATTERN {
        return Err(table.error(at, key, &format!("expected at most {PATTERN} bytes")));
    }
    Regex::new(text)
        .map_err(|wrong| table.error(at, key, &format!("no regular expression: {wrong}")))
}

/// Adds what the rows of a later answer say of the same things. A row is known by its `token`, `name` or `ssid`; a
/// single row is always the same.
pub(super) fn merge(rows: &mut Vec<Row>, more: Vec<Row>) {
    if rows.is_empty() {
        *rows = more;
        return;
    }
    let key = |row: &Row| ["token", "ssid", "name"].iter().find_map(|name| row.get(name)).cloned();
    let single = rows.len() == 1 && more.len() == 1;
    let places: BTreeMap<_, _> = rows.iter().map(key).zip(0..).collect();
    for row in more {
        let place = if single { Some(&0) } else { places.get(&key(&row)) };
        if let Some(known) = place.and_then(|at: &usize| rows.get_mut(*at)) {
            for (name, value) in row {
                known.entry(name).or_insert(value);
            }
        }
    }
}

/// What a failure of reading is to a caller.
pub(super) const UNREADABLE: Kind = Kind::Other;
