//! The note in the spool of the upload that is in flight or unconfirmed, and what becomes of that upload after a crash.

use std::mem;
use std::time::Duration;

use ivt_base::secret::Secret;
use tokio::time::Instant;

use super::{Failure, GivenUp, Uploader};
use crate::http::HttpError;
use crate::record::ledger::{OnCard, Upload};
use crate::record::service::RecordingApi;
use crate::record::spool::Pending;
use crate::record::stock::Stock;

/// How often a busy store is asked again about an upload that a crash cut off.
const BUSY: u32 = 20;
/// How often a busy service is asked to take a name back. It finds out by itself later.
const TAKE_BACK: u32 = 6;
/// After this many attempts without an answer an address is given up, if the service itself
/// answered before the last of them.
const SILENT: u32 = 2;

/// Notes which segment is being sent, if a crash might leave anything of it in the spool. True if it
/// might.
pub(super) async fn note(stock: &mut Stock, upload: &Upload, name: &str, uri: &Secret) -> bool {
    let Some(spool) = stock.spool().cloned() else { return false };
    let spooled = stock.ledger().on_card(upload.number) != OnCard::Nothing;
    let (number, name, uri) = (upload.number, name.to_owned(), uri.clone());
    let pending = spooled.then_some(Pending { number, name, uri });
    if pending.is_some() || spool.pending().is_some() {
        // Without the note the segment may be uploaded twice after a crash, which is better than not
        // at all.
        stock.during(spool.set_pending(pending)).await.ok();
    }
    spooled
}

/// Notes that no upload is in flight or unconfirmed.
pub(super) async fn forget(stock: &mut Stock) {
    if let Some(spool) = stock.spool().cloned().filter(|spool| spool.pending().is_some()) {
        // At worst the segment is uploaded to the same address once more.
        stock.during(spool.set_pending(None)).await.ok();
    }
}

impl<R: RecordingApi + Clone> Uploader<R> {
    /// Continues an upload that a crash cut off, at the same address: if the segment had arrived,
    /// it is not stored twice. A bad address is given up soon, since other segments wait behind it.
    /// Only a service that answers shows that the address is bad and not the network, which may be
    /// down after a power cut.
    pub(super) async fn repeat_pending(&mut self) -> Result<(), GivenUp> {
        let Some(spool) = self.stock.spool() else { return Ok(()) };
        let Some(Pending { number, name, uri }) = spool.pending() else { return Ok(()) };
        let Some(upload) = self.stock.ledger().upload_from_card(number) else {
            // The segment was removed, so it was confirmed before. Confirming it again does no
            // harm.
            self.stock.tell(|ledger| ledger.adopt(number, name));
            return Ok(());
        };
        self.stock.tell(|ledger| ledger.sending(&upload));
        let (mut silent, mut busy) = (0, 0);
        // The service has answered since the address last gave no answer.
        let mut heard = false;
        loop {
            let sent = match self.content(&upload, None).await {
                Ok(content) => self.send(&upload, None, content, &uri, false, Instant::now()).await,
                Err(failure) => Err(failure),
            };
            match sent {
                Ok(()) | Err(Failure::Failed(_, HttpError::Exists(_))) => {
                    self.sent(&upload, name);
                    return Ok(());
                }
                Err(Failure::Failed(_, error)) if error.is_silent() => {
                    self.fails(&error)?;
                    silent += 1;
                    if silent >= SILENT && mem::take(&mut heard) {
                        break;
                    }
                    let asked = self.stock.during(self.remote.current_time()).await;
                    // Any answer tells that the network is up, also one that has no time in it.
                    heard = !matches!(asked, Err(HttpError::Transport(_)));
                }
                Err(Failure::Failed(_, error)) if error.is_passing() => {
                    self.fails(&error)?;
                    busy += 1;
                    if busy >= BUSY {
                        break;
                    }
                }
                Err(_) => break,
            }
            if self.rest(upload.duration).await {
                // The new service does not know the name, and is sent the segment under one of its own.
                self.stock.tell(|ledger| ledger.failed(number));
                forget(&mut self.stock).await;
                return Ok(());
            }
        }
        // After another crash nothing may be sent under a name that was taken back: nobody would find it.
        forget(&mut self.stock).await;
        self.take_back(&name, upload.duration).await?;
        self.stock.tell(|ledger| ledger.failed(number));
        Ok(())
    }

    /// Tells the service that no segment will come under this name.
    async fn take_back(&mut self, name: &str, duration: Duration) -> Result<(), GivenUp> {
        let mut busy = 0;
        loop {
            match self.stock.during(self.remote.fail(name)).await {
                Err(error) if error.is_silent() => self.fails(&error)?,
                // The service answers, so this is no reason to give up: others wait behind the name.
                Err(error) if error.is_passing() && busy < TAKE_BACK => busy += 1,
                Ok(()) | Err(_) => return Ok(()),
            }
            if self.rest(duration).await {
                return Ok(());
            }
        }
    }
}
