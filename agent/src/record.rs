//! Cloud recording: a channel's stream is cut into segments, which are uploaded.
//!
//! ```text
//! recorder ──▶ stock: ledger ──▶ upload ──▶ service         one task per session
//!                │  ▲
//!                ▼  │
//!              spool: disk thread
//! ```
//!
//! A segment's way: [`recorder`] makes it of frames, [`stock`] notes it in the [`ledger`], which says
//! when it is uploaded, stored or dropped; [`upload`] sends it, as [`service`] and [`retry`] say. What
//! an earlier run left is a session without a recorder: [`leftovers`].
//!
//! Not here: cutting, see `ivt_media::segment`; who may record when, see `channel`.

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
    /// Ascending within its session, without holes where nothing was lost.
    pub number: u64,
    /// When its first frame was.
    pub start: Start,
    /// Up to the first frame of the next one.
    pub duration: Duration,
    /// Its time stamps do not continue those of the segment before.
    pub discontinuity: bool,
    /// Length of `chunks` together.
    pub bytes: u64,
    /// The file in pieces. Shared: uploading or storing copies nothing.
    pub chunks: Arc<[Bytes]>,
}

/// When something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// So long after the first frame of the session: the session's [`clock::Anchor`] makes a date
    /// of it.
    Media(Duration),
    /// Microseconds since 1970.
    Unix(i64),
}
