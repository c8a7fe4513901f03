//! How the store writes its files: what is synced when.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::disk::OpenFile;
use super::format::{self, Groups};
use super::index::{Entry, State};
use super::store::{Forming, Store};
use super::{SegmentHead, SpoolError, names};

impl Store {
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

    /// Deletes a file; it is good when it is not there.
    pub(super) fn unlink(&self, path: &Path) -> Result<(), SpoolError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("delete", path)),
        }
    }

    /// Adds a group to a file being written.
    pub(super) fn write_next(
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
    pub(super) fn write_segment(
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
    pub(super) fn replace(&self, id: u64, path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
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
}

/// What failed on which file.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { action, path, source }
}

fn length(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}
