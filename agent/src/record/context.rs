//! What all recordings of a device share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::budget::Budget;
use super::leftovers::Leftovers;
use super::spool::Spool;
use crate::config::{self, Backfill, SpoolMode};
use crate::deadlines::SPOOL_OPENING;
use crate::http::Http;

/// What all recordings of a device share. Clones share the same parts.
#[derive(Clone)]
pub struct RecordingContext {
    /// The memory for all recordings.
    pub budget: Arc<Budget>,
    /// The client of all uploads.
    pub http: Http,
    /// What is stored in the spool; `None` without a spool.
    pub spool_mode: Option<SpoolMode>,
    /// When segments on the card are uploaded that had to wait.
    pub backfill: Backfill,
    /// The sessions that left segments in the spool.
    pub leftovers: Leftovers,
    /// How long the cloud may stay away before a recording ends; `None` for any time.
    pub disconnect: Option<Duration>,
    opened: watch::Receiver<Option<Spool>>,
}

impl RecordingContext {
    /// The context that the configuration asks for, with `memory` bytes for segments and uploads
    /// by `http`. Whoever opens the spool shows it in `opened`.
    pub fn new(
        config: &config::Record,
        memory: u64,
        http: Http,
        opened: watch::Receiver<Option<Spool>>,
    ) -> Self {
        Self {
            budget: Budget::new(memory),
            http,
            spool_mode: config.spool.as_ref().map(|spool| spool.mode),
            backfill: config.backfill,
            leftovers: Leftovers::default(),
            disconnect: config.disconnect,
            opened,
        }
    }

    /// The spool, if it opens in time, and what is stored in it.
    pub async fn spool(&self) -> Option<(Spool, SpoolMode)> {
        let mode = self.spool_mode?;
        let mut opened = self.opened.clone();
        let spool =
            timeout(SPOOL_OPENING, opened.wait_for(Option::is_some)).await.ok()?.ok()?.clone();
        Some((spool?, mode))
    }
}
