//! `ivt-agent`: arguments, configuration, logger, runtime.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::time::SystemTime;

use ivt_agent::arguments::{Arguments, USAGE};
use ivt_agent::config::{self, Config};
use ivt_agent::shutdown::Signals;
use ivt_agent::{Error, clock, logger};
use ivt_media::coalesce::Gather;
use tokio::runtime::{Builder, Runtime};

/// The command line or the configuration is wrong: starting again does not help.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let (file, check, access) = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Arguments::Config { file, check, access }) => (file, check, access),
        Ok(Arguments::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Arguments::Version) => {
            println!("ivt-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("ivt-agent: {e}\n\n{USAGE}");
            return ExitCode::from(WRONG);
        }
    };
    let config = match Config::load(&file, access) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("ivt-agent: {e}");
            return ExitCode::from(WRONG);
        }
    };
    if check {
        config.notes.iter().for_each(|note| eprintln!("{note}"));
        return match ivt_agent::check::check(&config) {
            Ok(()) => {
                println!("{}: good\n\n{}", file.display(), config.budget);
                ExitCode::SUCCESS
            }
            Err(e) => {
                eprintln!("ivt-agent: {e}");
                ExitCode::from(WRONG)
            }
        };
    }
    logger::init(config.log_level);
    config.notes.iter().for_each(|note| log::warn!("{note}"));
    match serve(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program ends other than by a signal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the runtime does not start: {0}")]
    Runtime(#[from] io::Error),
    #[error(transparent)]
    Agent(#[from] Error),
}

fn serve(config: &Config) -> Result<(), Failure> {
    let runtime = runtime(&config.runtime)?;
    log::info!("ivt-agent {}, {} channels", env!("CARGO_PKG_VERSION"), config.channels.len());
    if let Some(complaint) = clock::complaint(SystemTime::now()) {
        log::warn!("{complaint}");
    }
    let outcome = runtime.block_on(async {
        let signals = Signals::listen()?;
        Ok(ivt_agent::run(config, signals.first()).await?)
    });
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
    outcome
}

fn runtime(config: &config::Runtime) -> io::Result<Runtime> {
    let gather = config.read_batch.map_or(Gather::ByStreams, Gather::For);
    let mut builder = match config.worker_threads {
        0 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.enable_all().on_thread_park(move || gather.before_park()).build()
}
