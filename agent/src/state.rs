//! What the agent remembers over a restart beside its configuration: one JSON file for each subject, in the
//! folder `device.state_dir`.
//!
//! A new text is written beside the old one, synced and renamed over it, and the folder is synced: a crash
//! at any moment leaves the old text or the new one. Only the agent's user may read the files, since they may
//! hold stream keys.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ivt_base::task::spawn_blocking;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest file that is written or read, in bytes: 256 constant publishes have at most 600,000.
const LONGEST: u64 = 1 << 20;

/// The files of one agent. Clones share them. Reading blocks.
#[derive(Clone, Debug, Default)]
pub struct StateStore {
    /// `None`: nothing is kept.
    folder: Option<PathBuf>,
    /// Held while a file is exchanged, so that two writers of one subject take turns.
    turn: Arc<Mutex<()>>,
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no folder to keep anything in.
    #[error("nothing can be kept over a restart: set device.state_dir")]
    NoFolder,
    /// It is too much.
    #[error("{}: {bytes} bytes, more than {LONGEST}", .file.display())]
    TooLong {
        /// Path of the file.
        file: PathBuf,
        /// Length of the text.
        bytes: usize,
    },
    /// The disk does not take it.
    #[error("{}: cannot be written: {source}; check device.state_dir", .file.display())]
    Write {
        /// Path of the file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateStore {
    /// Keeps files in `folder`, which is made with the first of them; keeps nothing without one.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, turn: Arc::default() }
    }

    /// Looks whether anything can be kept. Writes nothing. Blocks.
    ///
    /// # Errors
    /// There is no folder, or neither it nor the one in which it would be made can be written.
    #[cfg(feature = "update")]
    pub fn check(&self) -> Result<(), StateError> {
        use rustix::fs::{Access, access};
        let folder = self.folder.as_ref().ok_or(StateError::NoFolder)?;
        let there = folder.ancestors().find(|at| at.exists()).unwrap_or(Path::new("."));
        access(there, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|e| StateError::Write { file: folder.clone(), source: e.into() })
    }

    /// What was kept of a subject; `None` if nothing was. A file that cannot be understood is put aside as
    /// `SUBJECT.json.damaged`, and the log is told.
    pub fn read<T: DeserializeOwned>(&self, subject: &str) -> Option<T> {
        let file = self.file(subject)?;
        let damaged = match text(&file) {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(value) => return Some(value),
                // The error repeats nothing of the text but its place.
                Err(e) => format!("line {}, column {}", e.line(), e.column()),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => e.to_string(),
            Err(e) => {
                log::warn!("{}: cannot be read: {e}", file.display());
                return None;
            }
        };
        let aside = file.with_extension("json.damaged");
        log::warn!("{}: is damaged ({damaged}) and put aside", file.display());
        if let Err(e) = fs::rename(&file, &aside) {
            log::warn!("{}: cannot be put aside: {e}", file.display());
        }
        None
    }

    /// Whether anything was ever kept of a subject, understood or not. Blocks.
    #[cfg(feature = "ui")]
    pub(crate) fn has(&self, subject: &str) -> bool {
        let file = self.file(subject);
        file.is_some_and(|file| {
            // What cannot be looked at may be there.
            let is_there = |file: &Path| file.try_exists().unwrap_or(true);
            is_there(&file) || is_there(&file.with_extension("json.damaged"))
        })
    }

    /// Removes everything that is kept but these subjects, and what was put aside. Blocks.
    ///
    /// # Errors
    /// A file cannot be removed.
    #[cfg(feature = "ui")]
    pub(crate) fn wipe(&self, kept: &[&str]) -> io::Result<()> {
        let Some(folder) = self.folder.as_ref().filter(|folder| folder.exists()) else {
            return Ok(());
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_ours =
                [".json", ".json.new", ".json.damaged"].iter().any(|end| name.ends_with(end));
            if is_ours && !kept.iter().any(|kept| name == format!("{kept}.json")) {
                fs::remove_file(&path)?;
            }
        }
        File::open(folder)?.sync_all()
    }

    /// Keeps the value of a subject in the place of the one before.
    ///
    /// # Errors
    /// There is no folder, the value is too long, or the disk does not take it. The value before stays.
    pub async fn write(&self, subject: &str, value: &impl Serialize) -> Result<(), StateError> {
        self.write_then(subject, value, Box::new(|| {})).await
    }

    /// Does as [`write`](Self::write), and runs `then` once the value is kept. Both are done, or neither, also
    /// if the caller does not wait for the end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_then(
        &self,
        subject: &str,
        value: &impl Serialize,
        then: Box<dyn FnOnce() + Send>,
    ) -> Result<(), StateError> {
        let file = self.file(subject).ok_or(StateError::NoFolder)?;
        match serde_json::to_vec(value) {
            Ok(text) => self.exchange(file, text, then).await,
            Err(e) => Err(StateError::Write { file, source: e.into() }),
        }
    }

    /// Does as [`write`](Self::write). Blocks.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[cfg(feature = "ui")]
    pub(crate) fn write_now(
        &self,
        subject: &str,
        value: &impl Serialize,
    ) -> Result<(), StateError> {
        let file = self.file(subject).ok_or(StateError::NoFolder)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_vec(value).map_err(io::Error::from);
        let written = written.and_then(|text| exchange(&file, &text));
        written.map_err(|source| StateError::Write { file, source })
    }

    async fn exchange(
        &self,
        file: PathBuf,
        text: Vec<u8>,
        then: Box<dyn FnOnce() + Send>,
    ) -> Result<(), StateError> {
        if text.len() as u64 > LONGEST {
            return Err(StateError::TooLong { file, bytes: text.len() });
        }
        let (turn, target) = (Arc::clone(&self.turn), file.clone());
        let exchanged = spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            exchange(&target, &text).map(|()| then())
        });
        let exchanged = exchanged.await.map_err(io::Error::from).flatten();
        exchanged.map_err(|source| StateError::Write { file, source })
    }

    fn file(&self, subject: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{subject}.json")))
    }
}

fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if bytes as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    Ok(text)
}

fn exchange(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = file.with_extension("json.new");
    // A draft of a run that was killed.
    match fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut written = options.write(true).create_new(true).mode(0o600).open(&draft)?;
    let placed = written
        .write_all(text)
        .and_then(|()| written.sync_all())
        .and_then(|()| fs::rename(&draft, file));
    if placed.is_err() {
        // The next writer removes a draft that cannot be removed here.
        fs::remove_file(&draft).ok();
        return placed;
    }
    // The new text is in force already, but a power cut may still bring the old one back.
    if let Err(e) = File::open(folder).and_then(|folder| folder.sync_all()) {
        log::warn!("{}: its folder cannot be synced: {e}", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn store() -> (tempfile::TempDir, StateStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(Some(folder.path().join("ivt/state")));
        (folder, store)
    }

    #[tokio::test]
    async fn what_was_written_is_read_by_the_next_run_and_by_nobody_else() {
        let (folder, store) = store();
        assert_eq!(store.read::<Vec<u32>>("list"), None);
        store.write("list", &vec![1, 2]).await.unwrap();
        store.write("list", &vec![3]).await.unwrap();
        assert_eq!(store.clone().read::<Vec<u32>>("list"), Some(vec![3]));
        let kept = folder.path().join("ivt/state");
        let names: Vec<_> = fs::read_dir(&kept).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["list.json"], "no draft stays");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept), mode(&kept.join("list.json"))), (0o700, 0o600));
    }

    #[tokio::test]
    async fn a_draft_of_a_run_that_was_killed_is_no_hindrance() {
        let (folder, store) = store();
        store.write("list", &vec![1]).await.unwrap();
        fs::write(folder.path().join("ivt/state/list.json.new"), "[4,").unwrap();
        assert_eq!(store.read("list"), Some(vec![1]));
        store.write("list", &vec![2]).await.unwrap();
        assert_eq!(store.read("list"), Some(vec![2]));
    }

    #[tokio::test]
    async fn a_damaged_file_is_put_aside() {
        let (folder, store) = store();
        let state = folder.path().join("ivt/state");
        fs::create_dir_all(&state).unwrap();
        let long = vec![b' '; LONGEST as usize + 1];
        for text in [&b"[1,"[..], b"", b"\xff\xfe", b"{}", &long] {
            fs::write(state.join("list.json"), text).unwrap();
            assert_eq!(store.read::<Vec<u32>>("list"), None);
            assert!(!state.join("list.json").exists());
            assert_eq!(fs::read(state.join("list.json.damaged")).unwrap(), text);
        }
    }

    #[cfg(feature = "update")]
    #[test]
    fn a_folder_that_cannot_be_written_is_found_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let checked = |path: &str| StateStore::new(Some(folder.path().join(path))).check();
        assert!(checked("").is_ok() && checked("ivt/state").is_ok());
        assert!(!folder.path().join("ivt").exists(), "nothing is made");
        fs::write(folder.path().join("file"), "").unwrap();
        for path in ["file", "file/state"] {
            let error = checked(path).unwrap_err().to_string();
            assert!(error.contains("device.state_dir"), "{error}");
        }
        assert!(matches!(StateStore::default().check(), Err(StateError::NoFolder)));
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_said_and_the_value_before_stays() {
        let (folder, store) = store();
        store.write("list", &vec![1]).await.unwrap();
        let long = store.write("list", &"x".repeat(LONGEST as usize)).await.unwrap_err();
        assert!(long.to_string().contains("more than"), "{long}");
        assert_eq!(store.read("list"), Some(vec![1]));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateStore::new(Some(file)).write("list", &vec![1]).await.unwrap_err();
        assert!(error.to_string().contains("device.state_dir"), "{error}");
        let error = StateStore::default().write("list", &vec![1]).await.unwrap_err();
        assert!(error.to_string().contains("device.state_dir"), "{error}");
    }
}
