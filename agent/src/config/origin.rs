//! Where each value that is in force comes from.

use std::path::Path;

use ivt_base::mask;
use toml::de::{DeTable, DeValue};

use super::access::Access;
use super::error::Error;
use super::files::{Files, NAMES};
use super::section::File;
use crate::settings::hidden::{is_password, is_program};

/// What stands in the place of a value that is not shown.
const HIDDEN: &str = "***";

/// The values in force of a configuration with a base or with a file of changes, one a line, each with its file and line.
/// Empty for any other configuration. Passwords and the arguments of programs are left out.
///
/// # Errors
/// As for [`Config::load`](super::Config::load).
pub fn origins(file: &Path, access: Access) -> Result<String, Error> {
    let files = Files::read(file, access)?;
    let mut lines = Vec::new();
    if !files.below.is_empty() {
        let texts = files.padded();
        let layers = File::layered(texts.iter().map(|(path, text)| (path.clone(), &**text)));
        list(&layers, "", "", &layers.root()?.into_table(), &mut lines);
        if let Some(apart) = &files.apart {
            let apart = File::new(&*apart.path, &apart.text);
            list(&apart, "", "", &apart.root()?.into_table(), &mut lines);
        }
    }
    lines.sort();
    Ok(lines.into_iter().map(|(_, line)| line + "\n").collect())
}

/// Collects a line for each value of a table, behind its key. `path` is the name of the table, and `general` the same
/// without the numbers of channels.
fn list(
    file: &File<'_>,
    path: &str,
    general: &str,
    table: &DeTable<'_>,
    lines: &mut Vec<(String, String)>,
) {
    let below = |path: &str, name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    for (name, value) in table {
        let (key, general) = (below(path, name.get_ref()), below(general, name.get_ref()));
        match value.get_ref() {
            DeValue::Table(table) => list(file, &key, &general, table, lines),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                for (number, item) in items.iter().enumerate() {
                    if let DeValue::Table(table) = item.get_ref() {
                        list(file, &below(&key, &number.to_string()), &general, table, lines);
                    }
                }
            }
            _ if NAMES.contains(&&*key) => {}
            _ => {
                let (origin, line) = file.place(value.span().start);
                let shown = match is_password(&general) || is_program(&general) {
                    true => HIDDEN.to_owned(),
                    false => open(file.slice(value.span())),
                };
                let line = format!("{}:{line}: {key} = {shown}", origin.display());
                lines.push((key, line));
            }
        }
    }
}

/// The text of a value on one line, without the secrets in it.
fn open(value: &str) -> String {
    let words: Vec<_> = value.split(['\r', '\n']).map(str::trim).collect();
    let line = words.join(" ");
    // An address may hold a login that nothing else of the configuration has.
    let _known = line.contains("://").then(|| mask::learn(line.trim_matches(['"', '\''])));
    mask::mask(&line)
}
