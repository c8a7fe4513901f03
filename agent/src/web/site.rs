//! What all calls to the page share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::api::live::Seats;
use super::gate::Gate;
use super::reply::Refusal;
use super::seen::Seen;
use crate::config::Config;
use crate::console::Console;
use crate::reload::Control;
use crate::state::StateStore;

/// What all calls to the page share.
pub(crate) struct Site {
    /// Changes the configuration, and has it applied.
    pub(crate) control: Control,
    /// What callers saw of the settings.
    pub(crate) seen: Seen,
    /// The turn of the one test of a cloud or of a hosted service that may run.
    pub(crate) trial: Arc<Semaphore>,
    /// The places of those who look at the cameras.
    pub(super) seats: Seats,
    /// Who may come in.
    pub(super) gate: Arc<Gate>,
    console: watch::Sender<Option<Arc<Console>>>,
}

impl Site {
    /// Reads what is kept of the page. Waits for the disk.
    pub(super) fn new(config: &Config, control: Control) -> Self {
        let store = StateStore::new(config.state_dir.clone());
        let first = config.web.as_ref().and_then(|web| web.first_password.clone());
        let gate = Arc::new(Gate::new(store, first));
        Self {
            control,
            seen: Seen::default(),
            trial: Arc::new(Semaphore::new(1)),
            seats: Seats::default(),
            gate,
            console: watch::Sender::new(None),
        }
    }

    pub(super) fn show(&self, console: Option<Console>) {
        self.console.send_replace(console.map(Arc::new));
    }

    /// Whether the device has an owner, who chose a password or was given one with it.
    pub(crate) fn is_claimed(&self) -> bool {
        self.gate.is_claimed()
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
