//! When to dial again. Pure rules over [`Backoff`].

use std::time::Duration;

use ivt_base::retry_after::LONGEST;
use rand::Rng;

use crate::backoff::{Backoff, CLOUD};

/// Connections closed before the first Keepalive answer that count as a refused login.
const EARLY_CLOSES: u32 = 3;

/// How an attempt to be connected ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No WebSocket was opened.
    Unreachable,
    /// The cloud takes no logins now, and asks to be left alone for this long.
    Busy {
        /// The shortest pause that the cloud asks for; zero where it names none.
        wait: Duration,
    },
    /// The cloud refused the login by HTTP 401 or 403, or closed the connection for that reason.
    Refused,
    /// The cloud closed the connection to a device that should not come back soon: another one has
    /// its login, or the cloud has too much to do.
    Dismissed,
    /// The cloud closed before it answered a Keepalive.
    ClosedEarly,
    /// A connection ended in any other way.
    Lost {
        /// Time since the first Keepalive answer; zero without one.
        healthy: Duration,
    },
}

/// What to do after an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long to wait before the next attempt.
    pub delay: Duration,
    /// Whether the cloud refuses our login, so that someone should look.
    pub wrong_login: bool,
}

/// Decides when to dial again, from how the attempts so far ended.
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    early_closes: u32,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { backoff: Backoff::new(&CLOUD), early_closes: 0 }
    }
}

impl Reconnect {
    /// The next step after an attempt.
    pub fn after(&mut self, outcome: Outcome, rng: &mut impl Rng) -> Retry {
        self.early_closes = match outcome {
            Outcome::ClosedEarly => self.early_closes.saturating_add(1),
            _ => 0,
        };
        let wrong_login = outcome == Outcome::Refused || self.early_closes >= EARLY_CLOSES;
        if let Outcome::Lost { healthy } = outcome {
            self.backoff.lived(healthy);
        }
        let longest = wrong_login || outcome == Outcome::Dismissed;
        let delay = if longest { self.backoff.longest(rng) } else { self.backoff.next(rng) };
        // The pause that the cloud asks for comes first, at most an hour of it, so that the devices it sent
        // away together do not come back together.
        let delay = match outcome {
            Outcome::Busy { wait } => wait.min(LONGEST) + delay,
            _ => delay,
        };
        Retry { delay, wrong_login }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const N: usize = 1_000;

    fn rng(seed: u64) -> StdRng {
        StdRng::seed_from_u64(seed)
    }

    #[test]
    fn a_refused_login_is_retried_at_the_longest_window_at_once() {
        let mut longest = Duration::ZERO;
        for seed in 0..300 {
            let retry = Reconnect::default().after(Outcome::Refused, &mut rng(seed));
            assert!(retry.wrong_login);
            longest = longest.max(retry.delay);
        }
        assert!(longest > Duration::from_secs(110), "{longest:?}");
    }

    #[test]
    fn a_pause_that_the_cloud_asks_for_is_the_least_and_an_hour_of_it_the_most() {
        for (wait, most) in [(0, 15), (5, 20), (300, 315), (3599, 3614), (3600, 3615), (9999, 3615)]
        {
            let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
            for seed in 0..300 {
                let wait = Duration::from_secs(wait);
                let retry = Reconnect::default().after(Outcome::Busy { wait }, &mut rng(seed));
                assert!(!retry.wrong_login && retry.delay >= wait.min(LONGEST), "{wait:?}");
                (shortest, longest) = (shortest.min(retry.delay), longest.max(retry.delay));
            }
            assert!(longest - shortest > Duration::from_secs(10), "{wait}: all return together");
            let most = Duration::from_secs(most);
            assert!(longest <= most && longest > most.mul_f64(0.9), "{wait}: {longest:?}");
        }
    }

    #[test]
    fn a_device_that_is_sent_away_returns_within_the_longest_window_however_long_it_lived() {
        let mut longest = Duration::ZERO;
        for seed in 0..300 {
            let (rng, mut reconnect) = (&mut rng(seed), Reconnect::default());
            let retry = reconnect.after(Outcome::Dismissed, rng);
            assert!(!retry.wrong_login);
            longest = longest.max(retry.delay);
        }
        assert!(longest > Duration::from_secs(110), "{longest:?}");
    }

    #[test]
    fn three_early_closes_running_are_a_wrong_login() {
        let rng = &mut rng(3);
        let mut reconnect = Reconnect::default();
        let mut after = |outcome| reconnect.after(outcome, rng).wrong_login;
        assert!(!after(Outcome::ClosedEarly));
        assert!(!after(Outcome::ClosedEarly));
        assert!(!after(Outcome::Lost { healthy: Duration::from_secs(1) }), "not running");
        assert!(!after(Outcome::ClosedEarly));
        assert!(!after(Outcome::ClosedEarly));
        assert!(after(Outcome::ClosedEarly));
        assert!(after(Outcome::ClosedEarly));
        assert!(!after(Outcome::Unreachable));
    }

    /// A thousand devices lose the cloud at second 0, which takes connections again at `repair`.
    /// The results are the seconds of all attempts, and of each device's return.
    fn outage(seed: u64, repair: f64) -> (Vec<f64>, Vec<f64>) {
        let (mut attempts, mut back) = (Vec::new(), Vec::new());
        for device in 0..N as u64 {
            let rng = &mut rng(seed * 1_000_003 + device);
            let mut reconnect = Reconnect::default();
            let mut outcome = Outcome::Lost { healthy: Duration::from_secs(3_600) };
            let mut at = 0.0;
            loop {
                at += reconnect.after(outcome, rng).delay.as_secs_f64();
                attempts.push(at);
                if at >= repair {
                    back.push(at);
                    break;
                }
                outcome = Outcome::Unreachable;
            }
        }
        back.sort_by(f64::total_cmp);
        (attempts, back)
    }

    /// The most attempts within any one second, from `from` on.
    fn peak(attempts: &[f64], from: f64) -> usize {
        let mut times: Vec<f64> = attempts.iter().copied().filter(|t| *t >= from).collect();
        times.sort_by(f64::total_cmp);
        let mut first = 0;
        let widths = times.iter().enumerate().map(|(last, t)| {
            while t - times[first] >= 1.0 {
                first += 1;
            }
            last - first + 1
        });
        widths.max().unwrap_or(0)
    }

    #[test]
    fn a_thousand_devices_spread_after_a_restart() {
        for seed in 0..100 {
            let (attempts, back) = outage(seed, 0.0);
            let peak = peak(&attempts, 0.0);
            assert!(peak <= N * 12 / 100, "seed {seed}: {peak} in a second");
            assert!(back[N * 99 / 100 - 1] <= 20.0, "seed {seed}");
        }
    }

    #[test]
    fn a_thousand_devices_spread_through_a_minute_of_outage() {
        for seed in 0..100 {
            let (attempts, back) = outage(seed, 60.0);
            let all = peak(&attempts, 0.0);
            assert!(all <= N * 15 / 100, "seed {seed}: {all} in a second");
            let later = peak(&attempts, 60.0);
            assert!(later <= N * 6 / 100, "seed {seed}: {later} in a second after the repair");
            assert!(back[N * 99 / 100 - 1] <= 60.0 + 120.0, "seed {seed}");
        }
    }

    #[test]
    fn a_long_outage_costs_few_attempts() {
        for seed in 0..1_000 {
            let rng = &mut rng(seed);
            let mut reconnect = Reconnect::default();
            let mut at = 0.0;
            let mut times = Vec::new();
            while at < 24.0 * 3600.0 {
                at += reconnect.after(Outcome::Unreachable, rng).delay.as_secs_f64();
                times.push(at);
            }
            let first = times.iter().filter(|t| **t <= 600.0).count();
            assert!(first <= 24, "seed {seed}: {first} attempts in ten minutes");
            for hour in 1..24 {
                let (from, to) = (f64::from(hour) * 3600.0, f64::from(hour + 1) * 3600.0);
                let n = times.iter().filter(|t| (from..to).contains(*t)).count();
                assert!(n <= 85, "seed {seed}: {n} attempts in hour {hour}");
            }
        }
    }

    #[test]
    fn half_of_the_devices_are_back_a_minute_after_a_long_outage() {
        let (_, back) = outage(1, 600.0);
        let delay = |share: usize| back[N * share / 100 - 1] - 600.0;
        assert!(delay(50) <= 60.0, "{}", delay(50));
        assert!(delay(100) <= 130.0, "{}", delay(100));
    }
}
