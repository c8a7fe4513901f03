//! Changes one value in the text of a configuration file. The parser tells where the value stands,
//! and the text around it is joined again, so that every other byte stays, comments included.

use toml::de::DeTable;

use super::key::{Key, Part};
use super::lines::{eol, indent, line_end, line_start};
use super::place::{EditError, Entry, Found, Level, Place, entries, find, parse};

/// Byte order mark, with which some editors begin a file.
const MARK: char = '\u{feff}';

/// The text with `key` set to `value`, which is TOML. A new key comes behind the comment that shows
/// it (`# key = …`), or at the end of its section.
///
/// # Errors
/// The key cannot be written into this text.
pub(super) fn set(text: &str, key: &Key, value: &str) -> Result<String, EditError> {
    let root = parse(text)?;
    match find(text, &root, Level::Root, key.parts(), key)? {
        Place::Found(found) if found.pairs.is_some() && !found.comments.is_empty() => {
            Err(EditError::ByHand(key.to_string()))
        }
        Place::Found(found) => {
            let kept: String =
                found.comments.iter().map(|line| format!("{line}{}", eol(text))).collect();
            let line = line_start(text, found.key.start);
            let parts = [&text[..line], &kept, &text[line..found.value.start], value];
            Ok(parts.concat() + &text[found.value.end..])
        }
        Place::Missing { level: Level::Root, rest: [Part::Name(section), rest @ ..], .. }
            if !rest.is_empty() && !root.contains_key(section.as_str()) =>
        {
            Ok(append(text, &format!("[{section}]"), &[format!("{} = {value}", joined(rest))]))
        }
        Place::Missing { level: Level::Inline(braces), table, rest } => {
            let pair = format!("{} = {value}", joined(rest));
            match entries(text, table).last() {
                Some(last) => {
                    Ok([&text[..last.value.end], ", ", &pair, &text[last.value.end..]].concat())
                }
                None if text[braces.clone()].contains('#') => {
                    Err(EditError::ByHand(key.to_string()))
                }
                None => {
                    Ok([&text[..braces.start], "{ ", &pair, " }", &text[braces.end..]].concat())
                }
            }
        }
        Place::Missing { level, table, rest } => {
            let name = joined(rest);
            let (at, indent) = spot(text, &level, table, &name);
            Ok(insert(text, at, &format!("{indent}{name} = {value}")))
        }
        Place::Next { name, rest } => {
            Ok(append(text, &format!("[[{name}]]"), &[format!("{} = {value}", joined(rest))]))
        }
    }
}

/// The text without `key`; unchanged if the key is absent. A comment behind the value stays.
/// Inside braces a comment cannot stay, and the key cannot be removed.
///
/// # Errors
/// The key cannot be removed from this text.
pub(super) fn unset(text: &str, key: &Key) -> Result<String, EditError> {
    let root = parse(text)?;
    let found = match find(text, &root, Level::Root, key.parts(), key) {
        Ok(Place::Found(found)) => found,
        Err(section @ EditError::Section(_)) => return Err(section),
        // The key is absent, or the table in which it would stand is.
        Ok(_) | Err(_) => return Ok(text.to_owned()),
    };
    if let Some(pairs) = &found.pairs {
        return without_pair(text, &found, pairs).ok_or_else(|| EditError::ByHand(key.to_string()));
    }
    let (start, end) = (line_start(text, found.key.start), line_end(text, found.value.end));
    let behind = text[found.value.end..end].trim_start_matches([' ', '\t']);
    let mut kept: String =
        found.comments.iter().map(|line| format!("{line}{}", eol(text))).collect();
    if behind.starts_with('#') {
        kept += indent(text, found.key.start);
        kept += behind;
    }
    Ok([&text[..start], &kept, &text[end..]].concat())
}

/// The text without a pair that stands in braces; `None` where that takes more out with it: a
/// comment, or a part of a key with dots.
fn without_pair(text: &str, found: &Found<'_>, pairs: &[Entry]) -> Option<String> {
    let this = pairs.iter().position(|pair| pair.key == found.key)?;
    let (cut, gap) = match (this.checked_sub(1), pairs.get(this + 1)) {
        (_, Some(next)) => (found.key.start..next.key.start, found.value.end..next.key.start),
        (Some(before), None) => {
            let before = pairs[before].value.end;
            (before..found.value.end, before..found.key.start)
        }
        (None, None) => (found.key.start..found.value.end, 0..0),
    };
    let blank = text[gap].chars().all(|c| c == ',' || c.is_whitespace());
    let edited = [&text[..cut.start], &text[cut.end..]].concat();
    // A comma behind the only pair would stand alone.
    (found.comments.is_empty() && blank && parse(&edited).is_ok()).then_some(edited)
}

/// Whether `key` has a value in this text.
pub(super) fn has(text: &str, key: &Key) -> Result<bool, EditError> {
    let root = parse(text)?;
    let place = find(text, &root, Level::Root, key.parts(), key);
    Ok(matches!(place, Ok(Place::Found(_))))
}

/// How many elements the array of tables `name` has.
pub(super) fn count(text: &str, name: &str) -> Result<usize, EditError> {
    let root = parse(text)?;
    Ok(root.get(name).and_then(|value| value.get_ref().as_array()).map_or(0, |items| items.len()))
}

/// The text with one more, empty element of the array of tables `name`.
pub(super) fn extend(text: &str, name: &str) -> String {
    append(text, &format!("[[{name}]]"), &[])
}

fn append(text: &str, header: &str, lines: &[String]) -> String {
    let eol = eol(text);
    let mut text = text.to_owned();
    if !text.is_empty() {
        text += if text.ends_with('\n') { "" } else { eol };
        text += eol;
    }
    for line in [header].into_iter().chain(lines.iter().map(String::as_str)) {
        text += line;
        text += eol;
    }
    text
}

fn insert(text: &str, at: usize, line: &str) -> String {
    let (before, behind) = text.split_at(at);
    let begun = !before.is_empty() && !before.ends_with(['\n', MARK]);
    let join = if begun { eol(text) } else { "" };
    [before, join, line, eol(text), behind].concat()
}

/// Where a new line of a table belongs, and its indentation.
fn spot<'t>(text: &'t str, level: &Level, table: &DeTable<'_>, name: &str) -> (usize, &'t str) {
    let entries = entries(text, table);
    let body = match level {
        Level::Header(header) => line_end(text, header.end),
        _ => 0,
    };
    if let Some(comment) = shown(text, body, &entries, name) {
        return (line_end(text, comment), indent(text, comment));
    }
    match (entries.last(), level) {
        (Some(last), _) => (line_end(text, last.value.end), indent(text, last.key.start)),
        (None, Level::Header(header)) => (body, indent(text, header.start)),
        (None, _) => (top(text), ""),
    }
}

/// Where the line of the comment begins that shows the key as `# name = …` in a table's body.
fn shown(text: &str, body: usize, entries: &[Entry], name: &str) -> Option<usize> {
    let mut at = body;
    while at < text.len() {
        let end = line_end(text, at);
        let line = text[at..end].trim_start();
        // A line inside a value is neither a comment nor a header, even if it looks like one.
        let within = entries.iter().any(|entry| entry.value.start < at && at < entry.value.end);
        if !within && line.starts_with('[') {
            return None;
        }
        let key = line.strip_prefix('#').and_then(|line| line.trim_start().strip_prefix(name));
        if !within && key.is_some_and(|behind| behind.trim_start().starts_with('=')) {
            return Some(at);
        }
        at = end;
    }
    None
}

/// Where the first key of an empty top level belongs: before the first section, and before the
/// comment on that section.
fn top(text: &str) -> usize {
    let mut at = if text.starts_with(MARK) { MARK.len_utf8() } else { 0 };
    let mut before = at;
    while at < text.len() && !text[at..].trim_start().is_empty() {
        let end = line_end(text, at);
        match text[at..end].trim() {
            line if line.starts_with('[') => break,
            "" => before = end,
            _ => {}
        }
        at = end;
    }
    before
}

fn joined(parts: &[Part]) -> String {
    let mut names = Vec::new();
    for part in parts {
        match part {
            Part::Name(name) => names.push(name.clone()),
            Part::Number(number) => names.push(number.to_string()),
        }
    }
    names.join(".")
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
