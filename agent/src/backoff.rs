//! How patiently the agent tries again. Cameras are the matter of `ivt_media::pull`.

use std::time::Duration;

pub use ivt_media::backoff::{Backoff, Policy};

/// For the cloud. The wide windows keep a thousand devices from coming back in the same second.
pub const CLOUD: Policy = Policy {
    floor: Duration::from_millis(500),
    windows: &[secs(15), secs(30), secs(60), secs(120)],
};

/// For an RTMP server that a running publish has lost.
pub const PUBLISH: Policy =
    Policy { floor: Duration::from_millis(200), windows: &[secs(1), secs(4), secs(10)] };

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
