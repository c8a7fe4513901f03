//! Who may read and write a configuration's files.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::Error;

/// Mode bit of a file that everyone on the system may read.
const WORLD_READABLE: u32 = 0o004;
/// Mode bit of a file that everyone on the system may write, and of a folder in which everyone may rename files.
const WORLD_WRITABLE: u32 = 0o002;
/// Mode bit of a folder in which everyone may rename but their own files.
const STICKY: u32 = 0o1000;

/// The permissions that a configuration's files must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody but owner and group may write the files, those that they name, or the folders that these are in; and
    /// those with passwords are not readable by everyone.
    Private,
    /// Any permissions will do.
    Any,
}

/// The text of `file`.
///
/// # Errors
/// The file cannot be read, or may be read or written by more people than `access` allows.
pub(super) fn read(file: &Path, access: Access) -> Result<String, Error> {
    let name = || file.display().to_string();
    let failed = |source| Error::Read { file: name(), source };
    let mut open = std::fs::File::open(file).map_err(failed)?;
    let metadata = open.metadata().map_err(failed)?;
    if access == Access::Private {
        if metadata.permissions().mode() & WORLD_READABLE != 0 {
            return Err(Error::WorldReadable { file: name() });
        }
        unwritable(file, &metadata)?;
    }
    let mut text = String::new();
    open.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Refuses a file that everyone may write or exchange.
///
/// # Errors
/// Everyone may.
pub(super) fn unwritable(file: &Path, metadata: &Metadata) -> Result<(), Error> {
    if metadata.permissions().mode() & WORLD_WRITABLE != 0 {
        return Err(Error::WorldWritable { file: file.display().to_string() });
    }
    // Where the path is a link, the folder of the link counts as well as that of the file.
    let real = file.canonicalize().unwrap_or_default();
    [directory(file), directory(&real)]
        .into_iter()
        .try_for_each(|folder| unwritable_folder(file, folder))
}

/// Refuses a file in a folder in which everyone may exchange it.
///
/// # Errors
/// Everyone may.
pub(super) fn unwritable_folder(file: &Path, folder: &Path) -> Result<(), Error> {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    let mode = folder.metadata().map_or(0, |metadata| metadata.permissions().mode());
    if mode & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE {
        let (file, folder) = (file.display().to_string(), folder.display().to_string());
        return Err(Error::OpenFolder { file, folder });
    }
    Ok(())
}

/// The folder that a relative path in `file` counts from.
pub(super) fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
