//! The requests to a channel, and the reasons for which it refuses them.

use std::num::NonZeroU64;

use ivt_base::address_rule::FORBIDDEN;
use ivt_base::secret::Secret;
use ivt_hal::{Kind, Stream};
use ivt_media::pull::{Pull, PullState};
use ivt_media::rtmp::RtmpUrl;
use ivt_media::source::SourceError;
use tokio::sync::{mpsc, oneshot};

use crate::record::session::RecordingOrder;

/// A request to publish.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Which of the camera's streams is published.
    pub stream: Stream,
    /// The RTMP server to publish to; the address holds the stream key.
    pub url: Secret<RtmpUrl>,
    /// The cloud's name for the stream.
    pub stream_id: String,
    /// Most bits per second that the stream may have; `None` for any number.
    pub max_bitrate: Option<NonZeroU64>,
}

/// A request to record.
#[derive(Clone, Debug)]
pub struct RecordRequest {
    /// Which of the camera's streams is recorded.
    pub stream: Stream,
    /// Most bits per second that the stream may have; `None` for any number.
    pub max_bitrate: Option<NonZeroU64>,
    /// How the stream is cut, and where the segments are uploaded.
    pub order: RecordingOrder,
}

/// Why a channel did not do what it was asked. The text goes to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream has more bits per second than the cloud allows.
    #[error("the stream has {bitrate} bit/s, more than the {limit} allowed")]
    Bitrate {
        /// Bits per second that the encoder is set to, or sent.
        bitrate: u64,
        /// Bits per second that the cloud allows.
        limit: u64,
    },
    /// Another stream is in the way.
    #[error("the channel publishes stream {running:?}: stop it first")]
    Busy {
        /// Name of the stream that runs.
        running: String,
    },
    /// The channel is published by the cloud's configuration.
    #[error("the channel is published by SetRTMPPublishConfig: disable it there first")]
    Constant,
    /// The camera gives no frames.
    #[error("{reason}")]
    Camera {
        /// The class of failure.
        kind: Kind,
        /// What failed at the camera.
        reason: String,
    },
    /// The server does not take the stream.
    #[error("{told}")]
    Server {
        /// What the cloud is told.
        told: String,
        /// What failed at the server, for the log.
        reason: String,
    },
    /// The rule for addresses does not let the cloud name this server.
    #[error("{}", FORBIDDEN)]
    Address {
        /// What the rule says, for the log.
        reason: String,
    },
    /// A recording does not fit into the memory for recordings.
    #[error("{reason}")]
    Memory {
        /// How much memory the recording asks for, and how much there is.
        reason: String,
    },
    /// The stream was stopped before frames flowed, or the agent ends.
    #[error("stopped before the stream was running")]
    Stopped,
}

impl Refusal {
    /// The text for the log, which tells more than that for the cloud.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Server { reason, .. } | Self::Address { reason } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// The refusal that a camera's failure means; `None` while the camera has not failed.
    pub(super) fn of_camera(camera: &PullState) -> Option<Self> {
        let PullState::Failed(error) = camera else { return None };
        let kind = match error {
            SourceError::Unsupported { .. } => Kind::Other,
            _ => Kind::Offline,
        };
        Some(Self::Camera { kind, reason: error.to_string() })
    }
}

/// The cloud's text for a camera that sends nothing in time.
pub(super) fn nothing(pull: &Pull) -> String {
    let reason = "the camera sent nothing decodable in time";
    match pull.awaits() {
        Some(awaits) => format!("{reason}: {awaits}"),
        None => reason.into(),
    }
}

/// Where the outcome of a request goes.
pub(super) type Answer = oneshot::Sender<Result<(), Refusal>>;

/// How many requests may wait for one task. The cloud may have 32 requests unanswered in all.
pub(super) const REQUESTS: usize = 32;

/// Sends the request that `request` makes of the answer's sender, and waits for the answer.
///
/// # Errors
/// [`Refusal::Stopped`] if the task has ended, or ends without an answer.
pub(super) async fn ask<R, A>(
    requests: &mpsc::Sender<R>,
    request: impl FnOnce(oneshot::Sender<A>) -> R,
) -> Result<A, Refusal> {
    let (answer, outcome) = oneshot::channel();
    requests.send(request(answer)).await.map_err(|_| Refusal::Stopped)?;
    outcome.await.map_err(|_| Refusal::Stopped)
}
