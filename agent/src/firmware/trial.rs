//! A new firmware on trial: it stays when it is connected to the cloud for a while, or gives way to the one before.

use std::time::Duration;

use ivt_hal::{Firmware, Kind};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::refusal::device;
use crate::channel::Link;
use crate::config::Rules;

/// How long the device may take to restart, and the pause before what it refused is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The firmware stays.
    Stays,
    /// It gives way to the one before, once the device has restarted.
    GivesWay,
}

/// Watches a firmware that is on trial until it stays or has to give way.
///
/// A connection whose Keepalives are not answered is ended by the link within 20 s, so that one that lasts is healthy.
pub(super) async fn watch(
    rules: &watch::Receiver<Rules>,
    link: &mut watch::Receiver<Link>,
) -> Verdict {
    let start = Instant::now();
    let (commit, rollback) = (rules.borrow().commit, rules.borrow().rollback);
    let (healthy, late) = (commit.as_secs() / 60, rollback.as_secs() / 60);
    log::info!(
        "firmware: the one that runs is on trial: it stays after {healthy} min with the cloud, and gives way to the one \
         before after {late} min without"
    );
    let end = start + rollback;
    loop {
        let up = async {
            // The sender is dropped when the agent ends.
            if link.wait_for(|link| link.down_since.is_none()).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = up => {}
            () = sleep_until(end) => {
                log::error!("firmware: the cloud was not reached in time");
                return Verdict::GivesWay;
            }
        }
        let losses = link.borrow().losses;
        tokio::select! {
            biased;
            () = lost(link, losses) => log::warn!("firmware: the cloud was lost during the trial"),
            () = sleep(commit) => break,
        }
        if Instant::now() >= end {
            return Verdict::GivesWay;
        }
    }
    Verdict::Stays
}

/// Keeps the firmware that is on trial. Returns only once the device has done so, or never can.
pub(super) async fn keep(firmware: &dyn Firmware) {
    while let Err(e) = firmware.commit().await {
        if e.kind == Kind::Unsupported {
            log::error!("firmware: the device cannot keep it: {}", device(&e));
            break;
        }
        log::error!("firmware: it stays on trial, as the device does not keep it: {}", device(&e));
        sleep(PATIENCE).await;
    }
}

/// Makes the firmware before the next to start. False where the device does not go back.
pub(super) async fn give_way(firmware: &dyn Firmware) -> bool {
    log::error!("firmware: the one on trial does not work: going back to the one before");
    let back = firmware.roll_back().await;
    if let Err(e) = &back {
        log::error!("firmware: the device does not go back: {}", device(e));
    }
    back.is_ok()
}

/// Restarts the device. Returns only if it does not.
pub(super) async fn restart(firmware: &dyn Firmware) {
    log::info!("firmware: restarting the device");
    match timeout(2 * PATIENCE, firmware.restart()).await {
        Ok(Ok(())) => {
            sleep(PATIENCE).await;
            log::error!("firmware: the device did not restart: restart it by hand");
        }
        Ok(Err(e)) => log::error!(
            "firmware: restart the device by hand, it does not do so itself: {}",
            device(&e)
        ),
        Err(_) => {
            log::error!("firmware: the device does not come to its restart: restart it by hand")
        }
    }
}

async fn lost(link: &mut watch::Receiver<Link>, losses: u64) {
    if link.wait_for(|link| link.losses != losses || link.down_since.is_some()).await.is_err() {
        std::future::pending::<()>().await;
    }
}
