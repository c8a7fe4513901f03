//! A channel has one task that owns its live stream and one that owns its recording; others send
//! them requests and read their [`Status`].

mod bitrate;
mod opener;
mod publish;
mod reach;
mod record;
mod session;
mod task;

use std::num::NonZeroU64;
use std::sync::Arc;

use ivt_hal::{Encoder, Kind, Stream};
use ivt_media::publish::PublishStats;
use ivt_media::pull::{Pull, PullConfig, PullState};
use ivt_media::rtmp::RtmpUrl;
use ivt_media::source::SourceError;
use ivt_media::stats::StreamStats;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::config::QualityMap;
use crate::record::session::RecordingOrder;

use opener::{EncoderOpener, Terms};

pub use task::Setup;

/// A request to publish.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which of the camera's streams.
    pub stream: Stream,
    /// Where to; holds the stream key.
    pub url: RtmpUrl,
    /// The cloud's name for it.
    pub stream_id: String,
    /// Bits per second it may have.
    pub max_bitrate: Option<NonZeroU64>,
}

/// A request to record.
#[derive(Clone, Debug)]
pub struct RecordAsk {
    /// Which of the camera's streams.
    pub stream: Stream,
    /// Bits per second it may have.
    pub max_bitrate: Option<NonZeroU64>,
    /// What becomes of it.
    pub order: RecordingOrder,
}

/// Why a channel did not do what it was asked. The text goes to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than the cloud allows.
    #[error("the stream has {bitrate} bit/s, more than the {limit} allowed")]
    Bitrate {
        /// What the encoder is set to, or sent.
        bitrate: u64,
        /// What was allowed.
        limit: u64,
    },
    /// Another stream is in the way.
    #[error("the channel publishes stream {running:?}: stop it first")]
    Busy {
        /// Its name.
        running: String,
    },
    /// The camera gives no frames.
    #[error("{reason}")]
    Camera {
        /// The class of failure.
        kind: Kind,
        /// What failed.
        reason: String,
    },
    /// The server does not take the stream.
    #[error("{reason}")]
    Server {
        /// What failed.
        reason: String,
    },
    /// A recording does not fit.
    #[error("{reason}")]
    Memory {
        /// What is asked for, and what there is.
        reason: String,
    },
    /// It was told to stop before frames flowed, or the agent ends.
    #[error("stopped before the stream was running")]
    Stopped,
}

impl Refusal {
    /// What a camera's failure means.
    fn of_camera(camera: &PullState) -> Option<Self> {
        let PullState::Failed(error) = camera else { return None };
        let kind = match error {
            SourceError::Unsupported { .. } => Kind::Other,
            _ => Kind::Offline,
        };
        Some(Self::Camera { kind, reason: error.to_string() })
    }
}

/// What a camera that is late is told as.
fn nothing(pull: &Pull) -> String {
    let reason = "the camera sent nothing decodable in time";
    match pull.awaits() {
        Some(awaits) => format!("{reason}: {awaits}"),
        None => reason.into(),
    }
}

/// What a channel must know of the connection to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Since when the device is not logged in; `None` while it is.
    pub down_since: Option<Instant>,
    /// Connections that are over.
    pub losses: u64,
}

impl Link {
    /// Not connected yet.
    pub fn down() -> Self {
        Self { down_since: Some(Instant::now()), losses: 0 }
    }
}

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The camera has been asked, or has shown itself: until then nothing is known of it.
    pub known: bool,
    /// The camera can be reached.
    pub reachable: bool,
    /// The stream that the server is receiving at this moment.
    pub live: Option<String>,
    /// The session that records.
    pub recording: Option<String>,
    /// One bit per alarm that is raised, as numbered by the Keepalive.
    pub alarm: u32,
}

/// Speaks to a channel's task.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    recordings: mpsc::Sender<record::Command>,
    status: watch::Receiver<Status>,
    quality: QualityMap,
    feeds: Arc<Feeds>,
    publish: watch::Receiver<PublishStats>,
}

enum Command {
    Publish(Ask, Answer),
    Stop(String, oneshot::Sender<()>),
}

type Answer = oneshot::Sender<Result<(), Refusal>>;

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
        let sent = self.recordings.send(record::Command::Record(Box::new(ask), answer)).await;
        sent.map_err(|_| Refusal::Stopped)?;
        outcome.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Returns once no session of this name records.
    pub async fn stop_record(&self, session_id: String) -> Result<(), Refusal> {
        let (done, stopped) = oneshot::channel();
        let sent = self.recordings.send(record::Command::Stop(session_id, done)).await;
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

/// A camera's streams, pulled when somebody reads them.
struct Feeds {
    main: Arc<Pull>,
    sub: Arc<Pull>,
}

impl Feeds {
    /// `config` is asked for each stream in turn.
    fn new(
        encoder: &Arc<dyn Encoder>,
        terms: &Terms,
        config: impl Fn(Stream) -> PullConfig,
    ) -> Self {
        let pull = |stream| {
            let opener = EncoderOpener::new(Arc::clone(encoder), stream, terms.clone());
            Pull::new(Arc::new(opener), config(stream))
        };
        Self { main: pull(Stream::Main), sub: pull(Stream::Sub) }
    }

    fn of(&self, stream: Stream) -> &Arc<Pull> {
        match stream {
            Stream::Main => &self.main,
            Stream::Sub => &self.sub,
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    use std::time::Duration;

    use ivt_hal::emulator::Emulator;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

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

    type Inboxes = (mpsc::Receiver<Command>, mpsc::Receiver<record::Command>);

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
