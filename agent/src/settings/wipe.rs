//! Takes every secret out of a configuration's files.

use ivt_base::mask;
use toml::de::{DeTable, DeValue};

use super::value::quoted;
use super::{Change, Error, Store};
use crate::config::Files;

/// Keys whose value is a secret, or means nothing without one: of a cloud's account all keys are there or none.
const SECRETS: [&str; 4] = ["login_code", "login_passwd", "username", "password"];
const CLOUD: &str = "cloud.url";
/// Keys whose value is an address, also where it is written without a scheme.
const ADDRESSES: [&str; 6] = ["main", "sub", "onvif", "web", "snapshot", "server"];

impl Store {
    /// Removes logins and passwords, and the logins in addresses, however they are written. The password that was baked in stays: it is printed
    /// on the device.
    ///
    /// # Errors
    /// Some of them are still there; the error says why.
    pub(crate) fn wipe(&self) -> Result<(), Error> {
        let files = self.texts()?;
        if !files.below.is_empty() {
            // What the device was delivered with is in the files below.
            let forget = |files: &mut Files| {
                files.main.text.clear();
                Ok(())
            };
            self.exchange(Vec::new(), None, forget, |_, _| Ok(()))?;
        }
        let files = self.texts()?;
        let mut changes = Vec::new();
        let apart = files.apart.as_ref().map(|apart| &apart.text);
        for text in [Some(&files.main.text), apart].into_iter().flatten() {
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
            if let Some(bare) = bare(key, text) {
                changes.push(Change::text(key, &bare)?);
            }
            Ok(())
        }
        DeValue::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(|item| item.get_ref().as_str()).collect();
            if texts.len() == items.len() && texts.iter().any(|text| bare(key, text).is_some()) {
                let bare = |text: &&str| quoted(bare(key, text).as_deref().unwrap_or(text));
                let items: Vec<_> = texts.iter().map(bare).collect();
                changes.push(Change::set(key, &format!("[{}]", items.join(", ")))?);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A text without the logins of the addresses in it; `None` where there are none.
fn bare(key: &str, text: &str) -> Option<String> {
    let name = key.rsplit('.').next().unwrap_or_default();
    let is_address = ADDRESSES.contains(&name);
    let words = text.split_inclusive(char::is_whitespace);
    let bare: String = words.map(|word| bare_word(word, is_address)).collect();
    (bare != text).then_some(bare)
}

fn bare_word(word: &str, is_address: bool) -> String {
    let end = word.trim_end().len();
    let (word, space) = word.split_at(end);
    let (scheme, rest) = match word.find("://") {
        Some(at) => word.split_at(at + "://".len()),
        None if is_address || word.starts_with('/') => ("", word),
        None => return [word, space].concat(),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut path = path;
    if mask::learn(&format!("http://h{path}")).is_any() {
        // What stands before the first value of a query, or of a path that is written like one.
        let value = path.find('=').unwrap_or_default();
        path = &path[..path[..value].rfind(['/', '?', '#']).unwrap_or_default()];
    }
    if scheme.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtmp")) {
        // What follows the name of the application is a key.
        let application = path.char_indices().filter(|(_, c)| *c == '/').nth(1);
        path = application.map_or(path, |(end, _)| &path[..end]);
    }
    [scheme, host, path, space].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_login_however_it_is_written() {
        for (key, text, want) in [
            ("channel.0.main", "rtsp://us3r:pa55@h:554/a?channel=1", "rtsp://h:554/a?channel=1"),
            ("channel.0.main", "rtsp://us3r:pa@55@h", "rtsp://h"),
            ("channel.0.main", "rtsp://us3r@h/a", "rtsp://h/a"),
            ("channel.0.main", "rtsp://h/user=us3r_password=pa55-x_channel=1", "rtsp://h"),
            ("channel.0.sub", "rtsp://h/a?user=us3r&password=pa55", "rtsp://h/a"),
            ("channel.0.sub", "rtsp://h/a?channel=1&pwd=p", "rtsp://h/a"),
            ("channel.0.snapshot", "/s.cgi?pwd=pa55", "/s.cgi"),
            ("channel.0.onvif", "us3r:pa55@h", "h"),
            ("channel.0.command", "curl -k http://us3r:pa55@h/a | cat", "curl -k http://h/a | cat"),
            ("channel.0.command", "rtmp://h/live/pa55?x=y", "rtmp://h/live"),
        ] {
            assert_eq!(bare(key, text).as_deref(), Some(want), "{text}");
        }
        for (key, text) in [
            ("channel.0.main", "rtsp://h:554/a?channel=1"),
            ("channel.0.onvif", "192.0.2.1:8000"),
            ("channel.0.command", "-vf scale=640:360 a@b"),
            ("record.spool_dir", "/mnt/sd/ivt"),
            ("device.name", "a@b"),
        ] {
            assert_eq!(bare(key, text), None, "{text}");
        }
    }
}
