//! How the device is restarted.

use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use tokio::task::spawn_blocking;

use super::run::run;
use crate::{Error, Kind, Result};

const OP: &str = "firmware restart";
/// How long a program may take to say that the device restarts.
const LIMIT: Duration = Duration::from_secs(60);

/// How the device is restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// By the system call, after everything was synced. It needs root, or the capability `CAP_SYS_BOOT`.
    #[default]
    System,
    /// By a program and its arguments.
    Program(Vec<String>),
    /// Not by us.
    Nothing,
}

/// Why the device is not restarted.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(
        "restarting the device needs root or CAP_SYS_BOOT; name a program that does it (restart)"
    )]
    Permission,
    #[error("nothing is configured that restarts the device (restart)")]
    Nothing,
    #[error(transparent)]
    System(Errno),
}

impl Restart {
    /// Restarts the device.
    ///
    /// # Errors
    /// `Unsupported` without the right to, `Refused` where the program refuses, `Timeout`, `Other`.
    pub async fn restart(&self) -> Result<()> {
        match self {
            Self::Program(words) => run(OP, words, LIMIT, Stdio::null()).await.map(drop),
            Self::Nothing => Err(Error::new(OP, Kind::Unsupported).because(Why::Nothing)),
            Self::System => match spawn_blocking(system).await {
                Ok(Errno::EPERM) => Err(Error::new(OP, Kind::Unsupported).because(Why::Permission)),
                Ok(why) => Err(Error::new(OP, Kind::Other).because(Why::System(why))),
                Err(e) => Err(Error::new(OP, Kind::Other).because(e)),
            },
        }
    }
}

/// Restarts by the system call. It returns only when it did not.
fn system() -> Errno {
    rustix::fs::sync();
    match reboot(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(why) => why,
    }
}
