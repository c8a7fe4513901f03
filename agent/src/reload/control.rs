//! What asks for a look at the configuration from within the agent.

use tokio::sync::watch;

use crate::settings::{Guard, Store};

/// Changes the configuration, and has the agent apply it. Clones ask the same agent.
#[derive(Clone)]
pub(crate) struct Control {
    store: Store,
    asked: watch::Sender<Asked>,
}

/// How often a restart was asked for; any change of it asks for a look.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) restarts: u64,
}

impl Control {
    pub(super) fn new(store: Store, asked: watch::Sender<Asked>) -> Self {
        Self { store, asked }
    }

    /// The same with files whose changes `guard` looks at.
    pub(crate) fn guarded(mut self, guard: Guard) -> Self {
        self.store = self.store.guarded(guard);
        self
    }

    /// The files of the configuration.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Has the configuration read, and applied as far as that needs no restart.
    pub(crate) fn reload(&self) {
        self.asked.send_modify(|_| {});
    }

    /// Has the configuration read, and the agent started anew by it; the process and the page stay.
    pub(crate) fn restart(&self) {
        self.asked.send_modify(|asked| asked.restarts += 1);
    }
}
