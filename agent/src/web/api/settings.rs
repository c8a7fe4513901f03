//! `/api/v1/settings`: what the configuration's files say, and changes of it.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt as _;
use hyper::StatusCode;
use ivt_base::task::spawn_blocking;
use serde_json::{Map, Value, json};

use crate::check;
use crate::config;
use crate::reload::Control;
use crate::settings::listing::Listing;
use crate::settings::{Change, Changed, Differences, Error, Key, settable};
use crate::web::authorities;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::shown::{self, Shown};
use crate::web::site::Site;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/settings", |call| read(call).boxed()),
    Route::put("/api/v1/settings", |call| change(call).boxed()),
];

/// Most changes in one call.
const CHANGES: usize = 512;

async fn read(call: Call) -> Result<Reply, Refusal> {
    let listing = list(&call.site).await?;
    call.site.seen.note(&listing);
    Ok(Reply::json(&description(listing)))
}

pub(super) async fn list(site: &Arc<Site>) -> Result<Listing, Refusal> {
    let store = site.control.store().clone();
    let listed = spawn_blocking(move || store.list()).await;
    listed.map_err(|_| lost())?.map_err(|e| Refusal::unavailable("unreadable", e.to_string()))
}

/// The settings, without their secrets.
pub(super) fn description(listing: Listing) -> Value {
    let (mut values, mut secrets, mut hints) = (Map::new(), Map::new(), Map::new());
    secrets.insert("cloud.login_passwd".into(), false.into());
    for (key, value) in listing.values {
        if let Some(channel) = channel(&key) {
            secrets.entry(format!("{channel}.password")).or_insert(false.into());
        }
        match shown::shown(&general(&key), value) {
            Shown::Value(value) => values.insert(key, value),
            Shown::Secret(hint) => {
                if let Some(hint) = hint {
                    hints.insert(key.clone(), hint.into());
                }
                secrets.insert(key, true.into())
            }
        };
    }
    let defaults: Map<_, _> =
        settable::defaults().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({
        "version": listing.version,
        "values": values,
        "secrets": secrets,
        "hints": hints,
        "defaults": defaults,
        "problem": listing.problem,
    })
}

/// A key without the number of its channel.
fn general(key: &str) -> String {
    key.parse().map_or_else(|_| key.to_owned(), |key: Key| key.general())
}

/// The channel that a key belongs to, such as `channel.0`.
fn channel(key: &str) -> Option<&str> {
    let (end, _) = key.match_indices('.').nth(1)?;
    key.starts_with("channel.").then_some(&key[..end])
}

async fn change(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let Some(version) = body["version"].as_str().map(str::to_owned) else {
        return Err(Refusal::invalid("version", "must be the version that GET told"));
    };
    let changes = changes(&body["changes"], &call.site)?;
    let control = call.site.control.clone();
    let keys: Vec<_> = changes.iter().map(|change| change.key().clone()).collect();
    let seen = version.clone();
    let turn = call.turn().await?;
    // What is written is applied, also if the browser goes meanwhile.
    let written = spawn_blocking(move || {
        let _turn = turn;
        let changed = control.store().propose(None, &changes, Some(&seen))?;
        Ok::<_, Error>(applied(&control, &changed))
    });
    match written.await.map_err(|_| lost())? {
        Ok(applied) => {
            let listing = list(&call.site).await?;
            call.site.seen.note(&listing);
            Ok(Reply::json(&applied))
        }
        Err(Error::Outdated) => outdated(&call.site, &version).await,
        Err(error) => Err(refusal(&error, &keys)),
    }
}

pub(super) fn changes(wanted: &Value, site: &Site) -> Result<Vec<Change>, Refusal> {
    let wanted = wanted.as_object().filter(|wanted| wanted.len() <= CHANGES);
    let Some(wanted) = wanted else {
        let message = format!("must be an object of {CHANGES} keys at most");
        return Err(Refusal::invalid("changes", message));
    };
    let console = site.console().ok();
    let is_ca_file = |file: &Path| {
        console.as_ref().is_some_and(|console| authorities::is_ours(&console.config, file))
    };
    let change = |(name, value): (&String, &Value)| {
        let key = name.parse::<Key>();
        let key = key.map_err(|e| Refusal::invalid("changes", e.to_string()))?;
        if !settable::is_settable(&key, value, is_ca_file) {
            let message = format!("{key} cannot be set here: change it in the device's own file");
            return Err(Refusal { code: "not_settable", ..Refusal::invalid(name, message) });
        }
        Change::json(key, value).ok_or_else(|| {
            let message = format!("{name} must be text, true, false, a whole number or a list");
            Refusal::invalid(name, message)
        })
    };
    wanted.iter().map(change).collect()
}

/// Has a change applied, and describes it.
pub(super) fn applied(control: &Control, changed: &Changed) -> Value {
    let found = changed.before.as_ref().map(|old| Differences::between(old, &changed.config));
    // What ran by files that the reader refused cannot be compared with.
    let restart = found.as_ref().is_none_or(|found| !found.restart.is_empty());
    let restarted = restart && !changed.files.is_empty();
    match (restarted, changed.files.is_empty()) {
        (true, _) => control.restart(),
        (false, false) => control.reload(),
        (false, true) => {}
    }
    let applied: Vec<_> =
        found.into_iter().flat_map(|found| [found.now(), found.restart]).collect();
    json!({ "version": changed.version, "applied": applied.concat(), "restarted": restarted })
}

/// Tells what was changed since the caller saw a version.
pub(super) async fn outdated(site: &Arc<Site>, version: &str) -> Result<Reply, Refusal> {
    let now = list(site).await?;
    let changed = site.seen.since(version, &now);
    site.seen.note(&now);
    let message = "the settings were changed since they were read; nothing was changed now";
    let mut answer = description(now);
    answer["changed"] = changed.into();
    answer["error"] = json!({ "code": "outdated", "message": message, "field": "" });
    Ok(Reply::json(&answer).with_status(StatusCode::CONFLICT))
}

/// Why nothing was changed.
pub(super) fn refusal(error: &Error, keys: &[Key]) -> Refusal {
    let message = error.to_string();
    match error {
        Error::Write(e) => {
            let code = match e.source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "disk_full",
                std::io::ErrorKind::ReadOnlyFilesystem => "read_only",
                std::io::ErrorKind::WouldBlock => "settings_busy",
                _ => "not_written",
            };
            Refusal::unavailable(code, message)
        }
        Error::Half { .. } => Refusal::unavailable("not_written", message),
        Error::Config(config::Error::Value { message: said, .. }) => {
            Refusal::invalid(field(said, keys), said.clone())
        }
        Error::Config(_) => Refusal::unavailable("unreadable", message),
        Error::Check(check::Error::Authorities(_)) => Refusal::invalid("cloud.ca_file", message),
        Error::Check(check::Error::Clip { channel, .. }) => {
            Refusal::invalid(format!("channel.{channel}.main"), message)
        }
        Error::Check(_) => Refusal::invalid(field(&message, keys), message),
        Error::Value { key, .. } | Error::Edit { key, .. } | Error::Fixed(key) => {
            Refusal::invalid(key.to_string(), message)
        }
        Error::OwnFile(key) => {
            Refusal { code: "not_settable", ..Refusal::invalid(key.as_str(), message) }
        }
        Error::PasswordNeeded(key) => {
            Refusal { code: "password_needed", ..Refusal::invalid(key.as_str(), message) }
        }
        #[cfg(feature = "sandbox")]
        Error::Confined(_) => Refusal::invalid("", message),
        Error::Key(_) | Error::Apart | Error::Outdated => Refusal::invalid("", message),
    }
}

/// The setting that an error is about, which begins with its name, without the number of a channel.
fn field(message: &str, keys: &[Key]) -> String {
    let name = message.split([' ', ':']).next().unwrap_or_default();
    if !name.contains('.') {
        return String::new();
    }
    let meant = keys.iter().find(|key| key.general() == name);
    // Missing beside what was set for the same channel.
    let number = || keys.iter().find_map(Key::number);
    match (meant, name.strip_prefix("channel.")) {
        (Some(key), _) => key.to_string(),
        (None, Some(rest)) => {
            number().map_or_else(String::new, |number| format!("channel.{number}.{rest}"))
        }
        (None, None) => name.to_owned(),
    }
}

pub(super) fn lost() -> Refusal {
    Refusal::unavailable("not_written", "the settings could not be read or written; try again")
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
