//! The camera's clock.

use async_trait::async_trait;
use ivt_base::wall_time::WallTime;

use crate::Result;

/// Reads and sets the camera's clock, which shows the camera's local time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// What the clock shows. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn now(&self) -> Result<WallTime>;
    /// Sets the clock; the camera's time zone and what else it keeps of its time stay as they are. Answers within 8 s.
    ///
    /// # Errors
    /// `Invalid` for a time that the camera cannot show, `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn set(&self, time: WallTime) -> Result<()>;
    /// Whether it is the clock of the system that this program runs on, which goes by the system's own time zone.
    fn is_the_systems(&self) -> bool {
        false
    }
}
