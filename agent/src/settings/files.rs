//! Exchanges the text of files so that a crash at any moment leaves the old text or the new one.
//!
//! The new text is written into a file beside the old one, synced and renamed over it, and the
//! folder is synced. Writers in the same folder take turns by a lock on the folder itself, which
//! leaves no file behind and which the system lifts when its holder dies.

use std::ffi::OsString;
use std::fs;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest wait for other writers.
const TURN: Duration = Duration::from_secs(5);
/// Pause between two tries to lock.
const LOOK: Duration = Duration::from_millis(20);
/// Mode of a new file until it gets that of the file it replaces.
const OURS: u32 = 0o600;
/// Mode of a folder that is made.
const OURS_ALONE: u32 = 0o700;
/// Bits of a mode for the group of a file.
const GROUP: u32 = 0o070;

/// Why a file keeps its text.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}: {source}; {advice}", .file.display())]
pub struct WriteError {
    /// Path of the file.
    pub file: PathBuf,
    what: &'static str,
    /// What the system said.
    pub source: io::Error,
    advice: &'static str,
}

/// A file that is to be exchanged. Where the path is a link, this is the file it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    path: PathBuf,
    folder: PathBuf,
}

/// The owner, group and mode of a new text.
struct Kept {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// A turn to write. Dropping it ends the turn.
pub(super) struct Turn {
    _folders: Vec<File>,
}

/// A new text that is on the disk and not yet in force. Dropping it removes it.
pub(super) struct Draft<'a> {
    target: &'a Target,
    path: PathBuf,
    folder: File,
    placed: bool,
}

impl Target {
    /// The file at `path`. Where there is none, its folder is made.
    ///
    /// # Errors
    /// Neither the file nor its folder is there, and the folder cannot be made.
    pub(super) fn new(path: &Path) -> Result<Self, WriteError> {
        let found = match fs::canonicalize(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                make_folder(path)
            }
            found => found,
        };
        let path = found.map_err(|source| failed(path, "cannot be found", source))?;
        // Only the root folder has no parent, and it is not a file.
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { path, folder })
    }

    /// Writes a new text beside the file, with its mode and, where the system allows it, its owner. A file that is new
    /// has the owner of its folder, who alone may read it.
    ///
    /// # Errors
    /// The disk is full or read-only, for example. Nothing is left behind then.
    pub(super) fn draft(&self, text: &str) -> Result<Draft<'_>, WriteError> {
        let failed = |source| failed(&self.path, "cannot be written", source);
        let folder = File::open(&self.folder).map_err(failed)?;
        let kept = match fs::metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => folder.metadata().map(Kept::new_in),
            found => found.map(Kept::of),
        };
        let kept = kept.map_err(failed)?;
        let path = self.draft_path();
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(OURS).open(&path).map_err(failed)?;
        let draft = Draft { target: self, path, folder, placed: false };
        fill(file, text, &kept).map_err(failed)?;
        Ok(draft)
    }

    fn draft_path(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".new");
        self.folder.join(name)
    }
}

impl Kept {
    /// Those of the file that is replaced.
    fn of(file: Metadata) -> Self {
        Self { uid: file.uid(), gid: file.gid(), mode: file.mode() & 0o7777 }
    }

    /// Those of a file that is new in a folder.
    fn new_in(folder: Metadata) -> Self {
        Self { mode: OURS, ..Self::of(folder) }
    }
}

impl Turn {
    /// Waits for a turn in the folders of all targets.
    ///
    /// # Errors
    /// Another writer takes longer than 5 s, or a folder cannot be locked.
    pub(super) fn wait(targets: &[&Target]) -> Result<Self, WriteError> {
        let mut folders: Vec<_> = targets.iter().map(|target| &target.folder).collect();
        // All writers lock the folders in the same order, so that no two wait for each other.
        folders.sort();
        folders.dedup();
        let end = Instant::now() + TURN;
        let locked = folders.into_iter().map(|folder| lock(folder, end));
        let turn = Self { _folders: locked.collect::<Result<_, _>>()? };
        for target in targets {
            // Removes the draft of a writer that was killed. If that fails, making the new draft
            // fails as well.
            fs::remove_file(target.draft_path()).ok();
        }
        Ok(turn)
    }
}

impl Draft<'_> {
    /// Puts the new text in force. A crash from now on leaves the old text or the new one.
    ///
    /// # Errors
    /// The file cannot be exchanged and keeps its text.
    pub(super) fn place(mut self) -> Result<(), WriteError> {
        let failed = |source| failed(&self.target.path, "cannot be replaced", source);
        fs::rename(&self.path, &self.target.path).map_err(failed)?;
        self.placed = true;
        // The new text is in force already, but a power cut may still bring the old one back.
        if let Err(e) = self.folder.sync_all() {
            log::warn!("{}: its folder cannot be synced: {e}", self.target.path.display());
        }
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.placed {
            // A draft that cannot be removed here is removed in the next writer's turn.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn lock(folder: &Path, end: Instant) -> Result<File, WriteError> {
    let failed = |source| failed(folder, "cannot be locked", source);
    let file = File::open(folder).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                let busy = io::Error::new(io::ErrorKind::WouldBlock, "another program changes it");
                return Err(failed(busy));
            }
            Err(TryLockError::WouldBlock) => sleep(LOOK),
        }
    }
}

/// Makes the folder of a file that is not there; returns the path of the file.
fn make_folder(file: &Path) -> io::Result<PathBuf> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(OURS_ALONE).create(folder)?;
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

fn fill(mut file: File, text: &str, kept: &Kept) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let mut mode = kept.mode;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (kept.uid, kept.gid) {
        // Only root may change the owner; changing the group alone may be allowed.
        let given = fchown(&file, Some(kept.uid), Some(kept.gid))
            .or_else(|_| fchown(&file, None, Some(kept.gid)));
        if given.is_err() {
            // A new group must not read what the old group was allowed to read.
            mode &= !GROUP;
        }
    }
    // The mode is set last: a change of the owner takes bits of it away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn failed(file: &Path, what: &'static str, source: io::Error) -> WriteError {
    let advice = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "nothing was changed: make room"
        }
        io::ErrorKind::ReadOnlyFilesystem => "nothing was changed: mount it writable",
        io::ErrorKind::PermissionDenied => "nothing was changed: run as its owner or as root",
        io::ErrorKind::WouldBlock => "nothing was changed: try again",
        io::ErrorKind::ResourceBusy => {
            "nothing was changed: it is mounted by itself; mount its folder instead"
        }
        _ => "nothing was changed",
    };
    WriteError { file: file.to_owned(), what, source, advice }
}
