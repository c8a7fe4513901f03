//! `ivc-sim run`: the command line.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivt_base::process_group::end_all;
use ivt_base::wall_time::WallTime;
use ivt_sim::args::{Args, ArgsError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fields::time;
use super::format::{Scenario, tell_apart};
use super::read::read;
use super::run::{case, run};
use super::stage::{Setting, beside};
use crate::login::code_and_password;
use crate::report::{Case, Outputs, Report, summary};
use crate::terminal::{STOPPED, complain, conclude, say, until_told};

const HELP: &str = "\
ivc-sim run: runs scenarios, which are described in docs/scenarios.md

Usage: ivc-sim run FILE... [--agent PATH] [--jobs N]

  FILE                    a scenario, or a folder of scenarios (*.toml)
  --agent PATH            the program of the agent     [ivt-agent beside
                          this program, else in PATH]
  --login CODE            wait for somebody else's device with this login
                          code, in the place of the agent. With
                          CODE:PASSWORD, it needs that password
  --http ADDR:PORT        where devices connect        [127.0.0.1, a free port]
  --rtmp ADDR:PORT        where streams are published  [127.0.0.1, a free port]
  --jobs N                how many run at a time       [1]
  --patience TIME         wait for anything so long at most, such as 5s
  --doubt                 change each expectation that was met in each of
                          its places: whatever does not fail then, fails
  --check                 only read the files, and say what is wrong
  --verbose               name each step as it begins
";

/// Most scenarios that run at a time.
const MAX_JOBS: usize = 64;

struct Command {
    files: Vec<PathBuf>,
    setting: Setting,
    jobs: usize,
    check: bool,
    verbose: bool,
    outputs: Outputs,
}

/// Runs the scenarios that the words of a command line name. The exit code is 0 when all passed, 1 when not, 2 when
/// the command line or a file is wrong, and 130 when the run was stopped by hand.
pub async fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let command = match parse(words) {
        Ok(Some(command)) => command,
        Ok(None) => {
            say(format!("{HELP}{}", Outputs::HELP).trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("ivc-sim run: {error}");
            return ExitCode::from(2);
        }
    };
    let (scenarios, wrong): (Vec<_>, Vec<_>) =
        command.files.iter().map(|file| read(file)).partition(Result::is_ok);
    let mut scenarios: Vec<Scenario> = scenarios.into_iter().flatten().collect();
    tell_apart(&mut scenarios);
    wrong.iter().filter_map(|result| result.as_ref().err()).for_each(|error| eprintln!("{error}"));
    if !wrong.is_empty() {
        return ExitCode::from(2);
    }
    if command.check {
        say(format_args!("{} scenarios are well written", scenarios.len()));
        return ExitCode::SUCCESS;
    }
    let read = command.files.iter().chain([&command.setting.agent]).map(PathBuf::as_path);
    if let Err(error) = command.outputs.check().and_then(|()| command.outputs.spare(read)) {
        eprintln!("ivc-sim run: {error}");
        return ExitCode::from(2);
    }
    let (stop, stopping) = watch::channel(false);
    let outcome = until_told(run_all(scenarios, &command, stopping), &stop).await;
    end_all().await;
    let Some((report, was_stopped)) = outcome else {
        complain("ivc-sim run: stopped; no report is written");
        return ExitCode::from(STOPPED);
    };
    say(summary(&report).trim_end());
    conclude("ivc-sim run", &report, &command.outputs, was_stopped)
}

async fn run_all(
    scenarios: Vec<Scenario>,
    command: &Command,
    stopping: watch::Receiver<bool>,
) -> Report {
    let began = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let started = WallTime::from_seconds(now).map_or_else(String::new, |time| format!("{time}Z"));
    let unknown = |scenario: &Scenario| {
        let reason = "it broke off by a mistake of the runner, which the lines above tell".into();
        Case { reason, ..case(scenario) }
    };
    let mut cases: Vec<Case> = scenarios.iter().map(unknown).collect();
    let mut waiting: VecDeque<_> = scenarios.into_iter().enumerate().collect();
    let mut running = JoinSet::new();
    loop {
        while running.len() < command.jobs
            && let Some((number, scenario)) = waiting.pop_front()
        {
            if *stopping.borrow() {
                cases[number].reason = "it was not begun: the run was stopped by hand".into();
                continue;
            }
            let mut stopping = stopping.clone();
            let (setting, verbose) = (command.setting.clone(), command.verbose);
            running.spawn(async move {
                let id = scenario.id();
                say(format!("run           {id}: {}", scenario.name));
                let begun = |step: &str| {
                    if verbose {
                        say(format!("      {:6.1} s {id}: {step}", began.elapsed().as_secs_f64()));
                    }
                };
                let stop = async { drop(stopping.wait_for(|stop| *stop).await) };
                let case = run(&scenario, &setting, began, begun, stop).await;
                say(ended(&case));
                (number, case)
            });
        }
        match running.join_next().await {
            Some(Ok((number, case))) => cases[number] = case,
            Some(Err(error)) => say(format!("fail          a scenario broke off: {error}")),
            None => break,
        }
    }
    let mut subject = match &command.setting.login {
        Some(login) => format!("the device {login}"),
        None => command.setting.agent.display().to_string(),
    };
    if *stopping.borrow() {
        subject.push_str("; the run was stopped by hand: what was not over by then has failed");
    }
    Report { title: "Scenarios".into(), subject, started, seed: None, cases }
}

/// What is said of a case that is over: with its seed, by which it can be run again.
fn ended(case: &Case) -> String {
    let (word, seconds, seed) = (case.verdict.word(), case.took.as_secs_f64(), case.seed_told());
    let mut line = format!("{word:5}{seconds:6.1} s {}{seed}", case.id);
    if !case.reason.is_empty() {
        line.push_str(&format!("\n      {}", case.reason.replace("; line", "\n      line")));
    }
    line
}

/// Reads the command line; `None` when help is asked for.
fn parse(words: impl Iterator<Item = String>) -> Result<Option<Command>, String> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let agent = beside("ivt-agent").unwrap_or_else(|| "ivt-agent".into());
    let (http, rtmp) = (loopback, loopback);
    let (login, password, patience) = (None, None, None);
    let setting = Setting { agent, http, rtmp, login, password, patience, doubt: false };
    let outputs = Outputs::default();
    let mut command =
        Command { files: Vec::new(), setting, jobs: 1, check: false, verbose: false, outputs };
    let mut args = Args::new(words);
    loop {
        let flag = match args.flag() {
            Ok(Some(flag)) => flag,
            Ok(None) => break,
            Err(ArgsError::Unexpected(file)) => {
                command.files.extend(files(Path::new(&file))?);
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let text = |error: ArgsError| error.to_string();
        if command.outputs.take(&flag, &mut args).map_err(text)? {
            continue;
        }
        match flag.as_str() {
            "--help" | "-h" => return Ok(None),
            "--agent" => command.setting.agent = args.value().map_err(text)?,
            "--login" => {
                let word: String = args.value().map_err(text)?;
                let (code, password) =
                    code_and_password(&word).ok_or("--login takes CODE or CODE:PASSWORD")?;
                command.setting.login = Some(code.to_owned());
                command.setting.password = password.map(str::to_owned);
            }
            "--http" => command.setting.http = args.value().map_err(text)?,
            "--rtmp" => command.setting.rtmp = args.value().map_err(text)?,
            "--jobs" => command.jobs = args.value().map_err(text)?,
            "--patience" => {
                let word: String = args.value().map_err(text)?;
                let patience = time(&word).filter(|time| *time > Duration::ZERO);
                let patience =
                    patience.ok_or(format!("--patience {word}: expected a time such as 5s"))?;
                command.setting.patience = Some(patience);
            }
            "--doubt" => command.setting.doubt = true,
            "--check" => command.check = true,
            "--verbose" | "-v" => command.verbose = true,
            _ => return Err(args.unknown().to_string()),
        }
    }
    if command.files.is_empty() {
        return Err("no scenario is named; see ivc-sim run --help".into());
    }
    if !(1..=MAX_JOBS).contains(&command.jobs) {
        return Err(format!("--jobs {}: expected 1 to {MAX_JOBS}", command.jobs));
    }
    let fixed = command.setting.http.port() != 0 || command.setting.rtmp.port() != 0;
    if command.jobs > 1 && (fixed || command.setting.login.is_some()) {
        return Err(
            "--jobs: scenarios that share a port or a device run one after the other".into()
        );
    }
    Ok(Some(command))
}

/// The file, or the scenarios of a folder in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries =
        std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("there is no scenario (*.toml) in {}", path.display()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Option<Command>, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_become_a_command() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "c.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let line = format!(
            "x.toml --agent /a --jobs 6 {} --patience 2s --html /tmp/x.html --verbose",
            folder.path().display()
        );
        let command = command(&line).unwrap().unwrap();
        let names: Vec<_> = command.files.iter().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(names, ["x.toml", "a.toml", "b.toml"]);
        assert_eq!((command.jobs, command.setting.agent), (6, PathBuf::from("/a")));
        assert_eq!(command.setting.patience, Some(Duration::from_secs(2)));
        assert!(command.verbose && command.outputs.html.is_some());
        for (login, password) in [("x", None), ("x:y:z", Some("y:z"))] {
            let command = self::command(&format!("x.toml --login {login}")).unwrap().unwrap();
            let Setting { login, password: given, .. } = command.setting;
            assert_eq!((login.as_deref(), given.as_deref()), (Some("x"), password));
        }
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        for (line, wants) in [
            ("", "no scenario"),
            ("x --jobs 0", "1 to 64"),
            ("x --jobs 2 --login a", "one after the other"),
            ("x --jobs 2 --http 127.0.0.1:80", "one after the other"),
            ("x --login=", "CODE:PASSWORD"),
            ("x --login :tr1cky", "CODE:PASSWORD"),
            ("x --patience soon", "5s"),
            ("x --colour red", "--colour"),
            ("x --agent", "needs a value"),
        ] {
            let error = command(line).err().unwrap_or_default();
            assert!(error.contains(wants), "{line}: {error}");
        }
        assert!(command("--help").unwrap().is_none());
    }

    #[test]
    fn the_guide_has_every_option() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scenarios.md");
        let guide = std::fs::read_to_string(path).unwrap();
        for line in format!("{HELP}{}", Outputs::HELP).lines() {
            let option = line
                .split_whitespace()
                .find(|word| line.starts_with("  --") && word.starts_with("--"));
            let Some(option) = option else { continue };
            let is_there =
                guide.lines().any(|line| line.starts_with("| `--") && line.contains(option));
            assert!(is_there, "docs/scenarios.md lacks {option}");
        }
    }
}
