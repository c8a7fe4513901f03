//! What comes out of cutting a stream into segments.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// One step of the way to complete segments.
#[derive(Clone, Debug)]
pub enum SegmentEvent {
    /// A complete key-frame group of the segment that the next `End` closes.
    Group(Group),
    /// The segment of the groups since the last `End` is complete.
    End(End),
}

/// Transport packets that begin with PAT, PMT and a key frame, save after an oversize cut.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group is the first of a segment.
    pub begins: Option<Begin>,
    /// The bytes in pieces of at most 64 KiB, each of whole transport packets.
    pub chunks: Vec<Bytes>,
    /// Sum of the lengths of all chunks.
    pub bytes: u64,
    /// Time from the group's first frame to the first frame of the next group; to the end of its
    /// last frame where the next group does not continue it.
    pub duration: Duration,
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Decode time of the segment's first frame, 90 kHz.
    pub at: i64,
    /// When the segment's first frame came from the camera.
    pub received: Instant,
    /// Whether the times do not continue those of the segment before.
    pub discontinuity: bool,
}

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Time from the segment's first frame to the first frame of the next segment; to the end of
    /// its last frame where the next segment does not continue it. The durations of a contiguous
    /// run add up to the difference of the starts, each cut to microseconds.
    pub duration: Duration,
    /// Bytes of all groups of the segment.
    pub bytes: u64,
    /// Whether a single group was larger than `max_bytes`, so that the next segment begins inside
    /// of it.
    pub oversize: bool,
}
