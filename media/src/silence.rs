//! Notices that a source has fallen silent, at next to no cost.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A deadline that each frame pushes back without touching the timer: the timer is set again only
/// when it fires, once per limit.
pub(crate) struct Silence {
    limit: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// Something came.
    pub(crate) fn end(&mut self) {
        self.last = Instant::now();
    }

    /// Ready when nothing came for as long as the limit.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let over = self.last + self.limit;
            if over <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(over);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn only_a_whole_limit_without_anything_is_silence() {
        let mut silence = Silence::new(10 * SECOND);
        for _ in 0..5 {
            let quiet = timeout(9 * SECOND, poll_fn(|cx| silence.poll_over(cx))).await;
            assert!(quiet.is_err(), "something comes every 9 s");
            silence.end();
        }
        let start = Instant::now();
        poll_fn(|cx| silence.poll_over(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
