//! The program as its user meets it: command line, complaints and end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GOOD: &str = "\
[cloud]
url = 'ws://127.0.0.1:9/ivc'
login_code = 'cam1'
login_passwd = 'canary'

[[channel]]
backend = 'emulator'
";

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ivt-agent"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the program starts")
}

fn check(file: &Path) -> Output {
    agent(&["--check-config", "--config", file.to_str().expect("a plain path")])
}

fn write(dir: &Path, text: &str, mode: u32) -> PathBuf {
    let path = dir.join("agent.toml");
    std::fs::write(&path, text).expect("a temporary file");
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, permissions).expect("our own file");
    path
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_good_configuration_is_called_good() {
    let dir = tempfile::tempdir().unwrap();
    let output = check(&write(dir.path(), GOOD, 0o600));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("agent.toml: good"), "{said}");
    assert!(said.contains(" MiB  recordings; ") && said.contains("40.00 MiB"), "{said}");
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_with_file_and_line() {
    for (wrong, want) in [
        (GOOD.replace("login_code", "login_cod"), "agent.toml:3: unknown key \"login_cod\""),
        (GOOD.replace("ws://", "https://"), "agent.toml:2: cloud.url must be ws://"),
        (GOOD.replace("[[channel]]", "[[channel"), "agent.toml:6: "),
        (format!("{GOOD}[[channel]]\nbackend = 'emulator'\n"), "agent.toml:8: a camera has"),
        (format!("{GOOD}ring_bytes = 1\n"), "agent.toml:8: channel.ring_bytes"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = check(&write(dir.path(), &wrong, 0o600));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(want), "want {want}\ngot  {complaint}");
        assert!(!complaint.contains("canary"), "{complaint}");
    }
}

#[test]
fn what_memory_does_not_hold_is_refused_at_the_start_with_the_sum() {
    let dir = tempfile::tempdir().unwrap();
    let tight = format!("{GOOD}[runtime]\nmemory_limit = 8388608\n");
    let file = write(dir.path(), &tight, 0o600);
    for output in [check(&file), agent(&["--config", file.to_str().expect("a plain path")])] {
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        for want in [
            "agent.toml:8: runtime.memory_limit is 8.00 MiB",
            "6.00 MiB  the program",
            "in all\nset runtime.memory_limit to ",
        ] {
            assert!(complaint.contains(want), "want {want}\ngot  {complaint}");
        }
    }
}

#[test]
fn a_newer_configuration_is_good_and_says_what_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let newer = format!("version = 2\n{GOOD}shiny = true\n");
    let output = check(&write(dir.path(), &newer, 0o600));
    let notes = text(&output.stderr);
    assert!(output.status.success(), "{notes}");
    assert!(text(&output.stdout).contains("agent.toml: good"));
    for want in ["agent.toml:1: version 2 is newer", "agent.toml:9: unknown key \"shiny\""] {
        assert!(notes.contains(want), "want {want}\ngot  {notes}");
    }
}

#[test]
fn files_that_a_configuration_names_are_opened_by_its_check() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("garbage.pem"), "no certificate").unwrap();
    let with_ca = |file: &str| GOOD.replace("[[ch", &format!("ca_file = '{file}'\n[[ch"));
    for (wrong, want) in [
        (with_ca("missing.pem"), "missing.pem: "),
        (with_ca("garbage.pem"), "garbage.pem: expected PEM certificates"),
        (format!("{GOOD}main = 'missing.flv'\n"), "missing.flv: cannot be read: No such file"),
        (format!("{GOOD}sub = 'gone.flv'\n"), "gone.flv: cannot be read: No such file"),
    ] {
        let output = check(&write(dir.path(), &wrong, 0o600));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(want), "want {want}\ngot  {complaint}");
    }
    std::fs::write(dir.path().join("clip.flv"), "").unwrap();
    let output = check(&write(dir.path(), &format!("{GOOD}main = 'clip.flv'\n"), 0o600));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_world_readable_configuration_is_refused_unless_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), GOOD, 0o644);
    let output = check(&path);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("chmod 600"), "{}", text(&output.stderr));
    let file = path.to_str().unwrap();
    let output = agent(&["--check-config", "--allow-world-readable", "--config", file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_missing_file_is_named() {
    let output = agent(&["--config", "/nonexistent/agent.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nonexistent/agent.toml: cannot be read"));
}

#[test]
fn version_and_help_are_printed() {
    let version = agent(&["--version"]);
    assert_eq!(text(&version.stdout), format!("ivt-agent {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&agent(&["--help"]).stdout);
    for option in ["--config", "--check-config", "--allow-world-readable", "--version"] {
        assert!(help.contains(option), "{help}");
    }
    let wrong = agent(&["--frobnicate"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("--frobnicate"));
}
