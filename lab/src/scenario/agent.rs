//! The agent as a program: its configuration, and its process.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ivt_base::process_group::Group;
use tokio::process::Command;
use tokio::time::timeout;

use super::log::Log;
use super::pulse::{Pulse, Slot, locked};

/// How long the agent may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// The agent: a program that runs or does not.
pub(super) struct Agent {
    program: PathBuf,
    config: PathBuf,
    /// What stands in the configuration.
    text: String,
    log: Log,
    process: Slot,
}

impl Agent {
    /// Writes the configuration into `folder`, readable for the owner only.
    ///
    /// # Errors
    /// When the folder takes no file: the disk may be full.
    pub(super) fn new(
        program: &Path,
        folder: &Path,
        config: &toml::Table,
        log: Log,
    ) -> Result<Self, String> {
        let path = folder.join("agent.toml");
        let write = || -> io::Result<String> {
            let text = toml::to_string(config).map_err(io::Error::other)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&path)?.write_all(text.as_bytes())?;
            Ok(text)
        };
        let text = write().map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => format!(
                "the disk of {} is full: make room, or name another folder in TMPDIR",
                folder.display()
            ),
            _ => format!("{} cannot be written: {error}", path.display()),
        })?;
        Ok(Self { program: program.to_owned(), config: path, text, log, process: Slot::default() })
    }

    /// What tells when the program ends though nobody asks it to.
    pub(super) fn pulse(&self) -> Pulse {
        let config = (self.config.clone(), self.text.clone());
        Pulse::new(config, self.log.clone(), self.process.clone())
    }

    /// Starts the program, unless it runs.
    ///
    /// # Errors
    /// When it is not there or cannot be started.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if locked(&self.process).is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).process_group(0).kill_on_drop(true);
        command.env_remove("STATE_DIRECTORY").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            format!(
                "the agent {} cannot be started: {error}; name its program by --agent PATH",
                self.program.display()
            )
        })?;
        if let Some(output) = child.stdout.take() {
            self.log.take(output);
        }
        if let Some(output) = child.stderr.take() {
            self.log.take(output);
        }
        *locked(&self.process) = Some(Group::of(child));
        Ok(())
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let Some(mut process) = locked(&self.process).take() else { return Ok(()) };
        process.ask();
        match timeout(GRACE, process.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the agent did not end within {GRACE:?} of SIGTERM")),
        }
    }

    /// Kills it, as a power cut would.
    pub(super) fn kill(&mut self) {
        *locked(&self.process) = None;
    }
}

/// Merges `more` into `table`: tables member by member, anything else in the place of what was there.
pub(super) fn merge(table: &mut toml::Table, more: &toml::Table) {
    for (key, value) in more {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    use super::super::pulse::Ended;
    use super::super::settings::Lines;
    use super::*;

    #[test]
    fn sections_are_merged_and_keys_replaced() {
        let mut table: toml::Table =
            "[cloud]\nurl = 'a'\nother = 1\n[log]\nlevel = 'info'".parse().unwrap();
        merge(&mut table, &"[cloud]\nurl = 'b'\n[record]\nspool_dir = 's'".parse().unwrap());
        let wanted =
            "[cloud]\nurl = 'b'\nother = 1\n[log]\nlevel = 'info'\n[record]\nspool_dir = 's'";
        assert_eq!(table, wanted.parse().unwrap());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(Instant::now());
        let mut agent =
            Agent::new(Path::new("/nowhere/agent"), folder.path(), &toml::Table::new(), log)
                .unwrap();
        let error = agent.start().unwrap_err();
        assert!(error.contains("/nowhere/agent") && error.contains("--agent"), "{error}");
    }

    #[tokio::test]
    async fn a_program_runs_and_its_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(Instant::now());
        let mut agent =
            Agent::new(Path::new("/bin/echo"), folder.path(), &toml::Table::new(), log.clone())
                .unwrap();
        agent.start().unwrap();
        while log.lines().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(log.lines()[0].1.starts_with("--config "), "{:?}", log.lines());
        agent.stop().await.unwrap();
    }

    /// An agent that runs, whose program is this script.
    fn started(script: &str, config: &str) -> (tempfile::TempDir, Agent) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let log = Log::new(Instant::now());
        let mut agent = Agent::new(&program, folder.path(), &config.parse().unwrap(), log).unwrap();
        // The file is busy while a program of another test begins, which has it open until then.
        while let Err(error) = agent.start() {
            assert!(error.contains("busy"), "{error}");
        }
        (folder, agent)
    }

    /// How a program ends that is this script.
    async fn ended(script: &str, config: &str) -> Ended {
        let (_folder, agent) = started(script, config);
        let mut pulse = agent.pulse();
        loop {
            if let Some(ended) = pulse.ended() {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn an_agent_that_ends_by_itself_is_told_with_the_line_of_the_scenario() {
        let lines = Lines::from([("record.spool".to_owned(), 8), ("channel".to_owned(), 9)]);
        let told = |ended: Ended| ended.told(Path::new("my.toml"), &lines);
        let config = "[record]\nspool = 'x'\n[[channel]]\nbackend = 'y'\n[cloud]\nurl = 'z'\n";
        for (said, wants) in [
            ("echo \"ivt-agent: $2:8: is wrong\" >&2; echo more", "): my.toml:8: is wrong"),
            ("echo \"ivt-agent: $2:2: has no camera\" >&2", "): my.toml:9: has no camera"),
            ("echo \"ivt-agent: $2:5: is wrong\" >&2", "): is wrong"),
            ("echo '[0 ERROR agent] no room'; echo bye", "): [0 ERROR agent] no room"),
            ("echo bye", "): bye"),
            ("", "said nothing"),
        ] {
            let told = told(ended(&format!("{said}\nexit 3"), config).await);
            let begins = told.starts_with("the agent ended by itself (exit status: 3)");
            assert!(begins && told.ends_with(wants), "{told}: expected {wants}");
        }
    }

    #[tokio::test]
    async fn an_agent_that_is_ended_by_the_runner_is_not_told() {
        let (_folder, mut agent) = started("exec sleep 600", "");
        let mut pulse = agent.pulse();
        assert!(pulse.ended().is_none());
        agent.stop().await.unwrap();
        assert!(pulse.ended().is_none());
    }
}
