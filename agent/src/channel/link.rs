//! What a channel has to know of the connection to the cloud.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Whether the device is logged in to the cloud. The session with the cloud writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Since when the device is not logged in; `None` while it is.
    pub down_since: Option<Instant>,
    /// How many connections have been lost.
    pub losses: u64,
}

impl Link {
    /// Not connected yet.
    pub fn down() -> Self {
        Self { down_since: Some(Instant::now()), losses: 0 }
    }
}

/// Returns once more connections were lost than `seen` says, and updates `seen`.
pub(crate) async fn lost(link: &mut watch::Receiver<Link>, seen: &mut u64) {
    match link.wait_for(|link| link.losses != *seen).await.map(|link| link.losses) {
        Ok(losses) => *seen = losses,
        // The sender is dropped when the agent ends.
        Err(_) => std::future::pending().await,
    }
}

/// Returns when the cloud has been away for `patience`; never returns without a patience.
pub(super) async fn away(link: &mut watch::Receiver<Link>, patience: Option<Duration>) {
    let Some(patience) = patience else { return std::future::pending().await };
    loop {
        let down_since = link.borrow_and_update().down_since;
        let over = async {
            match down_since {
                Some(since) => sleep_until(since + patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            Ok(()) = link.changed() => {}
            // The sender is dropped when the agent ends.
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn each_lost_connection_is_told_once() {
        let sender = watch::Sender::new(Link::down());
        let (mut link, mut seen) = (sender.subscribe(), 0);
        sender.send_modify(|link| link.losses += 1);
        lost(&mut link, &mut seen).await;
        assert_eq!(seen, 1);
        assert!(timeout(PATIENCE, lost(&mut link, &mut seen)).await.is_err(), "told twice");
        drop(sender);
        assert!(timeout(PATIENCE, lost(&mut link, &mut seen)).await.is_err(), "the agent ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_comes_back_in_time_was_not_away() {
        let start = Instant::now();
        let sender = watch::Sender::new(Link::down());
        let mut link = sender.subscribe();
        assert!(timeout(PATIENCE / 2, away(&mut link, Some(PATIENCE))).await.is_err());
        sender.send_modify(|link| link.down_since = None);
        assert!(timeout(10 * PATIENCE, away(&mut link, Some(PATIENCE))).await.is_err());
        assert!(timeout(10 * PATIENCE, away(&mut link, None)).await.is_err());
        let down = Instant::now();
        sender.send_modify(|link| link.down_since = Some(down));
        away(&mut link, Some(PATIENCE)).await;
        assert_eq!(down.elapsed(), PATIENCE);
        assert!(start.elapsed() > 20 * PATIENCE);
    }
}
