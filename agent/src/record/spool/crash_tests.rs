//! A crash after every single step on the disk, with and without the data that was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use super::Pending;

use super::fixture::{Op, TestDisk, group, payload, pending, second, segment, session};
use super::index::Index;
use super::store::Store;

/// What a crash leaves of the data that was not synced.
#[derive(Clone, Copy, Debug)]
enum Crash {
    /// The process is killed: the system writes all of the data.
    Killed,
    /// The process is killed in the middle of the last write.
    Torn,
    /// The power is cut: nothing of the data is there.
    PowerCut,
    /// The power is cut: names are there, data is not.
    EmptyFiles,
    /// The power is cut: names and lengths are there, and zeros instead of data.
    Zeros,
}

/// What the store has promised after a number of operations.
#[derive(Clone, Debug, Default)]
struct Said {
    done: usize,
    /// Groups of each segment that the store called written.
    written: BTreeMap<(u64, u64), usize>,
    /// Segments that the store was asked to remove.
    unwanted: BTreeSet<(u64, u64)>,
    /// Segments that the store called removed.
    removed: BTreeSet<(u64, u64)>,
    /// Values that the store may hold as pending.
    pending: Vec<Option<Pending>>,
}

/// Uses a store and notes what it promises.
struct Script {
    disk: TestDisk,
    store: Store,
    said: Vec<Said>,
    now: Said,
}

impl Script {
    fn say(&mut self, change: impl FnOnce(&mut Said)) {
        change(&mut self.now);
        self.now.done = self.disk.journal().len();
        self.said.push(self.now.clone());
    }

    fn write(&mut self, id: u64, number: u64, groups: usize) {
        for nth in 0..groups {
            let (chunks, second) = (content(id, number, nth), second());
            match nth {
                0 => self.store.begin(id, segment(number), &chunks, second).unwrap(),
                _ => self.store.append(id, number, &chunks, second).unwrap(),
            }
            self.say(|said| said.written.extend([((id, number), nth + 1)]));
        }
    }

    fn store(&mut self, id: u64, number: u64) {
        let whole: Vec<_> = (0..3).flat_map(|nth| content(id, number, nth)).collect();
        self.store.store(id, segment(number), 3 * second(), &whole).unwrap();
        self.say(|said| said.written.extend([((id, number), 3)]));
    }

    fn remove(&mut self, id: u64, number: u64) {
        self.say(|said| said.unwanted.extend([(id, number)]));
        self.store.remove(id, number).unwrap();
        self.say(|said| said.removed.extend([(id, number)]));
    }

    fn set_pending(&mut self, id: u64, pending: Option<Pending>) {
        self.say(|said| said.pending.push(pending.clone()));
        self.store.set_pending(id, pending.clone()).unwrap();
        self.say(|said| said.pending = vec![pending]);
    }
}

fn content(id: u64, number: u64, nth: usize) -> Vec<bytes::Bytes> {
    group((id * 100 + number * 10) as u8 + nth as u8, 1 + nth)
}

#[test]
fn nothing_synced_is_lost_whenever_it_crashes() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let store = Store::open(dir.path().to_owned(), 1 << 30, Box::new(disk.clone())).unwrap();
    let ids = ["a", "b"].map(|name| store.index().lock().unwrap().begin(session(name)));
    let now = Said { pending: vec![None], ..Said::default() };
    let mut script = Script { disk, store, said: vec![now.clone()], now };

    script.write(ids[0], 0, 3);
    script.write(ids[1], 0, 1);
    script.store.finish(ids[0], 0).unwrap();
    script.set_pending(ids[0], Some(pending(0)));
    script.write(ids[0], 1, 2);
    script.store.abandon(ids[0], 1);
    script.store(ids[0], 2);
    script.set_pending(ids[0], Some(pending(2)));
    script.remove(ids[0], 0);
    script.store(ids[0], 1);
    script.store.finish(ids[1], 0).unwrap();
    script.remove(ids[1], 0);
    script.store.close(ids[1]).unwrap();
    script.remove(ids[0], 2);
    script.remove(ids[0], 1);
    script.set_pending(ids[0], None);
    script.store.close(ids[0]).unwrap();

    let journal = script.disk.journal();
    assert!(journal.len() > 50, "{}", journal.len());
    for steps in 0..=journal.len() {
        let said = script.said.iter().rfind(|said| said.done <= steps).unwrap();
        // A request that ran at the moment of the crash may have had its effect.
        let next = script.said.iter().find(|said| said.done > steps);
        let crashes =
            [Crash::Killed, Crash::Torn, Crash::PowerCut, Crash::EmptyFiles, Crash::Zeros];
        for crash in crashes {
            let image = tempdir().unwrap();
            replay(&journal[..steps], crash, dir.path(), image.path());
            check(image.path(), said, next, &format!("{crash:?} after {steps}"));
        }
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "all is over");
}

/// Checks that the spool in `root` keeps what `said` promises.
fn check(root: &Path, said: &Said, next: Option<&Said>, when: &str) {
    let mut store =
        Store::open(root.to_owned(), 1 << 30, Box::new(TestDisk::default())).expect(when);
    let held = |index: &Index, id| index.session(id).and_then(|session| session.pending.clone());
    let pending = held(&store.index().lock().unwrap(), 0);
    let possible = said.pending.iter().chain(next.iter().flat_map(|next| &next.pending));
    assert!(possible.into_iter().any(|possible| *possible == pending), "{when}: {pending:?}");

    for (id, number) in (0..2).flat_map(|id| (0..3).map(move |number| (id, number))) {
        let stored = store.index().lock().unwrap().stored(id);
        let copies = stored.iter().filter(|stored| stored.head.number == number).count();
        assert!(copies <= 1, "{when}: {copies} of {id}/{number}");
        let groups = (0..=3).map(|groups| {
            (0..groups).flat_map(|nth| content(id, number, nth)).collect::<Vec<_>>().concat()
        });
        let found = payload(&mut store, id, number).unwrap_or_default();
        let found = groups.clone().position(|groups| groups == found);
        let found = found.unwrap_or_else(|| panic!("{when}: {id}/{number} is not whole groups"));
        if said.removed.contains(&(id, number)) {
            assert_eq!(found, 0, "{when}: {id}/{number} is back");
        } else if !said.unwanted.contains(&(id, number)) {
            let written = said.written.get(&(id, number)).copied().unwrap_or_default();
            assert!(found >= written, "{when}: {id}/{number} has {found} of {written}");
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Data {
    now: Vec<u8>,
    synced: Vec<u8>,
}

/// Makes the folder in the state in which a crash leaves it.
fn replay(journal: &[Op], crash: Crash, from: &Path, image: &Path) {
    let mut files: Vec<Data> = Vec::new();
    let mut names: BTreeMap<PathBuf, Node> = BTreeMap::new();
    let mut synced: BTreeMap<PathBuf, Node> = BTreeMap::new();
    for (nth, op) in journal.iter().enumerate() {
        let file = |names: &BTreeMap<PathBuf, Node>, path: &Path| match names.get(path) {
            Some(Node::File(file)) => *file,
            node => panic!("{} is {node:?}", path.display()),
        };
        match op {
            Op::MakeDir(path) => drop(names.insert(path.clone(), Node::Folder)),
            Op::Create(path) => {
                names.insert(path.clone(), Node::File(files.len()));
                files.push(Data::default());
            }
            Op::Write(path, at, bytes) => {
                let torn = matches!(crash, Crash::Torn) && nth + 1 == journal.len();
                let bytes = if torn { &bytes[..bytes.len() / 2] } else { bytes };
                let (now, at) = (&mut files[file(&names, path)].now, *at as usize);
                now.resize(now.len().max(at + bytes.len()), 0);
                now[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Op::Cut(path, length) => files[file(&names, path)].now.truncate(*length as usize),
            Op::Sync(path) => {
                let data = &mut files[file(&names, path)];
                data.synced = data.now.clone();
            }
            Op::SyncDir(folder) => {
                let inside = |path: &Path| path.parent() == Some(folder);
                synced.retain(|path, _| !inside(path));
                let found = names.iter().filter(|(path, _)| inside(path));
                synced.extend(found.map(|(path, node)| (path.clone(), node.clone())));
            }
            Op::Rename(from, to) => {
                let node = names.remove(from).unwrap();
                names.insert(to.clone(), node);
            }
            Op::Remove(path) | Op::RemoveDir(path) => drop(names.remove(path)),
        }
    }
    let names = if matches!(crash, Crash::PowerCut) { synced } else { names };
    // Folders are made before the files in them.
    for (path, node) in names {
        let path = image.join(path.strip_prefix(from).unwrap());
        match node {
            Node::Folder => fs::create_dir(path).unwrap(),
            Node::File(_) if !path.parent().unwrap().is_dir() => {}
            Node::File(file) => {
                let Data { now, mut synced } = files[file].clone();
                let data = match crash {
                    Crash::Killed | Crash::Torn => now,
                    Crash::PowerCut | Crash::EmptyFiles => synced,
                    Crash::Zeros => {
                        synced.resize(now.len(), 0);
                        synced
                    }
                };
                fs::write(path, data).unwrap();
            }
        }
    }
}
