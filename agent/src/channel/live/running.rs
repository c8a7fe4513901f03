//! The work on one stream, as the task of the live stream holds it.

use std::convert::Infallible;

use ivt_base::task::work;
use ivt_hal::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::publish::{Job, Progress};

/// How many reports of the work may wait for the task.
const REPORTS: usize = 4;

/// The work on one stream. Dropping it ends the work.
pub(super) struct Running {
    progress: mpsc::Receiver<Progress>,
    /// Which of the camera's streams is published.
    pub(super) stream: Stream,
    _stop: oneshot::Sender<Infallible>,
}

impl Running {
    /// Starts `job` within `work`.
    pub(super) fn start(job: Job, tasks: &mut JoinSet<()>) -> Self {
        let (reports, progress) = mpsc::channel(REPORTS);
        let (stop, stopped) = oneshot::channel();
        let stream = job.ask.stream;
        tasks.spawn(work(job.run(reports, stopped)));
        Self { progress, stream, _stop: stop }
    }

    /// The next report of the work; `None` once the work has ended.
    pub(super) async fn next(&mut self) -> Option<Progress> {
        self.progress.recv().await
    }
}
