//! Why a request of our own failed.

use std::time::Duration;

use ivt_base::secret::Secret;

/// Why a request failed, by what can be done about it. The text holds no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// There was no connection, or it did not last until the answer.
    #[error("{0}")]
    Transport(String),
    /// A whole body was sent, and nobody knows what became of it, since its answer was lost on the
    /// way to us or behind a gateway (502, 504).
    #[error("{0}")]
    Unanswered(String),
    /// The peer is busy (5xx, 408), or its answer cannot be read.
    #[error("{0}")]
    Busy(String),
    /// The peer is busy (429, 503), and wants to be left alone for so long.
    #[error("{0}")]
    Later(String, Duration),
    /// The address is no longer valid (403, 404, 410).
    #[error("{0}")]
    Expired(String),
    /// The body goes to another address (307, 308), which may be signed.
    #[error("{0}")]
    Moved(String, Secret),
    /// Something is at the address already (409, 412).
    #[error("{0}")]
    Exists(String),
    /// The peer refuses (any other 4xx) or redirects in a way that is not followed (3xx).
    #[error("{0}")]
    Refused(String),
}

impl HttpError {
    /// Whether the peer may do the same request later, since it is away or busy now.
    pub fn is_passing(&self) -> bool {
        self.is_silent() || matches!(self, Self::Busy(_) | Self::Later(..))
    }

    /// Whether the peer gave no answer.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Unanswered(_))
    }

    /// How long a busy peer wants to be left alone at least; `None` for any other error.
    pub fn pause(&self) -> Option<Duration> {
        if let Self::Later(_, pause) = self { Some(*pause) } else { None }
    }
}
