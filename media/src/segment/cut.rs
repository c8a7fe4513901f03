//! What a cutter makes.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// What the cutter made.
#[derive(Clone, Debug)]
pub enum Cut {
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
    /// At most 64 KiB each, in whole transport packets.
    pub chunks: Vec<Bytes>,
    /// Sum of the chunks.
    pub bytes: u64,
    /// Up to the first frame of the next group, where that continues this one.
    pub duration: Duration,
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Decode time of its first frame, 90 kHz.
    pub at: i64,
    /// When its first frame came from the camera.
    pub received: Instant,
    /// Its times do not continue those of the segment before.
    pub discontinuity: bool,
}

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Up to the first frame of the next segment, where that continues this one; else to the end of
    /// its last frame. The durations of a contiguous run add up to the difference of the starts, each
    /// cut to microseconds.
    pub duration: Duration,
    /// Of all its groups.
    pub bytes: u64,
    /// A single group was larger than `max_bytes`: the next segment begins inside of it.
    pub oversize: bool,
}
