//! Reading the tables of a profile, with errors that name file, line, key and what is allowed.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::Error;

/// Longest text of a profile's value, in bytes.
const TEXT: usize = 8 * 1024;

/// The text of a profile, for error messages.
pub(super) struct File<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
}

/// One table of a profile.
#[derive(Clone)]
pub(super) struct Table<'a, 't> {
    pub(super) file: &'a File<'t>,
    /// The table's own name, such as `ptz.start`; empty for the whole file.
    pub(super) path: String,
    pub(super) at: usize,
    table: &'a DeTable<'t>,
}

/// A text, and where it stands.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: usize,
}

impl File<'_> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        Error { file: self.name.to_owned(), line, message: message.into() }
    }
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn root(file: &'a File<'t>, table: &'a DeTable<'t>) -> Self {
        Self { file, path: String::new(), at: 0, table }
    }

    /// An error about the value of a key of this table.
    pub(super) fn error(&self, at: usize, key: &str, message: &str) -> Error {
        self.file.error(at, format!("{}: {message}", self.name(key)))
    }

    /// Refuses a key that is none of `allowed`.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), Error> {
        for key in self.table.keys() {
            let word: &str = key.get_ref();
            if !allowed.contains(&word) {
                let found = format!("unknown key; {}", hint(word, allowed));
                return Err(self.error(key.span().start, word, &found));
            }
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a str, usize)> + use<'a, 't> {
        self.table.keys().map(|key| (&**key.get_ref(), key.span().start))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<Text>, Error> {
        self.value(key).map(|value| self.as_text(key, value)).transpose()
    }

    pub(super) fn insist(&self, key: &str) -> Result<Text, Error> {
        self.text(key)?.ok_or_else(|| self.error(self.at, key, "missing; expected a text"))
    }

    /// A text, or several of them in an array.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<Text>, Error> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(value) => match value.get_ref() {
                DeValue::Array(array) => {
                    array.iter().map(|value| self.as_text(key, value)).collect()
                }
                _ => Ok(vec![self.as_text(key, value)?]),
            },
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.value(key) {
            None => Ok(false),
            Some(value) => match value.get_ref() {
                DeValue::Boolean(flag) => Ok(*flag),
                _ => Err(self.error(value.span().start, key, "expected true or false")),
            },
        }
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, Error> {
        self.value(key).map(|value| self.as_integer(key, value)).transpose()
    }

    /// Two whole numbers in an array.
    pub(super) fn pair(&self, key: &str) -> Result<Option<(i64, i64)>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        if let DeValue::Array(array) = value.get_ref()
            && let [first, second] = array.iter().collect::<Vec<_>>()[..]
        {
            return Ok(Some((self.as_integer(key, first)?, self.as_integer(key, second)?)));
        }
        Err(self.error(value.span().start, key, "expected two whole numbers, such as [1, 8]"))
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<Self>, Error> {
        self.value(key).map(|value| self.as_table(key, value)).transpose()
    }

    /// A table, or several of them: `[[key]]`.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<Self>, Error> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(value) => match value.get_ref() {
                DeValue::Array(array) => {
                    array.iter().map(|value| self.as_table(key, value)).collect()
                }
                _ => Ok(vec![self.as_table(key, value)?]),
            },
        }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table.get(&DeString::from(key.to_owned()) as &str)
    }

    fn as_text(&self, key: &str, value: &Spanned<DeValue<'t>>) -> Result<Text, Error> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(text) if text.len() <= TEXT => Ok(Text { text: text.to_string(), at }),
            DeValue::String(_) => {
                Err(self.error(at, key, &format!("expected at most {TEXT} bytes")))
            }
            _ => Err(self.error(at, key, "expected a text in quotes")),
        }
    }

    fn as_integer(&self, key: &str, value: &Spanned<DeValue<'t>>) -> Result<i64, Error> {
        const MOST: i64 = 1_000_000;
        if let DeValue::Integer(integer) = value.get_ref()
            && let Ok(integer) = i64::from_str_radix(integer.as_str(), integer.radix())
            && (-MOST..=MOST).contains(&integer)
        {
            return Ok(integer);
        }
        Err(self.error(value.span().start, key, "expected a whole number of at most a million"))
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'t>>) -> Result<Self, Error> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Table(table) => Ok(Self { file: self.file, path: self.name(key), at, table }),
            _ => Err(self.error(at, key, "expected a table")),
        }
    }
}

/// What was probably meant, or all that is allowed.
pub(super) fn hint(word: &str, allowed: &[&str]) -> String {
    let limit = (word.chars().count() / 3).max(1);
    let distances = allowed.iter().map(|candidate| (distance(word, candidate), *candidate));
    match distances.filter(|(distance, _)| *distance <= limit).min() {
        Some((_, near)) => format!("did you mean {near:?}?"),
        None => format!("allowed are {}", allowed.join(", ")),
    }
}

/// Insertions, deletions and substitutions that turn `a` into `b`, where a swap of neighbours counts as two.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.chars().enumerate() {
            let best = (before + usize::from(from != to)).min(row[j] + 1).min(row[j + 1] + 1);
            before = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row.last().copied().unwrap_or_default()
}
