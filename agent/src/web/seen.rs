//! What callers saw of the settings, so that one who comes second is told what changed since.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use crate::settings::listing::Listing;

/// Versions that are remembered.
const VERSIONS: usize = 8;
/// Keys of all of them together that are remembered, 64 bytes or so each; the newest version is whatever its size.
const KEYS: usize = 2048;

/// Digests of the values at each key.
type Digests = BTreeMap<String, u64>;

/// The versions of the settings that callers saw last. No value is kept, only its digest.
#[derive(Default)]
pub(crate) struct Seen(Mutex<VecDeque<(String, Digests)>>);

impl Seen {
    /// Remembers a version.
    pub(crate) fn note(&self, listing: &Listing) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(version, _)| *version != listing.version);
        seen.push_back((listing.version.clone(), digests(listing)));
        let held = |seen: &VecDeque<(String, Digests)>| seen.iter().map(|(_, d)| d.len()).sum();
        while seen.len() > VERSIONS || (seen.len() > 1 && KEYS < held(&seen)) {
            seen.pop_front();
        }
    }

    /// The keys whose values differ between a version and `now`; `None` for a version that is not remembered.
    pub(crate) fn since(&self, version: &str, now: &Listing) -> Option<Vec<String>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, old) = seen.iter().find(|(seen, _)| seen == version)?;
        let new = digests(now);
        let came = new.iter().filter(|(key, digest)| old.get(*key) != Some(digest));
        let went = old.iter().filter(|(key, _)| !new.contains_key(*key));
        let mut keys: Vec<_> = came.chain(went).map(|(key, _)| key.clone()).collect();
        keys.sort();
        Some(keys)
    }
}

fn digests(listing: &Listing) -> Digests {
    let digest = |value: &serde_json::Value| {
        let mut hasher = DefaultHasher::new();
        value.to_string().hash(&mut hasher);
        hasher.finish()
    };
    listing.values.iter().map(|(key, value)| (key.clone(), digest(value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(version: usize, values: &[(&str, i32)]) -> Listing {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Listing { version: version.to_string(), values, problem: None }
    }

    #[test]
    fn what_came_went_and_changed_is_named() {
        let seen = Seen::default();
        seen.note(&listing(1, &[("a", 1), ("b", 1), ("c", 1)]));
        let now = listing(2, &[("b", 2), ("c", 1), ("d", 1)]);
        assert_eq!(seen.since("1", &now).unwrap(), ["a", "b", "d"]);
        assert_eq!(seen.since("0", &now), None);
    }

    #[test]
    fn however_much_is_asked_little_is_remembered() {
        let seen = Seen::default();
        for version in 0..100 {
            seen.note(&listing(version, &[("a", 1)]));
            seen.note(&listing(version, &[("a", 1)]));
        }
        let now = listing(100, &[]);
        let known =
            |seen: &Seen| (0..100).filter(|n| seen.since(&n.to_string(), &now).is_some()).count();
        assert_eq!(known(&seen), VERSIONS);
        let keys: Vec<_> = (0..KEYS).map(|n| n.to_string()).collect();
        let many: Vec<_> = keys.iter().map(|key| (&**key, 1)).collect();
        seen.note(&listing(99, &many));
        assert_eq!(known(&seen), 1, "the newest alone");
    }
}
