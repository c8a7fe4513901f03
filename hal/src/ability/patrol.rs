//! The patrol: a path, a scan or a recorded pattern that the camera follows by itself.

use async_trait::async_trait;

use crate::Result;

/// Runs the camera's patrol.
#[async_trait]
pub trait Patrol: Send + Sync {
    /// Begins the patrol. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn start(&self) -> Result<()>;
    /// Ends the patrol; a success also where it does not run. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn stop(&self) -> Result<()>;
}
