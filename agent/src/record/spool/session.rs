//! One session's part of the spool.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::format::{self, Payload};
use super::index::{Entry, Index};
use super::writer::DiskThread;
use super::{Pending, SegmentHead, SpoolError, Stored};

/// One session's part of the spool. Clones are the same part.
#[derive(Clone, Debug)]
pub struct SpoolSession {
    part: Arc<Part>,
}

/// Writes a segment while it is recorded. Dropped unfinished, its synced groups are recovered when
/// the spool is opened next.
#[derive(Debug)]
pub struct SegmentWriter {
    part: Arc<Part>,
    head: SegmentHead,
    /// From the first group to the last.
    draft: Option<Draft>,
    over: bool,
    broken: Arc<AtomicBool>,
}

/// A stored segment, piece by piece. Holds 64 KiB.
#[derive(Debug)]
pub struct SegmentReader {
    part: Arc<Part>,
    number: u64,
    /// `None` while a piece is read.
    payload: Option<Payload>,
}

#[derive(Debug)]
struct Part {
    worker: Arc<DiskThread>,
    index: Arc<Mutex<Index>>,
    id: u64,
}

/// Says that a segment is to be written, as long as it is.
#[derive(Debug)]
struct Draft {
    part: Arc<Part>,
    number: u64,
}

impl SpoolSession {
    pub(super) fn new(worker: Arc<DiskThread>, index: Arc<Mutex<Index>>, id: u64) -> Self {
        Self { part: Arc::new(Part { worker, index, id }) }
    }

    /// Begins to write a segment. Nothing is written before its first group.
    pub fn begin(&self, head: SegmentHead) -> SegmentWriter {
        let (part, broken) = (Arc::clone(&self.part), Arc::default());
        SegmentWriter { part, head, draft: None, over: false, broken }
    }

    /// Writes a whole segment. One that is complete already is not written again.
    pub async fn store(
        &self,
        head: SegmentHead,
        duration: Duration,
        chunks: Arc<[Bytes]>,
    ) -> Result<Stored, SpoolError> {
        let draft = Draft::new(&self.part, head.number);
        let store = move |store: &mut super::Store| {
            let stored = store.store(draft.part.id, head, duration, &chunks);
            drop(draft);
            stored
        };
        self.part.worker.request_segment(store).await
    }

    /// The complete segments by number. From memory.
    pub fn stored(&self) -> Vec<Stored> {
        self.part.lock().stored(self.part.id)
    }

    /// A segment's payload in pieces of at most 64 KiB, checked.
    pub async fn read(&self, number: u64) -> Result<Vec<Bytes>, SpoolError> {
        let mut reader = self.reader(number).await?;
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.chunk().await? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// The same without having it in memory. It is checked before this returns; where it is
    /// damaged, what can be read of it is in the spool afterwards.
    pub async fn reader(&self, number: u64) -> Result<SegmentReader, SpoolError> {
        let part = Arc::clone(&self.part);
        let worker = &self.part.worker;
        let open = worker.request(move |store| store.open_segment(part.id, number));
        let (file, entry) = open.await?;
        let part = Arc::clone(&self.part);
        if let Some(payload) = worker.read(move || check(file, &entry)).await? {
            return Ok(SegmentReader { part, number, payload: Some(payload) });
        }
        worker.request(move |store| store.repair(part.id, number)).await?;
        Err(SpoolError::Damaged(number))
    }

    /// Whether a segment is complete, or its last group on the way to the disk. Should that not
    /// arrive, [`Self::take_dropped`] counts it, with this duration.
    pub fn rely(&self, number: u64, duration: Duration) -> bool {
        self.part.lock().rely(self.part.id, number, duration)
    }

    /// Whether a crash may leave something of a segment.
    pub fn holds(&self, number: u64) -> bool {
        self.part.lock().holds(self.part.id, number)
    }

    /// Notes the upload that is in flight or not yet confirmed. It is on disk when this returns.
    pub async fn set_pending(&self, pending: Option<Pending>) -> Result<(), SpoolError> {
        if !self.part.lock().set_pending(self.part.id, pending) {
            return Ok(());
        }
        let part = Arc::clone(&self.part);
        self.part.worker.request(move |store| store.save_pending(part.id)).await
    }

    /// What [`Self::set_pending`] noted last, perhaps before a crash.
    pub fn pending(&self) -> Option<Pending> {
        self.part.lock().session(self.part.id)?.pending.clone()
    }

    /// Deletes a segment for good: it is confirmed, or not wanted. It is not listed any more, and
    /// goes when what was asked of the disk before is done. Never waits.
    pub fn remove(&self, number: u64) {
        if self.part.lock().unwant(self.part.id, number) {
            let part = Arc::clone(&self.part);
            self.part.worker.send(move |store| {
                // The store has told the log, and tries again when the disk works again.
                let _ = store.remove(part.id, number);
            });
        }
    }

    /// The session is over: its folder goes if it holds neither segments nor a pending upload.
    /// What was asked before is done when this returns.
    pub async fn close(&self) -> Result<(), SpoolError> {
        let part = Arc::clone(&self.part);
        self.part.worker.request(move |store| store.close(part.id)).await
    }

    /// How many of this session's segments, of which duration together, were deleted because the
    /// spool was full, since this was asked last.
    pub fn take_dropped(&self) -> (u64, Duration) {
        self.part.lock().take_dropped(self.part.id)
    }
}

impl SegmentWriter {
    /// Adds a key-frame group. Never waits: when the disk is too slow or fails, the segment stays
    /// in memory only.
    pub fn append(&mut self, chunks: Vec<Bytes>, duration: Duration) {
        if self.broken.load(Ordering::Relaxed) || self.over {
            return;
        }
        let Some(place) = self.part.worker.place(chunks.iter().map(Bytes::len).sum()) else {
            self.broken.store(true, Ordering::Relaxed);
            return self.abandon();
        };
        let first = self.draft.is_none();
        self.draft.get_or_insert_with(|| Draft::new(&self.part, self.head.number));
        let (part, head, broken) = (Arc::clone(&self.part), self.head, Arc::clone(&self.broken));
        self.part.worker.send(move |store| {
            let written = if first {
                store.begin(part.id, head, &chunks, duration)
            } else {
                store.append(part.id, head.number, &chunks, duration)
            };
            if written.is_err() {
                // The store has told the log of it.
                broken.store(true, Ordering::Relaxed);
            }
            drop(place);
        });
    }

    /// The segment is complete. [`SpoolSession::stored`] lists it once it is written.
    pub fn finish(mut self) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        self.over = true;
        if let Some(draft) = self.draft.take() {
            self.part.worker.send(move |store| {
                let _ = store.finish(draft.part.id, draft.number);
                drop(draft);
            });
        }
    }

    fn abandon(&mut self) {
        self.over = true;
        if self.draft.take().is_some() {
            let (part, number) = (Arc::clone(&self.part), self.head.number);
            self.part.worker.send(move |store| store.abandon(part.id, number));
        }
    }
}

impl Draft {
    fn new(part: &Arc<Part>, number: u64) -> Self {
        part.lock().begin_draft(part.id, number);
        Self { part: Arc::clone(part), number }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.part.lock().end_draft(self.part.id, self.number);
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl SegmentReader {
    /// The next piece; `None` at the end. A call that was dropped half-way ends the reading with
    /// an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SpoolError> {
        let mut payload = self.payload.take().ok_or(SpoolError::Stalled)?;
        let number = self.number;
        let read = move || {
            let chunk = payload.next();
            (payload, chunk)
        };
        let (payload, chunk) = self.part.worker.read(read).await?;
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
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut index = self.lock();
        if let Some(session) = index.session_mut(self.id) {
            session.held = false;
        }
        index.forget(self.id);
    }
}

/// The payload, when the file still holds what the index says.
fn check(file: File, entry: &Entry) -> Option<Payload> {
    let found = format::walk(&file, entry.groups.begin, entry.groups.end);
    let whole = (found.end, found.bytes) == (entry.groups.end, entry.groups.bytes);
    whole.then(|| Payload::new(file, &entry.groups))
}
