//! One session's part of the spool.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Pending, SegmentHead, SpoolError, Stored};

/// One session's part of the spool. Clones are the same part.
#[derive(Clone, Debug)]
pub struct Shelf {}

/// Writes a segment while it is recorded. Dropped unfinished, its synced groups are recovered when
/// the spool is opened next.
#[derive(Debug)]
pub struct Writer {}

/// A stored segment, piece by piece. Holds 64 KiB.
#[derive(Debug)]
pub struct Reader {}

impl Shelf {
    /// Begins to write a segment.
    pub fn begin(&self, head: SegmentHead) -> Writer {
        let _ = head;
        Writer {}
    }

    /// Writes a whole segment. One that is complete already is not written again.
    pub async fn store(
        &self,
        head: SegmentHead,
        duration: Duration,
        chunks: Arc<[Bytes]>,
    ) -> Result<Stored, SpoolError> {
        let _ = (head, duration, chunks);
        Err(SpoolError::Stalled)
    }

    /// The complete segments by number. From memory.
    pub fn stored(&self) -> Vec<Stored> {
        Vec::new()
    }

    /// A segment's payload in pieces of at most 64 KiB, checked.
    pub async fn read(&self, number: u64) -> Result<Vec<Bytes>, SpoolError> {
        Err(SpoolError::Missing(number))
    }

    /// The same without having it in memory.
    pub async fn reader(&self, number: u64) -> Result<Reader, SpoolError> {
        Err(SpoolError::Missing(number))
    }

    /// Notes the upload that is in flight or not yet confirmed. It is on disk when this returns.
    pub async fn set_pending(&self, pending: Option<Pending>) -> Result<(), SpoolError> {
        let _ = pending;
        Err(SpoolError::Stalled)
    }

    /// What [`Self::set_pending`] noted last, perhaps before a crash.
    pub fn pending(&self) -> Option<Pending> {
        None
    }

    /// Deletes a segment: it is confirmed, or not wanted.
    pub async fn remove(&self, number: u64) -> Result<(), SpoolError> {
        Err(SpoolError::Missing(number))
    }

    /// The session is over: its folder goes if it holds neither segments nor a pending upload.
    pub async fn close(&self) -> Result<(), SpoolError> {
        Err(SpoolError::Stalled)
    }

    /// How many of this session's segments, of which duration together, were deleted because the
    /// spool was full, since this was asked last.
    pub fn take_dropped(&self) -> (u64, Duration) {
        (0, Duration::ZERO)
    }
}

impl Writer {
    /// Adds a key-frame group. Never waits: when the disk is too slow or fails, the segment stays
    /// in memory only.
    pub fn append(&mut self, chunks: Vec<Bytes>, duration: Duration) {
        let _ = (chunks, duration);
    }

    /// The segment is complete. [`Shelf::stored`] lists it once it is written.
    pub fn finish(self) {}
}

impl Reader {
    /// The next piece; `None` at the end. A call that was dropped half-way ends the reading with
    /// an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SpoolError> {
        Ok(None)
    }
}
