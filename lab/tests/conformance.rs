//! The programs as a person runs them: what becomes of the report when nobody reads along, or Ctrl-C is pressed.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::fs::{File, read_to_string};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No program takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program of the two, with the words that let it begin anywhere, and wait so long for a device.
fn program(name: &str, seconds: u32, junit: &Path) -> Command {
    let (program, wait): (_, &[&str]) = match name {
        "ivc-sim" => (
            env!("CARGO_BIN_EXE_ivc-sim"),
            &["--login", "nobody", "--http=127.0.0.1:0", "--rtmp=127.0.0.1:0", "--login-wait"],
        ),
        _ => (env!("CARGO_BIN_EXE_tlss-sim"), &["--listen=127.0.0.1:0", "--wait"]),
    };
    let mut command = Command::new(program);
    command.arg("conformance").args(wait).arg(seconds.to_string()).arg("--junit").arg(junit);
    command
}

fn ended(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the program has not ended");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_disk_behind_the_progress_costs_no_report() {
    for (name, words) in [("ivc-sim", "no device logged in"), ("tlss-sim", "no call within")] {
        let folder = tempfile::tempdir().unwrap();
        let junit = folder.path().join("report.xml");
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let mut command = program(name, 1, &junit);
        let mut child = command.stdout(full()).stderr(full()).spawn().unwrap();
        assert_eq!(ended(&mut child).code(), Some(1), "{name}");
        let report = read_to_string(&junit).unwrap();
        assert!(report.contains(words), "{name}: {report}");
    }
}

#[test]
fn a_run_that_is_stopped_by_hand_writes_its_report() {
    for (name, ready) in [("ivc-sim", "waiting for"), ("tlss-sim", "devices")] {
        let folder = tempfile::tempdir().unwrap();
        let junit = folder.path().join("report.xml");
        let mut child = program(name, 600, &junit).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with(ready)));
        let kill = format!("kill -INT {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let said: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(ended(&mut child).code(), Some(130), "{name}: {said:?}");
        let report = read_to_string(&junit).unwrap();
        assert!(report.contains("stopped by hand"), "{name}: {report}");
    }
}

#[test]
fn the_cases_of_every_report_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("report.xml");
    let mut command = program("ivc-sim", 1, &junit);
    let output = command.args(["--only", "login.comes,run.end"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = read_to_string(&junit).unwrap();
    assert!(report.contains("login.comes") && report.contains("run.end"), "{report}");
    let list = program("ivc-sim", 1, &junit).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let ids: Vec<_> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(ids.starts_with(&["login.comes"]) && ids.ends_with(&["run.end"]), "{ids:?}");
}
