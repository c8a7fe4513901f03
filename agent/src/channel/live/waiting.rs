//! Those who asked for the stream that is being started, and until when each is answered.

use tokio::time::Instant;

use super::super::request::{Answer, Refusal};
use super::lifecycle::START;

/// Everybody who waits for the outcome of one start. Whoever asked may be gone: an answer that
/// nobody takes is no error.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Answer, Instant)>);

impl Waiting {
    /// From now on `answer` is due within [`START`].
    pub(super) fn push(&mut self, answer: Answer) {
        self.0.push((answer, Instant::now() + START));
    }

    /// When the first of them is to be answered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).min()
    }

    /// Tells all of them.
    pub(super) fn answer(&mut self, outcome: &Result<(), Refusal>) {
        for (answer, _) in self.0.drain(..) {
            answer.send(outcome.clone()).ok();
        }
    }

    /// Refuses those who are to be answered by now.
    pub(super) fn refuse_due(&mut self, refusal: &Refusal) {
        let now = Instant::now();
        for (answer, _) in self.0.extract_if(.., |(_, until)| *until <= now) {
            answer.send(Err(refusal.clone())).ok();
        }
    }

    /// Returns when all of them have gone: the cloud takes the stream for refused, or is gone. Never
    /// returns where nobody waits.
    pub(super) async fn abandoned(&mut self) {
        if self.0.is_empty() {
            std::future::pending().await
        }
        for (answer, _) in &mut self.0 {
            answer.closed().await;
        }
    }

    /// Nobody waits any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
