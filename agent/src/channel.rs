//! A channel has one task that owns its live stream and one that owns its recording; others send
//! them requests and read their [`Status`].

mod bitrate;
mod link;
mod live;
mod opener;
mod reachability;
mod recording;
mod request;
mod status;
mod streams;

use std::sync::Arc;

use ivt_hal::Stream;
use ivt_media::publish::PublishStats;
use ivt_media::stats::StreamStats;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::QualityMap;

pub use self::link::Link;
pub use self::live::Setup;
pub use self::request::{Ask, RecordAsk, Refusal};
pub use self::status::Status;

use self::request::Answer;
use self::streams::Feeds;

/// Speaks to a channel's task.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    recordings: mpsc::Sender<recording::Command>,
    status: watch::Receiver<Status>,
    quality: QualityMap,
    feeds: Arc<Feeds>,
    publish: watch::Receiver<PublishStats>,
}

enum Command {
    Publish(Ask, Answer),
    Stop(String, oneshot::Sender<()>),
}

impl Handle {
    /// Returns once the server accepted the stream and the camera sends frames.
    pub async fn publish(&self, ask: Ask) -> Result<(), Refusal> {
        let (answer, outcome) = oneshot::channel();
        let sent = self.commands.send(Command::Publish(ask, answer)).await;
        sent.map_err(|_| Refusal::Stopped)?;
        outcome.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Returns once no stream of this name runs.
    pub async fn stop(&self, stream_id: String) -> Result<(), Refusal> {
        let (done, stopped) = oneshot::channel();
        let sent = self.commands.send(Command::Stop(stream_id, done)).await;
        sent.map_err(|_| Refusal::Stopped)?;
        stopped.await.map_err(|_| Refusal::Stopped)
    }

    /// Returns once the session records.
    pub async fn record(&self, ask: RecordAsk) -> Result<(), Refusal> {
        let (answer, outcome) = oneshot::channel();
        let sent = self.recordings.send(recording::Command::Record(Box::new(ask), answer)).await;
        sent.map_err(|_| Refusal::Stopped)?;
        outcome.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Returns once no session of this name records.
    pub async fn stop_record(&self, session_id: String) -> Result<(), Refusal> {
        let (done, stopped) = oneshot::channel();
        let sent = self.recordings.send(recording::Command::Stop(session_id, done)).await;
        sent.map_err(|_| Refusal::Stopped)?;
        stopped.await.map_err(|_| Refusal::Stopped)
    }

    /// How the channel is; changes can be awaited.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Which stream serves which quality.
    pub fn quality(&self) -> &QualityMap {
        &self.quality
    }

    /// How the newest publish goes, or went.
    pub fn publish_stats(&self) -> PublishStats {
        *self.publish.borrow()
    }

    /// What a stream did.
    pub fn stats(&self, stream: Stream) -> StreamStats {
        self.feeds.of(stream).stats()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    use std::time::Duration;

    use ivt_hal::Encoder;
    use ivt_hal::emulator::Emulator;
    use ivt_media::pull::PullConfig;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::opener::Terms;
    use super::*;
    use crate::config::Backend;
    use crate::tls::Trust;

    /// A channel that takes requests and never answers, for as long as the inbox is kept.
    pub(crate) fn deaf() -> (Handle, impl Sized) {
        unserved()
    }

    /// A channel whose first publish is live after `delay`; the task then says whether anybody waited
    /// for it.
    pub(crate) fn slow(delay: Duration) -> (Handle, JoinHandle<bool>) {
        let (handle, mut inboxes) = unserved();
        let task = tokio::spawn(async move {
            let Some(Command::Publish(_, answer)) = inboxes.0.recv().await else {
                panic!("a publish comes first");
            };
            sleep(delay).await;
            answer.send(Ok(())).is_ok()
        });
        (handle, task)
    }

    type Inboxes = (mpsc::Receiver<Command>, mpsc::Receiver<recording::Command>);

    fn unserved() -> (Handle, Inboxes) {
        let (commands, inbox) = mpsc::channel(32);
        let (recordings, orders) = mpsc::channel(32);
        let emulator: Arc<dyn Encoder> = Arc::new(Emulator::default());
        let trust = Trust::new(None).expect("no file is read");
        let terms = Terms::new(&Backend::Unknown, trust);
        let feeds = Arc::new(Feeds::new(&emulator, &terms, |_| PullConfig::default()));
        let (main, sub) = (Stream::Main, Stream::Sub);
        let quality = QualityMap { ld: sub, sd: sub, hd: main, fhd: main };
        let status = watch::channel(Status::default()).1;
        let publish = watch::channel(PublishStats::default()).1;
        (Handle { commands, recordings, status, quality, feeds, publish }, (inbox, orders))
    }
}
