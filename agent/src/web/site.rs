//! What all calls to the page share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore, watch};

use super::api::live::Seats;
use super::gate::Gate;
use super::moves::Moves;
use super::reply::Refusal;
use super::reset;
use super::seen::Seen;
use crate::config::{self, Config};
use crate::console::Console;
use crate::reload::Control;
use crate::settings::Guard;
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
    /// What outlasts a restart.
    pub(super) store: StateStore,
    /// Who may come in.
    pub(super) gate: Arc<Gate>,
    /// Where the page is.
    pub(super) moves: Arc<Moves>,
    /// Tells when a reset is asked for.
    pub(super) resets: Notify,
    /// The page as it is configured.
    web: Mutex<Option<config::Web>>,
    console: watch::Sender<Option<Arc<Console>>>,
}

impl Site {
    /// Reads what is kept of the page. Waits for the disk.
    pub(super) fn new(config: &Config, control: Control) -> Self {
        let store = StateStore::new(config.state_dir.clone());
        let moves = Arc::new(Moves::new(store.clone(), control.clone()));
        let guard = Arc::clone(&moves);
        let site = Self {
            gate: Arc::new(Gate::new(store.clone())),
            moves,
            control: control.guarded(Guard::new(move |old, new| guard.allow(old, new))),
            store,
            seen: Seen::default(),
            trial: Arc::new(Semaphore::new(1)),
            seats: Seats::default(),
            resets: Notify::new(),
            web: Mutex::default(),
            console: watch::Sender::new(None),
        };
        site.configure(config);
        site
    }

    /// Takes over how the page is configured.
    pub(super) fn configure(&self, config: &Config) {
        self.gate.configure(config.web.as_ref().and_then(|web| web.first_password.clone()));
        self.web.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.web);
    }

    /// The page as it is configured; `None` while it is off.
    pub(super) fn web(&self) -> Option<config::Web> {
        self.web.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file by which a reset is asked for.
    pub(super) fn reset_file(&self) -> Option<PathBuf> {
        self.web().map(|web| web.reset_file)
    }

    /// Has the device forget its owner and its secrets, within a second or so.
    ///
    /// # Errors
    /// The file cannot be made by which the reset is asked for.
    pub(crate) fn reset(&self) -> Result<(), Refusal> {
        let file = self.reset_file().unwrap_or_default();
        reset::ask(&file).map_err(|e| {
            let message = format!("{}: cannot be made: {e}; change web.reset_file", file.display());
            Refusal::unavailable("not_written", message)
        })
    }

    /// Whether the device has an owner, who chose a password or was given one with it.
    pub(crate) fn is_claimed(&self) -> bool {
        self.gate.is_claimed()
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
