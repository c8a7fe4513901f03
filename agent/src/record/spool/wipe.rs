//! Removes all recordings from a card, so that the next owner of the device neither has nor uploads them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::disk::{Disk as _, SystemDisk, is_folder};
use super::names;

/// Removes the sessions in a spool's folder, whatever version made them; what the spool did not name stays. No spool may
/// be open there. Blocks.
///
/// # Errors
/// Some of them are still there; the error is the first one.
pub(crate) fn wipe(root: &Path) -> io::Result<()> {
    let mut done = Ok(());
    for entry in found(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().and_then(names::parse_folder).is_some();
        if is_ours && is_folder(&entry.path()) {
            done = done.and(session(&entry.path()));
        }
    }
    match root.is_dir() {
        true => done.and(SystemDisk.sync_dir(root)),
        false => done,
    }
}

fn session(folder: &Path) -> io::Result<()> {
    let mut done = Ok(());
    for entry in found(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            [names::PENDING, names::NEW_PENDING].contains(&name)
                || names::parse_file(name).is_some()
        });
        if is_ours && entry.file_type()?.is_file() {
            done = done.and(SystemDisk.remove(&entry.path()));
        }
    }
    SystemDisk.sync_dir(folder)?;
    match SystemDisk.remove_dir(folder) {
        // Something of somebody else is in it.
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => done,
        removed => done.and(removed),
    }
}

/// The entries of a folder; none where there is no folder.
fn found(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        entries => Ok(Some(entries?).into_iter().flatten()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_go_and_what_is_of_others_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        wipe(&root).unwrap();
        assert!(!root.exists(), "a card that is not there is not made");
        let at = |name: &str| root.join(name);
        for session in [1, 2] {
            fs::create_dir_all(at(&names::folder(session))).unwrap();
            for file in [names::file(7), names::PENDING.into(), names::NEW_PENDING.into()] {
                fs::write(at(&names::folder(session)).join(file), "IVS9").unwrap();
            }
        }
        let others = at(&names::folder(2)).join("clip.ts");
        fs::write(&others, "").unwrap();
        fs::create_dir(at("photos")).unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join(names::file(7)), "").unwrap();
        std::os::unix::fs::symlink(&outside, at(&names::folder(3))).unwrap();
        wipe(&root).unwrap();
        assert!(!at(&names::folder(1)).exists() && at("photos").exists());
        assert!(outside.join(names::file(7)).exists(), "no link is followed");
        let left = fs::read_dir(at(&names::folder(2))).unwrap().map(|e| e.unwrap().path());
        assert_eq!(left.collect::<Vec<_>>(), [others]);
    }
}
