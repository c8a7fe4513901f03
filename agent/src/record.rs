//! Cloud recording: a channel's stream is cut into segments, which are uploaded.
//!
//! ```text
//! recorder ──▶ stock: ledger ──▶ upload ──▶ service         one task per session
//!                │  ▲
//!                ▼  │
//!              spool: disk thread
//! ```
//!
//! A segment's way: the [`recorder`] cuts it from frames, the [`stock`] notes it in the [`ledger`],
//! which says when it is uploaded, stored or dropped, and [`upload`] sends it by the rules of
//! [`service`] and [`retry`]; the device's page reads of all that in the `book`. [`leftovers`] treats what an earlier run stored as sessions without a
//! recorder.
//!
//! Not here: cutting, see `ivt_media::segment`; who may record when, see `channel`.

#[cfg(feature = "ui")]
pub(crate) mod book;
pub mod budget;
pub mod clock;
pub mod context;
pub mod ledger;
pub mod leftovers;
pub mod onset;
pub mod pace;
pub mod recorder;
pub mod retry;
pub mod service;
pub mod session;
pub mod spool;
pub mod stock;
pub mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// One finished MPEG-TS file.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Number within its session: ascending, without holes where nothing was lost.
    pub number: u64,
    /// When the segment's first frame was taken.
    pub start: Start,
    /// Time from the segment's first frame to that of the next segment.
    pub duration: Duration,
    /// Whether the time stamps do not continue those of the segment before.
    pub discontinuity: bool,
    /// Length of all `chunks` together, in bytes.
    pub bytes: u64,
    /// The file in pieces. They are shared, so uploading or storing copies nothing.
    pub chunks: Arc<[Bytes]>,
}

/// A moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Time since the first frame of the session, of which the session's [`clock::Anchor`] makes a
    /// date.
    Media(Duration),
    /// Microseconds since 1970.
    Unix(i64),
}

/// Two moments that differ by no more are the same: dates have microseconds, media time has ticks.
const TOLERANCE: Duration = Duration::from_millis(1);

impl Start {
    /// The moment this much later.
    pub fn after(self, duration: Duration) -> Self {
        match self {
            Self::Media(at) => Self::Media(at.saturating_add(duration)),
            Self::Unix(at) => {
                let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
                Self::Unix(at.saturating_add(micros))
            }
        }
    }

    /// Whether both are the same moment. Media time and dates are not compared.
    pub fn is_near(self, other: Self) -> bool {
        match (self, other) {
            (Self::Media(a), Self::Media(b)) => a.abs_diff(b) <= TOLERANCE,
            (Self::Unix(a), Self::Unix(b)) => u128::from(a.abs_diff(b)) <= TOLERANCE.as_micros(),
            _ => false,
        }
    }
}
