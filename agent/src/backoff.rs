//! How patiently the agent tries again. Cameras are the matter of `ivt_media::pull`.

use std::time::Duration;

pub use ivt_base::backoff::{Backoff, HEALTH, Policy};

/// For the cloud. The wide windows keep a thousand devices from coming back in the same second.
pub const CLOUD: Policy = Policy {
    floor: Duration::from_millis(500),
    windows: &[secs(15), secs(30), secs(60), secs(120)],
};

/// For an RTMP server that a running publish has lost.
pub const PUBLISH: Policy =
    Policy { floor: Duration::from_millis(200), windows: &[secs(1), secs(4), secs(10)] };

/// For a recording service. Short: an outage ends unnoticed for as long as the delay is.
pub const UPLOAD: Policy =
    Policy { floor: Duration::from_millis(500), windows: &[secs(1), secs(3), secs(8), secs(15)] };

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
