//! How much of a session is in memory, and how much may be.

/// Bytes allowed in memory beyond as many segments of the largest size: room for the beginning of
/// the segment that is being cut, and for varying sizes.
pub(super) const SLACK: u64 = 3 << 19;

/// The segments in memory, as numbers.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Most complete segments, the one that is being uploaded among them.
    max_segments: usize,
    /// Complete segments, and their bytes.
    held: usize,
    bytes: u64,
    /// Bytes of the largest segment so far.
    largest: u64,
    /// Bytes of the segment that is being cut.
    forming: u64,
}

impl Room {
    /// Room for so many complete segments.
    pub(super) fn new(max_segments: usize) -> Self {
        Self { max_segments, ..Self::default() }
    }

    /// This many bytes of the next segment are in memory.
    pub(super) fn forming(&mut self, bytes: u64) {
        self.forming = bytes;
        self.largest = self.largest.max(bytes);
    }

    /// The segment that was being cut is complete.
    pub(super) fn add(&mut self, bytes: u64) {
        self.largest = self.largest.max(bytes);
        self.forming = 0;
        self.bytes += bytes;
        self.held += 1;
    }

    /// A segment has left memory.
    pub(super) fn drop(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.held -= 1;
    }

    /// Number of complete segments.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes in memory, the segment that is being cut among them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.forming
    }

    /// Whether `more` segments would be too many for memory, of which `allowed` bytes may be used.
    pub(super) fn is_over(&self, more: usize, allowed: u64) -> bool {
        let segments = self.max_segments.saturating_sub(more);
        let most = self.largest.saturating_mul(segments as u64).saturating_add(SLACK);
        let allowed = allowed.saturating_sub(self.largest.saturating_mul(more as u64));
        self.held > segments || self.bytes() > most.min(allowed)
    }
}
