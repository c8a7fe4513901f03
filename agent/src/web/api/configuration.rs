//! `/api/v1/configuration`: all settings as one file, and back. What is secret is left out, and stays as it was.

use std::collections::BTreeMap;
use std::path::Path;

use futures::FutureExt as _;
use hyper::StatusCode;
use ivt_base::task::spawn_blocking;
use serde_json::{Map, Value, json};

use super::channels::renumber;
use super::settings::{applied, list, lost, outdated, refusal};
use crate::settings::proposed::{is_clip, is_emulators};
use crate::settings::{Change, Error, Key, settable};
use crate::state::StateStore;
use crate::web::authorities;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::shown::{Shown, shown};
use crate::web::site::Site;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/configuration", |call| export(call).boxed()),
    Route::put("/api/v1/configuration", |call| import(call).boxed()),
];

/// What the file says it is.
const FORMAT: &str = "ivt-configuration-1";
/// Most settings of a file.
const KEYS: usize = 8192;
/// Longest file, in bytes: 256 channels with all their settings.
const LONGEST: usize = 512 << 10;

/// Settings by their keys.
type Values = BTreeMap<String, Value>;

async fn export(call: Call) -> Result<Reply, Refusal> {
    let listing = list(&call.site).await?;
    call.site.seen.note(&listing);
    let version = listing.version.clone();
    let (values, secrets) = split(listing.values);
    let file = json!({ "format": FORMAT, "values": values, "left_out": secrets.keys().collect::<Vec<_>>() });
    Ok(Reply::json(&json!({ "version": version, "file": file })))
}

/// Divides settings into those that are shown and those that are not.
fn split(all: Vec<(String, Value)>) -> (Values, Values) {
    let (mut values, mut secrets) = (Values::new(), Values::new());
    for (key, value) in all {
        let general = key.parse().map_or_else(|_| key.clone(), |key: Key| key.general());
        match shown(&general, value.clone()) {
            Shown::Value(value) => values.insert(key, value),
            Shown::Secret(_) => secrets.insert(key, value),
        };
    }
    (values, secrets)
}

async fn import(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.bytes(LONGEST).await?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_| Refusal::invalid("", "this is no file of settings"))?;
    let Some(version) = body["version"].as_str().map(str::to_owned) else {
        return Err(Refusal::invalid("version", "must be the version that GET told"));
    };
    let listing = list(&call.site).await?;
    if listing.version != version {
        return outdated(&call.site, &version).await;
    }
    let wanted = wanted(&body["file"])?;
    let (now, secrets) = split(listing.values);
    let channels = channels_of(wanted.keys());
    let have = channels_of(now.keys().chain(secrets.keys()));
    let (needed, lacking) = left_out(&body["file"], &wanted, &secrets);
    if let Some(first) = needed.first() {
        return Ok(secrets_needed(first, &needed));
    }
    let (changes, mut kept) = changes(&wanted, &now, &secrets, channels, &call.site)?;
    kept.extend(lacking);
    let control = call.site.control.clone();
    let keys: Vec<_> = changes.iter().map(|change| change.key().clone()).collect();
    let (seen, kept_of) = (version.clone(), StateStore::clone(&call.site.console()?.store));
    let turn = call.turn().await?;
    // What is written is applied, also if the browser goes meanwhile.
    let written = ivt_base::task::spawn(async move {
        let _turn = turn;
        let store = control.store().clone();
        let change = move || store.propose(Some(channels), &changes, Some(&seen));
        let Ok(changed) = spawn_blocking(change).await else { return None };
        if changed.is_ok() {
            for gone in (channels..have).rev() {
                renumber(&kept_of, gone as u64).await;
            }
        }
        Some(changed.map(|changed| applied(&control, &changed)))
    });
    match written.await.ok().flatten().ok_or_else(lost)? {
        Ok(mut answer) => {
            call.site.seen.note(&list(&call.site).await?);
            answer["kept"] = kept.into();
            Ok(Reply::json(&answer))
        }
        Err(Error::Outdated) => outdated(&call.site, &version).await,
        Err(error) => Err(refusal(&error, &keys)),
    }
}

/// The settings of a file.
fn wanted(file: &Value) -> Result<Map<String, Value>, Refusal> {
    if file["format"] != FORMAT {
        return Err(Refusal::invalid("file", "this is no file of settings"));
    }
    let values = file["values"].as_object().filter(|values| values.len() <= KEYS);
    let values = values.ok_or_else(|| Refusal::invalid("file", "this is no file of settings"))?;
    for (key, value) in values {
        let is_key = key.parse::<Key>().is_ok();
        if !is_key || value.is_null() || value.is_object() {
            return Err(Refusal::invalid(key.as_str(), format!("{key:?} is no setting")));
        }
    }
    Ok(values.clone())
}

/// What a file has left out and the device does not have: the settings that have to be entered for it, and those that
/// cannot be, since only the device's own files may have them.
fn left_out(
    file: &Value,
    wanted: &Map<String, Value>,
    have: &Values,
) -> (Vec<String>, Vec<String>) {
    let names = file["left_out"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = names.iter().take(KEYS).filter_map(Value::as_str);
    let missing = names.filter(|name| !wanted.contains_key(*name) && !have.contains_key(*name));
    let (mut needed, mut lacking) = (Vec::new(), Vec::new());
    for name in missing {
        let Ok(key) = name.parse::<Key>() else { continue };
        match is_brought(&key, &"text".into(), |_| false) {
            true => needed.push(name.to_owned()),
            false => lacking.push(name.to_owned()),
        }
    }
    (needed, lacking)
}

/// Whether a file may bring a setting. The place of the page stays as it is.
fn is_brought(key: &Key, value: &Value, is_ca_file: impl Fn(&Path) -> bool) -> bool {
    settable::is_settable(key, value, is_ca_file) && !key.to_string().starts_with("web.")
}

/// Tells what has to be entered before a file is taken over.
fn secrets_needed(first: &str, needed: &[String]) -> Reply {
    let message = "the file has no secrets, and the device does not have these yet: enter them beside the file's \
                   values, or take their names out of left_out";
    let error = json!({ "code": "secrets_needed", "message": message, "field": first });
    Reply::json(&json!({ "error": error, "needed": needed }))
        .with_status(StatusCode::UNPROCESSABLE_ENTITY)
}

/// How many channels settings are about.
fn channels_of<'a>(keys: impl IntoIterator<Item = &'a String>) -> usize {
    let numbers = keys.into_iter().filter_map(|key| key.parse::<Key>().ok()?.number());
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

/// What has to be changed so that the settings are those of the file, the channels in their order; and the settings that
/// are others in the file and stay as they are, since only the device's own files may have them.
fn changes(
    wanted: &Map<String, Value>,
    now: &Values,
    secrets: &Values,
    channels: usize,
    site: &Site,
) -> Result<(Vec<Change>, Vec<String>), Refusal> {
    let console = site.console().ok();
    let is_ca_file = |file: &Path| {
        console.as_ref().is_some_and(|console| authorities::is_ours(&console.config, file))
    };
    // What belongs to a channel that goes is gone with it.
    let stays = |key: &String| channels_of([key]) <= channels;
    let gone = now.keys().filter(|key| !wanted.contains_key(*key) && stays(key));
    // A program goes with the emulator that it is of.
    let is_idle = |key: &&String| {
        key.ends_with(".command") && !is_emulators(key, |key| wanted.get(key)) && stays(key)
    };
    let idle = secrets.keys().filter(is_idle);
    let gone = gone.chain(idle).map(|key| (key, &Value::Null));
    let other = wanted.iter().filter(|(key, value)| now.get(*key) != Some(*value));
    // What is secret here and in the clear there, such as an address without its login, is taken from the file.
    let mut all: Vec<_> = Vec::new();
    let mut kept = Vec::new();
    for (name, value) in gone.chain(other) {
        let Ok(key) = name.parse::<Key>() else { continue };
        if !value.is_null() && is_clip(name, |key| wanted.get(key)) {
            kept.push(name.clone());
            if now.contains_key(name) && !is_clip(name, |key| now.get(key)) {
                all.push((key, &Value::Null));
            }
            continue;
        }
        match is_brought(&key, value, is_ca_file) {
            true => all.push((key, value)),
            false => kept.push(name.clone()),
        }
    }
    all.sort_by_key(|(key, _)| (key.number(), key.to_string()));
    let change = |(key, value): (Key, &Value)| {
        let name = key.to_string();
        let wrong = || Refusal::invalid(name, "is of a kind that no setting has");
        Change::json(key, value).ok_or_else(wrong)
    };
    Ok((all.into_iter().map(change).collect::<Result<_, _>>()?, kept))
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::web::testing::Bench;

    const CONFIG: &str = "[web]\nenable = true\n[log]\nlevel = 'warn'\n[publish]\nlinger_seconds = 3\n\
        [cloud]\nurl = 'ws://127.0.0.1:9/ivc'\nlogin_code = 'c'\nlogin_passwd = 'kJ4-canary-881'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://u:zQ7canary552@127.0.0.1:9/a'\nusername = 'u'\n\
        password = 'wW2-canary-119'\n";

    async fn exported(bench: &Bench) -> Value {
        let (status, answer) = bench.call(Method::GET, "/api/v1/configuration", "").await;
        assert_eq!(status, StatusCode::OK);
        answer
    }

    async fn import(bench: &Bench, body: &Value) -> (StatusCode, Value) {
        bench.call(Method::PUT, "/api/v1/configuration", &body.to_string()).await
    }

    fn text(bench: &Bench) -> String {
        std::fs::read_to_string(bench.folder.path().join("ivt.toml")).unwrap()
    }

    #[tokio::test]
    async fn a_file_brings_the_settings_back_and_leaves_the_secrets_as_they_are() {
        let bench = Bench::start(CONFIG);
        let mut body = exported(&bench).await;
        assert!(!body.to_string().contains("canary"), "{body}");
        assert_eq!(body["file"]["values"]["log.level"], "warn");
        let secrets = ["channel.0.main", "channel.0.password", "cloud.login_passwd"];
        assert_eq!(body["file"]["left_out"], json!(secrets));
        let before = text(&bench);
        let (status, answer) = import(&bench, &body).await;
        assert_eq!((status, text(&bench)), (StatusCode::OK, before.clone()), "{answer}");
        assert_eq!(answer["restarted"], false);

        body["file"]["values"]["log.level"] = "error".into();
        body["file"]["values"].as_object_mut().unwrap().remove("publish.linger_seconds");
        body["file"]["values"]["publish.retry_seconds"] = 5.into();
        body["file"]["values"]["runtime.memory_limit"] = 99_999_999.into();
        body["file"]["values"]["web.enable"] = false.into();
        let (status, answer) = import(&bench, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["kept"], json!(["runtime.memory_limit", "web.enable"]));
        let after = text(&bench);
        assert!(after.contains("level = \"error\"") && !after.contains("linger"), "{after}");
        for secret in ["kJ4-canary-881", "zQ7canary552", "wW2-canary-119"] {
            assert!(after.contains(secret), "{secret} stays");
        }

        let (status, answer) = import(&bench, &body).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::CONFLICT, &json!("outdated")));
        assert_eq!(text(&bench), after);
    }

    #[tokio::test]
    async fn a_file_is_taken_as_a_whole_or_not_at_all() {
        let bench = Bench::start(CONFIG);
        let body = exported(&bench).await;
        let before = text(&bench);
        type Break = fn(&mut Value);
        let breaks: [(&str, Break); 5] = [
            ("log.level", |file| file["values"]["log.level"] = "loud".into()),
            ("file", |file| file["format"] = "other".into()),
            ("file", |file| file["values"] = json!(["a"])),
            ("not a key", |file| file["values"]["not a key"] = 1.into()),
            ("tlss.port", |file| file["values"]["tlss.port"] = 1.5.into()),
        ];
        for (field, break_it) in breaks {
            let mut wrong = body.clone();
            wrong["file"]["values"]["publish.retry_seconds"] = 5.into();
            break_it(&mut wrong["file"]);
            let (status, answer) = import(&bench, &wrong).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
            assert_eq!((&answer["error"]["field"], text(&bench)), (&json!(field), before.clone()));
        }
        for wrong in ["", "[]", "{}", "{\"version\":1}"] {
            let (status, _) = bench.call(Method::PUT, "/api/v1/configuration", wrong).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        }
    }

    #[tokio::test]
    async fn channels_that_the_file_does_not_have_are_removed_and_new_ones_are_added() {
        let two = format!("{CONFIG}[[channel]]\nbackend = 'emulator'\n[device]\nmodel = 'nvr'\n");
        let bench = Bench::start(&two);
        let body = exported(&bench).await;
        let mut one = body.clone();
        one["file"]["values"].as_object_mut().unwrap().retain(|key, _| !key.contains(".1."));
        let (status, answer) = import(&bench, &one).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(text(&bench).matches("[[channel]]").count(), 1);
        let mut three = body.clone();
        three["version"] = answer["version"].clone();
        three["file"]["values"]["channel.2.backend"] = "emulator".into();
        let (status, answer) = import(&bench, &three).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let text = text(&bench);
        assert_eq!(text.matches("[[channel]]").count(), 3, "{text}");
        assert!(text.contains("wW2-canary-119"), "{text}");
    }

    #[tokio::test]
    async fn a_number_that_no_channel_has_is_refused() {
        let bench = Bench::start(CONFIG);
        let body = exported(&bench).await;
        let before = text(&bench);
        for number in ["256", "4294967295", "18446744073709551615"] {
            let mut wrong = body.clone();
            let key = format!("channel.{number}.main");
            wrong["file"]["values"][&key] = "a".into();
            let (status, answer) = import(&bench, &wrong).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
            assert_eq!((&answer["error"]["field"], text(&bench)), (&json!(key), before.clone()));
        }
        let mut far = body.clone();
        far["file"]["values"]["channel.255.backend"] = "emulator".into();
        let (status, answer) = import(&bench, &far).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    }

    #[tokio::test]
    async fn a_file_takes_no_saved_password_to_another_server() {
        let bench = Bench::start(&CONFIG.replace("u:zQ7canary552@", ""));
        let body = exported(&bench).await;
        let before = text(&bench);
        for (key, value, field) in [
            ("cloud.url", "ws://192.0.2.9/ivc", "cloud.login_passwd"),
            ("channel.0.main", "rtsp://192.0.2.9/a", "channel.0.password"),
        ] {
            let mut moved = body.clone();
            moved["file"]["values"][key] = value.into();
            let (status, answer) = import(&bench, &moved).await;
            let (code, named) = (&answer["error"]["code"], &answer["error"]["field"]);
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
            assert_eq!((code, named), (&json!("password_needed"), &json!(field)));
            assert_eq!(text(&bench), before);
        }
        let mut given = body.clone();
        given["file"]["values"]["channel.0.main"] = "rtsp://192.0.2.9/a".into();
        given["file"]["values"]["channel.0.password"] = "wW2-canary-119".into();
        assert_eq!(import(&bench, &given).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_blank_device_says_which_secrets_a_file_needs_and_takes_it_with_them() {
        let program = "[[channel]]\nbackend = 'emulator'\ncommand = ['sh', '-c', 'canary 5512 x']\n\
            [device]\nmodel = 'nvr'\n";
        let file = exported(&Bench::start(&format!("{CONFIG}{program}"))).await["file"].clone();
        let bench = Bench::start("[web]\nenable = true\n[device]\nmodel = 'nvr'\n");
        let version = exported(&bench).await["version"].clone();
        let mut body = json!({ "version": version, "file": file });
        let before = text(&bench);
        let (status, answer) = import(&bench, &body).await;
        let secrets = ["channel.0.main", "channel.0.password", "cloud.login_passwd"];
        assert_eq!(
            (status, &answer["needed"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(secrets))
        );
        assert_eq!(answer["error"]["code"], "secrets_needed");
        assert_eq!(text(&bench), before);

        for (key, value) in
            secrets.iter().zip(["rtsp://127.0.0.1:9/a", "wW2-canary-119", "kJ4-canary-881"])
        {
            body["file"]["values"][key] = value.into();
        }
        let (status, answer) = import(&bench, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(
            answer["kept"].as_array().unwrap().contains(&"channel.1.command".into()),
            "{answer}"
        );
        let text = text(&bench);
        assert!(text.contains("kJ4-canary-881") && text.contains("wW2-canary-119"), "{text}");

        // Who does not know the password of the cloud leaves the account out.
        let bench = Bench::start("[web]\nenable = true\n[device]\nmodel = 'nvr'\n");
        body["version"] = exported(&bench).await["version"].clone();
        let values = body["file"]["values"].as_object_mut().unwrap();
        values.retain(|key, _| !key.starts_with("cloud.") && key != "channel.0.password");
        body["file"]["left_out"] = json!([]);
        let (status, answer) = import(&bench, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    #[tokio::test]
    async fn a_file_names_no_file_of_the_device() {
        let two = format!("{CONFIG}[[channel]]\nbackend = 'emulator'\n[device]\nmodel = 'nvr'\n");
        let bench = Bench::start(&two);
        let mut body = exported(&bench).await;
        body["file"]["values"]["channel.1.main"] = "/dev/watchdog".into();
        body["file"]["values"]["web.https_key"] = "/dev/zero".into();
        let before = text(&bench);
        let (status, answer) = import(&bench, &body).await;
        assert_eq!((status, text(&bench)), (StatusCode::OK, before), "{answer}");
        assert_eq!(answer["kept"], json!(["channel.1.main", "web.https_key"]));
        body["version"] = answer["version"].clone();
        body["file"]["values"]["channel.0.backend"] = "emulator".into();
        body["file"]["values"]["channel.0.main"] = "/dev/watchdog".into();
        let (status, answer) = import(&bench, &body).await;
        assert!(status != StatusCode::OK || !text(&bench).contains("watchdog"), "{answer}");
    }

    #[tokio::test]
    async fn arguments_of_programs_are_left_out_and_go_with_their_emulator() {
        let program = "backend = 'emulator'\ncommand = ['sh', '-c', 'canary 5512 x']\n";
        let bench = Bench::start(&format!("[web]\nenable = true\n[[channel]]\n{program}"));
        let mut body = exported(&bench).await;
        assert!(!body.to_string().contains("canary"), "{body}");
        assert_eq!(body["file"]["left_out"], json!(["channel.0.command"]));
        let before = text(&bench);
        assert_eq!(import(&bench, &body).await.0, StatusCode::OK);
        assert_eq!(text(&bench), before, "it stays as it is");
        body["file"]["values"]["channel.0.backend"] = "rtsp".into();
        body["file"]["values"]["channel.0.main"] = "rtsp://127.0.0.1:9/a".into();
        let (status, answer) = import(&bench, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(!text(&bench).contains("canary"));
    }
}
