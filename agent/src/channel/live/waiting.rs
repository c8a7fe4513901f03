//! The requests that wait for the stream that is being started, with the time by which each is
//! answered.

use tokio::time::Instant;

use super::super::request::{Answer, Refusal};
use crate::deadlines::STREAM_START;

/// All requests that wait for the outcome of one start. An answer whose receiver is gone is no
/// error.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Answer, Instant)>);

impl Waiting {
    /// Adds a request, whose `answer` is due within [`STREAM_START`].
    pub(super) fn push(&mut self, answer: Answer) {
        self.0.push((answer, Instant::now() + STREAM_START));
    }

    /// When the first of the requests has to be answered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).min()
    }

    /// Answers all requests.
    pub(super) fn answer(&mut self, outcome: &Result<(), Refusal>) {
        for (answer, _) in self.0.drain(..) {
            answer.send(outcome.clone()).ok();
        }
    }

    /// Refuses the requests whose answer is due by now.
    pub(super) fn refuse_due(&mut self, refusal: &Refusal) {
        let now = Instant::now();
        for (answer, _) in self.0.extract_if(.., |(_, until)| *until <= now) {
            answer.send(Err(refusal.clone())).ok();
        }
    }

    /// Returns once the receivers of all answers are gone, since the cloud gave up the requests or
    /// the connection is lost. Never returns if no request waits.
    pub(super) async fn abandoned(&mut self) {
        if self.0.is_empty() {
            std::future::pending().await
        }
        for (answer, _) in &mut self.0 {
            answer.closed().await;
        }
    }

    /// Drops all requests without an answer.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
