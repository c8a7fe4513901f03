//! The times of the rules, and how far off a device may be.

use std::time::Duration;

/// How long a run waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The seven seconds of the chapter Socket Connection Timeout.
    pub rule: Duration,
    /// How much earlier or later than the rule a device may act: the network and its processor take time.
    pub slack: Duration,
    /// How much longer than the rule a device that does nothing is looked at.
    pub beyond: Duration,
    /// Longest wait for the begin of a reply.
    pub reply: Duration,
    /// Time for closing the connection after `done`.
    pub close: Duration,
    /// How long nothing may come after `done`: the update interval of a device is a minute at least.
    pub interval: Duration,
    /// Longest pause inside a reply, after which deployed servers take what came for the whole.
    pub pause: Duration,
    /// Longest wait for a call.
    pub call: Duration,
    /// How long a command of a shell sleeps that no device should execute.
    pub sleep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            rule: secs(7),
            slack: Duration::from_millis(1500),
            beyond: secs(14),
            reply: secs(20),
            close: secs(3),
            interval: secs(10),
            pause: Duration::from_millis(1800),
            call: secs(150),
            sleep: secs(4),
        }
    }
}
