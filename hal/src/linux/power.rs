//! Restarting the device by a program of its own.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::task::spawn_blocking;
use tokio::time::timeout;

use crate::{Error, Kind, Power, Result};

/// How long the program is waited for; it goes on then.
const DEADLINE: Duration = Duration::from_secs(7);

/// A program that restarts the device, such as `/sbin/reboot`. It is started without a shell.
#[derive(Clone, Debug)]
pub struct RebootCommand {
    program: String,
    arguments: Vec<String>,
}

impl RebootCommand {
    /// The program of these words; `None` without a first one.
    pub fn new(words: &[String]) -> Option<Self> {
        let (program, arguments) = words.split_first()?;
        Some(Self { program: program.clone(), arguments: arguments.to_vec() })
    }
}

/// The program did not do it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{program} does not start: {source}; check reboot_command")]
    Start { program: String, source: io::Error },
    #[error("{program} failed: {status}")]
    Failed { program: String, status: ExitStatus },
}

#[async_trait]
impl Power for RebootCommand {
    async fn reboot(&self) -> Result<()> {
        let op = "power reboot";
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let program = self.program.clone();
        let ran = spawn_blocking(move || match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Failed { program, status }),
            Err(source) => Err(Failure::Start { program, source }),
        });
        match timeout(DEADLINE, ran).await {
            Ok(Ok(ran)) => ran.map_err(|e| Error::new(op, Kind::Other).because(e)),
            Ok(Err(e)) => Err(Error::new(op, Kind::Other).because(e)),
            // A program that takes its time is about to end this process, too.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn the_program_is_run_as_it_is_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("$(x); made").display().to_string();
        let run = async |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            RebootCommand::new(&words).unwrap().reboot().await
        };
        run(&["mkdir", &file]).await.unwrap();
        assert!(std::path::Path::new(&file).is_dir());
        let failed = run(&["mkdir", &file]).await.unwrap_err();
        assert!(failed.source().unwrap().to_string().contains("mkdir failed"));
        let absent = run(&["/none/such"]).await.unwrap_err();
        assert!(absent.source().unwrap().to_string().contains("check reboot_command"));
        assert!(RebootCommand::new(&[]).is_none());
    }
}
