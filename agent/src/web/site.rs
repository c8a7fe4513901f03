//! What all calls to the page share.

use std::sync::Arc;

use tokio::sync::watch;

use super::api::live::Seats;
use super::reply::Refusal;
use super::seen::Seen;
use crate::config::Config;
use crate::console::Console;
use crate::reload::Control;

/// What all calls to the page share.
pub(crate) struct Site {
    /// Changes the configuration, and has it applied.
    pub(crate) control: Control,
    /// The places of those who look at the cameras.
    pub(super) seats: Seats,
    /// What callers saw of the settings.
    pub(crate) seen: Seen,
    console: watch::Sender<Option<Arc<Console>>>,
}

impl Site {
    pub(super) fn new(_config: &Config, control: Control) -> Self {
        let (seats, seen) = Default::default();
        Self { control, seats, seen, console: watch::Sender::new(None) }
    }

    pub(super) fn show(&self, console: Option<Console>) {
        self.console.send_replace(console.map(Arc::new));
    }

    /// The agent that runs.
    ///
    /// # Errors
    /// None runs at the moment.
    pub(crate) fn console(&self) -> Result<Arc<Console>, Refusal> {
        let none = || Refusal::unavailable("agent_stopped", "the agent does not run; see the log");
        self.console.borrow().clone().ok_or_else(none)
    }

    /// Tells of each other agent that is started.
    pub(crate) fn consoles(&self) -> watch::Receiver<Option<Arc<Console>>> {
        self.console.subscribe()
    }
}
