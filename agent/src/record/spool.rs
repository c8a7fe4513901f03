//! Segments on an SD card: a bounded store that survives crashes, power cuts and the card's loss.
//!
//! ```text
//! SpoolSession, SegmentWriter ── jobs, bounded ──▶ DiskThread ──▶ Store ──▶ Files ──▶ Disk
//!      └─── lists, news ──▶ Index ◀── says what is there ─────────┘       (one job at a time)
//!
//! dir/session-00000003/0000000000000017.seg     a segment: head, groups, end; see `format`
//!                      pending                  the upload in flight or not yet confirmed
//! ```
//!
//! # Invariants
//!
//! 1. A group is synced when its write returns: contents, length and, with the first of a file, the
//!    file's name and its folder's.
//! 2. An end record is written after all groups are synced. A file with one needs no scan; a file
//!    without is cut to its last whole group when the spool is opened.
//! 3. Every file says whose it is: a lost file costs no other.
//! 4. A removed segment does not come back, not even after a power cut. One that was deleted to
//!    make room may.
//! 5. A pending upload is replaced at one stroke, and its segment is not deleted to make room.
//! 6. All files together stay below the limit, and there are never more than 10 000. The oldest
//!    go first, by arrival: no clock is asked.
//! 7. One process at a time has something in the folder. When nothing is in it, nothing of it is
//!    open: the card may be taken out, and another put in.
//! 8. Files that this did not name, links, and files of newer versions are never touched.

mod card;
mod disk;
mod error;
mod files;
mod format;
mod index;
mod names;
mod scan;
mod session;
mod store;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod opening_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ivt_base::secret::Secret;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

pub use self::error::SpoolError;
pub use self::session::{SegmentReader, SegmentWriter, SpoolSession};
pub use self::writer::BYTES as QUEUE_BYTES;

use self::disk::{Disk, SystemDisk};
use self::index::{Index, lock};
use self::writer::DiskThread;

/// The store of all sessions. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Spool {
    disk: Arc<DiskThread>,
    index: Arc<Mutex<Index>>,
}

/// A recording session, so far as its segments need it after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHead {
    /// As the cloud gave it.
    pub session_id: String,
    /// Number of the channel.
    pub channel: u32,
    /// Where it is uploaded. Kept in files of mode 0600.
    pub cbk_url: Secret,
}

/// What is known of a segment when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Ascending within its session.
    pub number: u64,
    /// When the first frame was, in microseconds since 1970.
    pub start_micros: i64,
    /// The time stamps do not continue those of the segment before.
    pub discontinuity: bool,
}

/// A complete segment in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Number, start and whether it continues the one before.
    pub head: SegmentHead,
    /// The groups' durations together.
    pub duration: Duration,
    /// Length of the payload.
    pub bytes: u64,
}

/// What the spool holds of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing.
    Nothing,
    /// A beginning, which is a segment of its own after a crash.
    Part,
    /// All of it.
    Whole(Stored),
}

/// What has happened to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The write of the segment has ended, well or not, and this is there of it.
    Written(u64, Holding),
    /// The segment was complete, lasted so long, and was deleted to make room.
    Evicted(u64, Duration),
}

/// An upload in flight, or not yet confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The segment, which the spool does not delete to make room.
    pub number: u64,
    /// The recording service's name of it.
    pub name: String,
    /// Where it is put. Kept in files of mode 0600.
    pub uri: Secret,
}

/// How full the spool is, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all files together, as on disk.
    pub bytes: u64,
    /// More is never held.
    pub limit: u64,
    /// Complete ones, of all sessions.
    pub segments: usize,
    /// The last write succeeded, and the disk answers.
    pub healthy: bool,
}

impl Spool {
    /// Opens the spool in `dir`, which is made in its parent when missing, and repairs what a crash
    /// left. `limit` is in bytes, over all sessions. Runs in a tokio runtime.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, read or written, or another agent uses it.
    pub async fn open(dir: PathBuf, limit: u64) -> Result<(Self, Vec<SpoolSession>), SpoolError> {
        Self::open_on(Box::new(SystemDisk), dir, limit).await
    }

    async fn open_on(
        disk: Box<dyn Disk>,
        dir: PathBuf,
        limit: u64,
    ) -> Result<(Self, Vec<SpoolSession>), SpoolError> {
        let open = spawn_blocking(move || scan::open(dir, limit, disk));
        let store = open.await.unwrap_or(Err(SpoolError::Stalled))?;
        let spool = Self { index: store.index(), disk: DiskThread::new(store) };
        let heads = lock(&spool.index).heads();
        let leftovers = heads.into_iter().map(|(id, head)| spool.held(id, head)).collect();
        Ok((spool, leftovers))
    }

    /// A session's part. Its folder is made at the first write.
    pub fn session(&self, head: SessionHead) -> SpoolSession {
        let id = lock(&self.index).begin(head.clone());
        self.held(id, head)
    }

    /// How full it is, and how well.
    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.disk.watch()
    }

    fn held(&self, id: u64, head: SessionHead) -> SpoolSession {
        SpoolSession::new(Arc::clone(&self.disk), Arc::clone(&self.index), id, head)
    }
}
