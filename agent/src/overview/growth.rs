//! When a count grew last.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// A count of a channel, or of the device (`None`).
type Key = (Option<usize>, &'static str);

/// When each of many counts grew last.
#[derive(Default)]
pub(super) struct Growth(BTreeMap<Key, (u64, Option<Instant>)>);

impl Growth {
    /// Notes the value of a count at a moment, and returns when the count grew last; `None` if it did not since it was
    /// noted first. A count that begins anew has not grown.
    pub(super) fn note(&mut self, key: Key, value: u64, now: Instant) -> Option<Instant> {
        let (last, grew) = self.0.entry(key).or_insert((value, None));
        if value > *last {
            *grew = Some(now);
        }
        *last = value;
        *grew
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_growth_is_told() {
        let mut growth = Growth::default();
        let (key, start) = ((Some(0), "uploaded"), Instant::now());
        assert_eq!(growth.note(key, 7, start), None, "it was so before");
        let later = start + Duration::from_secs(1);
        assert_eq!(growth.note(key, 8, later), Some(later));
        assert_eq!(growth.note(key, 8, later + Duration::from_secs(1)), Some(later));
        assert_eq!(growth.note(key, 0, later + Duration::from_secs(2)), Some(later), "anew");
        assert_eq!(growth.note((None, "uploaded"), 8, later), None, "another one");
    }
}
