//! Any sequence of operations, with reopening, compared with a map.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

use super::fixture::{TestDisk, group, payload, pending, second, segment, session, size};
use super::store::Store;
use super::{News, Pending, SpoolError};

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// Adds a group to the segment that was begun last.
    Append(usize),
    Finish,
    Abandon,
    Store(usize),
    /// Removes the nth segment that is there.
    Remove(usize),
    SetPending(Option<usize>),
    Close,
    Reopen,
}

#[derive(Clone, Debug)]
struct Kept {
    payload: Vec<u8>,
    complete: bool,
}

/// The model of one session.
#[derive(Debug, Default)]
struct Model {
    id: u64,
    next: u64,
    forming: Option<u64>,
    segments: BTreeMap<u64, Kept>,
    pending: Option<Pending>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Begin),
        3 => (1..20usize).prop_map(Step::Append),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        3 => (1..40usize).prop_map(Step::Store),
        2 => (0..8usize).prop_map(Step::Remove),
        1 => proptest::option::of(0..8usize).prop_map(Step::SetPending),
        1 => Just(Step::Close),
        1 => Just(Step::Reopen),
    ]
}

fn open(root: &Path, limit: u64) -> Store {
    Store::open(root.to_owned(), limit, Box::new(TestDisk::default())).unwrap()
}

impl Model {
    fn new(store: &Store, name: &str) -> Self {
        let id = store.index().lock().unwrap().begin(session(name));
        Self { id, ..Self::default() }
    }

    /// Does an operation on store and model. An error has to be one that the model expects.
    fn apply(&mut self, store: &mut Store, step: Step) -> Result<(), SpoolError> {
        let id = self.id;
        let content = |seed: u64, pieces| group((seed * 7 + id * 50) as u8, pieces);
        match step {
            Step::Begin => {
                self.abandon(store);
                let (number, chunks) = (self.next, content(self.next, 2));
                self.next += 1;
                store.begin(id, segment(number), &chunks, second())?;
                self.forming = Some(number);
                self.segments.insert(number, Kept { payload: chunks.concat(), complete: false });
            }
            Step::Append(pieces) => {
                let Some(number) = self.forming else { return Ok(()) };
                let chunks = content(number, pieces);
                store.append(id, number, &chunks, second()).inspect_err(|_| self.forming = None)?;
                let kept = self.segments.get_mut(&number).unwrap();
                kept.payload.extend(chunks.concat());
            }
            Step::Finish => {
                let Some(number) = self.forming.take() else { return Ok(()) };
                store.finish(id, number)?;
                self.segments.get_mut(&number).unwrap().complete = true;
            }
            Step::Abandon => self.abandon(store),
            Step::Store(pieces) => {
                let number = self.next;
                self.next += 1;
                let chunks = content(number, pieces);
                let stored = store.store(id, segment(number), second(), &chunks)?;
                assert_eq!(stored.bytes, 188 * pieces as u64);
                self.segments.insert(number, Kept { payload: chunks.concat(), complete: true });
            }
            Step::Remove(nth) => {
                let Some(number) = self.nth(nth) else { return Ok(()) };
                store.remove(id, number)?;
                self.forming = self.forming.filter(|forming| *forming != number);
                self.segments.remove(&number);
            }
            Step::SetPending(nth) => {
                self.pending = nth.and_then(|nth| self.nth(nth)).map(pending);
                store.set_pending(id, self.pending.clone())?;
            }
            Step::Close => store.close(id)?,
            Step::Reopen => unreachable!("concerns all sessions"),
        }
        Ok(())
    }

    fn abandon(&mut self, store: &mut Store) {
        if let Some(number) = self.forming.take() {
            store.abandon(self.id, number);
        }
    }

    fn nth(&self, nth: usize) -> Option<u64> {
        self.segments.keys().nth(nth).copied()
    }

    /// Notes that the store was opened again: incomplete segments are complete now, and a session
    /// that holds nothing was dropped and begins anew.
    fn reopen(self, store: &Store, name: &str) -> Self {
        if self.is_empty() {
            return Self { next: self.next, ..Self::new(store, name) };
        }
        let segments = self.segments.into_iter();
        let segments = segments.map(|(number, kept)| (number, Kept { complete: true, ..kept }));
        Self { forming: None, segments: segments.collect(), ..self }
    }

    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.pending.is_none()
    }

    /// Removes from the model what the store removed to make room, which must have been the oldest.
    fn settle(&mut self, store: &Store) {
        let index = store.index();
        let mut index = index.lock().unwrap();
        let there = |number: u64| !index.files(self.id, number).is_empty();
        let gone: Vec<_> =
            self.segments.keys().filter(|number| !there(**number)).copied().collect();
        let pinned = self.pending.as_ref().map(|pending| pending.number);
        let oldest = self.segments.keys().filter(|number| Some(**number) != pinned).copied();
        let oldest = oldest.filter(|number| Some(*number) != self.forming).take(gone.len());
        assert_eq!(gone, oldest.collect::<Vec<_>>());
        let complete = gone.iter().filter(|number| self.segments[number].complete).count();
        let news = index.take_news(self.id);
        let evicted = news.iter().filter(|news| matches!(news, News::Evicted(..))).count();
        assert_eq!(evicted, complete);
        gone.iter().for_each(|number| drop(self.segments.remove(number)));
    }

    fn compare(&self, store: &mut Store) {
        let complete = self.segments.iter().filter(|(_, kept)| kept.complete);
        let complete: Vec<_> = complete.map(|(number, kept)| (*number, &kept.payload)).collect();
        let stored = store.index().lock().unwrap().stored(self.id);
        let found: Vec<_> = stored.iter().map(|stored| stored.head.number).collect();
        assert_eq!(found, complete.iter().map(|(number, _)| *number).collect::<Vec<_>>());
        for (stored, (number, expected)) in stored.iter().zip(complete) {
            assert_eq!(stored.head, segment(number));
            assert_eq!(payload(store, self.id, number).as_ref(), Some(expected));
        }
        let index = store.index();
        let index = index.lock().unwrap();
        let session = index.session(self.id).unwrap();
        assert_eq!(session.pending, self.pending);
    }
}

fn run(limit: u64, steps: Vec<(usize, Step)>) {
    let dir = tempdir().unwrap();
    let names = ["a", "b"];
    let mut store = open(dir.path(), limit);
    let mut models = names.map(|name| Model::new(&store, name));
    for (nth, step) in steps {
        if let Step::Reopen = step {
            drop(store);
            store = open(dir.path(), limit);
            let held = models.iter().filter(|model| !model.is_empty()).map(|model| model.id);
            let found = store.index().lock().unwrap().heads().into_iter().map(|(id, _)| id);
            assert_eq!(found.collect::<BTreeSet<_>>(), held.collect());
            let [first, other] = models;
            models = [first.reopen(&store, names[0]), other.reopen(&store, names[1])];
        } else if let Err(error) = models[nth].apply(&mut store, step) {
            let full = matches!(error, SpoolError::Full { .. });
            assert!(full && limit < u64::MAX, "{step:?}: {error}");
        }
        for model in &mut models {
            model.settle(&store);
            model.compare(&mut store);
        }
        assert!(size(dir.path()) <= limit);
        assert!(store.index().lock().unwrap().stats().bytes <= limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_holds_what_it_was_given(steps in vec((0..2usize, step()), 1..60)) {
        run(u64::MAX, steps);
    }

    #[test]
    fn a_small_spool_holds_the_newest(steps in vec((0..2usize, step()), 1..60)) {
        run(12_000, steps);
    }
}
