//! When to try again. Pure: the caller brings the randomness and does the sleeping.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// A connection that lasted this long was healthy: its loss restarts the schedule.
pub const HEALTH: Duration = Duration::from_secs(60);

/// Full jitter: each delay is uniform between a floor and a window that grows, so that those who
/// were cut off together do not come back together.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// Shortest delay.
    pub floor: Duration,
    /// Longest delay of each attempt in turn; the last one repeats for ever. Not empty.
    pub windows: &'static [Duration],
}

/// One schedule of delays.
#[derive(Debug)]
pub struct Backoff {
    policy: &'static Policy,
    failures: usize,
}

impl Backoff {
    /// A schedule at its start.
    pub fn new(policy: &'static Policy) -> Self {
        Self { policy, failures: 0 }
    }

    /// The delay before the next attempt.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let windows = self.policy.windows;
        let window = windows.get(self.failures).or(windows.last()).copied();
        self.failures = (self.failures + 1).min(windows.len());
        let floor = self.policy.floor;
        rng.random_range(floor..=window.unwrap_or_default().max(floor))
    }

    /// A delay from the longest window. All later delays are from that window, too.
    pub fn longest(&mut self, rng: &mut impl Rng) -> Duration {
        self.failures = self.policy.windows.len();
        self.next(rng)
    }

    /// Restarts the schedule if the lost connection lasted at least [`HEALTH`].
    pub fn lived(&mut self, lifetime: Duration) {
        if lifetime >= HEALTH {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const WINDOWS: [u64; 4] = [15, 30, 60, 120];
    const FLOOR: Duration = Duration::from_millis(500);
    static POLICY: Policy =
        Policy { floor: FLOOR, windows: &[secs(15), secs(30), secs(60), secs(120)] };

    #[test]
    fn every_delay_lies_in_its_window() {
        for seed in 0..2_000 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(&POLICY);
            for window in WINDOWS.into_iter().chain([120, 120]) {
                let delay = backoff.next(rng);
                assert!(delay >= FLOOR && delay <= secs(window), "seed {seed}: {delay:?}");
            }
        }
    }

    #[test]
    fn the_windows_are_used_to_their_full_width() {
        let mut longest = [Duration::ZERO; 4];
        let mut shortest = [secs(1000); 4];
        for seed in 0..500 {
            let rng = &mut StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(&POLICY);
            for i in 0..4 {
                let delay = backoff.next(rng);
                longest[i] = longest[i].max(delay);
                shortest[i] = shortest[i].min(delay);
            }
        }
        for (i, window) in WINDOWS.into_iter().enumerate() {
            let window = window as f64;
            assert!(longest[i].as_secs_f64() > window * 0.95, "{i}: {:?}", longest[i]);
            assert!(shortest[i].as_secs_f64() < 0.5 + window * 0.05, "{i}: {:?}", shortest[i]);
        }
    }

    #[test]
    fn only_a_minute_of_health_starts_anew() {
        let rng = &mut StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(&POLICY);
        backoff.longest(rng);
        backoff.lived(secs(59));
        assert_eq!(backoff.failures, 4);
        backoff.lived(secs(60));
        assert_eq!(backoff.failures, 0);
    }

    #[test]
    fn the_longest_window_is_kept() {
        let rng = &mut StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(&POLICY);
        let delays: Vec<_> = (0..200).map(|_| backoff.longest(rng)).collect();
        assert!(delays.iter().any(|d| *d > secs(100)));
        let after: Vec<_> = (0..200).map(|_| backoff.next(rng)).collect();
        assert!(after.iter().any(|d| *d > secs(100)));
    }

    #[test]
    fn a_floor_above_the_window_is_the_delay() {
        static ODD: Policy = Policy { floor: secs(9), windows: &[secs(1)] };
        let rng = &mut StdRng::seed_from_u64(1);
        assert_eq!(Backoff::new(&ODD).next(rng), secs(9));
    }
}
