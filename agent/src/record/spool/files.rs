//! How the files of the spool are written, and when they are synced. Knows no index.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Disk, OpenFile, is_folder};
use super::format::{self, Groups};
use super::{SpoolError, names};

/// The folder of the spool, and the disk it is on.
#[derive(Debug)]
pub struct Files {
    /// The folder.
    pub root: PathBuf,
    /// The disk.
    pub disk: Box<dyn Disk>,
}

impl Files {
    /// Path of a session's folder.
    pub fn folder(&self, id: u64) -> PathBuf {
        self.root.join(names::folder(id))
    }

    /// Path of a segment's file.
    pub fn path(&self, id: u64, file: u64) -> PathBuf {
        self.folder(id).join(names::file(file))
    }

    /// Makes a session's folder if it is missing. The spool's own folder is not made: without the
    /// card it would be made on the disk below.
    pub fn make_folder(&self, id: u64) -> Result<(), SpoolError> {
        let folder = self.folder(id);
        match self.disk.make_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // A link would lead the recordings somewhere else.
                let strange = || failed("use", &folder)(ErrorKind::NotADirectory.into());
                is_folder(&folder).then_some(()).ok_or_else(strange)
            }
            Err(error) => Err(failed("create", &folder)(error)),
            Ok(()) => self.disk.sync_dir(&self.root).map_err(failed("sync", &self.root)),
        }
    }

    /// Fills a new file with `head`, one group and, if it is `complete`, its end. The file is
    /// synced together with its name. If anything fails, the file is removed again.
    pub fn write_new(
        &self,
        file: &OpenFile,
        head: &[u8],
        (chunks, duration): (&[Bytes], Duration),
        complete: bool,
    ) -> Result<Groups, SpoolError> {
        let begin = head.len() as u64;
        let groups = Groups { begin, end: begin, duration: Duration::ZERO, bytes: 0, done: false };
        let write = || {
            self.disk.write(file, head, 0).map_err(failed("write", &file.path))?;
            let groups = self.write_group(file, groups, chunks, duration)?;
            if complete {
                self.write_end(file, &groups)?;
            }
            let folder = file.path.parent().unwrap_or(&self.root);
            self.disk.sync_dir(folder).map_err(failed("sync", folder))?;
            Ok(groups)
        };
        write().inspect_err(|_| {
            let _ = self.disk.remove(&file.path);
        })
    }

    /// Writes a group behind the others and syncs it.
    pub fn write_group(
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

    /// Writes the record that ends a file. It is not synced, since it only saves the next run a
    /// scan.
    pub fn write_end(&self, file: &OpenFile, groups: &Groups) -> Result<(), SpoolError> {
        let done = format::done(groups)?;
        self.disk.write(file, &done, groups.end).map_err(failed("write", &file.path))
    }

    /// Cuts a segment's file behind its last complete group, and ends it there.
    pub fn mend(&self, path: &Path, groups: &Groups) -> Result<(), SpoolError> {
        let done = format::done(groups)?;
        let mend = || {
            let file = self.disk.edit(path)?;
            self.disk.cut(&file, groups.end)?;
            self.disk.sync(&file)?;
            self.disk.write(&file, &done, groups.end)
        };
        mend().map_err(failed("mend", path))
    }

    /// Writes a session's pending upload at one stroke, or removes it, and syncs its name.
    pub fn write_pending(&self, id: u64, pending: Option<&[u8]>) -> Result<(), SpoolError> {
        let folder = self.folder(id);
        let (path, new) = (folder.join(names::PENDING), folder.join(names::NEW_PENDING));
        let Some(bytes) = pending else {
            self.remove(&path)?;
            return match self.disk.sync_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                synced => synced.map_err(failed("sync", &folder)),
            };
        };
        self.make_folder(id)?;
        self.remove(&new)?;
        let replace = || {
            let file = self.disk.create(&new)?;
            self.disk.write(&file, bytes, 0)?;
            self.disk.sync(&file)?;
            self.disk.rename(&new, &path)
        };
        replace().map_err(failed("write", &path))?;
        self.disk.sync_dir(&folder).map_err(failed("sync", &folder))
    }

    /// Removes a file. A missing file is no error.
    pub fn remove(&self, path: &Path) -> Result<(), SpoolError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("delete", path)),
        }
    }

    /// Removes the folder of a session, unless somebody put something else there.
    pub fn remove_folder(&self, id: u64) -> Result<(), SpoolError> {
        let folder = self.folder(id);
        match self.disk.remove_dir(&folder).map_err(|error| (error.kind(), error)) {
            Ok(()) | Err((ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty, _)) => Ok(()),
            Err((_, error)) => Err(failed("delete", &folder)(error)),
        }
    }
}

/// The error of an operation on a file.
pub fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { action, path, source }
}

/// Length of a group in bytes.
pub fn length(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}
