//! The channels that a device was delivered with, made its own.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CHANNEL;
use super::edit::{count, set};
use super::key::Key;
use super::place::{EditError, parse};
use super::value::quoted;
use crate::config::Files;

/// Copies the channels of the files below into the file of changes, where that has none: a list of channels counts as a
/// whole, so that one of them cannot be changed alone.
///
/// # Errors
/// The channels are written in a way that cannot be copied.
pub(super) fn own(files: &mut Files) -> Result<(), EditError> {
    if count(&files.main.text, CHANNEL)? > 0 {
        return Ok(());
    }
    for layer in files.below.iter().rev() {
        let root = parse(&layer.text)?;
        let Some(channels) = root.get(CHANNEL) else {
            let without = root.get("without").and_then(|names| names.get_ref().as_array());
            match without.into_iter().flatten().any(|name| name.get_ref().as_str() == Some(CHANNEL))
            {
                true => return Ok(()),
                false => continue,
            }
        };
        let folder = layer.path.parent().unwrap_or(Path::new(""));
        let mut pairs = Vec::new();
        let items = channels.get_ref().as_array().into_iter().flatten().enumerate();
        for (number, item) in items {
            if let DeValue::Table(channel) = item.get_ref() {
                collect(&format!("{CHANNEL}.{number}"), channel, &mut pairs);
            }
        }
        for (name, value) in pairs {
            let key: Key = name.parse().map_err(|_| EditError::ByHand(name.clone()))?;
            let at_home = path(&name, value.get_ref())
                .and_then(|path| std::path::absolute(folder.join(path)).ok());
            let text = match at_home {
                Some(path) => quoted(&path.display().to_string()),
                None => layer.text[value.span()].to_owned(),
            };
            files.main.text = set(&files.main.text, &key, &text)?;
        }
        return Ok(());
    }
    Ok(())
}

/// Collects the pairs of a channel in the order of its text, by their full names.
fn collect<'d, 't>(
    path: &str,
    table: &'d DeTable<'t>,
    pairs: &mut Vec<(String, &'d Spanned<DeValue<'t>>)>,
) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = format!("{path}.{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => collect(&name, inner, pairs),
            _ => pairs.push((name, value)),
        }
    }
}

/// The path that a value is, which counts from the folder of its file: a clip, or a profile that is a file.
fn path<'v>(name: &str, value: &'v DeValue<'_>) -> Option<&'v str> {
    let text = value.as_str()?;
    let is_path = match name.rsplit('.').next()? {
        "main" | "sub" => !text.contains("://"),
        "profile" => text.contains('/') || text.ends_with(".toml"),
        _ => false,
    };
    is_path.then_some(text)
}
