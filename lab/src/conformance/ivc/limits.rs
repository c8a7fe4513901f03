//! How long a device may take. Tests with a device that is written for them use shorter times.

use std::time::Duration;

/// The times of the specification and the patience of the runner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Time from one Keepalive to the next (flow, step 3).
    pub keepalive: Duration,
    /// Longest time until an answer (handling of exceptions, rule 2).
    pub answer: Duration,
    /// What scheduling and the network may add to any time.
    pub slack: Duration,
    /// Longest wait for the first login.
    pub login: Duration,
    /// Longest wait for a device to come back.
    pub reconnect: Duration,
    /// Longest wait for an alarm, which somebody has to raise.
    pub alarm: Duration,
    /// Longest wait for the first picture, and for the first segment beyond its duration.
    pub start: Duration,
    /// How long a stream is watched for its pace.
    pub watch: Duration,
    /// How long something is expected not to happen.
    pub quiet: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            keepalive: secs(10),
            answer: secs(20),
            slack: secs(2),
            login: secs(120),
            reconnect: secs(180),
            alarm: secs(30),
            start: secs(12),
            watch: secs(5),
            quiet: secs(1),
        }
    }
}

impl Limits {
    /// Longest wait for the Keepalive that comes next.
    pub fn next_keepalive(&self) -> Duration {
        self.keepalive.mul_f64(1.2) + self.slack
    }

    /// Longest time that one case may take. Some wait for three alarms in turn, and for what is asked between them.
    pub fn case(&self) -> Duration {
        self.login + 2 * self.reconnect + 6 * self.answer + 4 * self.alarm + 10 * self.start
    }
}
