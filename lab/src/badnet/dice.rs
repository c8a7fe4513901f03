//! Draws that depend on a seed and on what they are for, and on nothing that was drawn before.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// The numbers that belong to these parts of a key. Each part changes all of them.
pub(super) fn stream(seed: u64, key: &[u64]) -> Pcg64 {
    key.iter().fold(Pcg64::seed_from_u64(seed), |mut dice, part| {
        Pcg64::seed_from_u64(dice.next_u64() ^ part)
    })
}

/// A part of a key that stands for a name.
pub(super) fn key_of(name: &str) -> u64 {
    let bytes: Vec<u64> = name.bytes().map(u64::from).collect();
    stream(0, &bytes).next_u64()
}

/// A number of at least 0 and below 1.
pub(super) fn share(dice: &mut Pcg64) -> f64 {
    // The upper 53 bits, since a double holds no more.
    (dice.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_in_each_version_and_on_each_machine() {
        assert_eq!(stream(42, &[1, 2]).next_u64(), stream(42, &[1, 2]).next_u64());
        let first =
            [stream(42, &[1, 2]), stream(42, &[2, 1]), stream(43, &[1, 2]), stream(42, &[1])]
                .map(|mut dice| dice.next_u64());
        for (i, number) in first.iter().enumerate() {
            assert!(!first[..i].contains(number), "{first:?}");
        }
        assert_eq!(first[0], EXPECTED);
        assert_ne!(key_of("cloud"), key_of("rtmp"));
    }

    /// As drawn when this was written.
    const EXPECTED: u64 = 645_072_968_545_578_788;

    #[test]
    fn shares_are_even() {
        let mut dice = stream(7, &[]);
        let sum: f64 = (0..10_000).map(|_| share(&mut dice)).sum();
        assert!((4900.0..5100.0).contains(&sum), "{sum}");
    }
}
