//! The connection to the cloud, as far as a channel must know of it.

use tokio::time::Instant;

/// What a channel must know of the connection to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Since when the device is not logged in; `None` while it is.
    pub down_since: Option<Instant>,
    /// Connections that are over.
    pub losses: u64,
}

impl Link {
    /// Not connected yet.
    pub fn down() -> Self {
        Self { down_since: Some(Instant::now()), losses: 0 }
    }
}
