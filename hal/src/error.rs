//! The errors of backends, and the little that callers need to know of one.

use std::fmt;

/// An error of a backend. The backend's own error stays in `source`; callers decide by `kind`
/// alone.
#[derive(Debug, thiserror::Error)]
#[error("{op}: {kind}")]
pub struct Error {
    /// The class of the failure, by which callers decide.
    pub kind: Kind,
    /// The ability and call, such as "encoder source".
    pub op: &'static str,
    /// The backend's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of a call to the hardware.
pub type Result<T> = std::result::Result<T, Error>;

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The argument makes no sense to this camera.
    Invalid,
    /// The camera cannot be reached.
    Offline,
    /// The camera refuses the request.
    Refused,
    /// The camera did not answer in time.
    Timeout,
    /// The camera lacks the ability.
    Unsupported,
    /// Any other failure.
    Other,
}

impl Error {
    /// An error that no other error has caused.
    pub fn new(op: &'static str, kind: Kind) -> Self {
        Self { kind, op, source: None }
    }

    /// Adds the backend's own error as the source.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the argument makes no sense to this camera",
            Self::Offline => "the camera cannot be reached",
            Self::Refused => "the camera refused",
            Self::Timeout => "the camera did not answer in time",
            Self::Unsupported => "the camera cannot do this",
            Self::Other => "the camera failed",
        })
    }
}
