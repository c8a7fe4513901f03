//! Reading one table of a configuration file, key by key. A key counts as known once it was asked
//! for. In a file of a newer version, what is not understood is noted and passed over.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeString, DeTable, DeValue};

use super::error::Error;
use super::nearest::nearest;
use super::overlay;

/// Newest `version` of a file that this program understands. It grows when an older program would
/// misread a file.
const VERSION: u64 = 1;
/// Longest name, password or model, in bytes.
pub(super) const NAME: usize = 256;
/// Longest path or address.
pub(crate) const PATH: usize = 1024;

/// The text of a file, or of several that are read as one, with what error messages need.
pub(super) struct File<'t> {
    /// The lowest first.
    layers: Vec<Layer<'t>>,
    /// Full names of all keys asked for, present or not.
    known: RefCell<BTreeSet<String>>,
    notes: RefCell<Vec<String>>,
}

/// One of the files that are read as one.
struct Layer<'t> {
    path: PathBuf,
    text: &'t str,
    /// Where what belongs to this file begins: there are blanks before it, as many as the layers below are long, so
    /// that no place belongs to two files.
    start: usize,
    newer: Cell<bool>,
}

impl<'t> File<'t> {
    pub(super) fn new(path: impl Into<PathBuf>, text: &'t str) -> Self {
        Self::layered([(path.into(), text)])
    }

    /// Several files as one, the lowest first. Each text but the first begins with one blank more than the text before
    /// it is long.
    pub(super) fn layered(texts: impl IntoIterator<Item = (PathBuf, &'t str)>) -> Self {
        let mut layers: Vec<Layer<'t>> = Vec::new();
        for (path, text) in texts {
            let start = layers.last().map_or(0, |below| below.text.len() + 1);
            layers.push(Layer { path, text, start, newer: Cell::default() });
        }
        let (known, notes) = Default::default();
        Self { layers, known, notes }
    }

    /// The top level as a table, after the `version` of each file was read.
    pub(super) fn root(&self) -> Result<Section<'_, 't>, Error> {
        let (mut merged, mut offset) = (DeTable::new(), 0);
        for layer in &self.layers {
            let mut root = self.alone(layer)?;
            root.insist("without", |names| {
                let names = list(text(1..=NAME))(names)?;
                names.iter().try_for_each(|name| overlay::take_out(&mut merged, name))
            })?;
            if layer.text.len() > layer.start {
                offset = layer.start;
            }
            overlay::lay(&mut merged, root.table);
        }
        let asked = vec!["version", "without"];
        Ok(Section { asked, ..Section::new(self, String::new(), offset, merged) })
    }

    /// The top level of the lowest file as a table, whatever it leaves out of files below it.
    pub(super) fn lowest(&self) -> Result<Section<'_, 't>, Error> {
        let layer = self.layers.first();
        layer.map_or_else(|| self.root(), |layer| self.alone(layer))
    }

    fn alone(&self, layer: &Layer<'t>) -> Result<Section<'_, 't>, Error> {
        let table = DeTable::parse(layer.text);
        // Only the message is taken: the full text of the error quotes the line, and a password
        // with it.
        let table = table.map_err(|e| {
            let at = e.span().map_or(layer.start, |span| span.start);
            self.error(at, e.message().to_owned())
        })?;
        let mut root = Section::new(self, String::new(), layer.start, table.into_inner());
        let version = root.insist("version", integer(1..=u32::MAX.into()))?.unwrap_or(VERSION);
        if version > VERSION {
            layer.newer.set(true);
            let newer = format!("version {version} is newer than this program's, {VERSION}");
            root.pass(root.error(newer), "what it does not understand is left out")?;
        }
        Ok(root)
    }

    /// The place of an offset: a file, and a line of it, counted from 1.
    pub(super) fn place(&self, offset: usize) -> (&Path, usize) {
        let layer = self.layers.iter().find(|layer| offset <= layer.text.len());
        let Some(layer) = layer.or(self.layers.last()) else { return (Path::new(""), 1) };
        let before = layer.text.as_bytes().iter().take(offset);
        (&layer.path, 1 + before.filter(|b| **b == b'\n').count())
    }

    /// Lines about what was passed over.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.take()
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// A piece of the text.
    pub(super) fn slice(&self, span: Range<usize>) -> &'t str {
        let layer = self.layers.iter().find(|layer| span.end <= layer.text.len());
        layer.and_then(|layer| layer.text.get(span)).unwrap_or_default()
    }

    pub(super) fn error(&self, offset: usize, message: String) -> Error {
        let (file, line) = self.place(offset);
        Error::Value { file: file.display().to_string(), line, message }
    }

    /// Whether an error is about a file of a newer version.
    fn is_newer(&self, error: &Error) -> bool {
        let Error::Value { file: name, .. } = error else { return false };
        let mut newer = self.layers.iter().filter(|layer| layer.newer.get());
        newer.any(|layer| layer.path.display().to_string() == *name)
    }
}

/// One table. Take the known keys, then [`finish`](Section::finish) refuses the rest.
pub(crate) struct Section<'f, 't> {
    file: &'f File<'t>,
    path: String,
    offset: usize,
    table: DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'f, 't> Section<'f, 't> {
    fn new(file: &'f File<'t>, path: String, offset: usize, table: DeTable<'t>) -> Self {
        Self { file, path, offset, table, asked: Vec::new() }
    }

    /// The key's value; `None` where the key is absent or, in a newer file, not understood. For a
    /// wrong value `parse` answers what is allowed.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        match self.insist(key, parse) {
            Err(error) => self.pass(error, "the default is taken").map(|()| None),
            read => read,
        }
    }

    /// The key's value; `None` where the key is absent. Also in a newer file a wrong value is an
    /// error, as no default will do.
    pub(crate) fn insist<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let Some((offset, value)) = self.take(key) else { return Ok(None) };
        let parsed = parse(&value);
        let message = |e| format!("{} must be {e}", self.full(key));
        parsed.map(Some).map_err(|e| self.file.error(offset, message(e)))
    }

    /// The key's value, which has to be there.
    pub(crate) fn require<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<T, Error> {
        let value = self.insist(key, parse)?;
        value.ok_or_else(|| self.missing(key))
    }

    /// The error for a required key that is not there, or is there with a slip of the keyboard.
    pub(crate) fn missing(&self, key: &str) -> Error {
        let slip = self.table.keys().find(|k| nearest(k.get_ref(), &[key]).is_some());
        match slip {
            Some(slip) => self.unknown(slip, &[key]),
            None => self.error(format!("{} is missing", self.full(key))),
        }
    }

    /// The table under `key`; empty when absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Result<Section<'f, 't>, Error> {
        let path = self.full(key);
        match self.take(key) {
            None => {}
            Some((at, DeValue::Table(table))) => {
                return Ok(Section::new(self.file, path, at, table));
            }
            Some((at, _)) => {
                let error = self.file.error(at, format!("{path} must be a table"));
                self.pass(error, "the defaults are taken")?;
            }
        }
        Ok(Section::new(self.file, path, self.offset, DeTable::new()))
    }

    /// The tables of the array under `key`; none when absent.
    pub(super) fn sections(&mut self, key: &'static str) -> Result<Vec<Section<'f, 't>>, Error> {
        let path = self.full(key);
        let wrong = |at| self.file.error(at, format!("{path} must be written as [[{path}]]"));
        let items = match self.take(key) {
            None => return Ok(Vec::new()),
            Some((_, DeValue::Array(items))) => items,
            Some((at, _)) => return Err(wrong(at)),
        };
        let open = |item: toml::Spanned<DeValue<'t>>| {
            let at = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => Ok(Section::new(self.file, path.clone(), at, table)),
                _ => Err(wrong(at)),
            }
        };
        items.into_iter().map(open).collect()
    }

    /// All of the table that nobody took.
    pub(super) fn into_table(self) -> DeTable<'t> {
        self.table
    }

    /// The folder from which a relative path under `key` counts: that of the file that says it.
    pub(crate) fn folder(&self, key: &str) -> PathBuf {
        let at = self.table.get(key).map_or(self.offset, |value| value.span().start);
        self.file.place(at).0.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// Refuses keys that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let mut keys: Vec<_> = self.table.keys().collect();
        keys.sort_unstable_by_key(|key| key.span().start);
        let mut unknown = keys.into_iter().map(|key| self.unknown(key, &self.asked));
        unknown.try_for_each(|error| self.pass(error, "it is left out"))
    }

    /// Passes over an error in a newer file, with a note that names what is done `instead`.
    pub(crate) fn pass(&self, error: Error, instead: &str) -> Result<(), Error> {
        if !self.file.is_newer(&error) {
            return Err(error);
        }
        self.file.notes.borrow_mut().push(format!("{error}: {instead}"));
        Ok(())
    }

    /// An error about the table as a whole.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        self.file.error(self.offset, message.into())
    }

    fn unknown(&self, key: &toml::Spanned<DeString<'_>>, known: &[&str]) -> Error {
        let name = key.get_ref();
        let place = match &*self.path {
            "" => "at the top level".to_owned(),
            path => format!("in {path}"),
        };
        let advice = match nearest(name, known) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("known keys are {}", known.join(", ")),
        };
        let message = format!("unknown key {name:?} {place}; {advice}");
        self.file.error(key.span().start, message)
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, DeValue<'t>)> {
        self.asked.push(key);
        self.file.known.borrow_mut().insert(self.full(key));
        let value = self.table.remove(key)?;
        Some((value.span().start, value.into_inner()))
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A string whose length in bytes is within `length`. Errors do not repeat the value: it may be a
/// secret.
pub(crate) fn text(
    length: RangeInclusive<usize>,
) -> impl Fn(&DeValue<'_>) -> Result<String, String> {
    move |value| match value.as_str() {
        Some(s) if length.contains(&s.len()) => Ok(s.to_owned()),
        found => {
            let (from, to) = (length.start(), length.end());
            let found = found
                .map_or_else(|| value.type_str().to_owned(), |s| format!("one of {}", s.len()));
            Err(format!("a string of {from} to {to} bytes, found {found}"))
        }
    }
}

/// A whole number. Errors do not repeat the value: it may be a password that stands in the wrong line.
pub(crate) fn integer(
    range: RangeInclusive<u64>,
) -> impl FnOnce(&DeValue<'_>) -> Result<u64, String> {
    move |value| {
        let digits = value.as_integer();
        let parsed = digits.and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        parsed.filter(|n| range.contains(n)).ok_or_else(|| {
            let found = if digits.is_some() { "another one" } else { value.type_str() };
            format!("a whole number from {} to {}, found {found}", range.start(), range.end())
        })
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("true or false, found {}", value.type_str()))
}

/// One of several words. Errors do not repeat the value, as those of [`integer`] do not.
pub(crate) fn word<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let known = words.iter().find(|(w, _)| value.as_str() == Some(w));
        known.map(|(_, t)| *t).ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(w, _)| format!("{w:?}")).collect();
            let found = if value.as_str().is_some() { "another word" } else { value.type_str() };
            format!("{}, found {found}", allowed.join(" or "))
        })
    }
}

/// A list of words.
pub(crate) fn list<T>(
    item: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> impl FnOnce(&DeValue<'_>) -> Result<Vec<T>, String> {
    move |value| {
        let items =
            value.as_array().ok_or_else(|| format!("a list, found {}", value.type_str()))?;
        let parsed = items.iter().map(|v| item(v.get_ref()));
        parsed.collect::<Result<_, _>>().map_err(|e| format!("a list of {e}"))
    }
}

pub(crate) fn path(
    section: &mut Section<'_, '_>,
    key: &'static str,
) -> Result<Option<PathBuf>, Error> {
    let folder = section.folder(key);
    Ok(section.insist(key, text(1..=PATH))?.map(|p| folder.join(p)))
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
