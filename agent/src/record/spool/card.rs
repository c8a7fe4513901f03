//! Room in the spool, and how the disk is.

use std::fs::FileType;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::files::failed;
use super::index::State;
use super::scan::list;
use super::store::Store;
use super::{SpoolError, names};

/// How long a disk that failed is left alone.
pub const REST: Duration = Duration::from_secs(30);

impl Store {
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

    /// Deletes the oldest file that may go, and counts it. `None` when none may.
    fn evict(&mut self) -> Result<Option<u64>, SpoolError> {
        let Some((id, file, entry)) = self.lock().oldest() else { return Ok(None) };
        let listed = self.lock().session(id).is_some_and(|session| session.lists(&entry));
        self.delete(id, file)?;
        if listed {
            self.lock().evicted(id, &entry);
        }
        Ok(Some(entry.length))
    }

    /// Deletes a segment's file.
    pub(super) fn delete(&mut self, id: u64, file: u64) -> Result<(), SpoolError> {
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
    pub(super) fn attempt<T>(
        &mut self,
        bytes: u64,
        mut work: impl FnMut(&mut Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return Err(SpoolError::Resting);
        }
        let room = |store: &mut Self| if bytes > 0 { store.make_room(bytes) } else { Ok(()) };
        let ready = self.find_root().and_then(|()| room(self));
        let mut result = ready.and_then(|()| work(self));
        if result.as_ref().is_err_and(SpoolError::is_disk_full) && self.free(bytes) {
            result = work(self);
        }
        match &result {
            Ok(_) => self.recover(),
            Err(error @ SpoolError::Io { .. }) => {
                if self.rest.is_none() {
                    let cure = error.cure();
                    log::warn!("{error}: {cure}; recordings go on in memory until the disk works");
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

    /// Without the card, its folder would be one on the disk below, and its files be taken for
    /// deleted.
    pub(super) fn find_root(&mut self) -> Result<(), SpoolError> {
        let unused = self.claim.is_none() && !self.lock().in_use();
        if unused {
            self.change_card()?;
        }
        let found = device(&self.root).map_err(failed("find", &self.root))?;
        if self.device.is_some_and(|device| device != found) {
            let other = io::Error::other(
                "another file system is there now, mount the former one or restart the agent",
            );
            return Err(failed("use", &self.root)(other));
        }
        if self.claim.is_none() {
            let claim = self.disk.claim(&self.root).map_err(failed("use", &self.root))?;
            if unused {
                self.pass_by()?;
            }
            self.claim = Some(claim);
        }
        Ok(())
    }

    /// Lets a card be taken out that nothing of ours is on, or that does not work.
    pub(super) fn let_go(&mut self) {
        if self.rest.is_some() || !self.lock().in_use() {
            self.claim = None;
        }
    }

    /// Takes another card that is in the same place for the former one.
    fn change_card(&mut self) -> Result<(), SpoolError> {
        let missing = !self.root.is_dir();
        let folder = if missing { self.root.parent() } else { Some(&*self.root) };
        let found = folder.and_then(|folder| mount_point(folder).ok());
        let Some(mount) = found.filter(|found| found.starts_with(&self.mount)) else {
            return Ok(());
        };
        if missing {
            self.disk.make_dir(&self.root).map_err(failed("create", &self.root))?;
        }
        (self.mount, self.device) = (mount, device(&self.root).ok());
        Ok(())
    }

    /// What lies on a card that was not there at the start is left for the next start: its folders
    /// are not ours.
    fn pass_by(&mut self) -> Result<(), SpoolError> {
        let folders = list(&self.root, FileType::is_dir, names::parse_folder);
        for id in folders.map_err(failed("list", &self.root))? {
            let folder = self.folder(id);
            let files = list(&folder, FileType::is_file, names::parse_file);
            let empty = files.map_err(failed("list", &folder))?.is_empty();
            if !empty && self.lock().session(id).is_some() {
                let other = io::Error::other("other recordings are there, restart the agent");
                return Err(failed("use", &folder)(other));
            }
            self.lock().skip(id);
        }
        Ok(())
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
    /// What someone can do about it.
    pub fn cure(&self) -> &'static str {
        let Self::Io { source, .. } = self else { return "try another disk" };
        match source.kind() {
            ErrorKind::ReadOnlyFilesystem => "mount it writable",
            ErrorKind::PermissionDenied => "let the agent's user write there",
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                "record.spool_dir must name a directory"
            }
            ErrorKind::ResourceBusy => "give each agent a record.spool_dir of its own",
            ErrorKind::NotFound => "put the card back, or mount it",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room",
            _ => "look at the disk and how it is mounted",
        }
    }

    fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

/// There is no room on the disk, whatever the limit allows.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Where the file system of a folder is mounted.
pub(super) fn mount_point(folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let found = device(&folder)?;
    let same = |path: &&Path| device(path).is_ok_and(|device| device == found);
    Ok(folder.ancestors().take_while(same).last().unwrap_or(&folder).to_owned())
}

/// The file system that a folder is on.
pub(super) fn device(root: &Path) -> io::Result<u64> {
    Ok(root.metadata()?.dev())
}
