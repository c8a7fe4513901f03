//! Files of a newer version: what is understood works, the rest is told of.

use std::os::unix::fs::OpenOptionsExt as _;

use super::*;
use crate::backend::Backend;

const CLOUD: &str = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'canary'\n";
const CAMERA: &str = "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\n";

fn newer(text: &str) -> Result<Config, Error> {
    format!("version = 2\n{text}").parse()
}

fn error(text: &str) -> String {
    newer(text).expect_err("it cannot be understood").to_string()
}

/// The notes after the first, which is about the version.
fn notes(config: &Config) -> Vec<&str> {
    let [first, rest @ ..] = &config.notes[..] else { panic!("no notes") };
    assert!(
        first.starts_with("configuration:1: version 2 is newer than this program's, 1: "),
        "{first}"
    );
    rest.iter().map(String::as_str).collect()
}

#[test]
fn what_a_newer_program_knows_is_left_out_with_a_note_each() {
    let text = format!(
        "shiny = 1\n{CLOUD}proxy = 'p'\n{CAMERA}quality = {{ uhd = 'main' }}\ndewarp = true\n\
         [[overlay]]\nx = 1\n[[overlay]]\nx = 2\n[log]\nlevel = 'warn'\n"
    );
    let config = newer(&text).unwrap();
    assert_eq!(config.log_level, LevelFilter::Warn, "what is known counts");
    let notes = notes(&config);
    for want in [
        "configuration:7: unknown key \"proxy\" in cloud; ",
        "configuration:11: unknown key \"uhd\" in channel.quality; ",
        "configuration:12: unknown key \"dewarp\" in channel; ",
        "configuration:2: unknown key \"shiny\" at the top level; ",
        "configuration:13: unknown key \"overlay\" at the top level; ",
    ] {
        let fitting = notes.iter().filter(|note| note.starts_with(want)).count();
        assert_eq!(fitting, 1, "{want}: {notes:#?}");
    }
    assert_eq!(notes.len(), 5, "{notes:#?}");
    assert!(notes.iter().all(|note| note.ends_with(": it is left out")), "{notes:#?}");
}

#[test]
fn a_value_that_is_not_understood_is_the_default() {
    let text = format!(
        "{CLOUD}hardware_model = ['a', 'b']\n{CAMERA}transport = 'quic'\nweb = 'https://h'\n\
         web_cgi = false\n[publish]\nretry_seconds = 'for ever'\n[record]\nspool_dir = ['/a', '/b']\n\
         spool = 'always'\n[log]\nlevel = {{ default = 'info' }}\n"
    );
    let config = newer(&text).unwrap();
    let old: Config = format!("{CLOUD}{CAMERA}").parse().unwrap();
    assert_eq!(Config { notes: Vec::new(), ..config.clone() }, old);
    let notes = notes(&config);
    assert!(notes[0].starts_with("configuration:6: cloud.hardware_model must be "), "{notes:#?}");
    assert!(notes[0].ends_with(": the default is taken"), "{notes:#?}");
    assert_eq!(notes.len(), 8, "web_cgi without web, and spool without spool_dir: {notes:#?}");
}

#[test]
fn what_is_required_is_refused_as_ever() {
    for (text, want) in [
        (CLOUD.replace("'ws://h/ivc'", "'quic://h'") + CAMERA, "configuration:3: cloud.url must"),
        (CLOUD.replace("login_code", "login_name") + CAMERA, "login_code"),
        (CLOUD.replace("'canary'", "{ file = 'x' }") + CAMERA, ":5: cloud.login_passwd must be"),
        (format!("{CLOUD}ca_file = ['a']\n{CAMERA}"), ":6: cloud.ca_file must be"),
        (CLOUD.to_owned(), "no channel"),
        (format!("{CLOUD}{CAMERA}").replace("[[channel]]", "[channel]"), "[[channel]]"),
    ] {
        let error = error(&text);
        assert!(error.contains(want) && !error.contains("canary"), "want {want}, got {error}");
    }
}

#[test]
fn a_channel_that_is_not_understood_keeps_its_number_and_is_never_there() {
    let text = format!(
        "{CLOUD}[device]\nmodel = 'nvr'\n{CAMERA}[[channel]]\nbackend = 'quantum'\naddress = 'h'\n\
         [[channel]]\nbackend = 'rtsp'\nmain = {{ host = 'h' }}\n[[channel]]\nbackend = 'emulator'\n\
         main = ['a.flv']\n{CAMERA}"
    );
    let config = newer(&text).unwrap();
    let known: Vec<_> =
        config.channels.iter().map(|channel| channel.backend != Backend::unknown()).collect();
    assert_eq!(known, [true, false, false, false, true]);
    let notes = notes(&config);
    assert!(notes[0].starts_with("configuration:12: channel.backend must be "), "{notes:#?}");
    assert!(notes.iter().all(|note| note.ends_with(": the channel cannot be reached")));

    let text = format!("{CLOUD}[device]\nmodel = 'encoder'\n{CAMERA}{CAMERA}");
    assert_eq!(newer(&text).unwrap().channels.len(), 2, "no channel is lost with the model");
}

#[test]
fn what_guards_the_hosted_service_is_not_guessed() {
    let tlss = |keys: &str| {
        newer(&format!("{CLOUD}{CAMERA}[tlss]\nenable = true\nserver = 'h'\nport = 1\n{keys}"))
    };
    assert!(tlss("color = 'red'").unwrap().tlss.is_some());
    for keys in ["tls = '1.3'", "profile = ['a']", "mac = 'auto'"] {
        let config = tlss(keys).unwrap();
        assert_eq!(config.tlss, None, "{keys}");
        let notes = notes(&config);
        assert!(notes[0].ends_with(": the hosted service stays off"), "{notes:#?}");
    }
    assert!(tlss("write = 'all'").unwrap().tlss.unwrap().write.is_empty());
}

#[test]
fn nothing_changes_with_the_version_of_this_program() {
    let text = format!("{CLOUD}{CAMERA}");
    let plain: Config = text.parse().unwrap();
    let same: Config = format!("version = 1\n{text}").parse().unwrap();
    assert!(same.notes.is_empty());
    assert_eq!(same, plain);
    for wrong in
        ["version = 0", "version = '2'", "version = 1.5", "version = -1", "version = 1\nx = 1"]
    {
        let error = format!("{wrong}\n{text}").parse::<Config>().unwrap_err().to_string();
        let want =
            if wrong.contains('x') { "unknown key \"x\"" } else { "version must be a whole" };
        assert!(error.contains(want), "{wrong}: {error}");
    }
}

#[test]
fn a_credentials_file_has_a_version_of_its_own() {
    let load = |version: &str| {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            use std::io::Write as _;
            let path = dir.path().join(name);
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            path
        };
        write(
            "secret.toml",
            &format!("{version}{CLOUD}").replace("url = 'ws://h/ivc'", "token = 't'"),
        );
        let main = write(
            "agent.toml",
            &format!("credentials = 'secret.toml'\n[cloud]\nurl = 'ws://h/ivc'\n{CAMERA}"),
        );
        Config::load(&main, Access::Private)
    };
    let config = load("version = 7\n").unwrap();
    assert_eq!(config.cloud.account.unwrap().login_passwd.expose(), "canary");
    let [version, token] = &config.notes[..] else { panic!("{:?}", config.notes) };
    assert!(version.contains("secret.toml:1: version 7 is newer"), "{version}");
    assert!(token.contains("secret.toml:3: unknown key \"token\" in cloud"), "{token}");
    assert!(load("").unwrap_err().to_string().contains("secret.toml:2: unknown key \"token\""));
}

#[test]
fn a_memory_limit_that_is_too_small_is_the_usual_one() {
    let config = newer(&format!("{CLOUD}{CAMERA}[runtime]\nmemory_limit = 2097152\n")).unwrap();
    assert_eq!(config.budget.limit, 40 << 20);
    let [note] = &notes(&config)[..] else { panic!("one note") };
    assert!(note.ends_with("the usual limit is taken"), "{note}");
}
