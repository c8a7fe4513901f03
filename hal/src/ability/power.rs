//! Restarting a camera.

use async_trait::async_trait;

use crate::Result;

/// Restarts a camera.
#[async_trait]
pub trait Power: Send + Sync {
    /// Restarts the camera, which is then away for a while. Answers within 8 s; a camera that hangs up without
    /// an answer once it was told has done what it was asked.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn reboot(&self) -> Result<()>;
}
