//! The end of uploads because the agent ends.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pending;
use crate::record::ledger::Ledger;
use crate::record::service::RecordingApi;
use crate::record::stock::Stock;

/// How long service and disk may take together when the agent ends.
pub(super) const PARTING: Duration = Duration::from_secs(2);
/// How much longer a disk that works may take to remove what is confirmed.
const CLOSING: Duration = Duration::from_millis(250);

/// Stores what waits if there is a spool, and at the same time confirms what is uploaded. The service
/// is told of losses if there is time.
pub(super) async fn leave(stock: &mut Stock, remote: &impl RecordingApi) {
    stock.end().await;
    let end = Instant::now() + PARTING;
    let unconfirmed = stock.ledger().unconfirmed().map(ToOwned::to_owned);
    let save = async {
        match &unconfirmed {
            Some(name) => remote.save(name).await.is_ok(),
            None => false,
        }
    };
    let (saved, _) = tokio::join!(timeout_at(end, save), timeout_at(end, stock.store_rest()));
    if saved == Ok(true) {
        stock.tell(Ledger::confirmed);
    }
    stock.tell(Ledger::give_up);
    let dropped = stock.ledger().losses.unreported();
    let report = async {
        match dropped.number {
            0 => Ok(()),
            _ => remote.stat(dropped.number, dropped.time).await,
        }
    };
    let close = async {
        if saved == Ok(true) {
            pending::forget(stock).await;
        }
        stock.close().await;
    };
    // Everything that is to be removed from the card is removed when this returns.
    let _ = tokio::join!(timeout_at(end, report), timeout_at(end + CLOSING, close));
    stock.log_losses();
}
