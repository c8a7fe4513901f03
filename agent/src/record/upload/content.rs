//! The bytes of a segment on their way to the store, each chunk at its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::http::Body;
use crate::record::ledger::Source;
use crate::record::pace::{Pace, paced};
use crate::record::spool::SegmentReader;

/// The share of a segment's duration that its upload takes: for the only segment that waits, for
/// one while more wait or were sent a short while ago, and for one from the spool.
const CALM: f64 = 0.8;
const HASTE: f64 = 0.5;
const BACKFILL: f64 = 0.4;

/// The content of one segment.
pub(super) struct Content {
    chunks: BoxStream<'static, Bytes>,
    /// Whether the chunks ended early because the disk did not give them.
    pub(super) broken: Arc<AtomicBool>,
}

impl Content {
    /// The content of a segment in memory.
    pub(super) fn memory(chunks: Arc<[Bytes]>) -> Self {
        let count = chunks.len();
        let chunks = stream::iter((0..count).map(move |i| chunks[i].clone())).boxed();
        Self { chunks, broken: Arc::default() }
    }

    /// The content of a segment on the card, which is read while it is sent.
    pub(super) fn card(reader: SegmentReader) -> Self {
        let broken = Arc::<AtomicBool>::default();
        let state = (reader, Arc::clone(&broken));
        let chunks = stream::unfold(state, |(mut reader, broken)| async {
            match reader.chunk().await {
                Ok(chunk) => chunk.map(|chunk| (chunk, (reader, broken))),
                Err(_) => {
                    broken.store(true, Ordering::Relaxed);
                    None
                }
            }
        });
        Self { chunks: chunks.boxed(), broken }
    }

    /// The body of a request, in which each piece comes at its time, as [`share`] says.
    pub(super) fn paced(
        self,
        length: u64,
        pace: Pace,
        source: Source,
        behind: bool,
        crowded: Arc<AtomicBool>,
    ) -> Body {
        let share = move || share(source, behind || crowded.load(Ordering::Relaxed));
        Body { length, chunks: paced(self.chunks, pace, share).boxed() }
    }
}

/// The share of its duration that the upload of a segment takes: less if others wait or were sent a
/// short while ago.
pub(super) fn share(source: Source, hurries: bool) -> f64 {
    match source {
        Source::Card => BACKFILL,
        Source::Memory if hurries => HASTE,
        Source::Memory => CALM,
    }
}
