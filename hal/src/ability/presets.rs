//! Positions that a camera remembers.

use async_trait::async_trait;

use crate::Result;

/// Lists presets and goes to them.
#[async_trait]
pub trait Presets: Send + Sync {
    /// The presets that are set, at most [`MOST_NAMED`](super::MOST_NAMED) of them, in the camera's order; empty where none is.
    /// Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported` from a camera without presets, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn list(&self) -> Result<Vec<Named>>;
    /// Goes to the preset with this token, which may come from outside. Answers within 8 s, before the camera
    /// has arrived.
    ///
    /// # Errors
    /// `Invalid` for a token that the camera cannot have, `Unsupported`, `Offline`, `Timeout`, `Refused` or
    /// `Other`.
    async fn go_to(&self, token: &str) -> Result<()>;
}

/// A preset or a tour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// How the camera knows it; not empty, and unique in its list.
    pub token: String,
    /// For people to read; the token where the camera has no name for it.
    pub name: String,
}
