//! What all recordings of a device work with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::budget::Budget;
use super::leftovers::Leftovers;
use super::service::{Deadlines, Http};
use super::spool::Spool;
use crate::config::{self, SpoolMode};
use crate::tls::TrustStore;

/// A spool that is only just being opened is waited for so long.
const OPENING: Duration = crate::deadlines::SPOOL_OPENING;

/// Clones are the same.
#[derive(Clone)]
pub struct RecordingContext {
    /// Their memory.
    pub budget: Arc<Budget>,
    /// Their connections.
    pub http: Http,
    /// What goes to the spool; `None` without one.
    pub spool_mode: Option<SpoolMode>,
    /// What sessions left in it.
    pub leftovers: Leftovers,
    /// A recording ends when the cloud stays away for so long.
    pub disconnect: Option<Duration>,
    opened: watch::Receiver<Option<Spool>>,
}

impl RecordingContext {
    /// As configured, with so many bytes of `memory` for segments; who opens the spool shows it in
    /// `opened`.
    pub fn new(
        config: &config::Record,
        memory: u64,
        trust: TrustStore,
        opened: watch::Receiver<Option<Spool>>,
    ) -> Self {
        Self {
            budget: Budget::new(memory),
            http: Http::new(trust, Deadlines::default()),
            spool_mode: config.spool.as_ref().map(|spool| spool.mode),
            leftovers: Leftovers::default(),
            disconnect: config.disconnect,
            opened,
        }
    }

    /// The spool and what goes there, if it opens in time.
    pub async fn spool(&self) -> Option<(Spool, SpoolMode)> {
        let mode = self.spool_mode?;
        let mut opened = self.opened.clone();
        let spool = timeout(OPENING, opened.wait_for(Option::is_some)).await.ok()?.ok()?.clone();
        Some((spool?, mode))
    }
}
