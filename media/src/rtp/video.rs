//! Pictures out of RTP packets: H.264 (RFC 6184) and H.265 (RFC 7798). Access units are cut where
//! slice headers say that a picture begins. The marker bit makes it sooner, once it has proved right.

mod assemble;
mod base64;
mod fragments;
mod gate;
mod h264;
mod h265;
mod markers;
mod nal;
mod sets;
#[cfg(test)]
mod testing;
mod unit;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::assemble::Nal;
use self::fragments::Open;
use self::gate::Gate;
use self::markers::Markers;
use self::sets::{MAX_SET, Sets};
use self::unit::Unit;
use crate::frame::VideoCodec;
use crate::rtp::{Packet, Picture};

/// How long a picture is held for its marker to prove right.
const PROBATION: Duration = Duration::from_millis(15);
/// A picture without a marker ends when nothing came for so long.
const SILENCE: Duration = Duration::from_millis(200);
/// The same as [`SILENCE`] where the NAL unit of the last packet has not ended.
const OPEN_SILENCE: Duration = Duration::from_secs(1);
/// Most pictures held for [`Video::poll`]; more are given up.
const MAX_DONE: usize = 64;
/// Number of first units in which slices are searched for start codes; later ones only if some were
/// found.
const SEARCHED: u64 = 32;

/// Puts the pictures of one stream together. Pictures from before the first key picture are given
/// if their parameter sets are known; after a loss, none is given before the next key picture.
/// Holds at most one access unit, of 7 MiB, and 64 KiB of parameter sets.
#[derive(Debug)]
pub struct Video {
    codec: VideoCodec,
    don: bool,
    sets: Sets,
    gate: Gate,
    markers: Markers,
    unit: Unit,
    nal: Nal,
    /// The NAL unit of the last packet, if that was a fragment.
    open: Option<Open>,
    /// The last unit, if it was ended before anything that follows it came.
    early: Option<Early>,
    /// Timestamp and arrival of the packet at hand.
    timestamp: u32,
    received: Option<Instant>,
    /// Timestamp of the last packet that held something of a slice.
    slice_timestamp: Option<u32>,
    slices_seen: bool,
    /// Whether some fragment had the bit for the first.
    starts_seen: bool,
    /// Whether some fragment lacked the bit for the first.
    rests_seen: bool,
    /// Whether a start code was found inside a slice.
    codes_seen: bool,
    units: u64,
    complete: u64,
    done: VecDeque<Picture>,
}

/// A unit that a marker or silence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Early {
    /// Type of the NAL unit of the unit's last packet, if that was a fragment.
    fragment: Option<u8>,
    /// Timestamp of the unit's last packet.
    timestamp: u32,
}

impl Video {
    /// A depacketiser at the start of a stream, which knows no parameter sets.
    pub fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            don: false,
            sets: Sets::new(codec),
            gate: Gate::default(),
            markers: Markers::default(),
            unit: Unit::default(),
            nal: Nal::default(),
            open: None,
            early: None,
            timestamp: 0,
            received: None,
            slice_timestamp: None,
            slices_seen: false,
            starts_seen: false,
            rests_seen: false,
            codes_seen: false,
            units: 0,
            complete: 0,
            done: VecDeque::new(),
        }
    }

    /// Takes parameter sets of a session description: the value of `sprop-parameter-sets`,
    /// `sprop-vps`, `sprop-sps` or `sprop-pps`, base64 separated by commas. What is no parameter
    /// set is left out.
    pub fn describe(&mut self, base64_sets: &str) {
        for text in base64_sets.split(',') {
            let bytes = base64::decode(text.trim(), 4 * MAX_SET);
            let mut rest = nal::after_code(&bytes).unwrap_or(&bytes);
            while !rest.is_empty() {
                let (end, next) = nal::find_code(0, rest).unwrap_or((rest.len(), rest.len()));
                let (nal, tail) = (rest.get(..end), rest.get(next..));
                self.sets.store(nal::without_zeros(nal.unwrap_or_default()));
                rest = tail.unwrap_or_default();
            }
        }
    }

    /// Sets whether payloads of H.265 have decoding order numbers (`sprop-max-don-diff` is not 0).
    pub fn with_don(&mut self, don: bool) {
        self.don = don;
    }

    /// Takes the next packet in order. `lost` packets right before it are missing; `received` never
    /// goes back.
    pub fn push(&mut self, packet: &Packet<'_>, lost: u32, received: Instant) {
        let first = self.gate.began.is_none();
        self.gate.began.get_or_insert(received);
        if lost > 0 {
            self.lose();
        }
        if packet.payload.is_empty() {
            return;
        }
        (self.timestamp, self.received) = (packet.timestamp, Some(received));
        self.payload(packet, first || lost > 0);
        if packet.marker {
            self.mark(received);
        }
    }

    /// The next complete picture.
    pub fn poll(&mut self) -> Option<Picture> {
        self.done.pop_front()
    }

    /// When to call [`Video::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let unit = &self.unit;
        if !unit.has_slice || unit.damaged {
            return None;
        }
        let last = unit.received?;
        match (unit.mark.last, &self.open) {
            _ if self.markers.are_refuted() => Some(unit.mark.last.unwrap_or(last) + SILENCE),
            (Some(marked), _) => Some(marked + PROBATION),
            // The picture only stalls, since its marker will come.
            (None, _) if self.markers.are_likely() => None,
            (None, Some(open)) if !open.ended => Some(last + OPEN_SILENCE),
            (None, _) => Some(last + SILENCE),
        }
    }

    /// Ends a picture that was held for long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.finish_early();
        }
    }

    /// Whether a part of a picture is held, and the rest is on its way.
    pub fn is_mid_picture(&self) -> bool {
        let unit = &self.unit;
        (unit.has_slice && !unit.damaged || !unit.data.is_empty()) && unit.mark.last.is_none()
    }

    /// Whether the parameter sets are known that a picture needs.
    pub fn has_parameter_sets(&self) -> bool {
        self.sets.is_complete()
    }

    /// Whether some slice came, so that the stream is what it is said to be.
    pub fn slices_seen(&self) -> bool {
        self.slices_seen
    }

    /// Access units of which nothing was missing, given or not.
    pub fn complete(&self) -> u64 {
        self.complete
    }

    /// Pictures given up: broken, of unknown parameters, or before the key picture that must follow
    /// a loss. A loss counts as one at least. Leading pictures left out after it do not count.
    pub fn dropped(&self) -> u64 {
        self.gate.dropped
    }

    /// Number of pictures that a decoder must hold back, as the parameter sets in force say.
    pub fn reorder_depth(&self) -> Option<usize> {
        self.gate.reorder_depth()
    }

    /// Notes that packets are missing, and with them perhaps the rest of this unit and the start of
    /// the next.
    fn lose(&mut self) {
        if self.unit.mark.last.is_some() && self.markers.are_likely() {
            // The missing packets came after the picture that was held for its marker to prove
            // right.
            self.finish_early();
        }
        if !self.unit.counted {
            self.gate.dropped += 1;
        }
        self.gate.needs_key = true;
        self.unit = Unit::lost();
        self.nal = Nal::default();
        (self.open, self.early) = (None, None);
    }

    /// Notes the marker of the packet at hand, of which everything was taken.
    fn mark(&mut self, received: Instant) {
        let open = self.open.as_ref().is_some_and(|open| !open.ended);
        if let Some(open) = &mut self.open {
            open.ended = true;
        }
        if !self.unit.has_slice {
            self.unit.closed = Some(self.timestamp);
        } else if self.unit.may_end() && !self.nal.is_undecided() {
            self.unit.mark.first.get_or_insert(open);
            self.unit.mark.last = Some(received);
            if self.markers.are_trusted(open) {
                self.finish_early();
            }
        }
    }

    /// Ends the unit before it is known what follows.
    fn finish_early(&mut self) {
        let mut fragment = None;
        if !self.nal.is_undecided() {
            self.end_nal();
            fragment = self.open.take().map(|open| open.kind);
        }
        self.early = Some(Early { fragment, timestamp: self.timestamp });
        self.finish();
    }

    /// Ends the unit, which holds a slice.
    fn finish(&mut self) {
        let unit = std::mem::take(&mut self.unit);
        self.markers.note(&unit);
        self.units = self.units.saturating_add(1);
        self.complete = self.complete.saturating_add(u64::from(!unit.damaged));
        if self.done.len() >= MAX_DONE {
            self.gate.refuse();
        } else if let Some(picture) = self.gate.judge(unit, &mut self.sets) {
            self.done.push_back(picture);
        }
    }
}

#[cfg(test)]
#[path = "video/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "video/payload_tests.rs"]
mod payload_tests;

#[cfg(test)]
#[path = "video/picture_tests.rs"]
mod picture_tests;
