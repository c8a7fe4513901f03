//! Conditions from a file that a person wrote.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::conditions::Conditions;
use super::outage::Outage;
use crate::slip::{did_you_mean, nearest};

/// The error for a file that has no conditions, with the line of the mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{line}: {what}", file = file.display(), line = line.map_or_else(String::new, |line| format!(":{line}")))]
pub struct WrongFile {
    file: PathBuf,
    /// From 1; `None` where the file could not be read.
    line: Option<usize>,
    what: String,
}

/// Reads the conditions of a file of TOML.
///
/// # Errors
/// When the file cannot be read, a key or a value in it is none, or no line can be so.
pub fn read(file: &Path) -> Result<Conditions, WrongFile> {
    let wrong = |line, what| WrongFile { file: file.to_owned(), line, what };
    let text = fs::read_to_string(file).map_err(|error| wrong(None, error.to_string()))?;
    let line = |offset: usize| {
        let end = text.floor_char_boundary(offset);
        Some(text[..end].matches('\n').count() + 1)
    };
    let conditions: Conditions = toml::from_str(&text).map_err(|error| {
        // Serde tells where the list of outages begins, and not which of them is wrong.
        let outage = wrong_outage(&text).filter(|(_, what)| what == error.message());
        let begins = outage.map(|(at, _)| at).or(error.span().map(|span| span.start));
        wrong(line(begins.unwrap_or_default()), hinted(error.message()))
    })?;
    conditions.check().map_err(|error| {
        wrong(line(place(&text, error.field()).unwrap_or_default()), error.to_string())
    })?;
    Ok(conditions)
}

/// Serde's message with the nearest of the names that it expected. It puts names in backticks, the wrong one first.
fn hinted(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let (Some(wrong), true) = (names.next(), message.starts_with("unknown")) else {
        return message.to_owned();
    };
    let near = did_you_mean(nearest(wrong, names));
    match message.strip_prefix("unknown field ") {
        Some(_) if !near.is_empty() => format!("unknown key `{wrong}`{near}"),
        Some(rest) => format!("unknown key {rest}"),
        None => format!("{message}{near}"),
    }
}

/// Where the first outage is that cannot be read, and why.
fn wrong_outage(text: &str) -> Option<(usize, String)> {
    let root = DeTable::parse(text).ok()?;
    root.get_ref().get("outages")?.get_ref().as_array()?.iter().find_map(|outage| {
        let error = outage.get_ref().as_str()?.parse::<Outage>().err()?;
        Some((outage.span().start, error.to_string()))
    })
}

/// Where the key of this path begins: `up.loss`.
fn place(text: &str, path: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table: &DeTable<'_> = root.get_ref();
    let mut at = None;
    for name in path.split('.') {
        let (key, value): (_, &Spanned<DeValue<'_>>) =
            table.iter().find(|(key, _)| &**key.get_ref() == name)?;
        at = Some(key.span().start);
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Conditions, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| {
            let error = error.to_string();
            error.strip_prefix(file.path().to_str().unwrap()).unwrap().to_owned()
        })
    }

    #[test]
    fn a_file_is_read() {
        let text =
            "outages = [\"every=10m,for=30s\"]\n[up]\nloss = 0.01\n[down]\njitter = \"normal\"";
        let conditions = read_text(text).unwrap();
        assert_eq!((conditions.up.loss, conditions.outages.len()), (0.01, 1));
        assert_eq!(read_text(""), Ok(Conditions::default()));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_the_nearest_name() {
        for (text, told) in [
            ("[up]\ndelay_ms = 5\nlos = 0.1", ":3: unknown key `los`; did you mean `loss`?"),
            ("\n[dwon]\nloss = 0.1", ":2: unknown key `dwon`; did you mean `down`?"),
            ("up = { delay = 5 }", ":1: unknown key `delay`; did you mean `delay_ms`?"),
            (
                "xyzzy = 1",
                ":1: unknown key `xyzzy`, expected one of `up`, `down`, `connect`, `outages`",
            ),
            (
                "\nconnect = \"acept\"",
                ":2: unknown variant `acept`, expected one of `accept`, `refuse`, `black_hole`; did you mean `accept`?",
            ),
            ("[up]\nloss = \"all\"", ":2: invalid type: string \"all\", expected f64"),
            ("\nup = 5", ":2: invalid type: integer `5`, expected a table"),
            ("[up]\nrate_kbit = -1", ":2: invalid value: integer `-1`, expected u32"),
            (
                "outages = [\n\"at=1s,for=1s\",\n\"sometimes\",\n]",
                ":3: `sometimes`: expected every=TIME",
            ),
            ("[up]\nloss = 0.1\nloss = 0.2", ":3: duplicate key"),
            ("[up\nloss = 0.1", ":1: "),
            (
                "[up]\nloss = 0.1\n[down]\n\nloss = 2",
                ":5: down.loss is 2: expected a number from 0 to 0.9",
            ),
            (
                "up = { loss = 0.1,\n queue_ms = 70000 }",
                ":2: up.queue_ms is 70000: expected 60000 at most",
            ),
            (
                "up.loss = 0.1\ndown.rate_low_kbit = 5",
                ":2: down.rate_low_kbit is 5: expected rate_kbit",
            ),
            (&format!("\noutages = [{}]", "\"at=1s,for=1s\",".repeat(33)), ":2: outages is 33"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.starts_with(told), "{text}: {error}");
        }
        let none = read(Path::new("/nowhere/conditions")).unwrap_err().to_string();
        assert!(none.starts_with("/nowhere/conditions: No such file"), "{none}");
    }
}
