//! The common part of the simulators' `main`.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use ivt_base::process_group;
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
        Ok(None) => {
            print!("{help}");
            Ok(())
        }
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

/// Returns when the program is asked to end: by Ctrl-C, or by SIGTERM as service managers do.
///
/// # Errors
/// The system does not tell of signals.
pub async fn stopped() -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = term.recv() => Ok(()),
    }
}
