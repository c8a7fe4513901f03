//! Several files as one.

use std::mem;

use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// Lays one table over another: tables are joined key by key, and everything else that both have is taken from `upper`
/// as a whole, a list of tables such as `[[channel]]` as well.
pub(super) fn lay<'t>(lower: &mut DeTable<'t>, upper: DeTable<'t>) {
    for (key, mut value) in upper {
        // The key is that of the upper file, for errors to name.
        let below = lower.remove(&**key.get_ref()).map(|below| below.into_inner());
        if let (Some(DeValue::Table(mut joined)), DeValue::Table(table)) = (below, value.get_mut())
        {
            lay(&mut joined, mem::take(table));
            *table = joined;
        }
        lower.insert(key, value);
    }
}

/// Takes the key of a full name out of a table, or a whole section; a list of tables goes as a whole.
///
/// # Errors
/// What is expected, where there is no such key.
pub(super) fn take_out(table: &mut DeTable<'_>, name: &str) -> Result<(), String> {
    take_out_below(table, name, 0)
}

/// Does so in the table whose own name is the beginning of `name`, `at` bytes of it.
fn take_out_below(table: &mut DeTable<'_>, name: &str, at: usize) -> Result<(), String> {
    let (path, rest) = name.split_at(at);
    if let Some((section, _)) = rest.split_once('.')
        && let Some(DeValue::Table(below)) = table.get_mut(section).map(|value| value.get_mut())
    {
        return take_out_below(below, name, at + section.len() + 1);
    }
    if table.remove(rest).is_some() {
        return Ok(());
    }
    let known: Vec<_> = table.keys().map(|key| &**key.get_ref()).collect();
    let meant = nearest(rest, &known).map(|meant| format!("; did you mean \"{path}{meant}\"?"));
    let meant = meant.unwrap_or_default();
    Err(format!("names of keys in the files below, where there is no {name:?}{meant}"))
}
