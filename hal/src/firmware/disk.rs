//! Small files that are old or new at any moment, whatever happens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 4096;

/// Makes `text` the content of the file `name` in `folder`: written beside it, synced, renamed over it, and the folder
/// synced.
///
/// # Errors
/// What the system says. The file holds the old text or the new one.
pub fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let done = write(&new, text).and_then(|()| fs::rename(&new, folder.join(name)));
    if done.is_err() {
        // It may be what the disk has no room for.
        fs::remove_file(&new).ok();
    }
    done?;
    File::open(folder)?.sync_all()
}

/// The text of a file; `None` where there is no such file.
///
/// # Errors
/// What the system says; `InvalidData` for what is too long or no text.
pub fn read(file: &Path) -> io::Result<Option<String>> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = String::new();
    if opened.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(text))
}

/// Removes a file where there is one, for good.
///
/// # Errors
/// What the system says.
pub fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Ok(()) => File::open(folder)?.sync_all(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
