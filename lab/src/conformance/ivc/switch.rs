//! Takes the camera away from the device, and gives it back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
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

async fn execute(command: String) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&command).kill_on_drop(true);
    match timeout(PATIENCE, shell.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{command:?} ended with {status}")),
        Ok(Err(error)) => Err(format!("{command:?} cannot be run: {error}")),
        Err(_) => Err(format!("{command:?} did not end within {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
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
}
