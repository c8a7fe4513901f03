//! Motion detection.

use async_trait::async_trait;

use super::detection::Detection;
use crate::Result;

/// Sets up motion detection.
#[async_trait]
pub trait Motion: Send + Sync {
    /// Sets up motion detection of the whole picture or of the areas that the camera has. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn configure(&self, detection: Detection) -> Result<()>;

    /// What of a detection the camera has no place for, of "sensitivity", "delay" and "area": it is left out.
    #[cfg(feature = "profiles")]
    fn lacks(&self) -> Vec<&'static str> {
        Vec::new()
    }
}
