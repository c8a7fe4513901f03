//! Another service that the cloud names while a session records or uploads.

use std::future::pending as never;
use std::time::Duration;

use ivt_base::secret::Secret;
use tokio::sync::watch;
#[cfg(feature = "ui")]
use tokio::time::Instant;
use tokio::time::timeout;

use super::owed::Owed;
use super::{Uploader, pending};
use crate::record::ledger::Ledger;
use crate::record::service::RecordingApi;

impl<R: RecordingApi + Clone> Uploader<R> {
    /// Takes the service that is shown here, with its address, for what follows.
    pub fn follow(&mut self, moves: watch::Receiver<(R, Secret)>) {
        self.moves = Some(moves);
    }

    /// Takes another service for what follows, if the cloud has named one; returns whether it has. The
    /// segment that was sent last is confirmed where it was sent, if that service still answers: the
    /// new one does not know its name.
    pub(super) async fn moved(&mut self) -> bool {
        let newest = self.moves.as_mut().map(watch::Receiver::borrow_and_update);
        let Some((remote, address)) = newest.filter(|new| new.has_changed()).map(|new| new.clone())
        else {
            return false;
        };
        self.told = None;
        if let Some(name) = self.stock.ledger().unconfirmed().map(ToOwned::to_owned) {
            if let Err(error) = self.stock.during(self.remote.save(&name)).await {
                let session = self.stock.name();
                log::warn!("{session}: moves on, the last segment is not confirmed: {error}");
            }
            self.stock.tell(Ledger::confirmed);
            pending::forget(&mut self.stock).await;
        }
        if let Some(spool) = self.stock.spool() {
            spool.readdress(address);
        }
        self.take_back_owed().await;
        self.owed = Owed::default();
        self.remote = remote;
        true
    }

    /// Waits for so long, but no longer than until the cloud names another service; returns whether it
    /// has.
    pub(super) async fn pause(&mut self, delay: Duration) -> bool {
        // What a copy has seen is still new to `moved`.
        let mut moves = self.moves.clone();
        let named = async {
            if let Some(moves) = &mut moves
                && moves.changed().await.is_ok()
            {
                return;
            }
            never().await
        };
        #[cfg(feature = "ui")]
        self.stock.note_rest(Instant::now().checked_add(delay));
        self.stock.during(async { timeout(delay, named).await.ok() }).await;
        #[cfg(feature = "ui")]
        self.stock.note_rest(None);
        self.moved().await
    }
}
