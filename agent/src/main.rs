//! `ivt-agent`: arguments, configuration, logger, runtime.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, BufRead as _, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use ivt_agent::arguments::{Arguments, Task, USAGE, Wish};
use ivt_agent::config::{self, Access, Config};
use ivt_agent::reload::Reload;
use ivt_agent::settings::{Change, Store};
use ivt_agent::shutdown::Signals;
use ivt_agent::{Error, build_date, logger, panics};
use ivt_base::process_group;
use ivt_base::say::say;
use ivt_media::coalesce::Gather;
use tokio::runtime::{Builder, Runtime};

/// Exit status for a wrong command line or configuration, where starting again does not help.
const WRONG: u8 = 2;

/// Most threads for what blocks: the disk, files, and names, which take six at most.
const BLOCKING_THREADS: usize = 16;

/// Longest value that is read from standard input, in bytes.
const LINE: u64 = 4096;

/// What Ctrl-C types where it ends nothing.
#[cfg(all(feature = "onvif", feature = "profiles"))]
const INTERRUPT: char = '\u{3}';

fn main() -> ExitCode {
    panics::install();
    let (file, task, access) = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Arguments::Config { file, task, access }) => (file, task, access),
        Ok(
            command @ (Arguments::ListProfiles
            | Arguments::ShowProfile(_)
            | Arguments::CheckProfile(_)),
        ) => {
            return profile(command);
        }
        Ok(
            command @ (Arguments::Discover
            | Arguments::ProbeAddress { .. }
            | Arguments::ProbeChannels { .. }),
        ) => {
            return probe(command);
        }
        Ok(Arguments::VerifyFirmware { image, keys, file, access }) => {
            return verify(&image, &keys, file.as_deref(), access);
        }
        Ok(Arguments::Help) => {
            return told(USAGE.concat());
        }
        Ok(Arguments::Version) => {
            return told(concat!("ivt-agent ", env!("CARGO_PKG_VERSION")));
        }
        Err(e) => {
            eprintln!("ivt-agent: {e}\n\n{}", USAGE.concat());
            return ExitCode::from(WRONG);
        }
    };
    let done = match task {
        Task::Check => check(&file, access),
        Task::Change(wishes) => change(Store::new(file, access), wishes),
        Task::Run => run(Store::new(file, access)),
    };
    done.err().unwrap_or(ExitCode::SUCCESS)
}

#[cfg(feature = "profiles")]
fn profile(command: Arguments) -> ExitCode {
    use ivt_agent::profile;
    let text = match command {
        Arguments::ShowProfile(name) => profile::show(&name),
        Arguments::CheckProfile(file) => profile::check(&file),
        _ => Ok(profile::list()),
    };
    match text {
        Ok(text) => told(text.trim_end()),
        Err(e) => wrong(e),
    }
}

#[cfg(not(feature = "profiles"))]
fn profile(_: Arguments) -> ExitCode {
    wrong("this program is built without profiles")
}

#[cfg(all(feature = "onvif", feature = "profiles"))]
fn probe(command: Arguments) -> ExitCode {
    use ivt_agent::probe::{self, Target};
    use ivt_hal::onvif::Search;
    let targets = match command {
        Arguments::ProbeAddress { address, username, input } => {
            let login = username.map(|username| {
                let password = password()?;
                Ok::<_, io::Error>(ivt_hal::Credentials { username, password })
            });
            let login = match login.transpose() {
                Ok(login) => login,
                Err(e) => return wrong(format!("the password: {e}")),
            };
            Target::at(&address, login, input).map(|target| vec![(String::new(), Some(target))])
        }
        Arguments::ProbeChannels { file, access, channel } => {
            let read = Config::load(&file, access).map_err(|e| e.to_string());
            read.and_then(|config| probe::channels(&config, channel))
        }
        _ => Ok(Vec::new()),
    };
    let targets = match targets {
        Ok(targets) => targets,
        Err(e) => return wrong(e),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return wrong(Failure::Runtime(e)),
    };
    // What cannot be printed is no reason to stop asking: the exit code has the outcome.
    let mut say = |text: &str| drop(say(text));
    let is_good = runtime.block_on(async {
        if targets.is_empty() {
            let found = probe::discover(&Search::default(), &mut say).await;
            return found.unwrap_or_else(|e| {
                eprintln!("ivt-agent: the search: {e}");
                false
            });
        }
        probe::all(targets, &mut say).await
    });
    runtime.shutdown_background();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The password from the environment, or a line of standard input.
#[cfg(all(feature = "onvif", feature = "profiles"))]
fn password() -> io::Result<String> {
    if let Ok(password) = std::env::var("IVT_CAMERA_PASSWORD") {
        return Ok(password);
    }
    eprint!("password of the camera: ");
    let unseen = ivt_agent::probe::Unseen::begin();
    let password = line();
    if unseen.is_some() {
        eprintln!();
    }
    match password {
        Ok(password) if password.contains(INTERRUPT) => Err(io::ErrorKind::Interrupted.into()),
        password => password,
    }
}

#[cfg(not(all(feature = "onvif", feature = "profiles")))]
fn probe(_: Arguments) -> ExitCode {
    wrong("this program is built without probe, which needs ONVIF and profiles")
}

/// Says what a device would say to a firmware.
#[cfg(feature = "update")]
fn verify(image: &Path, keys: &[String], file: Option<&Path>, access: Access) -> ExitCode {
    use ivt_agent::firmware::verify::Terms;
    let terms = match file {
        None => Terms::of_keys(keys),
        Some(file) => Config::load(file, access).map_err(|e| e.to_string()).and_then(|config| {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| Failure::Runtime(e).to_string())?;
            Ok(runtime.block_on(Terms::of_device(&config)))
        }),
    };
    let judged = terms.and_then(|terms| {
        terms.judge(image).map_err(|e| format!("{}: cannot be read: {e}", image.display()))
    });
    match judged {
        Ok((is_good, said)) => {
            let printed = told(said.trim_end());
            if is_good { printed } else { ExitCode::FAILURE }
        }
        Err(e) => wrong(e),
    }
}

#[cfg(not(feature = "update"))]
fn verify(_: &Path, _: &[String], _: Option<&Path>, _: Access) -> ExitCode {
    wrong("this program is built without firmware upgrades")
}

fn check(file: &Path, access: Access) -> Result<(), ExitCode> {
    let config = Config::load(file, access).map_err(wrong)?;
    config.notes.iter().for_each(|note| eprintln!("{note}"));
    ivt_agent::check::check(&config).map_err(wrong)?;
    let mut said = format!("{}: good\n\n{}", file.display(), config.budget);
    // The passwords of the configuration are known to the mask as long as it is there.
    let origins = config::origins(file, access).map_err(wrong)?;
    if !origins.is_empty() {
        said += &format!("\n\nin force:\n{}", origins.trim_end());
    }
    say(said).map_err(failed)
}

fn change(store: Store, wishes: Vec<Wish>) -> Result<(), ExitCode> {
    let mut changes = Vec::new();
    for wish in wishes {
        let change = match wish {
            Wish::Set(key, value) => Change::set(&key, value.expose()),
            Wish::Ask(key) => Change::text(&key, &line().map_err(wrong)?),
            Wish::Unset(key) => Change::unset(&key),
        };
        changes.push(change.map_err(wrong)?);
    }
    let changed = store.change(&changes, None).map_err(|e| {
        let status = wrong(&e);
        if e.is_wrong() { status } else { ExitCode::FAILURE }
    })?;
    changed.config.notes.iter().for_each(|note| eprintln!("{note}"));
    say(changed).map_err(failed)
}

/// Prints what a command was asked for.
fn told(text: impl Display) -> ExitCode {
    say(text).map_or_else(failed, |()| ExitCode::SUCCESS)
}

fn failed(error: io::Error) -> ExitCode {
    eprintln!("ivt-agent: {error}");
    ExitCode::FAILURE
}

/// Reads a line of standard input.
fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LINE).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn run(store: Store) -> Result<(), ExitCode> {
    let config = store.load().map_err(wrong)?;
    logger::init(config.log_level);
    config.notes.iter().for_each(|note| log::warn!("{note}"));
    // Now, as every thread is yet to come, and inherits what is entered here.
    #[cfg(feature = "sandbox")]
    let store = confine(&config, store)?;
    serve(&config, store).map_err(|e| {
        log::error!("{e}");
        ExitCode::FAILURE
    })
}

/// Gives up the rights that the configuration names none of. The store that is returned takes nothing that needs them.
#[cfg(feature = "sandbox")]
fn confine(config: &Config, store: Store) -> Result<Store, ExitCode> {
    let named = store.files().map_err(wrong)?;
    let confined = ivt_agent::sandbox::enter(config, named).map_err(|e| {
        log::error!("{e}");
        ExitCode::from(WRONG)
    })?;
    let Some(confined) = confined else { return Ok(store) };
    let store = store.confined(confined);
    if let Err(e) = store.load() {
        log::warn!("sandbox: the configuration cannot be read again: {e}");
    }
    Ok(store)
}

fn wrong(error: impl Display) -> ExitCode {
    eprintln!("ivt-agent: {error}");
    ExitCode::from(WRONG)
}

/// Why the program ends other than by a signal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the runtime does not start: {0}")]
    Runtime(#[from] io::Error),
    #[error(transparent)]
    Agent(#[from] Error),
}

fn serve(config: &Config, store: Store) -> Result<(), Failure> {
    let runtime = runtime(&config.runtime)?;
    log::info!("ivt-agent {}, {} channels", env!("CARGO_PKG_VERSION"), config.channels.len());
    if let Some(complaint) = build_date::complaint(SystemTime::now()) {
        log::warn!("{complaint}");
    }
    let outcome = runtime.block_on(async {
        let signals = Signals::listen()?;
        let reload = Reload::listen(store)?;
        let outcome = ivt_agent::run(config, Some(reload), signals.first()).await;
        process_group::end_all().await;
        Ok(outcome?)
    });
    // A name lookup without an answer must not delay the end of the program.
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
    builder.max_blocking_threads(BLOCKING_THREADS);
    builder.enable_all().on_thread_park(move || gather.before_park()).build()
}
