//! Setting a camera's clock.

pub use ivt_base::wall_time::WallTime;
use serde::{Deserialize, Serialize};

/// SyncTime: set the clock, unless it is nearly right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTime {
    /// The time at the camera.
    pub datetime: WallTime,
    /// Up to which difference the clock is left alone, s.
    pub offset: u64,
}
