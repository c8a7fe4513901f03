//! What the tests of the spool share: a disk that fails on request and keeps a journal.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Disk, OpenFile, SystemDisk};
use super::format::{self, Payload};
use super::store::Store;
use super::{
    News, Pending, SegmentHead, SessionHead, Spool, SpoolError, SpoolSession, Stats, scan,
};

/// One change on the disk.
#[derive(Clone, Debug)]
pub enum Op {
    MakeDir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveDir(PathBuf),
}

/// A real folder with faults, without waiting for the disk below it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct TestDisk {
    state: Arc<Mutex<Faults>>,
    released: Arc<Condvar>,
}

#[derive(Debug, Default)]
struct Faults {
    journal: Vec<Op>,
    fault: Option<ErrorKind>,
    /// Bytes of all files below the folder.
    capacity: Option<(PathBuf, u64)>,
    hangs: bool,
}

impl TestDisk {
    /// Makes everything fail from now on, or nothing.
    pub fn fail(&self, fault: Option<ErrorKind>) {
        self.state.lock().unwrap().fault = fault;
    }

    /// Gives the disk below `root` room for this many bytes.
    pub fn shrink(&self, root: &Path, bytes: u64) {
        self.state.lock().unwrap().capacity = Some((root.to_owned(), bytes));
    }

    /// Makes every operation hang from now on, or lets them go on.
    pub fn hang(&self, hangs: bool) {
        self.state.lock().unwrap().hangs = hangs;
        self.released.notify_all();
    }

    pub fn journal(&self) -> Vec<Op> {
        self.state.lock().unwrap().journal.clone()
    }

    fn note(&self, op: Op) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let mut state = self.released.wait_while(state, |state| state.hangs).unwrap();
        if let Some(fault) = state.fault {
            return Err(fault.into());
        }
        if let (Op::Write(path, at, bytes), Some((root, capacity))) = (&op, &state.capacity) {
            let written = path.metadata()?.len();
            let more = (at + bytes.len() as u64).saturating_sub(written);
            if size(root) + more > *capacity {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        state.journal.push(op);
        Ok(())
    }
}

impl Disk for TestDisk {
    fn claim(&self, root: &Path) -> io::Result<File> {
        File::open(root)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        if self.state.lock().unwrap().fault.is_none() && path.exists() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.note(Op::MakeDir(path.to_owned()))?;
        SystemDisk.make_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<OpenFile> {
        self.note(Op::Create(path.to_owned()))?;
        SystemDisk.create(path)
    }

    fn edit(&self, path: &Path) -> io::Result<OpenFile> {
        SystemDisk.edit(path)
    }

    fn write(&self, file: &OpenFile, bytes: &[u8], at: u64) -> io::Result<()> {
        self.note(Op::Write(file.path.clone(), at, bytes.to_vec()))?;
        SystemDisk.write(file, bytes, at)
    }

    fn cut(&self, file: &OpenFile, length: u64) -> io::Result<()> {
        self.note(Op::Cut(file.path.clone(), length))?;
        SystemDisk.cut(file, length)
    }

    fn sync(&self, file: &OpenFile) -> io::Result<()> {
        self.note(Op::Sync(file.path.clone()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.note(Op::SyncDir(path.to_owned()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(Op::Rename(from.to_owned(), to.to_owned()))?;
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.note(Op::Remove(path.to_owned()))?;
        SystemDisk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.note(Op::RemoveDir(path.to_owned()))?;
        SystemDisk.remove_dir(path)
    }
}

/// The lengths of all files below a folder, added up.
pub fn size(root: &Path) -> u64 {
    let entries = std::fs::read_dir(root).unwrap().map(Result::unwrap);
    let length = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => size(&entry.path()),
        metadata => metadata.len(),
    };
    entries.map(length).sum()
}

pub fn session(name: &str) -> SessionHead {
    let cbk_url = format!("https://cloud.example/record?sign={name}");
    SessionHead { session_id: name.to_owned(), channel: 1, cbk_url: cbk_url.into() }
}

pub fn segment(number: u64) -> SegmentHead {
    let start_micros = 1_700_000_000_000_000 + i64::try_from(number).unwrap() * 10_000_000;
    SegmentHead { number, start_micros, discontinuity: number.is_multiple_of(3) }
}

pub fn pending(number: u64) -> Pending {
    let uri = format!("https://store.example/{number}?sign=secret");
    Pending { number, name: format!("{number}.ts"), uri: uri.into() }
}

impl Store {
    /// The disk as the spool opens it.
    pub fn open(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Result<Self, SpoolError> {
        scan::open(root, limit, disk)
    }

    /// Notes the upload in flight. The note holds in memory even if the disk fails.
    pub fn set_pending(&mut self, id: u64, pending: Option<Pending>) -> Result<(), SpoolError> {
        self.index().lock().unwrap().set_pending(id, pending);
        self.save_pending(id)
    }
}

impl Spool {
    /// An empty spool in a folder of this disk.
    pub async fn empty_on(disk: &TestDisk, root: &Path, limit: u64) -> Self {
        let disk = Box::new(disk.clone());
        let (spool, leftovers) = Self::open_on(disk, root.to_owned(), limit).await.unwrap();
        assert!(leftovers.is_empty());
        spool
    }

    /// How full it is, and how well, at this moment.
    pub fn stats(&self) -> Stats {
        self.disk.stalled();
        *self.watch().borrow()
    }
}

impl SpoolSession {
    /// The pieces of a segment's payload.
    ///
    /// # Errors
    ///
    /// The segment is missing or damaged.
    pub async fn read(&self, number: u64) -> Result<Vec<Bytes>, SpoolError> {
        let mut reader = self.reader(number).await?;
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.chunk().await? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }
}

/// How many segments of a session were removed to make room since the last call.
pub fn evicted(session: &SpoolSession) -> usize {
    session.news().iter().filter(|news| matches!(news, News::Evicted(..))).count()
}

/// A group of `pieces` pieces whose bytes depend on `seed`.
pub fn group(seed: u8, pieces: usize) -> Vec<Bytes> {
    (0..pieces).map(|piece| Bytes::from(vec![seed.wrapping_add(piece as u8); 188])).collect()
}

pub fn second() -> Duration {
    Duration::from_secs(1)
}

/// A segment's payload, cut to what can be read if it is damaged; `None` if nothing can.
pub fn payload(store: &mut Store, id: u64, number: u64) -> Option<Vec<u8>> {
    let (file, entry) = store.open_segment(id, number).ok()?;
    if format::walk(&file, entry.groups.begin, entry.groups.end).end != entry.groups.end {
        store.repair(id, number).unwrap();
        return payload(store, id, number);
    }
    let mut payload = Payload::new(file, &entry.groups);
    let pieces: Vec<_> = std::iter::from_fn(|| payload.next().unwrap()).collect();
    assert_eq!(pieces.iter().map(|piece| piece.len() as u64).sum::<u64>(), entry.groups.bytes);
    Some(pieces.concat())
}
