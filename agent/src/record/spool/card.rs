//! The card that the spool is on: which card it is, and when it may be taken out.

use std::fs::{self, File, FileType};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::is_folder;
use super::files::{Files, failed};
use super::index::{Index, lock};
use super::{SpoolError, names};

/// Most entries of a folder that are looked at, so that a folder made for it does not fill the memory.
const MOST_ENTRIES: usize = 100_000;

/// The file system that the spool's folder is on.
#[derive(Debug)]
pub struct Card {
    device: Option<u64>,
    /// The place where the file system is mounted.
    mount: PathBuf,
    /// A lock that keeps other processes out while the card holds something of this one.
    claim: Option<File>,
}

impl Card {
    /// The card that a folder is on, without claiming it.
    pub fn of(root: &Path) -> Self {
        let (device, mount) = (device(root).ok(), mount_point(root).unwrap_or_default());
        Self { device, mount, claim: None }
    }

    /// Claims the spool's folder for this process.
    pub fn claim(&mut self, files: &Files) -> Result<(), SpoolError> {
        let claim = files.disk.claim(&files.root).map_err(failed("use", &files.root))?;
        self.claim = Some(claim);
        Ok(())
    }

    /// Lets the card be taken out, once what this returns is dropped: that may take as long as the
    /// disk wants.
    #[must_use]
    pub fn let_go(&mut self) -> Option<File> {
        self.claim.take()
    }

    /// Makes sure that the card is there. Without it, its folder would be one on the disk below,
    /// and its files would count as removed.
    pub fn find(&mut self, files: &Files, index: &Mutex<Index>) -> Result<(), SpoolError> {
        let unused = self.claim.is_none() && !lock(index).in_use();
        if unused {
            self.change(files)?;
        }
        let found = device(&files.root).map_err(failed("find", &files.root))?;
        if self.device.is_some_and(|device| device != found) {
            let other = io::Error::other(
                "another file system is there now, mount the former one or restart the agent",
            );
            return Err(failed("use", &files.root)(other));
        }
        if self.claim.is_none() {
            self.claim(files)?;
        }
        if unused && let Err(error) = pass_by(files, index) {
            self.claim = None;
            return Err(error);
        }
        Ok(())
    }

    /// Takes another card in the same place for the spool, instead of the former one.
    fn change(&mut self, files: &Files) -> Result<(), SpoolError> {
        let missing = !files.root.is_dir();
        let folder = if missing { files.root.parent() } else { Some(&*files.root) };
        let found = folder.and_then(|folder| mount_point(folder).ok());
        let Some(mount) = found.filter(|found| found.starts_with(&self.mount)) else {
            return Ok(());
        };
        if missing {
            files.disk.make_dir(&files.root).map_err(failed("create", &files.root))?;
        }
        (self.mount, self.device) = (mount, device(&files.root).ok());
        Ok(())
    }
}

/// Looks at a card that was not there at the start. What lies on it is left for the next start: its
/// folders do not belong to this run.
fn pass_by(files: &Files, index: &Mutex<Index>) -> Result<(), SpoolError> {
    let folders = list(&files.root, |_| true, names::parse_folder);
    for id in folders.map_err(failed("list", &files.root))? {
        let folder = files.folder(id);
        if !is_folder(&folder) {
            lock(index).skip(id);
            continue;
        }
        let found = list(&folder, FileType::is_file, names::parse_file);
        let empty = found.map_err(failed("list", &folder))?.is_empty();
        if !empty && lock(index).session(id).is_some() {
            let other = io::Error::other("other recordings are there, restart the agent");
            return Err(failed("use", &folder)(other));
        }
        lock(index).skip(id);
    }
    Ok(())
}

/// The numbers of the entries that have the kind and name of ours, of at most 100 000 entries. Links are not followed.
pub fn list(
    folder: &Path,
    kind: fn(&FileType) -> bool,
    parse: fn(&str) -> Option<u64>,
) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)?.take(MOST_ENTRIES) {
        let entry = entry?;
        if entry.file_type().is_ok_and(|found| kind(&found)) {
            let number = entry.file_name().to_str().and_then(parse);
            numbers.extend(number.filter(|number| *number < names::FOREIGN));
        }
    }
    Ok(numbers)
}

/// Where the file system of a folder is mounted.
fn mount_point(folder: &Path) -> io::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let found = device(&folder)?;
    let same = |path: &&Path| device(path).is_ok_and(|device| device == found);
    Ok(folder.ancestors().take_while(same).last().unwrap_or(&folder).to_owned())
}

/// The file system that a folder is on.
fn device(root: &Path) -> io::Result<u64> {
    Ok(root.metadata()?.dev())
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::record::spool::fixture::TestDisk;

    #[test]
    fn only_a_card_in_the_place_of_a_card_is_taken_for_another() {
        let dir = tempdir().unwrap();
        let here = mount_point(dir.path()).unwrap();
        assert_eq!(mount_point(&dir.path().join(".")).unwrap(), here);
        assert_eq!(device(&here).unwrap(), device(dir.path()).unwrap());
        assert!(here.parent().is_none_or(|above| device(above).unwrap() != device(&here).unwrap()));
        let files = Files { root: dir.path().into(), disk: Box::new(TestDisk::default()) };
        let (mut card, index) = (Card::of(dir.path()), Mutex::new(Index::new(1 << 20)));
        // A card that was mounted in the folder itself is gone.
        (card.mount, card.device) = (dir.path().canonicalize().unwrap(), Some(0));
        let error = card.find(&files, &index).unwrap_err().to_string();
        assert!(error.contains("another file system is there now"), "{error}");
        // The folder was seen before a card was mounted in it.
        card.mount = "/".into();
        card.find(&files, &index).unwrap();
        assert_eq!(card.mount, here);
    }
}
