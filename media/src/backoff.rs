//! How long to wait before the next try.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// Waits that double from `first` to `longest`, each drawn from the upper half of its window.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    window: Duration,
}

impl Backoff {
    /// Starts at `first`; never waits longer than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, window: first.min(longest) }
    }

    /// The wait before the next try.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let window = self.window;
        self.window = window.saturating_mul(2).min(self.longest);
        window.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// Begins again at the first wait.
    pub fn reset(&mut self) {
        self.window = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
        let mut rng = rand::rng();
        for window in [500, 1000, 2000, 4000, 8000, 8000, 8000] {
            let wait = backoff.next(&mut rng).as_millis();
            assert!((window / 2..=window).contains(&wait), "{wait} ms in a window of {window} ms");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(500));
    }
}
