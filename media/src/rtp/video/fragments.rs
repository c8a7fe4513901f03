//! Finds the NAL unit that a fragment belongs to. Cameras set the bit for the last fragment at any
//! place, so a NAL unit ends where another begins; some never set the bit for the first one, others
//! always.

use super::nal::Fragment;
use super::{Early, Video};

/// The NAL unit whose fragments come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Type of the NAL unit.
    pub(super) kind: u8,
    timestamp: u32,
    /// Whether the newest fragment had the end bit or the marker, which need not be true.
    pub(super) ended: bool,
}

impl Video {
    /// Takes a fragment. `broken` tells that a packet before it is missing.
    pub(super) fn fragment(&mut self, fragment: Fragment<'_>, broken: bool) {
        let Fragment { start, end, kind, header, data } = fragment;
        if data.is_empty() && !start {
            return;
        }
        let goes_on = !broken && (!start || self.repeats_start(kind)) && self.goes_on(kind);
        self.rests_seen |= !start;
        if !start && !goes_on && !self.begins_unsaid(broken) {
            return self.stray(kind);
        }
        self.starts_seen |= start;
        if goes_on {
            if let Some(open) = &mut self.open {
                open.ended = end;
            }
        } else {
            self.open = Some(Open { kind, timestamp: self.timestamp, ended: end });
            self.begin_nal(header.get(..self.header_len()).unwrap_or_default());
        }
        self.feed_front(data);
    }

    /// Whether a fragment says that it is the first only because every one of this camera does: no
    /// fragment lacked the bit where a NAL unit has to go on.
    fn repeats_start(&self, kind: u8) -> bool {
        !self.rests_seen
            && self.open.as_ref().is_some_and(|open| {
                open.kind == kind && open.timestamp == self.timestamp && !open.ended
            })
    }

    /// Whether a fragment that does not say that it is the first belongs to the NAL unit before it.
    fn goes_on(&self, kind: u8) -> bool {
        self.open.as_ref().is_some_and(|open| {
            // A camera that never sets the bit for the first fragment is understood by its
            // timestamps.
            let unsaid = !self.starts_seen || open.ended;
            open.kind == kind && (open.timestamp == self.timestamp || !unsaid)
        })
    }

    /// Whether a fragment is the first of its NAL unit although it does not say so.
    fn begins_unsaid(&self, broken: bool) -> bool {
        let whole = !self.unit.damaged || !self.starts_seen;
        !broken && whole && self.slice_timestamp != Some(self.timestamp)
    }

    /// Takes a fragment whose NAL unit lacks its beginning.
    fn stray(&mut self, kind: u8) {
        let rest = Early { fragment: Some(kind), timestamp: self.timestamp };
        if self.early.take() == Some(rest) {
            // The picture goes on after it was taken for complete.
            self.markers.refute();
        }
        self.slice_timestamp = Some(self.timestamp);
        self.end_nal();
        self.open = None;
        if self.unit.has_slice && self.unit.timestamp != self.timestamp {
            self.finish();
        }
        self.damage();
    }
}
