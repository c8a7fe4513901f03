use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hyper::Method;
use tokio::time::timeout;

use super::*;
use crate::reload::News;
use crate::web::testing::Bench;

const PAGE: &str = "# by hand\n[web]\nenable = true\n";
const CAMERA: &str = "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://admin:Canary.1@127.0.0.1:9/a'\n\
                      username = 'admin'\npassword = 'Canary.2'\n";

async fn seen(bench: &Bench) -> Value {
    let (status, seen) = bench.call(Method::GET, "/api/v1/settings", "").await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    seen
}

async fn put(bench: &Bench, version: &Value, changes: Value) -> (StatusCode, Value) {
    let body = json!({ "version": version, "changes": changes }).to_string();
    bench.call(Method::PUT, "/api/v1/settings", &body).await
}

/// Changes what was seen right before.
async fn set(bench: &Bench, changes: Value) -> (StatusCode, Value) {
    put(bench, &seen(bench).await["version"], changes).await
}

async fn news(bench: &mut Bench) -> News {
    timeout(Duration::from_secs(20), bench.reload.next()).await.expect("it is asked for")
}

fn text(bench: &Bench) -> String {
    fs::read_to_string(bench.folder.path().join("ivt.toml")).unwrap()
}

#[tokio::test]
async fn what_the_file_says_is_shown_without_its_secrets() {
    let bench = Bench::start(&format!("{PAGE}{CAMERA}"));
    let seen = seen(&bench).await;
    assert!(!seen.to_string().contains("Canary"), "{seen}");
    assert_eq!(seen["values"]["channel.0.username"], "admin");
    assert_eq!(seen["values"]["channel.0.main"], Value::Null);
    assert_eq!(seen["hints"]["channel.0.main"], "rtsp://***@127.0.0.1:9/a");
    let secrets = json!({
        "channel.0.main": true, "channel.0.password": true, "cloud.login_passwd": false,
    });
    assert_eq!(seen["secrets"], secrets);
    assert_eq!(seen["defaults"]["tlss.interval_minutes"], 60);
    assert_eq!(seen["problem"], Value::Null);
}

#[tokio::test]
async fn a_change_is_written_and_applied_at_once_where_it_can_be() {
    let mut bench = Bench::start(PAGE);
    let (status, done) =
        set(&bench, json!({ "log.level": "debug", "cloud.allow_hosts": ["a.b"] })).await;
    assert_eq!((status, &done["restarted"]), (StatusCode::OK, &json!(false)), "{done}");
    assert_eq!(done["applied"], json!(["cloud.allow_hosts", "log.level"]));
    let written = text(&bench);
    assert!(written.starts_with(PAGE) && written.contains("level = \"debug\""), "{written}");
    assert!(!news(&mut bench).await.restart);
    assert_eq!(seen(&bench).await["version"], done["version"]);
    let (status, done) = set(&bench, json!({ "log.level": null })).await;
    assert_eq!((status, &done["applied"]), (StatusCode::OK, &json!(["log.level"])));
    assert!(!text(&bench).contains("debug"));
}

#[tokio::test]
async fn a_change_that_needs_a_restart_restarts_the_agent() {
    let mut bench = Bench::start(PAGE);
    let login = json!({
        "cloud.url": "ws://127.0.0.1:9/ivc", "cloud.login_code": "c", "cloud.login_passwd": "Canary.3",
    });
    let (status, done) = set(&bench, login).await;
    assert_eq!((status, &done["restarted"]), (StatusCode::OK, &json!(true)), "{done}");
    let news = news(&mut bench).await;
    assert!(news.restart && news.config.cloud.account.is_some());
    let seen = seen(&bench).await;
    assert_eq!(seen["secrets"]["cloud.login_passwd"], true);
    assert!(!seen.to_string().contains("Canary"));
}

#[tokio::test]
async fn what_is_set_already_changes_nothing() {
    let mut bench = Bench::start(PAGE);
    let version = seen(&bench).await["version"].clone();
    let (status, done) = put(&bench, &version, json!({})).await;
    assert_eq!(
        (status, &done["version"], &done["applied"]),
        (StatusCode::OK, &version, &json!([]))
    );
    assert!(timeout(Duration::from_millis(50), bench.reload.next()).await.is_err());
}

#[tokio::test]
async fn text_is_text_whatever_it_looks_like() {
    let bench = Bench::start(PAGE);
    for model in ["true", "12", "a\"b\\c", "[x]", "门口"] {
        let (status, done) = set(&bench, json!({ "cloud.hardware_model": model })).await;
        assert_eq!(status, StatusCode::OK, "{done}");
        assert_eq!(seen(&bench).await["values"]["cloud.hardware_model"], *model);
    }
}

#[tokio::test]
async fn the_second_technician_is_told_what_the_first_one_changed() {
    let bench = Bench::start(&format!("{PAGE}{CAMERA}"));
    let version = seen(&bench).await["version"].clone();
    let first = json!({ "log.level": "debug", "channel.0.password": "Canary.4" });
    assert_eq!(put(&bench, &version, first).await.0, StatusCode::OK);
    let (status, told) = put(&bench, &version, json!({ "publish.retry_seconds": 5 })).await;
    assert_eq!((status, &told["error"]["code"]), (StatusCode::CONFLICT, &json!("outdated")));
    assert_eq!(told["changed"], json!(["channel.0.password", "log.level"]));
    assert_eq!(told["values"]["log.level"], "debug");
    assert!(!told.to_string().contains("Canary"), "{told}");
    assert!(!text(&bench).contains("retry_seconds"));
    let (status, _) = put(&bench, &told["version"], json!({ "publish.retry_seconds": 5 })).await;
    assert_eq!(status, StatusCode::OK, "who was told may go on");
}

#[tokio::test]
async fn an_editor_counts_as_a_technician() {
    let bench = Bench::start(PAGE);
    let version = seen(&bench).await["version"].clone();
    fs::write(bench.folder.path().join("ivt.toml"), format!("{PAGE}[log]\nlevel = 'warn'\n"))
        .unwrap();
    let (status, told) = put(&bench, &version, json!({ "log.level": "debug" })).await;
    assert_eq!((status, &told["changed"]), (StatusCode::CONFLICT, &json!(["log.level"])));
    let (status, told) = put(&bench, &json!("long ago"), json!({ "log.level": "debug" })).await;
    assert_eq!((status, &told["changed"]), (StatusCode::CONFLICT, &Value::Null));
}

#[tokio::test]
async fn a_wrong_value_is_named_and_nothing_is_written() {
    let bench = Bench::start(&format!("{PAGE}{CAMERA}"));
    let before = text(&bench);
    for (changes, field) in [
        (json!({ "tlss.enable": true, "tlss.port": 8000 }), "tlss.server"),
        (json!({ "tlss.interval_minutes": 0 }), "tlss.interval_minutes"),
        (json!({ "log.level": "loud", "publish.retry_seconds": 1 }), "log.level"),
        (json!({ "channel.0.main": "http://h" }), "channel.0.main"),
        (json!({ "channel.0.main": null }), "channel.0.main"),
        (json!({ "cloud.url": "ws://u:Canary.5@h/" }), "cloud.url"),
        (json!({ "cloud.url": "ws://h/" }), "cloud.login_code"),
        (json!({ "channel.7.main": "rtsp://h" }), "channel.7.main"),
        (json!({ "log.level": 1.5 }), "log.level"),
        (json!({ "log.level": {} }), "log.level"),
        (json!([]), "changes"),
        (json!({ "no name": 1 }), "changes"),
    ] {
        let (status, error) = set(&bench, changes.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{changes}: {error}");
        assert_eq!(
            (&error["error"]["code"], &error["error"]["field"]),
            (&json!("invalid"), &json!(field))
        );
        assert!(!error.to_string().contains("Canary"), "{error}");
    }
    for body in ["", "[]", "null", "{", "{\"changes\": {}}", "{\"version\": 1, \"changes\": {}}"] {
        let status = bench.call(Method::PUT, "/api/v1/settings", body).await.0;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    assert_eq!(text(&bench), before);
}

#[tokio::test]
async fn programs_are_never_set_from_the_page() {
    let bench = Bench::start(&format!("{PAGE}{CAMERA}"));
    for (key, value) in [
        ("channel.0.command", json!(["sh"])),
        ("firmware.install", json!(["sh", "{image}"])),
        ("web.enable", json!(false)),
        ("credentials", json!("x.toml")),
        ("runtime.watchdog", json!("/dev/sda")),
        ("cloud.ca_file", json!("/etc/passwd")),
        ("web.https_certificate", json!("/dev/zero")),
        ("web.https_key", json!("/dev/zero")),
    ] {
        let (status, error) = set(&bench, json!({ key: value })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{key}");
        assert_eq!(
            (&error["error"]["code"], &error["error"]["field"]),
            (&json!("not_settable"), &json!(key))
        );
    }
}

#[tokio::test]
async fn an_emulator_streams_no_file_of_the_pages_choice() {
    let clip = tempfile::NamedTempFile::new().unwrap();
    let clip = clip.path().display();
    let bench = Bench::start(&format!(
        "{PAGE}[device]\nmodel = 'nvr'\n{CAMERA}[[channel]]\nbackend = 'emulator'\nmain = '{clip}'\n"
    ));
    let before = text(&bench);
    for (changes, field) in [
        (json!({ "channel.1.main": "/dev/watchdog" }), "channel.1.main"),
        (json!({ "channel.1.sub": clip.to_string() }), "channel.1.sub"),
        (
            json!({ "channel.0.backend": "emulator", "channel.0.main": "/dev/zero" }),
            "channel.0.main",
        ),
        (
            json!({ "channel.2.backend": ["emulator"], "channel.2.main": "/dev/zero" }),
            "channel.2.main",
        ),
    ] {
        let (status, error) = set(&bench, changes).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{error}");
        let (code, named) = (&error["error"]["code"], &error["error"]["field"]);
        assert_eq!((code, named), (&json!("not_settable"), &json!(field)));
    }
    assert_eq!(text(&bench), before);
    let same = json!({ "channel.1.main": clip.to_string(), "channel.1.bitrate": 1000 });
    assert_eq!(
        set(&bench, same).await.0,
        StatusCode::OK,
        "what is there already may be said again"
    );
    assert_eq!(set(&bench, json!({ "channel.1.main": null })).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_saved_password_is_told_to_no_other_server() {
    let cloud =
        "[cloud]\nurl = 'ws://127.0.0.1:9/ivc'\nlogin_code = 'c'\nlogin_passwd = 'Canary.6'\n";
    let bench = Bench::start(&format!("{PAGE}{cloud}{CAMERA}"));
    let before = text(&bench);
    for (changes, field) in [
        (json!({ "cloud.url": "ws://192.0.2.9/ivc" }), "cloud.login_passwd"),
        (json!({ "cloud.url": "ws://127.0.0.1:10/ivc" }), "cloud.login_passwd"),
        (json!({ "channel.0.main": "rtsp://192.0.2.9/a" }), "channel.0.password"),
        (json!({ "channel.0.web": "http://192.0.2.9" }), "channel.0.password"),
    ] {
        let (status, error) = set(&bench, changes.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{changes}: {error}");
        let (code, named) = (&error["error"]["code"], &error["error"]["field"]);
        assert_eq!((code, named), (&json!("password_needed"), &json!(field)), "{changes}");
    }
    assert_eq!(text(&bench), before);
    for changes in [
        json!({ "cloud.url": "ws://127.0.0.1:9/other" }),
        json!({ "cloud.url": "ws://127.0.0.1:10/ivc", "cloud.login_passwd": "Canary.6" }),
        json!({ "channel.0.web": "http://127.0.0.1:9" }),
        json!({ "channel.0.main": "rtsp://127.0.0.2/a", "channel.0.password": null }),
        json!({ "channel.0.main": "rtsp://127.0.0.3/a" }),
    ] {
        let (status, answer) = set(&bench, changes.clone()).await;
        assert_eq!(status, StatusCode::OK, "{changes}: {answer}");
    }
}

#[tokio::test]
async fn a_channel_that_no_configuration_has_is_refused() {
    let bench = Bench::start(PAGE);
    let [main, apart] = ["ivt.toml", "apart.toml"].map(|name| bench.folder.path().join(name));
    fs::write(apart, "").unwrap();
    fs::write(main, format!("credentials = 'apart.toml'\n{PAGE}")).unwrap();
    for number in ["256", "4294967295", "18446744073709551615", "99999999999999999999"] {
        for name in ["main", "password"] {
            let (status, error) =
                set(&bench, json!({ format!("channel.{number}.{name}"): "a" })).await;
            let field = &error["error"]["field"];
            assert_eq!((status, field), (StatusCode::UNPROCESSABLE_ENTITY, &json!("changes")));
        }
    }
}

#[tokio::test]
async fn a_file_that_was_broken_by_hand_is_said_and_can_be_mended_here() {
    let bench = Bench::start(PAGE);
    let file = bench.folder.path().join("ivt.toml");
    fs::write(&file, format!("{PAGE}[log]\nlevel = 'loud'\n")).unwrap();
    let shown = seen(&bench).await;
    assert!(shown["problem"].as_str().unwrap().contains("log.level"), "{shown}");
    let (status, done) = set(&bench, json!({ "log.level": "warn" })).await;
    assert_eq!((status, &done["restarted"]), (StatusCode::OK, &json!(true)), "{done}");
    fs::write(&file, "[web\n").unwrap();
    let (status, error) = bench.call(Method::GET, "/api/v1/settings", "").await;
    let code = &error["error"]["code"];
    assert_eq!((status, code), (StatusCode::SERVICE_UNAVAILABLE, &json!("unreadable")));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_said() {
    let bench = Bench::start(PAGE);
    let version = seen(&bench).await["version"].clone();
    // The draft's place is taken by what cannot be removed as a file: also root cannot write then.
    let draft = bench.folder.path().join(".ivt.toml.new");
    fs::create_dir(&draft).unwrap();
    let (status, error) = put(&bench, &version, json!({ "log.level": "debug" })).await;
    let code = &error["error"]["code"];
    assert_eq!((status, code), (StatusCode::SERVICE_UNAVAILABLE, &json!("not_written")), "{error}");
    assert_eq!(text(&bench), PAGE);
    fs::remove_dir(&draft).unwrap();
    assert_eq!(put(&bench, &version, json!({ "log.level": "debug" })).await.0, StatusCode::OK);
    let mode = bench.folder.path().join("ivt.toml").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
}
