//! The access unit being put together.

use std::time::Instant;

use bytes::Bytes;

use super::nal::{self, Field, Slice};

/// Longest picture, in bytes. It is below 8 MiB, so that a picture without end costs no more than 8
/// MiB with all around it.
pub(super) const MAX_UNIT: usize = 7 << 20;
/// Most NAL units of a picture.
const MAX_NALS: u32 = 4096;
/// Length in bytes from which the system allocator moves a vector by its pages.
const LARGE: usize = 128 << 10;
/// Room that a NAL unit is begun with, in bytes: many are no longer.
const LEAST_ROOM: usize = 64;

/// The NAL units of one picture, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// NAL units after their 4-byte lengths; the last one's length is written when it ends.
    pub(super) data: Vec<u8>,
    nals: u32,
    /// RTP timestamp of the first slice.
    pub(super) timestamp: u32,
    /// When the newest packet came of which something was kept.
    pub(super) received: Option<Instant>,
    /// Whether a slice is part of the unit, kept or lost.
    pub(super) has_slice: bool,
    /// Whether something of the unit is missing. Nothing is kept then.
    pub(super) damaged: bool,
    /// Whether the damage was counted already.
    pub(super) counted: bool,
    /// Whether a slice is of an IDR or IRAP picture.
    pub(super) refresh: bool,
    /// `recovery_frame_cnt` of a recovery point.
    pub(super) recovery: Option<u32>,
    /// Whether no slice refers to another picture.
    pub(super) intra: bool,
    /// Whether a sequence parameter set came with the unit.
    pub(super) in_band: bool,
    /// Whether a slice is of a RASL picture.
    pub(super) skipped: bool,
    /// Picture parameter set of the first slice.
    pub(super) pps: u8,
    /// Whether a slice refers to parameter sets that are not known.
    pub(super) unknown: bool,
    /// Whether a slice refers to parameter sets that are not in force.
    pub(super) new_sets: bool,
    /// The first field of a frame whose second field may follow.
    pub(super) awaits: Option<Field>,
    /// Where the unit's markers stood.
    pub(super) mark: Mark,
    /// Timestamp of a packet without a slice that had the marker.
    pub(super) closed: Option<u32>,
}

/// Where markers stood.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// The first marker after a slice; true if it stood on a fragment without the end bit.
    pub(super) first: Option<bool>,
    /// Whether something that is kept came after the first marker.
    pub(super) early: bool,
    /// When the newest packet came, if it had the marker.
    pub(super) last: Option<Instant>,
}

/// A NAL unit could not be kept: the unit is too long.
#[derive(Debug)]
pub(super) struct Full;

impl Unit {
    /// Begins a NAL unit. Returns the place of its length.
    pub(super) fn begin_nal(&mut self) -> Result<usize, Full> {
        self.nals += 1;
        if self.nals > MAX_NALS {
            return Err(Full);
        }
        let start = self.data.len();
        self.reserve(LEAST_ROOM);
        self.data.extend_from_slice(&[0; 4]);
        Ok(start)
    }

    /// Adds bytes to the NAL unit at hand.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.data.len() + bytes.len() > MAX_UNIT {
            return Err(Full);
        }
        self.reserve(bytes.len());
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes room for so many more bytes. A small vector that grows by itself calls `realloc`, which
    /// moves one byte at a time in the C library of the static builds; the pages of a large one are
    /// handed over without being touched, and moving its bytes would hold them twice.
    pub(super) fn reserve(&mut self, more: usize) {
        let wanted = self.data.len() + more;
        if self.data.len() >= LARGE {
            self.data.reserve(more);
        } else if wanted > self.data.capacity() {
            let mut larger = Vec::with_capacity(wanted.max(2 * self.data.capacity()));
            larger.extend_from_slice(&self.data);
            self.data = larger;
        }
    }

    /// Ends the NAL unit whose length stands at `start`: takes off the zeros behind it (B.1) and
    /// writes the length. Returns the NAL unit.
    pub(super) fn end_nal(&mut self, start: usize) -> &[u8] {
        let Some(nal) = self.data.get(start + 4..) else { return &[] };
        let len = nal::without_zeros(nal).len();
        self.data.truncate(start + 4 + len);
        let Some((length, nal)) =
            self.data.get_mut(start..).and_then(|d| d.split_first_chunk_mut())
        else {
            return &[];
        };
        *length = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        nal
    }

    /// Takes the last NAL unit away.
    pub(super) fn remove_nal(&mut self, start: usize) {
        self.data.truncate(start);
        self.nals = self.nals.saturating_sub(1);
    }

    /// Notes that something of a packet was kept that came at this time.
    pub(super) fn touch(&mut self, received: Instant) {
        self.received = Some(received);
        self.mark.early |= self.mark.first.is_some();
        self.mark.last = None;
    }

    /// Takes what a slice says.
    pub(super) fn describe(&mut self, slice: Slice) {
        self.refresh |= slice.refresh;
        self.skipped |= slice.skipped;
        self.intra &= slice.intra;
    }

    /// Whether the slice is the first of the field that this unit lacks.
    pub(super) fn is_second_field(&self, slice: Slice) -> bool {
        match (self.awaits, slice.field) {
            (Some(first), Some(second)) => {
                first.frame_num == second.frame_num && first.bottom != second.bottom
            }
            _ => false,
        }
    }

    /// Whether the second field of the unit's frame may follow.
    pub(super) fn lacks_field(&self) -> bool {
        self.awaits.is_some() && !self.damaged
    }

    /// Notes that something is missing, and drops the bytes.
    pub(super) fn damage(&mut self) {
        self.data = Vec::new();
        self.has_slice = true;
        self.damaged = true;
    }

    /// A unit in whose place packets were lost.
    pub(super) fn lost() -> Self {
        Self { damaged: true, counted: true, ..Self::default() }
    }

    /// Whether a marker may end the unit: it holds a picture that lacks no field.
    pub(super) fn may_end(&self) -> bool {
        self.has_slice && !self.damaged && self.awaits.is_none()
    }

    /// The bytes, without much memory that they do not use.
    pub(super) fn into_bytes(mut self) -> Bytes {
        if self.data.capacity() - self.data.len() > self.data.capacity() / 4 {
            if self.data.len() < LARGE {
                // Shrinking would call `realloc`, see `reserve`.
                return Bytes::copy_from_slice(&self.data);
            }
            self.data.shrink_to_fit();
        }
        Bytes::from(self.data)
    }
}
