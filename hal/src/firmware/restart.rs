//! How the device is restarted.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::run::run;
use crate::{Error, Kind, Result};

const OP: &str = "firmware restart";
/// How long a program may take to say that the device restarts.
const LIMIT: Duration = Duration::from_secs(60);
/// How long the disks may take to sync, and the kernel to restart. A disk that is broken may take for ever.
const SYNCED: Duration = Duration::from_secs(20);
/// Whether a thread waits for the disks; no second one is begun beside it.
static SYNCS: AtomicBool = AtomicBool::new(false);
/// Whether a thread waits for the kernel.
static RESTARTS: AtomicBool = AtomicBool::new(false);

/// How the device is restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// By the system call, after everything was synced, or 20 s after that began. It needs root, or the capability
    /// `CAP_SYS_BOOT`.
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
    #[error("the kernel did not restart within {0} s")]
    Late(u64),
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
            Self::System => system([&SYNCS, &RESTARTS], SYNCED, rustix::fs::sync, autoboot).await,
        }
    }
}

/// Restarts by the system call. `sync` and `autoboot` have `limit` each, as either may wait for a broken disk for ever.
async fn system(
    [syncs, restarts]: [&'static AtomicBool; 2],
    limit: Duration,
    sync: fn(),
    autoboot: fn() -> Errno,
) -> Result<()> {
    if within(syncs, limit, sync).await.is_none() {
        log::error!(
            "{OP}: the disks did not sync within {} s; the device restarts all the same",
            limit.as_secs()
        );
    }
    let (kind, why) = match within(restarts, limit, autoboot).await {
        Some(Errno::EPERM) => (Kind::Unsupported, Why::Permission),
        Some(why) => (Kind::Other, Why::System(why)),
        None => (Kind::Timeout, Why::Late(limit.as_secs())),
    };
    Err(Error::new(OP, kind).because(why))
}

/// The system call. It returns only where the device does not restart.
fn autoboot() -> Errno {
    match reboot(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(why) => why,
    }
}

/// What `work` gives within `limit`, in a thread of its own; `None` as well where that of before still waits.
async fn within<T: Send + 'static>(
    waits: &'static AtomicBool,
    limit: Duration,
    work: fn() -> T,
) -> Option<T> {
    if waits.swap(true, Ordering::Relaxed) {
        return None;
    }
    let (done, end) = oneshot::channel();
    let begun = thread::Builder::new().name("restart".to_owned()).spawn(move || {
        let given = work();
        waits.store(false, Ordering::Relaxed);
        done.send(given).ok();
    });
    if begun.is_err() {
        waits.store(false, Ordering::Relaxed);
    }
    timeout(limit, end).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    fn never<T>() -> T {
        loop {
            thread::park();
        }
    }

    #[tokio::test]
    async fn disks_that_never_sync_do_not_keep_the_device_from_its_restart() {
        static WAITS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
        static RESTARTS: AtomicU32 = AtomicU32::new(0);
        fn counted() -> Errno {
            RESTARTS.fetch_add(1, Ordering::Relaxed);
            Errno::EINVAL
        }
        let [syncs, restarts] = &WAITS;
        for tries in 1..=3 {
            let begun = Instant::now();
            let error = system([syncs, restarts], LIMIT, never, counted).await.unwrap_err();
            assert_eq!((error.kind, RESTARTS.load(Ordering::Relaxed)), (Kind::Other, tries));
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            assert!(syncs.load(Ordering::Relaxed), "one thread waits, and no second one is begun");
        }
    }

    #[tokio::test]
    async fn a_kernel_that_does_not_answer_is_told() {
        static WAITS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
        let [syncs, restarts] = &WAITS;
        for _ in 0..2 {
            let error = system([syncs, restarts], LIMIT, || {}, never).await.unwrap_err();
            assert_eq!(error.kind, Kind::Timeout);
        }
    }

    #[tokio::test]
    async fn a_kernel_that_forbids_it_is_told_with_the_cure() {
        static WAITS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
        let [syncs, restarts] = &WAITS;
        let long = Duration::from_secs(60);
        let error = system([syncs, restarts], long, || {}, || Errno::EPERM).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
        assert!(error.source().is_some_and(|why| why.to_string().contains("CAP_SYS_BOOT")));
    }
}
