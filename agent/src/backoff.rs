//! The delays between attempts to reach a server. Retries of cameras live in `ivt_media::pull`.

use std::time::Duration;

pub use ivt_base::backoff::{Backoff, HEALTH, Policy};

/// Delays before dialling the cloud again. The wide windows keep a thousand devices from coming back in
/// the same second.
pub const CLOUD: Policy = Policy {
    floor: Duration::from_millis(500),
    windows: &[secs(15), secs(30), secs(60), secs(120)],
};

/// Delays before a publish that lost its RTMP server connects again.
pub const PUBLISH: Policy =
    Policy { floor: Duration::from_millis(200), windows: &[secs(1), secs(4), secs(10)] };

/// Delays before a constant publish that its server has refused is tried again. Servers lock out whoever goes
/// on knocking with a wrong key.
pub const CONSTANT: Policy =
    Policy { floor: Duration::from_secs(5), windows: &[secs(30), secs(60), secs(300), secs(600)] };

/// Delays before an upload is tried again. They are short, since the end of an outage goes unnoticed
/// during a delay.
pub const UPLOAD: Policy =
    Policy { floor: Duration::from_millis(500), windows: &[secs(1), secs(3), secs(8), secs(15)] };

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
