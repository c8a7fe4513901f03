//! Where the keys of a configuration file stand in its text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, Part};

/// Why a text cannot be changed in the wanted way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("the file cannot be read")]
    Unreadable,
    /// The name is that of a whole section, not of a key.
    #[error("{0} is a section: name one of its keys")]
    Section(String),
    /// A part of the name is a key with a value, not a section.
    #[error("{0} is no section")]
    NoSection(String),
    /// The channel is neither there nor the next one that could be added.
    #[error("there is no {name} {number}: the file has {count}, numbered from 0")]
    NoElement {
        /// Name of the array of tables.
        name: String,
        /// Number that was asked for.
        number: usize,
        /// How many elements the array has.
        count: usize,
    },
    /// The key is written in a way that cannot be changed piece by piece.
    #[error("{0} is written in a way that only an editor can change")]
    ByHand(String),
}

/// How a table is written.
#[derive(Clone, Debug)]
pub(super) enum Level {
    Root,
    /// Below a header, which has this range.
    Header(Range<usize>),
    /// Inside braces, from the opening to the closing one.
    Inline(Range<usize>),
    /// As keys with dots in the body of the table that contains it.
    Dotted,
}

/// Where a key stands, or would stand if it were added.
pub(super) enum Place<'k, 'd, 't> {
    Found(Found<'t>),
    Missing {
        level: Level,
        table: &'d DeTable<'d>,
        rest: &'k [Part],
    },
    /// In an element that the array of tables does not have yet: the next one.
    Next {
        name: &'k str,
        rest: &'k [Part],
    },
}

pub(super) struct Found<'t> {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// The comments inside the value, which are lost when the value is replaced.
    pub(super) comments: Vec<&'t str>,
    /// All pairs of the inline table that contains the key; `None` for a key outside of inline
    /// tables.
    pub(super) pairs: Option<Vec<Entry>>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

pub(super) fn parse(text: &str) -> Result<DeTable<'_>, EditError> {
    DeTable::parse(text).map(Spanned::into_inner).map_err(|_| EditError::Unreadable)
}

pub(super) fn find<'k, 'd, 't>(
    text: &'t str,
    table: &'d DeTable<'d>,
    level: Level,
    parts: &'k [Part],
    whole: &Key,
) -> Result<Place<'k, 'd, 't>, EditError> {
    let [Part::Name(name), rest @ ..] = parts else {
        return Err(EditError::NoSection(whole.to_string()));
    };
    let entry = table.get_key_value(name.as_str());
    if let [Part::Number(number), rest @ ..] = rest {
        return element(text, entry.map(|(_, value)| value), name, *number, rest, whole);
    }
    let Some((key, value)) = entry else {
        return Ok(Place::Missing { level, table, rest: parts });
    };
    let written = written(text, value);
    if rest.is_empty() {
        return match (value.get_ref(), written) {
            (DeValue::Table(_), Level::Inline(_)) | (_, Level::Root) => {
                let pairs = matches!(level, Level::Inline(_)).then(|| entries(text, table));
                let comments = comments(text, value);
                Ok(Place::Found(Found { key: key.span(), value: value.span(), comments, pairs }))
            }
            _ => Err(EditError::Section(whole.to_string())),
        };
    }
    let DeValue::Table(inner) = value.get_ref() else {
        return Err(EditError::NoSection(name.clone()));
    };
    match find(text, inner, written, rest, whole)? {
        Place::Missing { level: Level::Dotted, .. } => {
            Ok(Place::Missing { level, table, rest: parts })
        }
        Place::Found(found) if matches!(level, Level::Inline(_)) => {
            // For a key with dots inside braces it is not known where its pair begins.
            Ok(Place::Found(Found { pairs: Some(found.pairs.unwrap_or_default()), ..found }))
        }
        place => Ok(place),
    }
}

/// A key within an element of an array of tables.
fn element<'k, 'd, 't>(
    text: &'t str,
    array: Option<&'d Spanned<DeValue<'d>>>,
    name: &'k str,
    number: usize,
    rest: &'k [Part],
    whole: &Key,
) -> Result<Place<'k, 'd, 't>, EditError> {
    let items = match array.map(Spanned::get_ref) {
        None => &[][..],
        Some(DeValue::Array(items)) => items,
        Some(_) => return Err(EditError::NoSection(name.to_owned())),
    };
    let headers = items.iter().all(|item| matches!(written(text, item), Level::Header(_)));
    match items.get(number) {
        None if number == items.len() && headers => Ok(Place::Next { name, rest }),
        None => {
            let name = name.to_owned();
            Err(EditError::NoElement { name, number, count: items.len() })
        }
        Some(item) => match item.get_ref() {
            DeValue::Table(table) => find(text, table, written(text, item), rest, whole),
            _ => Err(EditError::NoSection(name.to_owned())),
        },
    }
}

/// How a value is written if it is a table or an array of tables; `Root` for any other value.
pub(super) fn written(text: &str, value: &Spanned<DeValue<'_>>) -> Level {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(_) => match text.as_bytes().get(span.start) {
            Some(b'[') => Level::Header(span),
            Some(b'{') => Level::Inline(span),
            _ => Level::Dotted,
        },
        DeValue::Array(items) => match items.iter().next() {
            Some(first) if matches!(written(text, first), Level::Header(_)) => Level::Header(span),
            _ => Level::Root,
        },
        _ => Level::Root,
    }
}

/// What stands in the body of the table itself, in the order of the text; tables with a header of
/// their own are left out.
pub(super) fn entries(text: &str, table: &DeTable<'_>) -> Vec<Entry> {
    let mut found = Vec::new();
    for (key, value) in table {
        match (written(text, value), value.get_ref()) {
            (Level::Header(_), _) => {}
            (Level::Dotted, DeValue::Table(inner)) => found.extend(entries(text, inner)),
            _ => found.push(Entry { key: key.span(), value: value.span() }),
        }
    }
    found.sort_by_key(|entry| entry.key.start);
    found
}

/// The comments inside a value, one line each.
fn comments<'t>(text: &'t str, value: &Spanned<DeValue<'_>>) -> Vec<&'t str> {
    let mut solid = Vec::new();
    solids(value, &mut solid);
    let mut at = value.span().start;
    solid.push(value.span().end..value.span().end);
    let mut found = Vec::new();
    for part in solid {
        let gap = &text[at.min(part.start)..part.start];
        found.extend(gap.lines().filter_map(|line| line.find('#').map(|n| line[n..].trim_end())));
        at = part.end;
    }
    found
}

/// The parts of a value between which comments may stand, in the order of the text.
fn solids(value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| solids(item, found)),
        DeValue::Table(table) => {
            let mut pairs: Vec<_> = table.iter().collect();
            pairs.sort_by_key(|(key, _)| key.span().start);
            for (key, value) in pairs {
                found.push(key.span());
                solids(value, found);
            }
        }
        _ => found.push(value.span()),
    }
}
