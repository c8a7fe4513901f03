//! Opening the spool: finds out what is there, and mends what a crash left half-done.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::card::list;
use super::damage::{self, Fault};
use super::disk::{Disk, is_folder, open_to_read};
use super::error::is_full;
use super::files::failed;
use super::format::{self, Contents, DONE, Found};
use super::index::{Entry, MAX_FILES, State};
use super::store::Store;
use super::{SpoolError, names};

/// Most sessions that are taken from a disk at once, so that the index stays small.
const MOST_SESSIONS: usize = 1000;

/// Opens the spool in `root`, which is made in its parent if missing, and repairs what can be
/// repaired. Files that cannot be read or mended are passed over. The log is told of a disk that
/// cannot be written, which is tried again like any disk that failed.
///
/// # Errors
/// `root` cannot be made or listed, or another process uses it.
pub fn open(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Result<Store, SpoolError> {
    if !root.is_dir() {
        // The parents are not made: without its card, the folder would be made on the disk below.
        let made = DirBuilder::new().mode(0o700).create(&root);
        made.map_err(failed("create", &root))?;
    }
    let mut store = Store::claim(root.clone(), limit, disk)?;
    let folders = list(&root, |_| true, names::parse_folder);
    let mut folders = folders.map_err(failed("list", &root))?;
    folders.sort_unstable();
    // All files of ours together are below the limit, so that only files made for it have more to be read.
    let mut unread = limit.saturating_mul(2);
    for id in folders {
        store.lock().skip(id);
        open_folder(&mut store, id, &mut unread);
        // Room is made after each folder, so that the index stays small whatever is there.
        let _ = store.make_room(0);
    }
    probe(&mut store, &root.join(names::PROBE));
    drop(store.let_go());
    Ok(store)
}

/// Tries to write now, where somebody looks at the log, so that a bad disk does not fail with the
/// first recording.
fn probe(store: &mut Store, probe: &Path) {
    let _ = store.attempt(0, |store| match store.files().disk.make_dir(probe) {
        // A full disk is no fault: when something is written, the oldest segments make room.
        Err(error) if is_full(&error) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Left there by a crash, or something else that somebody put there.
            let _ = store.files().disk.remove_dir(probe);
            Ok(())
        }
        Err(error) => Err(failed("write to", &store.files().root)(error)),
        Ok(()) => store.files().disk.remove_dir(probe).map_err(failed("delete", probe)),
    });
}

fn open_folder(store: &mut Store, id: u64, unread: &mut u64) {
    let folder = store.files().folder(id);
    // A folder in the place of the file could not be replaced by one.
    let blocked =
        [names::PENDING, names::NEW_PENDING].iter().any(|name| is_folder(&folder.join(name)));
    if blocked || !is_folder(&folder) {
        return log::warn!("{} is not as the spool made it: it is left alone", folder.display());
    }
    if store.lock().sessions() >= MOST_SESSIONS {
        return log::warn!("{}: too many recordings, it is left for later", folder.display());
    }
    let mut files = match list(&folder, FileType::is_file, names::parse_file) {
        Ok(files) => files,
        Err(error) => return log::warn!("{}", failed("list", &folder)(error)),
    };
    let _ = store.files().remove(&folder.join(names::NEW_PENDING));
    open_pending(store, id, &folder.join(names::PENDING));
    files.sort_unstable();
    let (mut faults, newest) = (Vec::new(), files.last().copied());
    for file in files {
        store.skip_file(file);
        let fault = open_file(store, id, file, newest == Some(file), unread);
        faults.extend(fault.map(|fault| (file, fault)));
        if store.lock().count() > MAX_FILES {
            let _ = store.make_room(0);
        }
    }
    remove_copies(store, id);
    damage::count(&mut store.lock(), id, &faults, |file| store.files().path(id, file));
    if store.lock().session(id).is_none_or(|session| session.is_empty()) {
        let _ = store.files().remove_folder(id);
        store.lock().release(id);
    }
}

fn open_pending(store: &mut Store, id: u64, path: &Path) {
    let found = open_to_read(path).and_then(|file| Ok((format::read_pending(&file)?, file)));
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok((Found::Ours((head, pending)), file)) => {
            let mut index = store.lock();
            index.restore(id, head);
            index.set_pending_length(id, file.metadata().map_or(0, |metadata| metadata.len()));
            if let Some(session) = index.session_mut(id) {
                session.pending = Some(pending);
            }
        }
        Ok((Found::Damaged, _)) => drop(store.files().remove(path)),
        Ok((Found::Newer, _)) => leave(path),
        Err(error) => log::warn!("{}", failed("read", path)(error)),
    }
}

/// Adds a segment's file to the index, cut to its last complete group. A file without one is
/// removed. Returns what is wrong with the file. The `newest` may be what a crash has left.
fn open_file(
    store: &mut Store,
    id: u64,
    file: u64,
    newest: bool,
    unread: &mut u64,
) -> Option<Fault> {
    let path = store.files().path(id, file);
    let limit = store.lock().stats().limit;
    let found = open_to_read(&path).and_then(|file| match file.metadata()?.len() {
        // It would have to make room at once.
        length if length > limit => Ok(Found::Damaged),
        _ => format::inspect(&file, unread),
    });
    let Contents { session, segment, groups } = match found {
        Ok(Found::Ours(contents)) if contents.groups.end > contents.groups.begin => contents,
        Ok(Found::Ours(_)) => {
            let level = if newest { log::Level::Info } else { log::Level::Warn };
            log::log!(level, "{} has no whole group, and its segment is lost", path.display());
            let _ = store.files().remove(&path);
            return Some(Fault::Empty);
        }
        Ok(Found::Damaged) => {
            log::warn!(
                "{} is damaged, its head cannot be read: its segment is lost",
                path.display()
            );
            let _ = store.files().remove(&path);
            return Some(Fault::Head);
        }
        Ok(Found::Newer) => {
            leave(&path);
            return None;
        }
        Err(error) => {
            log::warn!("{}", failed("read", &path)(error));
            return None;
        }
    };
    if !groups.done {
        log::info!("{} was not finished: it is cut to its last group", path.display());
        if let Err(error) = store.files().mend(&path, &groups) {
            log::warn!("{error}");
        }
    }
    let length = groups.end + DONE;
    let mut index = store.lock();
    index.restore(id, session);
    index.put(id, file, Entry { segment, groups, length, state: State::Complete });
    (!groups.done).then_some(Fault::Cut)
}

/// A segment that was stored after its writer gave up may be there twice. The longer file is kept.
fn remove_copies(store: &mut Store, id: u64) {
    let mut best = BTreeMap::new();
    let files = store.lock().session(id).map(|session| session.files()).unwrap_or_default();
    for (file, entry) in files {
        let this = (entry.groups.bytes, file);
        let Some(rival) = best.insert(entry.segment.number, this) else { continue };
        let (loser, winner) = if rival.0 > this.0 { (this, rival) } else { (rival, this) };
        best.insert(entry.segment.number, winner);
        store.remove_or_unlist(id, loser.1);
    }
}

fn leave(path: &Path) {
    log::warn!("{} is of a newer version: it is left alone", path.display());
}
