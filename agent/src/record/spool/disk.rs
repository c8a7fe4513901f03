//! The changes that the store makes on a disk: the seam where tests make it fail and crash.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// An open file and its path.
#[derive(Debug)]
pub struct OpenFile {
    /// The path by which the file was opened.
    pub path: PathBuf,
    /// The open file.
    pub file: File,
}

/// Changes on a disk. Data that was not synced may be lost; names are synced with their folder.
pub trait Disk: fmt::Debug + Send {
    /// Locks the folder for this process until the file is closed. Fails if another process has it.
    fn claim(&self, root: &Path) -> io::Result<File>;
    /// Makes a folder for this user only.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a file for this user only. Fails if there is a file or a link of this name.
    fn create(&self, path: &Path) -> io::Result<OpenFile>;
    /// Opens an existing file for repair. Fails as [`open`] does, and for a file that has a second name.
    fn edit(&self, path: &Path) -> io::Result<OpenFile>;
    /// Writes all of `bytes` at an offset.
    fn write(&self, file: &OpenFile, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Cuts the file to `length`.
    fn cut(&self, file: &OpenFile, length: u64) -> io::Result<()>;
    /// Syncs a file. Its contents and length are on the disk when this returns.
    fn sync(&self, file: &OpenFile) -> io::Result<()>;
    /// Syncs a folder. The names in it are on the disk when this returns.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, which replaces a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
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
            // Some file systems have no locks; there the folder is used without one.
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
        let file = open(path, OpenOptions::new().write(true))?;
        if file.metadata()?.nlink() > 1 {
            return Err(io::Error::other("the file has a second name, which is not ours"));
        }
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
        let folder = flags(OpenOptions::new().read(true), OFlags::DIRECTORY).open(path)?;
        match folder.sync_all() {
            // Some file systems cannot sync a folder, and keep names safe in another way.
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

/// Opens a file of the spool for reading.
///
/// # Errors
/// The file cannot be opened, or is none: a link is not followed, and a pipe or a device not asked for anything.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// Whether a path is a folder itself, and no link to one.
pub fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let strange = || io::Error::other("it is no file: links, pipes and devices are left alone");
    // Opening alone makes some devices do something.
    if !path.symlink_metadata()?.is_file() {
        return Err(strange());
    }
    let file = flags(options, OFlags::NOFOLLOW | OFlags::NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(strange()) }
}

fn flags(options: &mut OpenOptions, flags: OFlags) -> &mut OpenOptions {
    options.custom_flags(flags.bits().cast_signed())
}
