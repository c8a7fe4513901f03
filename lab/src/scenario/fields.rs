//! Reads tables of TOML by their keys, and notes every mistake with its line.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use ivt_base::short_time::short_time;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use crate::slip::{did_you_mean, nearest};

/// Most mistakes that are noted of a file.
const MAX_MISTAKES: usize = 50;
/// Longest time that a file may name.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 3600);
/// Longest text that a file may hold in one place, in bytes.
const MAX_TEXT: usize = 256 << 10;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub what: String,
}

/// The text that is read, with the mistakes found so far.
pub(super) struct Source<'a> {
    text: &'a str,
    mistakes: RefCell<Vec<Mistake>>,
}

/// A table whose keys are taken one by one.
pub(super) struct Fields<'a> {
    source: &'a Source<'a>,
    /// How a person calls it: `[[step]] number 2`.
    name: String,
    offset: usize,
    rest: Vec<(&'a str, Range<usize>, &'a Spanned<DeValue<'a>>)>,
    asked: Vec<&'static str>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, mistakes: RefCell::default() }
    }

    /// The line of a place in the text.
    pub(super) fn line(&self, offset: usize) -> usize {
        let end = self.text.floor_char_boundary(offset);
        self.text[..end].matches('\n').count() + 1
    }

    pub(super) fn wrong(&self, offset: usize, what: impl Into<String>) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MAX_MISTAKES {
            mistakes.push(Mistake { line: self.line(offset), what: what.into() });
        }
    }

    /// The mistakes in the order of their lines.
    pub(super) fn mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    }

    /// The whole file as a table.
    pub(super) fn fields(&'a self, table: &'a Spanned<DeTable<'a>>) -> Fields<'a> {
        Fields::new(self, "the file".into(), table.span().start, table.get_ref())
    }
}

impl<'a> Fields<'a> {
    fn new(source: &'a Source<'a>, name: String, offset: usize, table: &'a DeTable<'a>) -> Self {
        let rest = table.iter().map(|(key, value)| (&**key.get_ref(), key.span(), value));
        Self { source, name, offset, rest: rest.collect(), asked: Vec::new() }
    }

    /// The line where the table begins.
    pub(super) fn line(&self) -> usize {
        self.source.line(self.offset)
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn wrong(&self, what: impl Display) {
        self.source.wrong(self.offset, format!("{}: {what}", self.name));
    }

    /// Notes a mistake at a place in the text.
    pub(super) fn wrong_at(&self, offset: usize, what: impl Into<String>) {
        self.source.wrong(offset, what);
    }

    /// The line of a place in the text.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.source.line(offset)
    }

    /// The table under a key that was not taken yet, and stays.
    pub(super) fn peek(&self, key: &str) -> Option<&'a DeTable<'a>> {
        let (.., value) = self.rest.iter().find(|(name, ..)| *name == key)?;
        value.get_ref().as_table()
    }

    /// Names the keys of a table in it, which was not taken yet and stays, that are none of these.
    pub(super) fn only(&self, path: &[&str], known: &[&'static str]) {
        let mut steps = path.iter();
        let first = steps.next().and_then(|key| self.peek(key));
        let table =
            steps.try_fold(first, |table, key| Some(table?.get(*key)?.get_ref().as_table()));
        if let Some(table) = table.flatten() {
            let name = format!("{}: {}", self.name, path.join("."));
            let mut fields = Fields::new(self.source, name, self.offset, table);
            fields.asked = known.to_vec();
            fields.pass_over(known);
            fields.finish();
        }
    }

    /// Whether the key stands in the table and was not taken yet.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.asked.push(key);
        self.rest.iter().any(|(name, ..)| *name == key)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        match value.get_ref().as_str() {
            Some(text) if text.len() <= MAX_TEXT => Some(text.to_owned()),
            Some(_) => self.refuse(key, value, &format!("at most {MAX_TEXT} bytes of text")),
            None => self.refuse(key, value, "a text in quotes"),
        }
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, key: &'static str) -> String {
        if !self.has(key) {
            self.wrong(format!("`{key}` is missing"));
        }
        self.text(key).unwrap_or_default()
    }

    /// A text that means something.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        let Some(text) = value.get_ref().as_str() else {
            return self.refuse(key, value, "a text in quotes");
        };
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.source.wrong(value.span().start, format!("{key} = {text:?}: {error}"));
                None
            }
        }
    }

    /// Texts that mean something.
    pub(super) fn all_parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<T> {
        let mut all = Vec::new();
        for value in self.items(key) {
            match value.get_ref().as_str().map(str::parse) {
                Some(Ok(parsed)) => all.push(parsed),
                Some(Err(error)) => {
                    let text = value.get_ref().as_str().unwrap_or_default();
                    self.source.wrong(value.span().start, format!("{key}: {text:?}: {error}"));
                }
                None => drop(self.refuse::<T>(key, value, "texts in quotes")),
            }
        }
        all
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, of: &[(&str, T)]) -> Option<T> {
        let value = self.take(key)?;
        let word = value.get_ref().as_str().unwrap_or_default();
        let found = of.iter().find(|(name, _)| *name == word).map(|(_, meant)| *meant);
        if found.is_none() {
            let names: Vec<_> = of.iter().map(|(name, _)| *name).collect();
            let near = nearest(word, names.iter().copied());
            let what = format!("one of {}{}", names.join(", "), did_you_mean(near));
            return self.refuse(key, value, &what);
        }
        found
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, key: &'static str, of: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(key)?;
        let number: Option<i64> = decode(value).ok().filter(|_| value.get_ref().is_integer());
        number.filter(|number| of.contains(number)).or_else(|| {
            let what = format!("a whole number from {} to {}", of.start(), of.end());
            self.refuse(key, value, &what)
        })
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        value.get_ref().as_bool().or_else(|| self.refuse(key, value, "true or false"))
    }

    /// A time: `"500ms"`, `"12s"`, `"2m"`.
    pub(super) fn time(&mut self, key: &'static str) -> Option<Duration> {
        let value = self.take(key)?;
        let time = value.get_ref().as_str().and_then(time);
        time.or_else(|| {
            self.refuse(key, value, "a time such as \"500ms\", \"12s\" or \"2m\", at most 24 hours")
        })
    }

    /// Any value, as JSON.
    pub(super) fn json(&mut self, key: &'static str) -> Option<Value> {
        let value = self.take(key)?;
        if holds_datetime(value.get_ref()) {
            return self.refuse(key, value, "dates as text in quotes");
        }
        match decode(value) {
            Ok(value) => Some(value),
            Err(error) => self.refuse(key, value, error.message()),
        }
    }

    /// A value that Serde reads.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        match decode(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let offset = error.span().map_or(value.span().start, |span| span.start);
                self.source.wrong(offset, format!("{}: {key}: {}", self.name, hinted(&error)));
                None
            }
        }
    }

    /// A table.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let value = self.take(key)?;
        match value.get_ref().as_table() {
            Some(table) => {
                let (name, start) = (format!("[{key}]"), value.span().start);
                Some(Fields::new(self.source, name, start, table))
            }
            None => self.refuse(key, value, "a table"),
        }
    }

    /// The tables of an array, at most `most`.
    pub(super) fn tables(&mut self, key: &'static str, most: usize) -> Vec<Fields<'a>> {
        let mut tables = Vec::new();
        for (number, value) in self.items(key).iter().enumerate() {
            let name = format!("[[{key}]] number {}", number + 1);
            match value.get_ref().as_table() {
                _ if number == most => {
                    self.source.wrong(value.span().start, format!("[[{key}]]: at most {most}"));
                    break;
                }
                Some(table) => {
                    tables.push(Fields::new(self.source, name, value.span().start, table));
                }
                None => drop(self.refuse::<()>(key, value, &format!("tables: [[{key}]]"))),
            }
        }
        tables
    }

    /// What of the keys in `of` stands in the table: it has to be exactly one. Those in `beside` go with some of them, and
    /// are no slip of any.
    pub(super) fn one_of(
        &mut self,
        of: &'static [&'static str],
        beside: &[&str],
    ) -> Option<&'static str> {
        let there: Vec<_> = of.iter().copied().filter(|key| self.has(key)).collect();
        match *there {
            [one] => return Some(one),
            [] => {
                let unknown = self.rest.iter().map(|(name, ..)| *name);
                let known = self.asked.clone();
                let slip = unknown
                    .filter(|name| !known.contains(name) && !beside.contains(name))
                    .find_map(|name| nearest(name, of.iter().copied()).map(|near| (name, near)));
                match slip {
                    // The key is named as an unknown one.
                    Some(_) => {}
                    None => self.wrong(format!("expected one of {}", of.join(", "))),
                }
            }
            [..] => {
                self.wrong(format!(
                    "{} exclude each other: write a table for each",
                    there.join(" and ")
                ));
                self.pass_over(&there);
            }
        }
        None
    }

    /// Reads what stands under one of the keys in `of`, as [`one_of`](Self::one_of) finds it. After a mistake in it nothing more
    /// is said of these keys and of those `beside` them.
    pub(super) fn read_one<T>(
        &mut self,
        of: &'static [&'static str],
        beside: &[&str],
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        let found = self.one_of(of, beside).and_then(|key| read(self, key));
        if found.is_none() {
            self.pass_over(of);
            self.pass_over(beside);
        }
        found
    }

    /// Says nothing of these keys where they are left: whether they are right depends on one that is wrong.
    pub(super) fn pass_over(&mut self, keys: &[&str]) {
        self.rest.retain(|(name, ..)| !keys.contains(name));
    }

    /// Names the keys that nobody has asked for.
    pub(super) fn finish(self) {
        for (name, span, _) in &self.rest {
            let near = nearest(name, self.asked.iter().copied());
            let mut what = format!("{}: unknown key `{name}`{}", self.name, did_you_mean(near));
            if near.is_none() {
                let mut known = self.asked.clone();
                known.sort_unstable();
                known.dedup();
                what.push_str(&format!("; known are {}", known.join(", ")));
            }
            self.source.wrong(span.start, what);
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        let place = self.rest.iter().position(|(name, ..)| *name == key)?;
        Some(self.rest.remove(place).2)
    }

    fn items(&mut self, key: &'static str) -> &'a [Spanned<DeValue<'a>>] {
        let Some(value) = self.take(key) else { return &[] };
        match value.get_ref().as_array() {
            Some(items) => <DeArray<'_> as AsRef<[_]>>::as_ref(items),
            None => {
                self.refuse::<()>(key, value, "a list");
                &[]
            }
        }
    }

    fn refuse<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        let what = format!("{}: {key}: expected {expected}", self.name);
        self.source.wrong(value.span().start, what);
        None
    }
}

/// A time that a file or the command line may name; `None` for other text and beyond [`MAX_TIME`].
pub(super) fn time(text: &str) -> Option<Duration> {
    short_time(text).filter(|time| *time <= MAX_TIME)
}

fn decode<T: for<'de> Deserialize<'de>>(
    value: &Spanned<DeValue<'_>>,
) -> Result<T, toml::de::Error> {
    T::deserialize(ValueDeserializer::from(value.clone()))
}

/// The error with the nearest of the names that it expected. Serde puts names in backticks, the wrong one first.
fn hinted(error: &toml::de::Error) -> String {
    let message = error.message();
    let mut names = message.split('`').skip(1).step_by(2);
    let near = names.next().and_then(|wrong| nearest(wrong, names));
    format!("{message}{}", did_you_mean(near.filter(|_| message.starts_with("unknown"))))
}

fn holds_datetime(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Datetime(_) => true,
        DeValue::Array(items) => items.iter().any(|item| holds_datetime(item.get_ref())),
        DeValue::Table(table) => table.values().any(|item| holds_datetime(item.get_ref())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_bounded() {
        assert_eq!(time("24h"), Some(MAX_TIME));
        assert_eq!((time("24.1h"), time("12")), (None, None));
    }
}
