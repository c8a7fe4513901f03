//! The common part of the simulators' `main`.

use std::error::Error;
use std::process::ExitCode;

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
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
