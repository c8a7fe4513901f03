//! When to call the server. Pure rules: the caller brings the randomness and does the sleeping.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::backoff::{Backoff, Policy};

/// Delays after a server could not be reached. The first window is wide, since the devices that lost the server are
/// joined by those whose interval ends.
const AWAY: Policy = Policy { floor: Duration::from_millis(500), windows: &[secs(30), secs(60)] };

/// Delays after a server took the call and said nothing for 7 s.
const SILENT: Policy = Policy {
    floor: Duration::ZERO,
    windows: &[secs(2), secs(4), secs(8), secs(16), secs(32), secs(60)],
};

/// Largest part by which an interval is stretched or cut, so that devices that called together spread.
const JITTER: f64 = 0.1;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no connection.
    Unreachable,
    /// The server broke the rules, mostly by its silence.
    Silent {
        /// The server had sent a command before.
        spoke: bool,
    },
    /// The server said `done`, or closed the connection.
    Over,
}

/// When one device calls its server.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    away: Backoff,
    silent: Backoff,
}

impl Schedule {
    /// A schedule of one call in each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, away: Backoff::new(&AWAY), silent: Backoff::new(&SILENT) }
    }

    /// Time to wait after a call that ended so.
    pub fn after(&mut self, outcome: Outcome, rng: &mut impl Rng) -> Duration {
        if outcome != Outcome::Unreachable {
            self.away = Backoff::new(&AWAY);
        }
        match outcome {
            Outcome::Unreachable => self.away.next(rng),
            Outcome::Silent { spoke } => {
                if spoke {
                    self.silent = Backoff::new(&SILENT);
                }
                self.silent.next(rng)
            }
            Outcome::Over => {
                self.silent = Backoff::new(&SILENT);
                self.interval.mul_f64(rng.random_range(1.0 - JITTER..=1.0 + JITTER))
            }
        }
    }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const N: usize = 1_000;
    const MINUTE: Duration = secs(60);

    fn longest(delays: impl Fn(u64) -> Duration) -> Duration {
        (0..500).map(delays).max().unwrap()
    }

    #[test]
    fn the_next_session_is_due_one_interval_later_give_or_take_a_tenth() {
        let delay = |seed| {
            let rng = &mut StdRng::seed_from_u64(seed);
            Schedule::new(MINUTE).after(Outcome::Over, rng)
        };
        let shortest = (0..500).map(delay).min().unwrap();
        assert!(shortest >= secs(54) && shortest < secs(55), "{shortest:?}");
        assert!(longest(delay) <= secs(66) && longest(delay) > secs(65));
    }

    #[test]
    fn a_silent_server_is_called_again_within_two_seconds_and_then_ever_later() {
        for (calls, window) in [2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
            let delay = |seed| {
                let rng = &mut StdRng::seed_from_u64(seed);
                let mut schedule = Schedule::new(MINUTE);
                for _ in 0..calls {
                    schedule.after(Outcome::Silent { spoke: false }, rng);
                }
                schedule.after(Outcome::Silent { spoke: false }, rng)
            };
            let longest = longest(delay);
            assert!(longest <= secs(window), "call {calls}: {longest:?}");
            assert!(longest > secs(window).mul_f64(0.9), "call {calls}: {longest:?}");
        }
    }

    #[test]
    fn a_command_makes_up_for_all_silence_before() {
        for seed in 0..500 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let mut schedule = Schedule::new(MINUTE);
            for _ in 0..10 {
                schedule.after(Outcome::Silent { spoke: false }, rng);
            }
            let delay = schedule.after(Outcome::Silent { spoke: true }, rng);
            assert!(delay <= secs(2), "seed {seed}: {delay:?}");
        }
    }

    #[test]
    fn a_server_that_is_away_is_called_at_least_once_a_minute() {
        for seed in 0..500 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let mut schedule = Schedule::new(secs(86_400));
            for _ in 0..10 {
                assert!(schedule.after(Outcome::Unreachable, rng) <= MINUTE);
            }
        }
    }

    /// Seconds at which a thousand devices call, that were all in a session at 0 when their server
    /// died; it takes calls again at `repair`.
    fn outage(seed: u64, repair: f64) -> Vec<f64> {
        let mut calls = Vec::new();
        for device in 0..N as u64 {
            let rng = &mut StdRng::seed_from_u64(seed * 1_000_003 + device);
            let mut schedule = Schedule::new(MINUTE);
            let mut outcome = Outcome::Over;
            let mut at = 0.0;
            while at < 300.0 {
                at += schedule.after(outcome, rng).as_secs_f64();
                calls.push(at);
                outcome = if at < repair { Outcome::Unreachable } else { Outcome::Over };
            }
        }
        calls.sort_by(f64::total_cmp);
        calls
    }

    #[test]
    fn a_thousand_devices_spread_when_their_server_dies() {
        for (seed, repair) in (0..50).flat_map(|seed| [(seed, 0.0), (seed, 60.0)]) {
            let calls = outage(seed, repair);
            let mut first = 0;
            for (last, at) in calls.iter().enumerate() {
                while at - calls[first] >= 1.0 {
                    first += 1;
                }
                let peak = last + 1 - first;
                assert!(peak <= N * 15 / 100, "seed {seed}, back at {repair}: {peak} at {at}");
            }
        }
    }
}
