//! A rate: when the last bit of each byte has left.

/// Nanoseconds in a second, and billionths of a bit in a bit.
const BILLION: u128 = 1_000_000_000;

/// One direction of a line, through which all of its connections go in the order in which their bytes come.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    /// The moment at which the last byte has left, in nanoseconds.
    free_at: u64,
    /// What could have left before that moment, in billionths of a bit.
    spare: u128,
}

impl Pipe {
    /// When a byte that comes now begins to leave, in nanoseconds.
    pub(super) fn begins(&self, now: u64) -> u64 {
        self.free_at.max(now)
    }

    /// When the last of these bytes has left, in nanoseconds, at so many bits per second; 0 is no limit. The same
    /// whether the bytes come by one call or by several.
    pub(super) fn pass(&mut self, now: u64, bytes: u64, rate: u64) -> u64 {
        if now > self.free_at || rate == 0 {
            (self.free_at, self.spare) = (self.begins(now), 0);
        }
        if rate > 0 {
            let need = u128::from(bytes) * 8 * BILLION;
            let rate = u128::from(rate);
            let time = need.saturating_sub(self.spare).div_ceil(rate);
            self.spare = self.spare + time * rate - need;
            self.free_at = self.free_at.saturating_add(u64::try_from(time).unwrap_or(u64::MAX));
        }
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_take_their_time_one_behind_the_other() {
        let mut pipe = Pipe::default();
        assert_eq!(pipe.pass(1000, 125, 1_000_000), 1_001_000);
        assert_eq!(pipe.pass(2000, 125, 1_000_000), 2_001_000);
        assert_eq!(pipe.begins(3000), 2_001_000);
        assert_eq!(pipe.pass(5_000_000, 1, 8), 1_005_000_000);
        assert_eq!(pipe.pass(5_000_000, 1 << 20, 0), 1_005_000_000);
        assert_eq!(pipe.pass(u64::MAX - 5, 1, 1), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_split_changes_no_time(
            pieces in prop::collection::vec(1_u64..3000, 1..20),
            rate in 1_u64..20_000_000_000,
            now in 0_u64..1_000_000,
        ) {
            let (mut whole, mut split) = (Pipe::default(), Pipe::default());
            let ends: Vec<u64> = pieces.iter().map(|bytes| split.pass(now, *bytes, rate)).collect();
            prop_assert_eq!(whole.pass(now, pieces.iter().sum(), rate), ends[ends.len() - 1]);
            prop_assert_eq!(whole.spare, split.spare);
            prop_assert!(ends.is_sorted());
        }
    }
}
