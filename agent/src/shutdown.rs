//! Tells all tasks to stop at SIGTERM or SIGINT. A second signal ends the process at once.

use std::io;

use ivt_base::process_group::kill_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Exit status of a program that was killed by SIGINT, by convention.
const INTERRUPTED: i32 = 130;

/// The signals that ask the program to end.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default. Must be called within a runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the first signal; the second signal ends the process at once.
    pub async fn first(mut self) {
        let name = self.next().await;
        log::info!("{name}: stopping");
        tokio::spawn(async move {
            self.next().await;
            log::warn!("a second signal: stopping at once");
            kill_all();
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Asks tasks to end.
pub struct Stopper(watch::Sender<bool>);

/// Tells a task when it has to end.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A stopper and the tasks' side of it, not stopped yet.
pub fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Requests every [`Stop`] to end, from now on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once the task has to end, also if the stopper was dropped. Cancel safe.
    pub async fn requested(&mut self) {
        // Waiting fails if the stopper was dropped, which counts as a request.
        self.0.wait_for(|stop| *stop).await.ok();
    }
}
