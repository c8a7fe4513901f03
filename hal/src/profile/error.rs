//! What is wrong with a profile, or with an answer that a profile describes.

/// What is wrong with a profile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct Error {
    /// The file, or the name of a built-in profile.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key, and what is allowed there.
    pub message: String,
}

/// What a camera answered in the place of what its profile expects. It never repeats the answer, which may hold a
/// password.
#[derive(Debug, thiserror::Error)]
#[error("the camera {0}")]
pub(super) struct Answered(pub(super) String);

/// A status that says the request failed.
#[derive(Debug, thiserror::Error)]
#[error("the camera answered HTTP {0}")]
pub(super) struct Status(pub(super) u16);
