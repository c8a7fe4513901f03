//! How slow a server may be.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// How many bytes have to come within a minute.
const LEAST: u64 = 60 * 1024;

/// Measures what comes of a server. The time in which the device writes does not count.
pub(super) struct Pace {
    limit: Duration,
    left: Duration,
    bytes: u64,
}

impl Pace {
    /// A server that has `limit` for each 60 KiB.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, left: limit, bytes: 0 }
    }

    /// Waits for the server; `None` when it is too slow.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let done = timeout(self.left, work).await.ok();
        self.left = self.left.saturating_sub(start.elapsed());
        done
    }

    /// Counts bytes that have come.
    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= LEAST {
            *self = Self::new(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// The seconds until a server is cut off that sends `bytes` each `seconds`; `None` if that is not within an hour.
    async fn cut(bytes: u64, seconds: u64) -> Option<u64> {
        let (mut pace, start) = (Pace::new(Duration::from_secs(60)), Instant::now());
        while start.elapsed().as_secs() < 3600 {
            if pace.wait(sleep(Duration::from_secs(seconds))).await.is_none() {
                return Some(start.elapsed().as_secs());
            }
            pace.count(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_below_a_kibibyte_a_second_is_cut_off_after_a_minute() {
        assert_eq!(cut(1024, 1).await, None);
        assert_eq!(cut(1023, 1).await, Some(60));
        assert_eq!(cut(60 * 1024, 59).await, None);
        assert_eq!(cut(1 << 20, 61).await, Some(60));
        assert_eq!(cut(1, 1).await, Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_for_writing_is_not_the_servers() {
        let mut pace = Pace::new(Duration::from_secs(60));
        for _ in 0..100 {
            assert!(pace.wait(sleep(Duration::from_millis(500))).await.is_some());
            sleep(Duration::from_secs(30)).await;
            pace.count(1024);
        }
    }
}
