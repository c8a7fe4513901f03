//! Opening the spool: what is there, and what of it a crash left half-done.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::card::is_full;
use super::disk::Disk;
use super::files::failed;
use super::format::{self, Contents, DONE, Found};
use super::index::{Entry, MAX_FILES, State};
use super::store::Store;
use super::{SpoolError, names};

impl Store {
    /// Opens the spool in `root`, which is made in its parent when missing, and repairs what can be. Only a
    /// `root` that cannot be listed, or is another process's, is an error: what cannot be read or mended in it is passed
    /// over. One that cannot be written is told of, and tried again as any disk that failed.
    pub fn open(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Result<Self, SpoolError> {
        if !root.is_dir() {
            // Not its parents: they belong to a card that is not there.
            let made = DirBuilder::new().mode(0o700).create(&root);
            made.map_err(failed("create", &root))?;
        }
        let claim = disk.claim(&root).map_err(failed("use", &root))?;
        let mut store = Self { claim: Some(claim), ..Self::new(root, limit, disk) };
        let folders = list(&store.root, FileType::is_dir, names::parse_folder);
        let mut folders = folders.map_err(failed("list", &store.root))?;
        folders.sort_unstable();
        for id in folders {
            store.lock().skip(id);
            store.open_folder(id);
            // As it goes, so that the index stays small whatever is there.
            let _ = store.make_room(0);
        }
        store.probe();
        store.let_go();
        Ok(store)
    }

    /// Lets a disk that cannot be written fail now, where somebody looks at the log, and not with the
    /// first recording.
    fn probe(&mut self) {
        let probe = self.root.join(names::PROBE);
        let _ = self.attempt(0, |store| match store.disk.make_dir(&probe) {
            // When something is written, the oldest segments make room.
            Err(error) if is_full(&error) => Ok(()),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(failed("write to", &store.root)(error))
            }
            _ => store.disk.remove_dir(&probe).map_err(failed("delete", &probe)),
        });
    }

    fn open_folder(&mut self, id: u64) {
        let folder = self.folder(id);
        let mut files = match list(&folder, FileType::is_file, names::parse_file) {
            Ok(files) => files,
            Err(error) => return log::warn!("{}", failed("list", &folder)(error)),
        };
        let _ = self.unlink(&folder.join(names::NEW_PENDING));
        self.open_pending(id, &folder.join(names::PENDING));
        files.sort_unstable();
        for number in files {
            self.next = self.next.max(number.wrapping_add(1));
            self.open_file(id, number);
            if self.lock().count() > MAX_FILES {
                let _ = self.make_room(0);
            }
        }
        self.discard_copies(id);
        if self.lock().session(id).is_none_or(|session| session.is_empty()) {
            let _ = self.remove_folder(id);
            if let Some(session) = self.lock().session_mut(id) {
                session.held = false;
            }
            self.lock().forget(id);
        }
    }

    fn open_pending(&mut self, id: u64, path: &Path) {
        if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            return;
        }
        let found = File::open(path).and_then(|file| Ok((format::read_pending(&file)?, file)));
        match found {
            Ok((Found::Ours((head, pending)), file)) => {
                let mut index = self.lock();
                index.restore(id, head);
                index.set_pending_length(id, file.metadata().map_or(0, |metadata| metadata.len()));
                if let Some(session) = index.session_mut(id) {
                    session.pending = Some(pending);
                }
            }
            Ok((Found::Damaged, _)) => drop(self.unlink(path)),
            Ok((Found::Newer, _)) => leave(path),
            Err(error) => log::warn!("{}", failed("read", path)(error)),
        }
    }

    /// Takes a segment's file into the index, cut to its last complete group; without one it goes.
    fn open_file(&mut self, id: u64, number: u64) {
        let path = self.path(id, number);
        let found = File::open(&path).and_then(|file| format::inspect(&file, false));
        let Contents { session, segment, groups } = match found {
            Ok(Found::Ours(contents)) if contents.groups.end > contents.groups.begin => contents,
            Ok(Found::Ours(_) | Found::Damaged) => return drop(self.unlink(&path)),
            Ok(Found::Newer) => return leave(&path),
            Err(error) => return log::warn!("{}", failed("read", &path)(error)),
        };
        if !groups.done {
            log::info!("{} was not finished: it is cut to its last group", path.display());
            if let Err(error) = self.mend(&path, &groups) {
                log::warn!("{error}");
            }
        }
        let length = groups.end + DONE;
        let mut index = self.lock();
        index.restore(id, session);
        index.put(id, number, Entry { segment, groups, length, state: State::Complete });
    }

    /// A segment that was stored after its writer gave up may be there twice: the longer stays.
    fn discard_copies(&mut self, id: u64) {
        let mut best = BTreeMap::new();
        let files = self.lock().session(id).map(|session| session.files()).unwrap_or_default();
        for (file, entry) in files {
            let rival = best.insert(entry.segment.number, (entry.groups.bytes, file));
            let Some(rival) = rival else { continue };
            let (loser, winner) = if rival.0 > entry.groups.bytes {
                (file, rival)
            } else {
                (rival.1, (entry.groups.bytes, file))
            };
            best.insert(entry.segment.number, winner);
            self.discard(id, loser);
        }
    }
}

/// The numbers of the entries that are ours by kind and name. Links are not followed.
pub(super) fn list(
    folder: &Path,
    kind: fn(&FileType) -> bool,
    parse: fn(&str) -> Option<u64>,
) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|found| kind(&found)) {
            numbers.extend(entry.file_name().to_str().and_then(parse));
        }
    }
    Ok(numbers)
}

fn leave(path: &Path) {
    log::warn!("{} is of a newer version: it is left alone", path.display());
}
