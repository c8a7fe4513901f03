//! The spool on one thread: every call does its work on the disk before it returns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use ivt_base::told::Told;
use tokio::time::Instant;

use super::card::Card;
use super::disk::{self, Disk, OpenFile};
use super::files::{Files, failed, length};
use super::format;
use super::index::{self, Entry, Index, State};
use super::{SegmentHead, SpoolError, Stats, Stored};

/// How long a disk that failed is left alone.
pub const REST: Duration = Duration::from_secs(30);

/// Owns the files of the spool. What they hold stands in an [`Index`], which others may read
/// meanwhile.
#[derive(Debug)]
pub struct Store {
    files: Files,
    card: Card,
    index: Arc<Mutex<Index>>,
    /// Number of the next segment's file.
    next: u64,
    /// The files being written, with their numbers, by session and segment.
    forming: BTreeMap<(u64, u64), (u64, OpenFile)>,
    /// When the disk is tried again after a failure; `None` while it works.
    rest: Option<Instant>,
    full: Told,
    /// Whether the log was told that other files take the disk's room.
    crowded: Told,
}

impl Store {
    /// An empty store on the files in `root`, which has to be a folder and is claimed for this
    /// process.
    ///
    /// # Errors
    /// Another process uses the folder.
    pub fn claim(root: PathBuf, limit: u64, disk: Box<dyn Disk>) -> Result<Self, SpoolError> {
        let (mut card, files) = (Card::of(&root), Files { root, disk });
        card.claim(&files)?;
        Ok(Self {
            files,
            card,
            index: Arc::new(Mutex::new(Index::new(limit))),
            next: 0,
            forming: BTreeMap::new(),
            rest: None,
            full: Told::default(),
            crowded: Told::default(),
        })
    }

    /// The index, to be shared with readers.
    pub fn index(&self) -> Arc<Mutex<Index>> {
        Arc::clone(&self.index)
    }

    /// Begins a segment with its first group, which is synced when this returns.
    ///
    /// # Errors
    /// The disk fails or is full.
    pub fn begin(
        &mut self,
        id: u64,
        segment: SegmentHead,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<(), SpoolError> {
        self.abandon(id, segment.number);
        self.write_segment(id, segment, (chunks, duration), State::Forming).map(|_| ())
    }

    /// Adds a group to a segment that was begun. The group is synced when this returns.
    ///
    /// # Errors
    /// The disk fails or is full. Writing the segment is given up then.
    pub fn append(
        &mut self,
        id: u64,
        number: u64,
        chunks: &[Bytes],
        duration: Duration,
    ) -> Result<(), SpoolError> {
        let need = format::PREFIX + length(chunks);
        let written = self.attempt(need, |store| {
            let missing = || SpoolError::Missing(number);
            let (file, open) = store.forming.get(&(id, number)).ok_or_else(missing)?;
            let mut entry = store.lock().file(id, *file).ok_or_else(missing)?;
            let written = store.files.write_group(open, entry.groups, chunks, duration);
            entry.groups = written.inspect_err(|_| {
                let _ = store.files.disk.cut(open, entry.groups.end);
            })?;
            entry.length += need;
            store.lock().put(id, *file, entry);
            Ok(())
        });
        written.inspect_err(|_| self.abandon(id, number))
    }

    /// Completes a segment.
    ///
    /// # Errors
    /// The disk fails. The segment is complete nevertheless.
    pub fn finish(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        let Some((file, open)) = self.forming.remove(&(id, number)) else { return Ok(()) };
        let Some(entry) = self.lock().file(id, file) else { return Ok(()) };
        self.lock().set_state(id, file, State::Complete);
        self.attempt(0, |store| store.files.write_end(&open, &entry.groups))
    }

    /// Gives up writing a segment. What was written stays for the case of a crash.
    pub fn abandon(&mut self, id: u64, number: u64) {
        if let Some((file, _)) = self.forming.remove(&(id, number)) {
            self.lock().set_state(id, file, State::Partial);
        }
    }

    /// Writes a whole segment at once, unless it is there.
    ///
    /// # Errors
    /// The disk fails or is full.
    pub fn store(
        &mut self,
        id: u64,
        segment: SegmentHead,
        duration: Duration,
        chunks: &[Bytes],
    ) -> Result<Stored, SpoolError> {
        if let Some((_, entry)) = self.lock().complete(id, segment.number) {
            return Ok(entry.stored());
        }
        let before = self.lock().files(id, segment.number);
        let entry = self.write_segment(id, segment, (chunks, duration), State::Complete)?;
        self.forming.remove(&(id, segment.number));
        before.into_iter().for_each(|(file, _)| self.remove_or_unlist(id, file));
        Ok(entry.stored())
    }

    /// Opens a complete segment's file for reading.
    ///
    /// # Errors
    /// There is no such segment, or the disk does not give it.
    pub fn open_segment(&mut self, id: u64, number: u64) -> Result<(File, Entry), SpoolError> {
        let found = self.lock().complete(id, number);
        let (file, entry) = found.ok_or(SpoolError::Missing(number))?;
        self.card.find(&self.files, &self.index)?;
        let path = self.files.path(id, file);
        match disk::open_to_read(&path) {
            Ok(open) => Ok((open, entry)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                log::warn!(
                    "{} is gone, somebody has removed it: its segment is lost",
                    path.display()
                );
                self.lock().drop_file(id, file);
                Err(SpoolError::Missing(number))
            }
            Err(error) => Err(failed("open", &path)(error)),
        }
    }

    /// Checks a segment that could not be read, and cuts it to the part that can be read.
    ///
    /// # Errors
    /// The disk fails.
    pub fn repair(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        let (open, entry) = self.open_segment(id, number)?;
        let length = open.metadata().map_or(0, |metadata| metadata.len());
        let groups = format::walk(&open, entry.groups.begin, length);
        let Some((file, _)) = self.lock().complete(id, number) else { return Ok(()) };
        let path = self.files.path(id, file);
        let (left, all) = (groups.duration.as_secs_f64(), entry.groups.duration.as_secs_f64());
        log::warn!("{} is damaged: {left:.1} s of {all:.1} s can be read", path.display());
        if groups.end == groups.begin {
            self.remove_or_unlist(id, file);
            return Ok(());
        }
        let length = groups.end + format::DONE;
        self.lock().put(id, file, Entry { groups, length, ..entry });
        self.attempt(0, |store| store.files.mend(&path, &groups))
    }

    /// Writes the upload in flight as the index has it.
    ///
    /// # Errors
    /// The disk fails or is full, or a name is too long.
    pub fn save_pending(&mut self, id: u64) -> Result<(), SpoolError> {
        let (head, pending) = match self.lock().session(id) {
            Some(session) if session.unsaved => (session.head.clone(), session.pending.clone()),
            _ => return Ok(()),
        };
        let bytes = pending.as_ref().map(|pending| format::pending(&head, pending)).transpose()?;
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.attempt(length, |store| store.files.write_pending(id, bytes.as_deref()))?;
        let mut index = self.lock();
        index.set_pending_length(id, length);
        if let Some(session) = index.session_mut(id) {
            session.unsaved = session.pending != pending;
        }
        Ok(())
    }

    /// Removes a segment for good: not even a power cut brings it back. It is not listed any more
    /// even if the disk fails; then its file is removed when the disk works again.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&mut self, id: u64, number: u64) -> Result<(), SpoolError> {
        self.forming.remove(&(id, number));
        self.lock().unlist(id, number);
        let files = self.lock().files(id, number);
        if files.is_empty() {
            return Ok(());
        }
        let folder = self.files.folder(id);
        self.attempt(0, |store| {
            files.iter().try_for_each(|(file, _)| store.remove_file(id, *file))?;
            store.files.disk.sync_dir(&folder).map_err(failed("sync", &folder))
        })
    }

    /// Ends a session: its folder is removed if it holds neither segments nor a pending upload.
    ///
    /// # Errors
    /// The disk fails.
    pub fn close(&mut self, id: u64) -> Result<(), SpoolError> {
        if !self.lock().session(id).is_some_and(|session| session.is_empty()) {
            return Ok(());
        }
        self.attempt(0, |store| store.files.remove_folder(id))
    }

    /// Lets a card be taken out that nothing of ours is on, or that does not work, once what this
    /// returns is dropped: that may take as long as the disk wants.
    pub fn let_go(&mut self) -> Option<File> {
        let may_go = self.rest.is_some() || !self.lock().in_use();
        if may_go { self.card.let_go() } else { None }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Index> {
        index::lock(&self.index)
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Whether there is a file of this number.
    pub(super) fn skip_file(&mut self, file: u64) {
        self.next = self.next.max(file.wrapping_add(1));
    }

    /// Removes the oldest files until this many bytes more fit.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), SpoolError> {
        if self.lock().fits(bytes) {
            return Ok(());
        }
        if !self.lock().can_fit(bytes) {
            let limit = self.lock().stats().limit;
            return Err(SpoolError::Full { asked: bytes, limit });
        }
        while !self.lock().fits(bytes) && self.evict()?.is_some() {}
        Ok(())
    }

    /// Removes a file that is of no use, now or when the disk works again.
    pub(super) fn remove_or_unlist(&mut self, id: u64, file: u64) {
        if self.remove_file(id, file).is_err() {
            self.lock().set_state(id, file, State::Unlisted);
        }
    }

    /// Tries a step for which this many bytes must be free, unless the disk failed a moment ago. If
    /// the disk is full before the limit is reached, the oldest segments are removed and the step
    /// is tried once more.
    pub(super) fn attempt<T>(
        &mut self,
        bytes: u64,
        mut work: impl FnMut(&mut Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return Err(SpoolError::Resting);
        }
        let mut ready = self.card.find(&self.files, &self.index);
        if ready.is_ok() && bytes > 0 {
            ready = self.make_room(bytes);
        }
        let mut result = ready.and_then(|()| work(self));
        if result.as_ref().is_err_and(SpoolError::is_disk_full) && self.free(bytes) {
            if self.crowded.is_news(()) {
                let (root, Stats { limit, .. }) = (self.files.root.display(), self.lock().stats());
                log::warn!(
                    "{root} has no room for record.spool_limit ({limit} bytes), other files fill the \
                     card: the oldest segments make room; remove the other files or lower the limit"
                );
            }
            result = work(self);
        }
        match &result {
            Ok(_) => self.recover(),
            Err(error @ SpoolError::Io { .. }) => {
                if self.rest.is_none() {
                    let cure = error.cure();
                    log::warn!("{error}: {cure}; recordings go on in memory until the disk works");
                }
                self.rest = Some(Instant::now() + REST);
                self.lock().healthy = false;
            }
            Err(error @ SpoolError::Full { .. }) if self.full.is_news(()) => log::warn!("{error}"),
            Err(_) => {}
        }
        result
    }

    /// Writes a new file with one group, in a session's folder, which is made if missing.
    fn write_segment(
        &mut self,
        id: u64,
        segment: SegmentHead,
        (chunks, duration): (&[Bytes], Duration),
        state: State,
    ) -> Result<Entry, SpoolError> {
        let session = self.lock().session(id).map(|session| session.head.clone());
        let session = session.ok_or(SpoolError::Missing(segment.number))?;
        let head = format::head(&session, &segment)?;
        let need = head.len() as u64 + format::PREFIX + length(chunks) + format::DONE;
        self.attempt(need, |store| {
            store.files.make_folder(id)?;
            let (file, open) = store.create(id)?;
            let complete = state == State::Complete;
            let groups = store.files.write_new(&open, &head, (chunks, duration), complete)?;
            let entry = Entry { segment, groups, length: need, state };
            store.lock().put(id, file, entry);
            if !complete {
                store.forming.insert((id, segment.number), (file, open));
            }
            Ok(entry)
        })
    }

    fn create(&mut self, id: u64) -> Result<(u64, OpenFile), SpoolError> {
        loop {
            let file = self.next;
            self.next = self.next.wrapping_add(1);
            let path = self.files.path(id, file);
            match self.files.disk.create(&path) {
                // The file belongs to somebody else. Their number is finite, so the loop ends.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                open => return Ok((file, open.map_err(failed("create", &path))?)),
            }
        }
    }

    /// Removes the oldest file that may be removed, and tells its session. Returns the file's
    /// length; `None` if no file may be removed.
    fn evict(&mut self) -> Result<Option<u64>, SpoolError> {
        let Some((id, file, entry)) = self.lock().oldest() else { return Ok(None) };
        let listed = self.lock().session(id).is_some_and(|session| session.lists(&entry));
        self.remove_file(id, file)?;
        if listed {
            self.lock().evicted(id, &entry);
        }
        Ok(Some(entry.length))
    }

    /// Removes a segment's file.
    fn remove_file(&mut self, id: u64, file: u64) -> Result<(), SpoolError> {
        self.files.remove(&self.files.path(id, file))?;
        self.lock().drop_file(id, file);
        if self.lock().drop_session(id) {
            self.files.remove_folder(id)?;
        }
        Ok(())
    }

    /// Removes the oldest segments until `bytes` are free. False if there are not enough of them.
    fn free(&mut self, bytes: u64) -> bool {
        if self.lock().evictable_bytes() < bytes {
            return false;
        }
        let mut freed = 0;
        while freed < bytes {
            match self.evict() {
                Ok(Some(length)) => freed += length,
                Ok(None) | Err(_) => return false,
            }
        }
        freed > 0
    }

    /// Removes what should have been removed already, now that the disk works again.
    fn recover(&mut self) {
        if self.rest.take().is_none() {
            return;
        }
        log::info!("the spool in {} works again", self.files.root.display());
        self.lock().healthy = true;
        let unlisted = self.lock().unlisted();
        unlisted.into_iter().for_each(|(id, file)| self.remove_or_unlist(id, file));
    }
}
