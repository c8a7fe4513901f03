//! The note in the spool of the upload that is in flight or unconfirmed.

use ivt_base::secret::Secret;

use crate::record::ledger::{OnCard, Upload};
use crate::record::spool::Pending;
use crate::record::stock::Stock;

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
