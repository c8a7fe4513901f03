//! Takes every secret out of a configuration's files.

use toml::de::{DeTable, DeValue};

use super::value::quoted;
use super::{Change, Error, Store};

/// Keys whose value is a secret, or means nothing without one: of a cloud's account all keys are there or none.
const SECRETS: [&str; 4] = ["login_code", "login_passwd", "username", "password"];
const CLOUD: &str = "cloud.url";

impl Store {
    /// Removes logins and passwords, and the logins in addresses. The password that was baked in stays: it is printed
    /// on the device.
    ///
    /// # Errors
    /// Some of them are still there; the error says why.
    pub(crate) fn wipe(&self) -> Result<(), Error> {
        let texts = self.texts()?;
        let mut changes = Vec::new();
        let apart = texts.apart.as_ref().map(|(_, text)| text);
        for text in [Some(&texts.main), apart].into_iter().flatten() {
            // What is no TOML is refused by the change below, in words that repeat nothing of it.
            if let Ok(table) = DeTable::parse(text) {
                collect("", &DeValue::Table(table.into_inner()), &mut changes)?;
            }
        }
        if self.change(&changes, None).is_ok() {
            return Ok(());
        }
        // One by one, what can be removed is.
        let each = changes.iter().map(|change| self.change(std::slice::from_ref(change), None));
        each.fold(self.read().map(drop), |done, change| done.and(change.map(drop)))
    }
}

/// Collects the changes below a key.
fn collect(key: &str, value: &DeValue<'_>, changes: &mut Vec<Change>) -> Result<(), Error> {
    let below = |name: &str| match key {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    let name = key.rsplit('.').next().unwrap_or_default();
    match value {
        DeValue::Table(table) => table.iter().try_for_each(|(name, value)| {
            collect(&below(name.get_ref()), value.get_ref(), changes)
        }),
        DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(number, item)| {
                collect(&below(&number.to_string()), item.get_ref(), changes)
            })
        }
        _ if SECRETS.contains(&name) || key == CLOUD => {
            changes.push(Change::unset(key)?);
            Ok(())
        }
        DeValue::String(text) => {
            if let Some(bare) = bare(text) {
                changes.push(Change::text(key, &bare)?);
            }
            Ok(())
        }
        DeValue::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(|item| item.get_ref().as_str()).collect();
            if texts.len() == items.len() && texts.iter().any(|text| bare(text).is_some()) {
                let bare = |text: &&str| quoted(bare(text).as_deref().unwrap_or(text));
                let items: Vec<_> = texts.iter().map(bare).collect();
                changes.push(Change::set(key, &format!("[{}]", items.join(", ")))?);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An address without its login; `None` where there is none in it.
fn bare(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (login, host) = rest[..end].rsplit_once('@')?;
    (!login.is_empty()).then(|| format!("{scheme}://{host}{}", &rest[end..]))
}
