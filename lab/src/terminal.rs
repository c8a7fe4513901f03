//! What a program says to a person, and how a person ends it.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use ivt_sim::program::stopped;
use tokio::sync::watch;

use crate::report::{Outputs, Report};

/// The exit code after Ctrl-C, as shells tell it.
pub(crate) const STOPPED: u8 = 130;

/// Prints a line. A reader that has gone away, or a full disk, is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = ivt_base::say::say(line);
}

/// As [`say`], where mistakes are told.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes the reports of a run, and returns the exit code of the program: [`STOPPED`] where a person ended the run.
pub(crate) fn conclude(
    program: &str,
    report: &Report,
    outputs: &Outputs,
    was_stopped: bool,
) -> ExitCode {
    if let Err(error) = outputs.write(report) {
        complain(format_args!("{program}: {error}"));
        return ExitCode::FAILURE;
    }
    match was_stopped {
        true => ExitCode::from(STOPPED),
        false if report.passed() => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The outcome of `running`, and whether it was stopped by hand: Ctrl-C sets `stop`, and the outcome is waited for.
/// `None` where Ctrl-C is pressed again.
pub(crate) async fn until_told<T>(
    running: impl Future<Output = T>,
    stop: &watch::Sender<bool>,
) -> Option<(T, bool)> {
    tokio::pin!(running);
    // Signals are listened for before anything runs.
    let asked = asked_to_end();
    tokio::pin!(asked);
    tokio::select! {
        biased;
        () = &mut asked => {}
        outcome = &mut running => return Some((outcome, false)),
    }
    say(
        "stopping: what runs is ended, then the report is written; Ctrl-C again ends at once, without a report",
    );
    stop.send_replace(true);
    tokio::select! {
        outcome = running => Some((outcome, true)),
        () = asked_to_end() => None,
    }
}

/// Returns at Ctrl-C and its like; never where the system does not tell of signals.
async fn asked_to_end() {
    if stopped().await.is_err() {
        std::future::pending::<()>().await;
    }
}
