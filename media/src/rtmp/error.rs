//! Why a publish failed, for the log and for the policy above.

use std::fmt;
use std::time::Duration;

use crate::rtmp::RtmpError;
use crate::rtmp::url::UrlError;

/// Why a publish did not begin, or ended. The text names the peer and never the stream key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The address cannot be published to.
    #[error("cannot publish: {0}")]
    Url(#[from] UrlError),
    /// The rule for addresses does not allow the server. No connection was tried.
    #[error("RTMP server {peer} is not allowed: {reason}")]
    Forbidden {
        /// Host and port.
        peer: String,
        /// What the rule says, for the log alone.
        reason: String,
    },
    /// There is no connection.
    #[error("RTMP server {peer} is unreachable: {reason}")]
    Unreachable {
        /// Host and port.
        peer: String,
        /// What failed.
        reason: String,
    },
    /// The server is not trusted, or has no TLS.
    #[error("RTMP server {peer}: TLS failed: {reason}")]
    Tls {
        /// Host and port.
        peer: String,
        /// What failed.
        reason: String,
    },
    /// The server took too long to consent.
    #[error("RTMP server {peer}: no answer to {step} within {} s", .limit.as_secs_f32())]
    Timeout {
        /// Host and port.
        peer: String,
        /// What was waited for.
        step: Step,
        /// How long.
        limit: Duration,
    },
    /// The server said no.
    #[error("RTMP server {peer} refused: {code} {description}")]
    Refused {
        /// Host and port.
        peer: String,
        /// The server's code, such as `NetStream.Publish.BadName`; may be empty.
        code: String,
        /// The server's words; may be empty.
        description: String,
    },
    /// What the server sent is no RTMP.
    #[error("RTMP server {peer}: {reason}, during {step}")]
    Garbage {
        /// Host and port.
        peer: String,
        /// What was under way.
        step: Step,
        /// What was expected, and what came.
        reason: String,
    },
    /// The connection is gone.
    #[error("RTMP server {peer}: connection lost during {step}: {reason}")]
    Lost {
        /// Host and port.
        peer: String,
        /// What was under way.
        step: Step,
        /// What failed.
        reason: String,
    },
    /// The server stopped reading.
    #[error("RTMP server {peer} took no data for {} s", .limit.as_secs_f32())]
    Stalled {
        /// Host and port.
        peer: String,
        /// How long.
        limit: Duration,
    },
    /// Not an error of the server: there are no more frames to send.
    #[error("the stream has ended")]
    SourceEnded,
}

/// How far a publish had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// TCP.
    Connect,
    /// TLS.
    Tls,
    /// RTMP's own handshake.
    Handshake,
    /// The command `connect`.
    Application,
    /// The command `createStream`.
    CreateStream,
    /// The command `publish`.
    Publish,
    /// The stream itself.
    Stream,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "TCP connect",
            Self::Tls => "the TLS handshake",
            Self::Handshake => "the RTMP handshake",
            Self::Application => "connect",
            Self::CreateStream => "createStream",
            Self::Publish => "publish",
            Self::Stream => "the stream",
        })
    }
}

impl PublishError {
    /// The server let `limit` pass without an answer to `step`.
    pub(crate) fn timeout(peer: String, step: Step, limit: Duration) -> Self {
        Self::Timeout { peer, step, limit }
    }

    /// The server took no data for `limit`.
    pub(crate) fn stalled(peer: &str, limit: Duration) -> Self {
        Self::Stalled { peer: peer.to_owned(), limit }
    }

    /// What an error of the connection during `step` means for the publish.
    pub(crate) fn failed(peer: &str, step: Step, error: RtmpError) -> Self {
        let (peer, reason) = (peer.to_owned(), error.to_string());
        match error {
            RtmpError::Io(_) | RtmpError::Closed => Self::Lost { peer, step, reason },
            _ => Self::Garbage { peer, step, reason },
        }
    }
}
