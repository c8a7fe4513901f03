//! Takes the camera away from the device, and gives it back.

use std::fmt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ivt_base::process_group::Group;
use tokio::process::Command;
use tokio::time::timeout;

/// Longest time that a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

type Turn = dyn Fn(bool) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// A switch between the device and its camera.
#[derive(Clone)]
pub struct Switch(Arc<Turn>);

impl Switch {
    /// A switch that is turned by calling `turn`; true gives the camera back.
    pub fn new(
        turn: impl Fn(bool) -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(turn))
    }

    /// A switch that is turned by these commands of a shell.
    pub fn commands(off: String, on: String) -> Self {
        Self::new(move |whether| {
            let command = if whether { on.clone() } else { off.clone() };
            Box::pin(execute(command))
        })
    }

    /// Gives the camera back, or takes it away.
    ///
    /// # Errors
    /// When that did not work, with the reason.
    pub async fn turn(&self, on: bool) -> Result<(), String> {
        (self.0)(on).await
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switch")
    }
}

/// Runs a command of a shell. What it started ends with it, unless it succeeds: then it may have left something in the
/// background on purpose.
async fn execute(command: String) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&command).process_group(0).kill_on_drop(true);
    // Whoever reads our own output waits for the end of all that hold it.
    shell.stdin(Stdio::null()).stdout(Stdio::null());
    let failed = |error| format!("{command:?} cannot be run: {error}");
    let mut group = Group::of(shell.spawn().map_err(failed)?);
    match timeout(PATIENCE, group.wait()).await {
        Ok(Ok(status)) if status.success() => {
            group.leave();
            Ok(())
        }
        Ok(Ok(status)) => Err(format!("{command:?} ended with {status}")),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(format!("{command:?} did not end within {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn commands_are_run_and_what_they_lack_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("camera");
        let (off, on) = (format!("touch '{}'", file.display()), format!("rm '{}'", file.display()));
        let switch = Switch::commands(off, on);
        switch.turn(false).await.unwrap();
        assert!(file.exists());
        switch.turn(true).await.unwrap();
        assert!(!file.exists());
        let error = switch.turn(true).await.unwrap_err();
        assert!(error.contains("rm"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_is_given_up_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let command = format!("sleep 1000 & echo $! > '{}'; wait", file.display());
        let begun = async {
            loop {
                let child = std::fs::read_to_string(&file).unwrap_or_default();
                match child.strip_suffix('\n') {
                    Some(child) => break child.to_owned(),
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let child = tokio::select! {
            ended = execute(command) => panic!("{ended:?}"),
            child = begun => child,
        };
        let stat = format!("/proc/{child}/stat");
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let ended = async {
            while runs() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, ended).await.expect("the child ends");
    }
}
