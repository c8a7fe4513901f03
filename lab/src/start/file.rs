//! Reads a file of settings: one table of keys, whose values are words, numbers, truth values, or lists of them.

use std::path::Path;

use toml::de::{DeTable, DeValue};

/// A value that is refused.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct WrongValue {
    /// The option, or file and line.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A key with one value. A list is one entry for each of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line of the file, from 1.
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// The entries of a file, in their order.
///
/// # Errors
/// The file cannot be read, or is no table of such values.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, WrongValue> {
    let wrong = |place: String, reason: String| WrongValue { place, reason };
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| wrong(name.to_string(), e.to_string()))?;
    let at = |offset: usize| text.get(..offset).unwrap_or(&text).matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = at(error.span().map_or(0, |span| span.start));
        wrong(format!("{name}:{line}"), error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = at(key.span().start);
        let key = key.get_ref();
        let no_value = || {
            wrong(
                format!("{name}:{line}"),
                format!("{key}: expected a word, a number, true, false or a list of words"),
            )
        };
        let mut push = |value: &DeValue<'_>| {
            let value = plain(value).ok_or_else(no_value)?;
            entries.push(Entry { line, key: key.to_string(), value });
            Ok(())
        };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().try_for_each(|value| push(value.get_ref()))?,
            value => push(value)?,
        }
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}
