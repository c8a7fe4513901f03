//! The spool on one thread: every call does its work on the disk before it returns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::disk::{Disk, OpenFile};
use super::format::{self, Groups};
use super::index::{Entry, Index, State};
use super::{Pending, SegmentHead, SpoolError, Stored, names};

/// How long a disk that failed is left alone.
pub const REST: Duration = Duration::from_secs(30);

/// Owns the files. What they are stands in `index`, which others may read meanwhile.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
    pub(super) disk: Box<dyn Disk>,
    pub(super) index: Arc<Mutex<Index>>,
    /// Of the next segment's file.
    pub(super) next: u64,
    /// The files being written, by session and segment.
    forming: BTreeMap<(u64, u64), Forming>,
    /// The disk failed, and is tried again at this time.
    rest: Option<Instant>,
    /// It was said that something does not fit.
    said_full: bool,
}

#[derive(Debug)]
struct Forming {
    number: u64,
    file: OpenFile,
}

impl Store {
    /// An empty store over what is in `root`, which is a folder.
    pub(super) fn new(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Self {
        let index = Arc::new(Mutex::new(Index::new(limit)));
        let forming = BTreeMap::new();
        Self { root, disk, index, next: 0, forming, rest: None, said_full: false }
    }

    /// Shared with whoever lists.
    pub fn index(&self) -> Arc<Mutex<Index>> {
        Arc::clone(&self.index)
    }

    /// Begins a segment with its first group, which is synced when this returns.
    pub fn begin(
        &mut self,
        id: u64,
        segment: SegmentHead,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<(), SpoolError> {
        self.abandon(id, segment.number);
        self.write_segment(id, segment, chunks, duration, State::Forming).map(|_| ())
    }

    /// Adds a group to a segment that was begun. The group is synced when this returns. After an
    /// error the segment is abandoned.
    pub fn append(
        &mut self,
        id: u64,
        number: u64,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<(), SpoolError> {
        let result = self.write_next(id, number, chunks, duration);
        if result.is_err() {
            self.abandon(id, number);
        }
        result
    }

    /// A segment is complete. Its end record only spares the next run a scan: it is not synced.
    pub fn finish(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        let Some(Forming { number: file, file: open }) = self.forming.remove(&(id, number)) else {
            return Ok(());
        };
        let entry = self.lock().files(id, number).into_iter().find(|(found, _)| *found == file);
        let Some((_, entry)) = entry else { return Ok(()) };
        self.lock().set_state(id, file, State::Complete);
        self.attempt(0, |store| {
            let done = format::done(&entry.groups)?;
            let written = store.disk.write(&open, &done, entry.groups.end);
            written.map_err(failed("write", &open.path))
        })
    }

    /// A segment will not be completed; what it has stays for after a crash.
    pub fn abandon(&mut self, id: u64, number: u64) {
        if let Some(Forming { number: file, .. }) = self.forming.remove(&(id, number)) {
            self.lock().set_state(id, file, State::Partial);
        }
    }

    /// Writes a segment at once, unless it is there.
    pub fn store(
        &mut self,
        id: u64,
        segment: SegmentHead,
        duration: Duration,
        chunks: &[Bytes],
    ) -> Result<Stored, SpoolError> {
        if let Some((_, entry)) = self.lock().complete(id, segment.number) {
            return Ok(entry.stored());
        }
        let before = self.lock().files(id, segment.number);
        let entry = self.write_segment(id, segment, chunks, duration, State::Complete)?;
        self.forming.remove(&(id, segment.number));
        for (file, _) in before {
            self.discard(id, file);
        }
        Ok(entry.stored())
    }

    /// Opens a complete segment's file for reading.
    pub fn open_segment(&mut self, id: u64, number: u64) -> Result<(File, Entry), SpoolError> {
        let found = self.lock().complete(id, number);
        let (file, entry) = found.ok_or(SpoolError::Missing(number))?;
        let path = self.path(id, file);
        match File::open(&path) {
            Ok(open) => Ok((open, entry)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.lock().take(id, file);
                Err(SpoolError::Missing(number))
            }
            Err(error) => Err(failed("open", &path)(error)),
        }
    }

    /// Looks closely at a segment that could not be read, and cuts it to what can be.
    pub fn repair(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        let (open, entry) = self.open_segment(id, number)?;
        let length = open.metadata().map_or(0, |metadata| metadata.len());
        let groups = format::walk(&open, entry.groups.begin, length);
        let Some((file, _)) = self.lock().complete(id, number) else { return Ok(()) };
        if groups.end == groups.begin {
            self.discard(id, file);
            return Ok(());
        }
        let length = groups.end + format::DONE;
        self.lock().put(id, file, Entry { groups, length, ..entry });
        let path = self.path(id, file);
        self.attempt(0, |store| store.mend(&path, &groups))
    }

    /// Notes the upload in flight. In memory it holds even where the disk fails.
    pub fn set_pending(&mut self, id: u64, pending: Option<Pending>) -> Result<(), SpoolError> {
        let head = {
            let mut index = self.lock();
            let Some(session) = index.session_mut(id) else { return Ok(()) };
            if session.pending == pending && !session.unsaved {
                return Ok(());
            }
            session.pending.clone_from(&pending);
            session.unsaved = true;
            session.head.clone()
        };
        let folder = self.folder(id);
        let path = folder.join(names::PENDING);
        let bytes = pending.map(|pending| format::pending(&head, &pending)).transpose()?;
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.attempt(length, |store| {
            match &bytes {
                Some(bytes) => store.replace(id, &path, bytes)?,
                None => store.unlink(&path)?,
            }
            match store.disk.sync_dir(&folder) {
                Err(error) if bytes.is_none() && error.kind() == ErrorKind::NotFound => Ok(()),
                synced => synced.map_err(failed("sync", &folder)),
            }
        })?;
        let mut index = self.lock();
        index.set_pending_length(id, length);
        if let Some(session) = index.session_mut(id) {
            session.unsaved = false;
        }
        Ok(())
    }

    /// Deletes a segment for good: not even a power cut brings it back. It is not listed any more
    /// even where the disk fails; then its file goes when the disk works again.
    pub fn remove(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        self.forming.remove(&(id, number));
        let files = self.lock().files(id, number);
        if files.is_empty() {
            return Ok(());
        }
        for (file, _) in &files {
            self.lock().set_state(id, *file, State::Doomed);
        }
        let folder = self.folder(id);
        self.attempt(0, |store| {
            for (file, _) in &files {
                store.delete(id, *file)?;
            }
            store.disk.sync_dir(&folder).map_err(failed("sync", &folder))
        })
    }

    /// A session is over: without segments and pending upload its folder goes.
    pub fn close(&mut self, id: u64) -> Result<(), SpoolError> {
        if !self.lock().session(id).is_some_and(|session| session.is_empty()) {
            return Ok(());
        }
        self.attempt(0, |store| store.remove_folder(id))
    }

    /// Deletes until so many bytes more fit.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), SpoolError> {
        if self.lock().fits(bytes) {
            return Ok(());
        }
        if !self.lock().can_fit(bytes) {
            let limit = self.lock().stats().limit;
            return Err(SpoolError::Full { asked: bytes, limit });
        }
        while !self.lock().fits(bytes) {
            if self.evict()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Deletes a file; it is good when it is not there.
    pub(super) fn unlink(&self, path: &Path) -> Result<(), SpoolError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("delete", path)),
        }
    }

    /// Cuts a segment's file behind its last complete group and ends it there.
    pub(super) fn mend(&self, path: &Path, groups: &Groups) -> Result<(), SpoolError> {
        let done = format::done(groups)?;
        let mend = || {
            let file = self.disk.edit(path)?;
            self.disk.cut(&file, groups.end)?;
            self.disk.sync(&file)?;
            self.disk.write(&file, &done, groups.end)
        };
        mend().map_err(failed("mend", path))
    }

    /// Deletes the folder of a session, unless somebody put something else there.
    pub(super) fn remove_folder(&self, id: u64) -> Result<(), SpoolError> {
        let folder = self.folder(id);
        match self.disk.remove_dir(&folder) {
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty => Ok(()),
                _ => Err(failed("delete", &folder)(error)),
            },
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder(&self, id: u64) -> PathBuf {
        self.root.join(names::folder(id))
    }

    pub(super) fn path(&self, id: u64, file: u64) -> PathBuf {
        self.folder(id).join(names::file(file))
    }

    fn write_next(
        &mut self,
        id: u64,
        number: u64,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<(), SpoolError> {
        let need = format::PREFIX + length(chunks);
        self.attempt(need, |store| {
            let forming = store.forming.get(&(id, number)).ok_or(SpoolError::Missing(number))?;
            let files = store.lock().files(id, number);
            let entry = files.into_iter().find(|(file, _)| *file == forming.number);
            let (file, mut entry) = entry.ok_or(SpoolError::Missing(number))?;
            let written = store.write_group(&forming.file, entry.groups, chunks, duration);
            entry.groups = written.inspect_err(|_| {
                let _ = store.disk.cut(&forming.file, entry.groups.end);
            })?;
            entry.length += need;
            store.lock().put(id, file, entry);
            Ok(())
        })
    }

    /// A new file with one group, synced together with its name. It is deleted again when that
    /// fails.
    fn write_segment(
        &mut self,
        id: u64,
        segment: SegmentHead,
        chunks: &[Bytes],
        duration: Duration,
        state: State,
    ) -> Result<Entry, SpoolError> {
        let session = self.lock().session(id).map(|session| session.head.clone());
        let session = session.ok_or(SpoolError::Missing(segment.number))?;
        let head = format::head(&session, &segment)?;
        let begin = head.len() as u64;
        let need = begin + format::PREFIX + length(chunks) + format::DONE;
        let groups = Groups { begin, end: begin, duration: Duration::ZERO, bytes: 0, done: false };
        self.attempt(need, |store| {
            let (number, file) = store.create(id)?;
            let write = || {
                store.disk.write(&file, &head, 0).map_err(failed("write", &file.path))?;
                let groups = store.write_group(&file, groups, chunks, duration)?;
                if state == State::Complete {
                    let done = format::done(&groups)?;
                    let written = store.disk.write(&file, &done, groups.end);
                    written.map_err(failed("write", &file.path))?;
                }
                let folder = store.folder(id);
                store.disk.sync_dir(&folder).map_err(failed("sync", &folder))?;
                Ok(groups)
            };
            let groups = write().inspect_err(|_| {
                let _ = store.disk.remove(&file.path);
            })?;
            let entry = Entry { segment, groups, length: need, state };
            store.lock().put(id, number, entry);
            if state == State::Forming {
                store.forming.insert((id, segment.number), Forming { number, file });
            }
            Ok(entry)
        })
    }

    /// Writes a group behind the others and syncs it.
    fn write_group(
        &self,
        file: &OpenFile,
        groups: Groups,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<Groups, SpoolError> {
        let prefix = format::group(chunks, duration)?;
        let write = || {
            self.disk.write(file, &prefix, groups.end)?;
            let mut at = groups.end + format::PREFIX;
            for chunk in chunks {
                self.disk.write(file, chunk, at)?;
                at += chunk.len() as u64;
            }
            self.disk.sync(file)?;
            Ok(at)
        };
        Ok(Groups {
            end: write().map_err(failed("write", &file.path))?,
            duration: groups.duration.saturating_add(duration),
            bytes: groups.bytes + length(chunks),
            ..groups
        })
    }

    /// A new file in a session's folder, which is made when missing. The spool's own folder is
    /// not: without the card it would be made on the disk below.
    fn create(&mut self, id: u64) -> Result<(u64, OpenFile), SpoolError> {
        self.make_folder(id)?;
        loop {
            let number = self.next;
            self.next = self.next.wrapping_add(1);
            let path = self.path(id, number);
            match self.disk.create(&path) {
                // Somebody else's: there are not endlessly many.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                file => return Ok((number, file.map_err(failed("create", &path))?)),
            }
        }
    }

    fn make_folder(&self, id: u64) -> Result<(), SpoolError> {
        let folder = self.folder(id);
        match self.disk.make_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed("create", &folder)(error)),
            Ok(()) => self.disk.sync_dir(&self.root).map_err(failed("sync", &self.root)),
        }
    }

    /// Puts a file in the place of another at one stroke. The folder is still to be synced.
    fn replace(&self, id: u64, path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
        self.make_folder(id)?;
        let new = self.folder(id).join(names::NEW_PENDING);
        self.unlink(&new)?;
        let replace = || {
            let file = self.disk.create(&new)?;
            self.disk.write(&file, bytes, 0)?;
            self.disk.sync(&file)?;
            self.disk.rename(&new, path)
        };
        replace().map_err(failed("write", path))
    }

    /// Deletes the oldest file that may go, and counts it. `None` when none may.
    fn evict(&mut self) -> Result<Option<u64>, SpoolError> {
        let Some((id, file, entry)) = self.lock().oldest() else { return Ok(None) };
        self.delete(id, file)?;
        if entry.state == State::Complete {
            self.lock().drop_one(id, entry.groups.duration);
        }
        Ok(Some(entry.length))
    }

    fn delete(&mut self, id: u64, file: u64) -> Result<(), SpoolError> {
        self.unlink(&self.path(id, file))?;
        self.lock().take(id, file);
        if self.lock().forget(id) {
            self.remove_folder(id)?;
        }
        Ok(())
    }

    /// Deletes a file that is of no use, now or when the disk works again.
    pub(super) fn discard(&mut self, id: u64, file: u64) {
        if self.delete(id, file).is_err() {
            self.lock().set_state(id, file, State::Doomed);
        }
    }

    /// Tries something for which so many bytes must be free, unless the disk failed a moment ago.
    /// When the disk is full before the limit is reached, the oldest segments make room and it is
    /// tried once more.
    fn attempt<T>(
        &mut self,
        bytes: u64,
        mut work: impl FnMut(&mut Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return Err(SpoolError::Resting);
        }
        let room = if bytes > 0 { self.make_room(bytes) } else { Ok(()) };
        let mut result = room.and_then(|()| work(self));
        if result.as_ref().is_err_and(SpoolError::is_disk_full) && self.free(bytes) {
            result = work(self);
        }
        match &result {
            Ok(_) => self.recover(),
            Err(error @ SpoolError::Io { .. }) => {
                if self.rest.is_none() {
                    log::warn!("{error}; recordings go on in memory until the disk works again");
                }
                self.rest = Some(Instant::now() + REST);
                self.lock().healthy = false;
            }
            Err(error @ SpoolError::Full { .. }) if !self.said_full => {
                log::warn!("{error}");
                self.said_full = true;
            }
            Err(_) => {}
        }
        result
    }

    /// Deletes the oldest segments of `bytes` together. False where there are not as many.
    fn free(&mut self, bytes: u64) -> bool {
        if self.lock().evictable_bytes() < bytes {
            return false;
        }
        let mut freed = 0;
        while freed < bytes {
            match self.evict() {
                Ok(Some(length)) => freed += length,
                Ok(None) | Err(_) => return false,
            }
        }
        freed > 0
    }

    fn recover(&mut self) {
        if self.rest.take().is_none() {
            return;
        }
        log::info!("the spool in {} works again", self.root.display());
        self.lock().healthy = true;
        let doomed = self.lock().doomed();
        for (id, file) in doomed {
            self.discard(id, file);
        }
    }
}

impl SpoolError {
    fn is_disk_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

/// What failed on which file.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { action, path, source }
}

fn length(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}
