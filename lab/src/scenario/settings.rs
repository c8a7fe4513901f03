//! The keys of the agent's configuration, as far as a scenario sets them, and where it does.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::fields::Fields;
use crate::slip::{did_you_mean, nearest};

/// Every key of the agent's configuration, which a test of the agent keeps so. Those without a default are behind `# `.
const BASE: &str = include_str!("../../../configs/base.toml");
/// The section that a scenario sets by `device.channel`, for each camera.
const CHANNEL: &str = "channel";

/// The names of the keys of each section, by its full name; that of the top level is empty.
type Known = BTreeMap<&'static str, Vec<&'static str>>;

/// The lines of the keys that a scenario sets, by their full names: `record.disconnect_seconds`.
pub(super) type Lines = BTreeMap<String, usize>;

/// Notes the keys of `settings` and `channel` that the agent does not know, and tells where the others stand.
pub(super) fn check(fields: &Fields<'_>) -> Lines {
    let (known, mut lines) = (known(), Lines::new());
    for (key, section) in [("settings", ""), (CHANNEL, CHANNEL)] {
        if let Some(table) = fields.peek(key) {
            let mut walk = Walk { fields, known: &known, lines: &mut lines };
            walk.table(table, key, section);
        }
    }
    lines
}

/// The full name of the key that stands in this line of a configuration, from 1, or that of its section.
pub(super) fn key_at(config: &str, line: usize) -> Option<String> {
    let mut section = String::new();
    let mut found = None;
    for text in config.lines().take(line) {
        if let Some(name) = heading(text) {
            section = name.to_owned();
            found = Some(section.clone());
        } else if let Some(key) = key(text) {
            found = Some(full(&section, key));
        }
    }
    found
}

struct Walk<'w, 'a> {
    fields: &'w Fields<'a>,
    known: &'w Known,
    lines: &'w mut Lines,
}

impl Walk<'_, '_> {
    /// Goes through the keys of a section. `place` is what the scenario calls it.
    fn table(&mut self, table: &DeTable<'_>, place: &str, section: &str) {
        let Some(known) = self.known.get(section) else { return };
        for (key, value) in table {
            let (name, offset) = (&**key.get_ref(), key.span().start);
            let full = full(section, name);
            if section.is_empty() && name == CHANNEL {
                let what = "is written as device.channel, which counts for each camera";
                self.fields.wrong_at(offset, format!("{place}.{name} {what}"));
            } else if known.contains(&name) {
                if let DeValue::Table(inner) = value.get_ref() {
                    self.table(inner, &format!("{place}.{name}"), &full);
                }
                self.lines.insert(full, self.fields.line_of(offset));
            } else {
                let near = nearest(name, known.iter().copied());
                let near = did_you_mean(near);
                let what = format!(
                    "{place}: the agent's configuration has no key `{name}` there{near} \
                     (configs/base.toml has all)"
                );
                self.fields.wrong_at(offset, what);
            }
        }
    }
}

fn known() -> Known {
    let (mut known, mut section) = (Known::from([("", Vec::new())]), "");
    for line in BASE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = heading(line) {
            section = name;
            known.entry(name).or_default();
            let (outer, name) = name.rsplit_once('.').unwrap_or(("", name));
            known.entry(outer).or_default().push(name);
        } else if let Some(key) = key(line) {
            known.entry(section).or_default().push(key);
        }
    }
    known
}

/// The name of a section: `[record]`, `[[channel]]`.
fn heading(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.trim_end().strip_suffix(']')?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_part = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    (!name.is_empty() && name.bytes().all(is_part)).then_some(name)
}

/// The key of a line: `level = "info"`.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!key.is_empty() && key.bytes().all(is_part)).then_some(key)
}

fn full(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_agent_are_those_of_its_file() {
        let known = known();
        for (section, key) in [
            ("", "credentials"),
            ("", "record"),
            ("record", "disconnect_seconds"),
            ("record", "spool_dir"),
            ("channel", "silence_seconds"),
            ("channel", "abilities"),
            ("channel.abilities", "ptz"),
            ("log", "level"),
        ] {
            assert!(known[section].contains(&key), "{section}.{key}: {known:?}");
        }
        let written =
            BASE.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        let keys: Vec<_> = written.filter_map(key).collect();
        assert!(keys.len() > 40 && known.values().map(Vec::len).sum::<usize>() > 100);
    }

    #[test]
    fn a_line_of_a_configuration_is_that_of_a_key() {
        let config =
            "a = 1\n\n[record]\nspool = [\n  1,\n]\n[[channel]]\nx = 2\n[channel.quality]\n";
        let places = [
            (1, "a"),
            (3, "record"),
            (4, "record.spool"),
            (5, "record.spool"),
            (8, "channel.x"),
            (9, "channel.quality"),
        ];
        for (line, key) in places {
            assert_eq!(key_at(config, line).as_deref(), Some(key), "{line}");
        }
        assert_eq!(key_at("", 1), None);
    }
}
