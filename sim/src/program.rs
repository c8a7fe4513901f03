//! The common part of the simulators' `main`.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use ivt_base::process_group;
use ivt_base::say::say;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ArgsError;

/// Starts the log and runs the command of the command line; without a command (`None`) prints `help`.
pub async fn main<C, R>(
    name: &str,
    help: &str,
    command: Result<Option<C>, ArgsError>,
    run: impl FnOnce(C) -> R,
) -> ExitCode
where
    R: Future<Output = Result<(), Box<dyn Error>>>,
{
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let outcome = match command {
        Ok(Some(command)) => run(command).await,
        Ok(None) => say(help.trim_end()).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    process_group::end_all().await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns when the program is asked to end: by Ctrl-C, by SIGTERM as service managers do, or by the end of its terminal,
/// unless it was started to outlast that (`nohup`).
///
/// # Errors
/// The system does not tell of signals.
pub async fn stopped() -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = match outlasts_terminal() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = term.recv() => Ok(()),
        _ = hung_up => Ok(()),
    }
}

/// Whether the program was started with SIGHUP ignored.
fn outlasts_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
