//! Tours from preset to preset.

use async_trait::async_trait;

use super::presets::Named;
use crate::Result;

/// Lists tours of presets and runs them.
#[async_trait]
pub trait Tours: Send + Sync {
    /// The tours that are set, at most [`MOST_NAMED`](super::MOST_NAMED) of them, in the camera's order; empty where none is.
    /// Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported` from a camera without tours, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn list(&self) -> Result<Vec<Named>>;
    /// Runs the tour with this token, which may come from outside, until it is stopped. Answers within 8 s.
    ///
    /// # Errors
    /// `Invalid` for a token that the camera cannot have, `Unsupported`, `Offline`, `Timeout`, `Refused` or
    /// `Other`.
    async fn start(&self, token: &str) -> Result<()>;
    /// Stops the tour with this token or, with `None`, whichever runs; a success also where none runs.
    /// Answers within 8 s.
    ///
    /// # Errors
    /// `Invalid` where the camera has to be told which tour, `Unsupported`, `Offline`, `Timeout`, `Refused` or
    /// `Other`.
    async fn stop(&self, token: Option<&str>) -> Result<()>;
}
