//! What of a setting is shown to those who are logged in: never a password, nor an address with a login in it.

use ivt_base::mask;
use serde_json::Value;

use crate::settings::hidden::{is_password, is_program};

/// Settings that are addresses, also where they are written without a scheme.
const ADDRESSES: [&str; 6] =
    ["channel.main", "channel.onvif", "channel.sub", "channel.web", "cloud.url", "tlss.server"];

/// What is shown of a setting.
pub(crate) enum Shown {
    /// The value.
    Value(Value),
    /// That it has a value, and the value with `***` in the place of its secrets where something is left of it.
    Secret(Option<String>),
}

/// What is shown of the setting `general`, a key without the number of its channel.
pub(crate) fn shown(general: &str, value: Value) -> Shown {
    let secret = match &value {
        Value::String(_) if is_password(general) => return Shown::Secret(None),
        // Anything may stand in arguments.
        Value::Array(words) if is_program(general) => match words.as_slice() {
            [] | [_] => None,
            [program, ..] => Some(program.clone()),
        },
        Value::String(line) if is_program(general) => {
            line.split_once(char::is_whitespace).map(|(program, _)| program.into())
        }
        Value::String(text) => open(text, ADDRESSES.contains(&general)).map(Value::String),
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().and_then(|word| open(word, false)));
            let words: Vec<_> = words.collect();
            let any = words.iter().any(Option::is_some);
            let joined = words.iter().zip(items).map(|(open, item)| match open {
                Some(open) => open.clone(),
                None => item.as_str().unwrap_or_default().to_owned(),
            });
            any.then(|| Value::String(joined.collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    };
    match secret {
        Some(Value::String(open)) => Shown::Secret(Some(open)),
        Some(_) => Shown::Secret(None),
        None => Shown::Value(value),
    }
}

/// An address without its secrets; `None` if it has none.
fn open(text: &str, is_address: bool) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None if is_address || text.starts_with('/') => (String::new(), text),
        None => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let shown = match mask::learn(&format!("http://h{path}")).is_any() {
        // What stands before the first value of a query, or of a path that is written like one.
        true => &path[..path.find('=').and_then(|end| path[..end].rfind(['/', '?'])).unwrap_or(0)],
        false => path,
    };
    let hidden = if login.is_empty() && !authority.contains('@') { "" } else { "***@" };
    let rest = if shown.len() < path.len() { "/***" } else { "" };
    let open = format!("{scheme}{hidden}{host}{shown}{rest}");
    (open != text).then_some(open)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is shown: the value, or `***` or the rest of a secret.
    fn seen(general: &str, value: Value) -> String {
        match shown(general, value) {
            Shown::Value(value) => value.to_string(),
            Shown::Secret(open) => open.unwrap_or_else(|| "***".into()),
        }
    }

    #[test]
    fn no_password_and_no_login_is_shown() {
        for (key, value, want) in [
            ("cloud.login_passwd", json!("canary-1"), "***"),
            ("channel.password", json!(""), "***"),
            ("web.first_password", json!("canary-2"), "***"),
            ("channel.main", json!("rtsp://admin:canary3@10.0.0.2/a"), "rtsp://***@10.0.0.2/a"),
            ("channel.main", json!("rtsp://a:secret@h:554"), "rtsp://***@h:554"),
            ("channel.main", json!("rtsp://user@h/a"), "rtsp://***@h/a"),
            ("channel.main", json!("rtsp://a:p@ss@h/a"), "rtsp://***@h/a"),
            ("channel.sub", json!("rtsp://h/a?user=x&password=Canary4x"), "rtsp://h/a/***"),
            ("channel.snapshot", json!("/s.cgi?pwd=Canary5x"), "/s.cgi/***"),
            ("channel.main", json!("rtsp://h/user=a_password=secret_channel=1"), "rtsp://h/***"),
            ("channel.main", json!("rtsp://@h/a"), "rtsp://***@h/a"),
            ("channel.onvif", json!("admin:canary6@h"), "***@h"),
            ("channel.command", json!(["play", "rtsp://a:canary7@h/b"]), "play"),
            ("channel.command", json!(["play", "--password", "canary8"]), "play"),
            ("channel.reboot_command", json!(["sh", "-c", "curl -u a:canary9 h"]), "sh"),
            ("channel.command", json!("play --password canary10"), "play"),
            ("firmware.install", json!(["rauc", "canary11"]), "rauc"),
            ("channel.alarms", json!(["motion", "rtsp://a:canary12@h/b"]), "motion rtsp://***@h/b"),
        ] {
            assert_eq!(seen(key, value), want, "{key}");
        }
    }

    #[test]
    fn whatever_holds_no_secret_is_shown_as_it_is() {
        for (key, value) in [
            ("cloud.url", json!("wss://cloud.example.com/ivc")),
            ("cloud.login_code", json!("a@b")),
            ("channel.main", json!("rtsp://10.0.0.2:554/main?channel=1")),
            ("channel.username", json!("admin")),
            ("record.spool_dir", json!("/mnt/sd/ivt")),
            ("channel.always_on", json!(["main"])),
            ("channel.command", json!(["play"])),
            ("firmware.commit_minutes", json!(5)),
            ("network.tell_wifi_password", json!(true)),
            ("tlss.port", json!(8000)),
        ] {
            assert_eq!(seen(key, value.clone()), value.to_string(), "{key}");
        }
    }
}
