//! One session's part of the spool.

use std::fs::File;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ivt_base::secret::Secret;
use tokio::sync::Notify;

use super::format::{self, Payload};
use super::index::{self, Entry, Index, Session};
use super::store::Store;
use super::writer::DiskThread;
use super::{Holding, News, Pending, SegmentHead, SessionHead, SpoolError, Stored};

/// One session's part of the spool. Clones are the same part.
#[derive(Clone, Debug)]
pub struct SpoolSession {
    part: Arc<Part>,
}

/// Writes a segment while it is recorded. If it is dropped unfinished, its synced groups are
/// recovered when the spool is opened next.
#[derive(Debug)]
pub struct SegmentWriter {
    part: Arc<Part>,
    head: SegmentHead,
    /// Whether a group was handed to the disk.
    begun: bool,
    /// Counts the write as under way, from the first group to the last.
    write: Option<Write>,
    broken: Arc<AtomicBool>,
}

/// Reads a stored segment piece by piece. Holds 64 KiB.
#[derive(Debug)]
pub struct SegmentReader {
    part: Arc<Part>,
    number: u64,
    /// The reader; `None` while a piece is being read.
    payload: Option<Payload>,
}

#[derive(Debug)]
struct Part {
    disk: Arc<DiskThread>,
    index: Arc<Mutex<Index>>,
    id: u64,
    head: Mutex<SessionHead>,
    changed: Arc<Notify>,
}

/// Marks a segment as being written while it lives. When it is dropped, the session hears of the
/// outcome.
#[derive(Debug)]
struct Write {
    part: Arc<Part>,
    number: u64,
}

impl SpoolSession {
    pub(super) fn new(
        disk: Arc<DiskThread>,
        index: Arc<Mutex<Index>>,
        id: u64,
        head: SessionHead,
    ) -> Self {
        let changed = index::lock(&index).changed(id);
        let head = Mutex::new(head);
        Self { part: Arc::new(Part { disk, index, id, head, changed }) }
    }

    /// The session that this part belongs to.
    pub fn head(&self) -> SessionHead {
        self.part.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The service has another address from now on, which segments that are written later name.
    pub fn readdress(&self, cbk_url: Secret) {
        let mut head = self.part.head.lock().unwrap_or_else(PoisonError::into_inner);
        head.cbk_url = cbk_url;
        if let Some(session) = self.part.lock().session_mut(self.part.id) {
            session.head = head.clone();
        }
    }

    /// Begins work with the session's part: the complete segments by number, and the durations of
    /// those that were removed to make room since the last question. Earlier news are dropped.
    pub fn resume(&self) -> (Vec<Stored>, Vec<Duration>) {
        let mut index = self.part.lock();
        let evicted = index.take_news(self.part.id).into_iter().filter_map(|news| match news {
            News::Evicted(_, duration) => Some(duration),
            News::Written(..) => None,
        });
        (index.stored(self.part.id), evicted.collect())
    }

    /// Notes so many lost segments of this duration together, of which the service was not told and the
    /// log was. The next to work with the session's part tells of them.
    pub fn lost(&self, number: u64, time: Duration) {
        self.part.lock().lost(self.part.id, number, time);
    }

    /// The losses that [`Self::lost`] noted, and those found when the spool was opened, since the last
    /// call.
    pub fn take_lost(&self) -> (u64, Duration) {
        self.part.lock().take_lost(self.part.id)
    }

    /// Returns when there may be [`Self::news`]. Cancel safe.
    pub async fn changed(&self) {
        self.part.changed.notified().await;
    }

    /// The news about segments since the last call.
    pub fn news(&self) -> Vec<News> {
        self.part.lock().take_news(self.part.id)
    }

    /// Begins to write a segment. Nothing is written before the first group.
    pub fn begin(&self, head: SegmentHead) -> SegmentWriter {
        let (part, broken) = (Arc::clone(&self.part), Arc::default());
        SegmentWriter { part, head, begun: false, write: None, broken }
    }

    /// Writes a whole segment, unless it is complete already. The outcome is among the
    /// [`Self::news`] when this returns; if the disk does not answer, it follows later.
    ///
    /// # Errors
    /// The disk fails, is full or does not answer.
    pub async fn store(
        &self,
        head: SegmentHead,
        duration: Duration,
        chunks: Arc<[Bytes]>,
    ) -> Result<Stored, SpoolError> {
        let write = Write::new(&self.part, head.number);
        let store = move |store: &mut Store| {
            let stored = store.store(write.part.id, head, duration, &chunks);
            // The chunks are dropped before the session hears of the outcome, since it then counts
            // their memory as free.
            drop(chunks);
            drop(write);
            stored
        };
        self.part.disk.request_segment(store).await
    }

    /// The complete segments by number, from the index in memory.
    pub fn stored(&self) -> Vec<Stored> {
        self.part.lock().stored(self.part.id)
    }

    /// What the spool holds of a segment, by the index in memory.
    pub fn holding(&self, number: u64) -> Holding {
        self.part.lock().holding(self.part.id, number)
    }

    /// Neither complete segments nor a pending upload are there, and none is being written.
    pub fn is_empty(&self) -> bool {
        let index = self.part.lock();
        let session = index.session(self.part.id);
        index.stored(self.part.id).is_empty()
            && session.is_none_or(|session| session.pending.is_none() && session.writes == 0)
    }

    /// The number of the session's next segment: higher than any that was ever here, or is yet to
    /// be written.
    pub fn next_number(&self) -> u64 {
        self.part.lock().session(self.part.id).map_or(0, Session::next_number)
    }

    /// Reads a segment in pieces of at most 64 KiB. It is checked before this returns.
    ///
    /// # Errors
    /// There is no such segment, the disk does not give it, or it is damaged, in which case the
    /// spool keeps the part that can be read.
    pub async fn reader(&self, number: u64) -> Result<SegmentReader, SpoolError> {
        let part = Arc::clone(&self.part);
        let disk = &self.part.disk;
        let (file, entry) = disk.request(move |store| store.open_segment(part.id, number)).await?;
        let part = Arc::clone(&self.part);
        if let Some(payload) = disk.read(move || check(file, &entry)).await? {
            return Ok(SegmentReader { part, number, payload: Some(payload) });
        }
        disk.request(move |store| store.repair(part.id, number)).await?;
        Err(SpoolError::Damaged(number))
    }

    /// Notes the upload that is in flight or not yet confirmed. It is on disk when this returns.
    ///
    /// # Errors
    /// The disk fails or does not answer. The note holds in memory nevertheless.
    pub async fn set_pending(&self, pending: Option<Pending>) -> Result<(), SpoolError> {
        if !self.part.lock().set_pending(self.part.id, pending) {
            return Ok(());
        }
        let part = Arc::clone(&self.part);
        self.part.disk.request(move |store| store.save_pending(part.id)).await
    }

    /// The upload that [`Self::set_pending`] noted last, perhaps before a crash.
    pub fn pending(&self) -> Option<Pending> {
        self.part.lock().session(self.part.id)?.pending.clone()
    }

    /// Removes a segment for good, since it is confirmed or not wanted. It is not listed any more,
    /// and its file is removed after the disk's earlier jobs. Never waits.
    pub fn remove(&self, number: u64) {
        self.part.lock().request_removal(self.part.id, number);
        let part = Arc::clone(&self.part);
        self.part.disk.send(move |store| {
            // The store has told the log of the failure, and tries again when the disk works again.
            let _ = store.remove(part.id, number);
        });
    }

    /// Ends the session: its folder is removed if it holds neither segments nor a pending upload.
    /// All earlier jobs of the disk are done when this returns.
    ///
    /// # Errors
    /// The disk fails or does not answer.
    pub async fn close(&self) -> Result<(), SpoolError> {
        let part = Arc::clone(&self.part);
        self.part.disk.request(move |store| store.close(part.id)).await
    }
}

impl SegmentWriter {
    /// Adds a key-frame group. Never waits: if the disk is too slow or fails, the segment stays in
    /// memory only.
    pub fn append(&mut self, chunks: Vec<Bytes>, duration: Duration) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        let Some(place) = self.part.disk.place(chunks.iter().map(Bytes::len).sum()) else {
            self.broken.store(true, Ordering::Relaxed);
            return self.abandon();
        };
        let (part, head, broken) = (Arc::clone(&self.part), self.head, Arc::clone(&self.broken));
        let first = !mem::replace(&mut self.begun, true);
        self.write.get_or_insert_with(|| Write::new(&part, head.number));
        self.part.disk.send(move |store| {
            let written = if first {
                store.begin(part.id, head, &chunks, duration)
            } else {
                store.append(part.id, head.number, &chunks, duration)
            };
            if written.is_err() {
                // The store has told the log of the failure.
                broken.store(true, Ordering::Relaxed);
            }
            drop(place);
        });
    }

    /// A beginning of the segment is on the disk, or may yet come there.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The segment is complete. True when all of it is written or on its way to the disk: the
    /// session hears what came of that.
    pub fn finish(mut self) -> bool {
        if self.broken.load(Ordering::Relaxed) {
            return false;
        }
        let Some(write) = self.write.take() else { return false };
        self.part.disk.send(move |store| {
            let _ = store.finish(write.part.id, write.number);
            drop(write);
        });
        true
    }

    fn abandon(&mut self) {
        if let Some(write) = self.write.take() {
            self.part.disk.send(move |store| {
                store.abandon(write.part.id, write.number);
                drop(write);
            });
        }
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Write {
    fn new(part: &Arc<Part>, number: u64) -> Self {
        part.lock().writing(part.id, number);
        Self { part: Arc::clone(part), number }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.part.lock().written(self.part.id, self.number);
    }
}

impl SegmentReader {
    /// The next piece; `None` at the end. A call that was dropped before its end makes the next one
    /// fail.
    ///
    /// # Errors
    /// The disk does not give the piece, or not in time.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SpoolError> {
        let mut payload = self.payload.take().ok_or(SpoolError::Stalled)?;
        let number = self.number;
        let read = move || {
            let chunk = payload.next();
            (payload, chunk)
        };
        let (payload, chunk) = self.part.disk.read(read).await?;
        self.payload = Some(payload);
        chunk.map_err(|source| SpoolError::Io {
            action: "read",
            path: PathBuf::from(format!("segment {number}")),
            source,
        })
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Index> {
        index::lock(&self.index)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.lock().release(self.id);
    }
}

/// The payload, if the file still holds what the index says.
fn check(file: File, entry: &Entry) -> Option<Payload> {
    let found = format::walk(&file, entry.groups.begin, entry.groups.end);
    let whole = (found.end, found.bytes) == (entry.groups.end, entry.groups.bytes);
    whole.then(|| Payload::new(file, &entry.groups))
}
