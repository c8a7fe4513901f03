//! The program as its user meets it: command line, complaints and end.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
fn an_output_that_takes_nothing_is_told_and_a_reader_that_has_gone_is_no_failure() {
    let print = |to: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_ivt-agent")).arg("--help").stdout(to).output().unwrap()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = print(full.into());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("ivt-agent: the standard output: No space left"), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = print(writer.into());
    assert!(output.status.success(), "{}", text(&output.stderr));
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
    for option in
        ["--config", "--check-config", "--set", "--unset", "--allow-world-readable", "--version"]
    {
        assert!(help.contains(option), "{help}");
    }
    let wrong = agent(&["--frobnicate"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("--frobnicate"));
}

/// `--set` and `--unset` with a line of standard input.
fn change(file: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ivt-agent"))
        .args(["--config", file.to_str().expect("a plain path")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its standard input may have ended already.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).ok();
    child.wait_with_output().expect("it ends")
}

#[test]
fn settings_are_changed_and_what_they_need_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), GOOD, 0o600);
    let wishes = [
        "--set",
        "log.level=debug",
        "--set",
        "cloud.url=ws://h/",
        "--set",
        "publish.linger_seconds=9",
    ];
    let output = change(&file, &wishes, "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let name = file.display();
    let want = format!(
        "{name}: changed log.level, cloud.url, publish.linger_seconds\n\
         applies at once, on SIGHUP: log.level\n\
         needs a restart: cloud.url, publish.linger_seconds\n"
    );
    assert_eq!(text(&output.stdout), want);
    let changed = GOOD.replace("'ws://127.0.0.1:9/ivc'", "\"ws://h/\"")
        + "\n[log]\nlevel = \"debug\"\n\n[publish]\nlinger_seconds = 9\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), changed);

    let output = change(&file, &["--unset", "log.level"], "");
    assert!(text(&output.stdout).contains("changed log.level\napplies at once"), "{output:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), changed.replace("level = \"debug\"\n", ""));
    let again = change(&file, &["--set", "publish.linger_seconds=9"], "");
    assert_eq!(text(&again.stdout), "nothing was written: it is so already\n");
}

#[test]
fn a_password_is_read_from_standard_input_and_shown_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), GOOD, 0o600);
    let output = change(&file, &["--set", "cloud.login_passwd"], "1234 'canary-2'\nmore\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, GOOD.replace("'canary'", "\"1234 'canary-2'\""));
    assert!(!format!("{}{}", text(&output.stdout), text(&output.stderr)).contains("canary"));
}

#[test]
fn a_change_that_is_refused_is_refused_as_the_check_does_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), GOOD, 0o600);
    for (wish, line) in [
        ("cloud.login_cod=x", "login_cod = \"x\""),
        ("cloud.ca_file=missing.pem", "ca_file = \"missing.pem\""),
        ("cloud.hardware_model=[]", "hardware_model = []"),
    ] {
        let output = change(&file, &["--set", wish], "");
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(2), ""), "{wish}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), GOOD, "{wish}");
        let wrong = GOOD.replace("'canary'\n", &format!("'canary'\n{line}\n"));
        std::fs::write(&file, wrong).unwrap();
        let checked = check(&file);
        assert_eq!(text(&output.stderr), text(&checked.stderr), "{wish}");
        std::fs::write(&file, GOOD).unwrap();
    }
    for (wish, want) in [
        ("Log level=debug", "\"Log level\" is no name of a setting"),
        ("log.level=\"canary", "log.level: its value begins like TOML and is none"),
        ("channel.7.main=x", "there is no channel 7: the file has 1"),
    ] {
        let output = change(&file, &["--set", wish], "");
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(want), "{wish}: {said}");
        assert!(!said.contains("canary"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), GOOD, "{wish}");
    }
}

#[cfg(feature = "update")]
#[test]
fn a_firmware_is_judged_by_the_exit_status() {
    use minisign::KeyPair;

    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.img");
    std::fs::write(&image, b"firmware").unwrap();
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let sha256 = "25a56ed00d85b85d7e1c2d6ecd9cb1bcc63c01a67f0acd42eb0b8f0b1a9ab0d1";
    let comment = format!("model=m version=1 counter=1 size=8 sha256={sha256} expires=2099-01-01");
    let signed = minisign::sign(None, &pair.sk, &b"firmware"[..], Some(&comment), None).unwrap();
    let [image, key] = [image.display().to_string(), pair.pk.to_base64()];
    let verify = |key: &str| agent(&["firmware", "verify", &image, "--key", key]);
    let status = |output: &Output| (output.status.code(), text(&output.stdout));
    let (code, said) = status(&verify(&key));
    assert!(code == Some(1) && said.contains("not signed"), "{said}");
    std::fs::write(dir.path().join("a.img.minisig"), signed.to_string()).unwrap();
    let (code, said) = status(&verify(&key));
    assert!(code == Some(1) && said.contains("not those that were signed"), "another hash: {said}");
    let usage = verify("RWnonsense");
    assert_eq!(usage.status.code(), Some(2), "{}", text(&usage.stderr));
    let file =
        write(dir.path(), &format!("{GOOD}[firmware]\nkeys = ['{key}']\nmodel = 'm'\n"), 0o600);
    let file = file.display().to_string();
    let (code, _) = status(&agent(&["firmware", "verify", &image, "--config", &file]));
    assert_eq!(code, Some(1));
    let missing = agent(&["firmware", "verify", "/nonexistent", "--config", &file]);
    assert_eq!(missing.status.code(), Some(2));
    let right = comment.replace(sha256, &hex_of_firmware());
    let signed = minisign::sign(None, &pair.sk, &b"firmware"[..], Some(&right), None).unwrap();
    std::fs::write(dir.path().join("a.img.minisig"), signed.to_string()).unwrap();
    for output in [verify(&key), agent(&["firmware", "verify", &image, "--config", &file])] {
        let (code, said) = status(&output);
        assert!(code == Some(0) && said.contains("it would be installed"), "{said}");
    }
}

/// The SHA-256 of the image in the test above.
#[cfg(feature = "update")]
fn hex_of_firmware() -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(b"firmware").iter().map(|byte| format!("{byte:02x}")).collect()
}
