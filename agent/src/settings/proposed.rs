//! What changes from the page must not come to, whatever each value is by itself: a file of the page's choice is opened,
//! or a saved password goes to another server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::{Change, Changed, Error, Key, Store};

/// Settings by their keys.
type Values = BTreeMap<String, Value>;

/// Files that only the device's own files may name.
const FILES: [&str; 2] = ["web.https_certificate", "web.https_key"];
/// What a camera that is no other device streams from.
const CLIPS: [&str; 2] = ["main", "sub"];
/// The addresses of a camera: its login is told to each of them.
const ADDRESSES: [&str; 5] = ["main", "sub", "web", "onvif", "snapshot"];

impl Store {
    /// As [`Store::change`], for changes from the page. With `channels`, those from that number on are taken out first.
    ///
    /// # Errors
    /// Nothing was written; the error says why.
    pub(crate) fn propose(
        &self,
        channels: Option<usize>,
        changes: &[Change],
        seen: Option<&str>,
    ) -> Result<Changed, Error> {
        let keys: Vec<_> = changes.iter().map(|change| change.key.clone()).collect();
        let edit = |files: &mut _| {
            let old = self.values(files)?;
            if let Some(channels) = channels {
                super::removal::shorten(files, channels)?;
            }
            changes.iter().try_for_each(|change| super::apply(files, change))?;
            file(&old, &self.values(files)?).map_or(Ok(()), |key| Err(Error::OwnFile(key)))
        };
        self.exchange(keys.clone(), seen, edit, |old, new| {
            let needed = password(&self.values(old)?, &self.values(new)?, &keys);
            needed.map_or(Ok(()), |key| Err(Error::PasswordNeeded(key)))
        })
    }
}

/// Whether a setting names a file from which an emulator streams.
pub(crate) fn is_clip<'v>(key: &str, value: impl Fn(&str) -> Option<&'v Value>) -> bool {
    let name = key.rsplit('.').next().unwrap_or_default();
    CLIPS.contains(&name) && is_emulators(key, value)
}

/// Whether a setting is that of a channel with an emulator.
pub(crate) fn is_emulators<'v>(key: &str, value: impl Fn(&str) -> Option<&'v Value>) -> bool {
    let Some((channel, _)) = key.rsplit_once('.') else { return false };
    let backend = value(&format!("{channel}.backend"));
    let is_emulator = |backend: &Value| match backend {
        Value::Array(words) => words.iter().any(|word| word == "emulator"),
        word => word == "emulator",
    };
    key.starts_with("channel.") && backend.is_some_and(is_emulator)
}

/// The setting by which another file would be opened than before.
fn file(old: &Values, new: &Values) -> Option<String> {
    let is_file =
        |values: &Values, key: &str| FILES.contains(&key) || is_clip(key, |key| values.get(key));
    let is_new = |key: &str, value: &Value| old.get(key) != Some(value) || !is_file(old, key);
    let found = new.iter().find(|(key, value)| is_file(new, key) && is_new(key, value));
    found.map(|(key, _)| key.clone())
}

/// The password that would go to another server than before, and is not among what is `asked` for.
fn password(old: &Values, new: &Values, asked: &[Key]) -> Option<String> {
    let channels: BTreeSet<_> = new.keys().filter_map(|key| channel(key)).collect();
    let cameras = channels.into_iter().map(|channel| {
        let addresses = ADDRESSES.map(|name| format!("{channel}.{name}"));
        (format!("{channel}.password"), addresses.to_vec())
    });
    let cloud = ("cloud.login_passwd".to_owned(), vec!["cloud.url".to_owned()]);
    let mut all = [cloud].into_iter().chain(cameras);
    let is_kept = |password: &String| {
        let value = old.get(password).filter(|value| *value != "");
        value.is_some()
            && value == new.get(password)
            && asked.iter().all(|key| key.to_string() != *password)
    };
    let found = all.find(|(password, addresses)| {
        let goes_elsewhere = is_moved(old, new, addresses)
            || *password == "cloud.login_passwd" && is_vouched_for_by_others(old, new);
        is_kept(password) && goes_elsewhere
    });
    found.map(|(password, _)| password)
}

/// Whether other authorities than before say which server is the cloud: any of theirs may read the password.
fn is_vouched_for_by_others(old: &Values, new: &Values) -> bool {
    let address = new.get("cloud.url").and_then(Value::as_str).and_then(place);
    let is_encrypted = address.is_some_and(|(scheme, ..)| scheme == "wss");
    is_encrypted && old.get("cloud.ca_file") != new.get("cloud.ca_file")
}

/// Whether one of the addresses is at a server that none of them was at before.
fn is_moved(old: &Values, new: &Values, addresses: &[String]) -> bool {
    let text = |values: &'_ Values, key: &String| Some(values.get(key)?.as_str()?.to_owned());
    let before = |key| text(old, key).and_then(|address| place(&address));
    addresses.iter().any(|key| {
        let Some(address) = text(new, key).filter(|address| !address.starts_with('/')) else {
            return false;
        };
        let (is, was) = (place(&address), text(old, key));
        match was {
            Some(was) => was != address && (is.is_none() || is != place(&was)),
            // A further service of the same camera.
            None => is.is_none_or(|(_, host, _)| {
                !addresses.iter().filter_map(before).any(|(_, known, _)| known == host)
            }),
        }
    })
}

/// Scheme, host and port of an address, which may be written without a scheme.
pub(crate) fn place(address: &str) -> Option<(String, String, u16)> {
    let address =
        if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&address).ok()?;
    let usual = match url.scheme() {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    };
    let port = url.port_or_known_default().or(usual).unwrap_or_default();
    Some((url.scheme().to_owned(), url.host_str()?.to_ascii_lowercase(), port))
}

/// The channel that a key belongs to, such as `channel.0`.
fn channel(key: &str) -> Option<&str> {
    let (end, _) = key.match_indices('.').nth(1)?;
    key.starts_with("channel.").then_some(&key[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: Value) -> Values {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_file_is_named_by_the_devices_own_files_alone() {
        let old = values(json!({
            "web.https_key": "k", "channel.0.backend": "rtsp", "channel.0.main": "rtsp://h/a",
            "channel.1.backend": ["emulator", "linux"], "channel.1.main": "a.flv", "channel.1.sub": "b.flv",
        }));
        let after = |key: &str, value: Value| {
            let mut new = old.clone();
            new.insert(key.to_owned(), value);
            file(&old, &new)
        };
        for (key, value, want) in [
            ("web.https_key", json!("k"), None),
            ("web.https_key", json!("/dev/zero"), Some("web.https_key")),
            ("web.https_certificate", json!("/dev/zero"), Some("web.https_certificate")),
            ("channel.0.main", json!("rtsp://h/b"), None),
            ("channel.0.backend", json!("emulator"), Some("channel.0.main")),
            ("channel.1.main", json!("/dev/watchdog"), Some("channel.1.main")),
            ("channel.1.sub", json!("a.flv"), Some("channel.1.sub")),
            ("channel.1.backend", json!("emulator"), None),
            ("channel.1.bitrate", json!(1), None),
        ] {
            assert_eq!(after(key, value.clone()).as_deref(), want, "{key} {value}");
        }
        let mut less = old.clone();
        less.remove("channel.1.sub");
        assert_eq!(file(&old, &less), None);
    }

    #[test]
    fn a_saved_password_stays_with_who_vouches_for_its_server() {
        let saved = |url: &str| {
            values(json!({ "cloud.url": url, "cloud.ca_file": "a", "cloud.login_passwd": "p" }))
        };
        let key: Key = "cloud.login_passwd".parse().unwrap();
        for (url, ca, is_needed) in [
            ("wss://cloud/ivc", Some("a"), false),
            ("wss://cloud/ivc", Some("b"), true),
            ("wss://cloud/ivc", None, true),
            ("ws://cloud/ivc", Some("b"), false),
        ] {
            let old = saved(url);
            let mut new = old.clone();
            new.remove("cloud.ca_file");
            new.extend(ca.map(|ca| ("cloud.ca_file".to_owned(), ca.into())));
            let needed = password(&old, &new, &[]);
            assert_eq!(needed.is_some(), is_needed, "{url} {ca:?}");
            assert_eq!(password(&old, &new, std::slice::from_ref(&key)), None, "it is given again");
            new.remove("cloud.login_passwd");
            assert_eq!(password(&old, &new, &[]), None, "it goes with the authorities");
        }
    }

    #[test]
    fn a_saved_password_stays_with_its_server() {
        let old = values(json!({
            "cloud.url": "ws://cloud/ivc", "cloud.login_passwd": "p",
            "channel.0.main": "rtsp://cam/a", "channel.0.web": "cam", "channel.0.password": "p",
            "channel.1.main": "rtsp://cam/a", "channel.2.password": "",
        }));
        for (key, value, want) in [
            ("cloud.url", "ws://CLOUD:80/other", None),
            ("cloud.url", "wss://cloud/ivc", Some("cloud.login_passwd")),
            ("cloud.url", "ws://cloud:81/ivc", Some("cloud.login_passwd")),
            ("cloud.url", "ws://cloud.example/ivc", Some("cloud.login_passwd")),
            ("channel.0.main", "rtsp://CAM:554/b", None),
            ("channel.0.main", "rtsp://u:other@cam/b", None),
            ("channel.0.main", "rtsp://cam:8554/a", Some("channel.0.password")),
            ("channel.0.main", "rtsp://cam@thief/a", Some("channel.0.password")),
            ("channel.0.sub", "rtsp://thief/a", Some("channel.0.password")),
            ("channel.0.sub", "rtsp://cam:8554/a", None),
            ("channel.0.web", "http://cam/", None),
            ("channel.0.web", "https://cam", Some("channel.0.password")),
            ("channel.0.web", "thief", Some("channel.0.password")),
            ("channel.0.onvif", "http://cam:8000/onvif", None),
            ("channel.0.onvif", "thief:80", Some("channel.0.password")),
            ("channel.0.snapshot", "http://thief/s", Some("channel.0.password")),
            ("channel.0.snapshot", "/s.jpg", None),
            ("channel.1.main", "rtsp://thief/a", None),
            ("channel.2.main", "rtsp://thief/a", None),
        ] {
            let mut new = old.clone();
            new.insert(key.to_owned(), value.into());
            assert_eq!(password(&old, &new, &[]).as_deref(), want, "{key} {value}");
            let typed: Vec<Key> = want.into_iter().map(|key| key.parse().unwrap()).collect();
            assert_eq!(password(&old, &new, &typed), None, "{key} {value}: it is given again");
            new.retain(|key, _| Some(&**key) != want);
            assert_eq!(password(&old, &new, &[]), None, "{key} {value}: it goes with the address");
        }
    }
}
