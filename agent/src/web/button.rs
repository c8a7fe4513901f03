//! Notices the file by which a button, or the device's own software, asks for a reset.

use std::sync::Arc;
use std::time::Duration;

use ivt_base::task::spawn_blocking;
use tokio::time::interval;

use super::reset;
use super::site::Site;

/// Time between two looks for the file.
const LOOK: Duration = Duration::from_secs(1);

/// Looks for the file for ever. Whenever it appears, nobody is logged in any more, and a reset is asked for.
pub(super) async fn watch(site: Arc<Site>) {
    let mut look = interval(LOOK);
    let mut was_asked = false;
    loop {
        look.tick().await;
        let file = site.reset_file();
        let asked = spawn_blocking(move || file.is_some_and(|file| reset::is_asked(&file))).await;
        let asked = asked.unwrap_or(false);
        if asked && !was_asked {
            log::warn!("the page: the device is reset");
            site.gate.close();
            site.resets.notify_one();
        }
        was_asked = asked;
    }
}
