//! The uploaded bytes, bounded: the oldest are dropped first.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// The part of a segment's bytes that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bodies {
    /// Bytes and SHA-256.
    #[default]
    Keep,
    /// SHA-256 only.
    Sum,
    /// Length only.
    Count,
}

impl FromStr for Bodies {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "keep" => Ok(Self::Keep),
            "sum" => Ok(Self::Sum),
            "count" => Ok(Self::Count),
            _ => Err("expected keep, sum or count"),
        }
    }
}

/// The stored objects by name.
pub(in crate::cloud) struct Store {
    max_bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    objects: HashMap<String, Bytes>,
    /// Names, oldest first.
    order: VecDeque<String>,
    bytes: u64,
}

impl Store {
    pub(in crate::cloud) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, kept: Mutex::default() }
    }

    pub(in crate::cloud) fn put(&self, name: &str, body: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += body.len() as u64;
        match kept.objects.insert(name.to_owned(), body) {
            Some(before) => kept.bytes -= before.len() as u64,
            None => kept.order.push_back(name.to_owned()),
        }
        while kept.bytes > self.max_bytes
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.objects.remove(&oldest);
            kept.bytes -= gone.map_or(0, |body| body.len() as u64);
        }
    }

    pub(in crate::cloud) fn find(&self, name: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.objects.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(size: usize) -> Bytes {
        Bytes::from(vec![7; size])
    }

    #[test]
    fn the_oldest_make_room() {
        let store = Store::new(10);
        store.put("a", body(4));
        store.put("b", body(4));
        store.put("a", body(5)); // Stored again, it stays the oldest.
        store.put("c", body(4));
        let sizes = ["a", "b", "c"].map(|name| store.find(name).map(|body| body.len()));
        assert_eq!(sizes, [None, Some(4), Some(4)]);
    }

    #[test]
    fn one_larger_than_the_bound_is_not_kept() {
        let store = Store::new(10);
        store.put("a", body(11));
        assert_eq!(store.find("a"), None);
        store.put("b", body(10));
        assert_eq!(store.find("b").map(|body| body.len()), Some(10));
    }
}
