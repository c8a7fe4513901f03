//! Things known by a name, bounded in number.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A thing with a name of its own.
pub(crate) trait Named {
    /// Whether this is the thing's name.
    fn is_named(&self, name: &str) -> bool;
}

/// The known things of one kind, oldest first.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    most: usize,
    all: Mutex<Vec<Arc<T>>>,
}

impl<T: Named> Registry<T> {
    /// Knows at most `most` things.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, all: Mutex::default() }
    }

    /// The thing of this name, which `make` makes if it is not known. Where too many are known, one that is
    /// in nobody's hands makes room: of those with a `rank`, the oldest with the least. `None` when none can.
    pub(crate) fn open<K: Ord>(
        &self,
        name: &str,
        rank: impl Fn(&T) -> Option<K>,
        make: impl FnOnce() -> T,
    ) -> Option<Arc<T>> {
        let mut all = self.lock();
        if let Some(known) = all.iter().find(|thing| thing.is_named(name)) {
            return Some(known.clone());
        }
        if all.len() >= self.most {
            let idle = all.iter().enumerate().filter(|(_, thing)| Arc::strong_count(thing) == 1);
            let ranked = idle.filter_map(|(i, thing)| rank(thing).map(|rank| (rank, i)));
            let (_, least) = ranked.min()?;
            all.remove(least);
        }
        let new = Arc::new(make());
        all.push(new.clone());
        Some(new)
    }

    /// The thing of this name; `None` if it is not known.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<T>> {
        self.lock().iter().find(|thing| thing.is_named(name)).cloned()
    }

    /// All known things, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<T>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<T>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(String, Option<u32>);

    impl Named for Thing {
        fn is_named(&self, name: &str) -> bool {
            self.0 == name
        }
    }

    fn open(registry: &Registry<Thing>, name: &str, rank: Option<u32>) -> Option<Arc<Thing>> {
        registry.open(name, |thing| thing.1, || Thing(name.to_owned(), rank))
    }

    fn names(registry: &Registry<Thing>) -> Vec<String> {
        registry.list().iter().map(|thing| thing.0.clone()).collect()
    }

    #[test]
    fn a_name_leads_to_the_same_thing() {
        let registry = Registry::new(2);
        let first = open(&registry, "a", None).unwrap();
        assert!(Arc::ptr_eq(&first, &open(&registry, "a", Some(1)).unwrap()));
        assert!(Arc::ptr_eq(&first, &registry.find("a").unwrap()));
        assert!(registry.find("b").is_none());
    }

    #[test]
    fn the_least_of_those_that_nobody_holds_makes_room() {
        let registry = Registry::new(4);
        for (name, rank) in [("high", Some(2)), ("low", Some(1)), ("equal", Some(1)), ("no", None)]
        {
            open(&registry, name, rank);
        }
        let held = registry.find("low");
        open(&registry, "new", Some(9));
        assert_eq!(names(&registry), ["high", "low", "no", "new"]);
        drop(held);
        open(&registry, "newer", None);
        assert_eq!(names(&registry), ["high", "no", "new", "newer"]);
    }

    #[test]
    fn without_one_to_drop_nothing_new_is_known() {
        let registry = Registry::new(1);
        let held = open(&registry, "a", Some(1));
        assert!(open(&registry, "b", Some(1)).is_none());
        drop(held);
        assert!(open(&registry, "b", None).is_some());
        assert!(open(&registry, "c", None).is_none(), "it has no rank");
    }
}
