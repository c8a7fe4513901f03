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
//! 1. A group is synced when its write returns: contents, length and, with a file's first group,
//!    the names of the file and its folder.
//! 2. An end record is written after all groups are synced. A file with an end record needs no
//!    scan; a file without one is cut to its last whole group when the spool is opened.
//! 3. Every file names its session, so that a lost file costs no other.
//! 4. A removed segment does not come back, not even after a power cut. A segment that
//!    was removed to make room may come back.
//! 5. A pending upload is replaced at one stroke, and its segment is not removed to make room.
//! 6. All files together stay below the limit, and there are never more than 10 000. The files that
//!    arrived first are removed first: no clock is asked.
//! 7. One process at a time has something in the folder. While the folder is empty, nothing in it is
//!    open: the card may be taken out, and another one put in.
//! 8. Files that the spool did not name, links, pipes, devices, and files of newer versions are never touched.
//! 9. Whoever made the files: opening reads no more than twice the limit, the index has at most 1000 sessions, a
//!    segment lasts at most 2 h and begins within 285 years of 1970, and no number is near its end.

mod card;
mod damage;
mod disk;
mod error;
mod files;
mod format;
mod index;
mod names;
mod scan;
mod session;
mod store;
#[cfg(feature = "ui")]
mod wipe;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod hostile_tests;
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
use ivt_base::task::spawn_blocking;
use tokio::sync::watch;

pub use self::error::SpoolError;
pub use self::session::{SegmentReader, SegmentWriter, SpoolSession};
#[cfg(feature = "ui")]
pub(crate) use self::wipe::wipe;
pub use self::writer::BYTES as QUEUE_BYTES;

use self::disk::{Disk, SystemDisk};
use self::index::{Index, lock};
use self::writer::DiskThread;

/// The store of all sessions' segments. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Spool {
    disk: Arc<DiskThread>,
    index: Arc<Mutex<Index>>,
}

/// A recording session, as far as its segments need it after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHead {
    /// The cloud's name for the session.
    pub session_id: String,
    /// Number of the channel.
    pub channel: u32,
    /// The recording service's address. The files that hold it have mode 0600.
    pub cbk_url: Secret,
}

/// The facts about a segment that are known when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Number within its session; ascending.
    pub number: u64,
    /// When the segment's first frame was taken, in microseconds since 1970.
    pub start_micros: i64,
    /// Whether the time stamps do not continue those of the segment before.
    pub discontinuity: bool,
}

/// A complete segment in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Number, start and continuity of the segment.
    pub head: SegmentHead,
    /// The durations of all groups added up.
    pub duration: Duration,
    /// Length of the payload in bytes.
    pub bytes: u64,
}

/// What the spool holds of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The spool has nothing of the segment.
    Nothing,
    /// The spool has a beginning, which becomes a segment of its own after a crash.
    Part,
    /// The spool has the whole segment.
    Whole(Stored),
}

/// Something that happened to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The write of the segment has ended, well or not, and the spool has this part of it.
    Written(u64, Holding),
    /// A complete segment of this duration was removed to make room.
    Evicted(u64, Duration),
}

/// An upload that is in flight or not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Number of the segment, which the spool does not remove to make room.
    pub number: u64,
    /// The recording service's name of the segment.
    pub name: String,
    /// The address to which the segment is sent. The files that hold it have mode 0600.
    pub uri: Secret,
}

/// How full the spool is, and whether its disk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes on disk of all files together.
    pub bytes: u64,
    /// Most bytes that the spool may hold.
    pub limit: u64,
    /// Number of complete segments of all sessions.
    pub segments: usize,
    /// Whether the last write succeeded and the disk answers.
    pub healthy: bool,
}

impl Spool {
    /// Opens the spool in `dir`, which is made in its parent if missing, and repairs what a crash
    /// left. `limit` is in bytes, over all sessions. Must be called within a tokio runtime.
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

    /// A session's part of the spool. Its folder is made at the first write.
    pub fn session(&self, head: SessionHead) -> SpoolSession {
        let id = lock(&self.index).begin(head.clone());
        self.held(id, head)
    }

    /// How full the spool is, and whether its disk works.
    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.disk.watch()
    }

    fn held(&self, id: u64, head: SessionHead) -> SpoolSession {
        SpoolSession::new(Arc::clone(&self.disk), Arc::clone(&self.index), id, head)
    }
}
