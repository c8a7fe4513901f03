//! The spool on one thread: every call does its work on the disk before it returns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

#[cfg(test)]
use super::Pending;
use super::card::{device, mount_point};
use super::disk::{Disk, OpenFile};
use super::files::failed;
use super::format;
use super::index::{Entry, Index, State};
use super::{SegmentHead, SpoolError, Stored, names};

/// Owns the files. What they are stands in `index`, which others may read meanwhile.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
    pub(super) disk: Box<dyn Disk>,
    pub(super) index: Arc<Mutex<Index>>,
    /// Of the next segment's file.
    pub(super) next: u64,
    /// The files being written, by session and segment.
    pub(super) forming: BTreeMap<(u64, u64), Forming>,
    /// The disk failed, and is tried again at this time.
    pub(super) rest: Option<Instant>,
    /// It was said that something does not fit.
    pub(super) said_full: bool,
    /// The file system that `root` is on, and where that is mounted.
    pub(super) device: Option<u64>,
    pub(super) mount: PathBuf,
    /// Keeps other processes out while something of ours is there.
    pub(super) claim: Option<File>,
}

/// A file being written.
#[derive(Debug)]
pub(super) struct Forming {
    /// Of the file.
    pub(super) number: u64,
    pub(super) file: OpenFile,
}

impl Store {
    /// An empty store over what is in `root`, which is a folder.
    pub(super) fn new(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Self {
        let index = Arc::new(Mutex::new(Index::new(limit)));
        let (device, mount) = (device(&root).ok(), mount_point(&root).unwrap_or_default());
        Self {
            root,
            disk,
            index,
            next: 0,
            forming: BTreeMap::new(),
            rest: None,
            said_full: false,
            device,
            mount,
            claim: None,
        }
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
        self.find_root()?;
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
    #[cfg(test)]
    pub fn set_pending(&mut self, id: u64, pending: Option<Pending>) -> Result<(), SpoolError> {
        self.lock().set_pending(id, pending);
        self.save_pending(id)
    }

    /// Writes the upload in flight as it is in the index.
    pub fn save_pending(&mut self, id: u64) -> Result<(), SpoolError> {
        let (head, pending) = match self.lock().session(id) {
            Some(session) if session.unsaved => (session.head.clone(), session.pending.clone()),
            _ => return Ok(()),
        };
        let folder = self.folder(id);
        let path = folder.join(names::PENDING);
        let bytes = pending.as_ref().map(|pending| format::pending(&head, pending)).transpose()?;
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
            session.unsaved = session.pending != pending;
        }
        Ok(())
    }

    /// Deletes a segment for good: not even a power cut brings it back. It is not listed any more
    /// even where the disk fails; then its file goes when the disk works again.
    pub fn remove(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        self.forming.remove(&(id, number));
        self.lock().doom(id, number);
        let files = self.lock().files(id, number);
        if files.is_empty() {
            return Ok(());
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder(&self, id: u64) -> PathBuf {
        self.root.join(names::folder(id))
    }

    pub(super) fn path(&self, id: u64, file: u64) -> PathBuf {
        self.folder(id).join(names::file(file))
    }
}
