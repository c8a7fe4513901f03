//! What the store does to a disk, apart from reading: the seam where tests fail and crash it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file and where it is.
#[derive(Debug)]
pub struct OpenFile {
    /// As it was opened.
    pub path: PathBuf,
    /// The file itself.
    pub file: File,
}

/// Changes on a disk. What was not synced may be lost, and names are synced with their folder.
pub trait Disk: fmt::Debug + Send {
    /// Takes the folder for this process alone, for as long as the file is open. An error where
    /// another has it.
    fn claim(&self, root: &Path) -> io::Result<File>;
    /// A new folder, for this user only.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// A new file, for this user only. An error where there is one, or a link.
    fn create(&self, path: &Path) -> io::Result<OpenFile>;
    /// A file that is there, to be mended.
    fn edit(&self, path: &Path) -> io::Result<OpenFile>;
    /// All of `bytes` at an offset.
    fn write(&self, file: &OpenFile, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Drops what is beyond `length`.
    fn cut(&self, file: &OpenFile, length: u64) -> io::Result<()>;
    /// Returns when the file's contents and length are on the disk.
    fn sync(&self, file: &OpenFile) -> io::Result<()>;
    /// Returns when the names in a folder are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Replaces what was at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Deletes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// The disk of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn claim(&self, root: &Path) -> io::Result<File> {
        let folder = File::open(root)?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(ErrorKind::ResourceBusy, "another process uses it"))
            }
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
        }
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<OpenFile> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(OpenFile { path: path.to_owned(), file })
    }

    fn edit(&self, path: &Path) -> io::Result<OpenFile> {
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(OpenFile { path: path.to_owned(), file })
    }

    fn write(&self, file: &OpenFile, bytes: &[u8], at: u64) -> io::Result<()> {
        file.file.write_all_at(bytes, at)
    }

    fn cut(&self, file: &OpenFile, length: u64) -> io::Result<()> {
        file.file.set_len(length)
    }

    fn sync(&self, file: &OpenFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some file systems cannot, and keep their names otherwise.
            Err(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }
}
