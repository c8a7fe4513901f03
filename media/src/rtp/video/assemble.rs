//! Puts NAL units of payloads into the unit at hand.

use super::nal::{self, Payload, Role, Slice};
use super::unit::Full;
use super::{MAX_SET, SEARCHED, Unit, Video, h264, h265};
use crate::frame::VideoCodec;
use crate::record::SetKind;
use crate::rtp::Packet;

/// First bytes of a NAL unit, within which a slice header says what it must.
const HEAD: usize = 32;

/// The NAL unit at hand.
#[derive(Debug, Default)]
pub(super) struct Nal {
    place: Destination,
    /// First bytes of the NAL unit, until they tell what it is.
    head: [u8; HEAD],
    len: usize,
    /// Zero bytes at the end of the NAL unit, at most 2.
    zeros: u8,
    /// Timestamp of the packet in which the NAL unit began.
    timestamp: u32,
}

/// Where the bytes of the NAL unit go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Destination {
    #[default]
    None,
    Head,
    /// Into the unit, where its length stands at this place.
    Kept(usize, Purpose),
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Slice,
    Sei,
    Set,
}

impl Nal {
    /// Whether the NAL unit began and may belong to the unit at hand or to the next.
    pub(super) fn is_undecided(&self) -> bool {
        self.place == Destination::Head && self.len > 0
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.len).unwrap_or_default()
    }
}

impl Video {
    /// Takes a payload. `broken` tells that a packet before it is missing.
    pub(super) fn payload(&mut self, packet: &Packet<'_>, broken: bool) {
        let bytes = packet.payload;
        // Payloads that begin with three zero bytes or a start code are byte streams, since no NAL
        // unit does.
        if let Some(nal) = nal::after_code(bytes) {
            return self.whole(&[], nal);
        }
        let payload = match self.codec {
            VideoCodec::H264 => h264::payload(bytes),
            VideoCodec::H265 => h265::payload(bytes, self.don),
        };
        match payload {
            Payload::Single(header, rest) => self.whole(header, rest),
            Payload::Aggregate(entries) => entries.for_each(|nal| self.whole(&[], nal)),
            Payload::Fragment(fragment) => self.fragment(fragment, broken),
            Payload::Nothing => {}
        }
    }

    fn whole(&mut self, header: &[u8], bytes: &[u8]) {
        self.open = None;
        self.begin_nal(header);
        self.feed_front(bytes);
        self.end_nal();
    }

    /// Begins a NAL unit with its header, or with nothing if that follows.
    pub(super) fn begin_nal(&mut self, header: &[u8]) {
        self.end_nal();
        self.nal.place = Destination::Head;
        (self.nal.len, self.nal.zeros) = (0, 0);
        self.nal.timestamp = self.timestamp;
        self.fill_head(header, HEAD);
    }

    /// Moves bytes into the head, as far as there is room. Returns the rest.
    fn fill_head<'b>(&mut self, bytes: &'b [u8], most: usize) -> &'b [u8] {
        let room = most.saturating_sub(self.nal.len).min(bytes.len());
        let (head, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        if let Some(place) = self.nal.head.get_mut(self.nal.len..self.nal.len + head.len()) {
            place.copy_from_slice(head);
            self.nal.len += head.len();
        }
        rest
    }

    /// Does the same as [`Video::feed`] with the front of what a packet holds.
    pub(super) fn feed_front(&mut self, bytes: &[u8]) {
        match nal::after_code(bytes) {
            Some(rest) => {
                self.begin_nal(&[]);
                self.feed(rest);
            }
            None => self.feed(bytes),
        }
    }

    /// Takes the next bytes of the NAL unit, and NAL units behind start codes in them.
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.nal.place != Destination::None {
            let missing = self.header_len().saturating_sub(self.nal.len);
            if self.nal.place == Destination::Head && missing > 0 {
                bytes = self.fill_head(bytes, self.header_len());
                // Zeros at the end of the header are the front of a start code, since no header
                // ends with a zero.
                self.nal.zeros = nal::trailing_zeros(0, self.nal.head());
                continue;
            }
            let slice = self.is_slice();
            let searched = !slice || self.codes_seen || self.units < SEARCHED;
            let code = if searched { nal::find_code(self.nal.zeros, bytes) } else { None };
            let Some((end, next)) = code else {
                self.nal.zeros = nal::trailing_zeros(self.nal.zeros, bytes);
                return self.put(bytes);
            };
            self.codes_seen |= slice;
            self.put(bytes.get(..end).unwrap_or_default());
            self.begin_nal(&[]);
            bytes = bytes.get(next..).unwrap_or_default();
        }
    }

    fn put(&mut self, mut bytes: &[u8]) {
        if self.nal.place == Destination::Head {
            bytes = self.fill_head(bytes, HEAD);
            let role = if self.nal.len > self.header_len() { self.role() } else { None };
            match role {
                Some(role) => self.nal.place = self.place(role),
                None if self.nal.len < HEAD => return,
                None => self.give_up_nal(),
            }
            if let Destination::Kept(..) = self.nal.place {
                let (head, len) = (self.nal.head, self.nal.len);
                self.keep(head.get(..len).unwrap_or_default());
            }
        }
        if let Destination::Kept(..) = self.nal.place {
            self.keep(bytes);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Destination::Kept(start, purpose) = self.nal.place else { return };
        match purpose {
            Purpose::Slice => self.slice_timestamp = Some(self.timestamp),
            Purpose::Sei => {}
            // A set that is too long is taken away again when it ends.
            Purpose::Set if self.unit.data.len() + bytes.len() - start > MAX_SET + 4 => {
                self.unit.remove_nal(start);
                self.nal.place = Destination::Skipped;
                return;
            }
            Purpose::Set => {}
        }
        if let Some(received) = self.received.filter(|_| purpose != Purpose::Set) {
            self.unit.touch(received);
        }
        if let Err(Full) = self.unit.extend(bytes) {
            self.damage();
        }
    }

    /// Ends the NAL unit at hand, if there is one.
    pub(super) fn end_nal(&mut self) {
        match std::mem::take(&mut self.nal.place) {
            // A header alone is no NAL unit.
            Destination::Head if self.nal.len > self.header_len() => self.give_up_nal(),
            Destination::Kept(start, Purpose::Set) => {
                let nal = self.unit.end_nal(start);
                let kind = self.sets.store(nal);
                self.unit.in_band |= kind == Some(SetKind::Sps);
                self.unit.remove_nal(start);
            }
            Destination::Kept(start, purpose) => {
                let nal = self.unit.end_nal(start);
                if purpose == Purpose::Sei && self.codec == VideoCodec::H264 {
                    let recovery = h264::recovery_point(nal);
                    self.unit.recovery = recovery.or(self.unit.recovery);
                }
            }
            _ => {}
        }
        self.nal.place = Destination::None;
    }

    /// Gives up the NAL unit, whose head does not tell what it must.
    fn give_up_nal(&mut self) {
        self.nal.place = Destination::Skipped;
        if self.is_slice() {
            self.damage();
        }
    }

    /// Notes that something of the unit is missing.
    pub(super) fn damage(&mut self) {
        self.unit.damage();
        self.unit.timestamp = self.timestamp;
        self.nal.place = Destination::Skipped;
    }

    /// Decides where the NAL unit at hand goes; ends the unit that it does not belong to.
    fn place(&mut self, role: Role) -> Destination {
        let timestamp = self.nal.timestamp;
        let same_time = self.unit.has_slice && self.unit.timestamp == timestamp;
        match role {
            Role::Foreign => return Destination::Skipped,
            Role::Slice(slice) => return self.slice(slice),
            // Each field of a frame may have its own delimiter and information.
            Role::Set | Role::Sei | Role::Delimiter if same_time && self.unit.lacks_field() => {}
            Role::Set | Role::Sei | Role::Delimiter => self.border(),
            Role::Suffix | Role::Padding if same_time => {}
            Role::Suffix | Role::Padding => self.border(),
        }
        match role {
            Role::Set => self.begin_kept(Purpose::Set),
            Role::Sei => {
                self.forget_closed(timestamp);
                self.begin_kept(Purpose::Sei)
            }
            Role::Suffix if self.unit.has_slice && !self.unit.damaged => {
                self.begin_kept(Purpose::Sei)
            }
            _ => Destination::Skipped,
        }
    }

    fn slice(&mut self, slice: Slice) -> Destination {
        self.slices_seen = true;
        let timestamp = self.nal.timestamp;
        let second = self.unit.timestamp == timestamp && self.unit.is_second_field(slice);
        if slice.first && !second {
            self.border();
        }
        if !slice.first && !self.unit.has_slice {
            // This is the rest of a picture that was taken for complete, or whose start is missing.
            if self.early.take().is_some() {
                self.markers.refute();
            }
            self.damage();
        }
        if self.unit.damaged {
            return Destination::Skipped;
        }
        if slice.first {
            self.early = None;
            self.unit.awaits = if second { None } else { slice.field };
        }
        if !self.unit.has_slice {
            self.forget_closed(timestamp);
            self.unit.has_slice = true;
            self.unit.intra = true;
            self.unit.timestamp = timestamp;
            self.unit.pps = slice.pps;
            let key = slice.refresh || self.unit.recovery.is_some();
            self.unit.reserve(self.gate.room(key));
        }
        self.unit.describe(slice);
        self.unit.unknown |= self.sets.sps_of(slice.pps).is_none();
        self.unit.new_sets |= self.sets.is_new(slice.pps);
        self.begin_kept(Purpose::Slice)
    }

    /// Ends the unit, since the NAL unit at hand belongs to the next one.
    fn border(&mut self) {
        if self.unit.has_slice {
            self.finish();
        } else if self.unit.damaged {
            self.unit = Unit::default();
        }
    }

    /// Drops what came with a marker before any slice, if it is of another time than the picture.
    fn forget_closed(&mut self, timestamp: u32) {
        if self.unit.closed.take_if(|closed| *closed != timestamp).is_some() {
            self.unit.data.clear();
            self.unit.recovery = None;
        }
    }

    fn begin_kept(&mut self, purpose: Purpose) -> Destination {
        match self.unit.begin_nal() {
            Ok(start) => Destination::Kept(start, purpose),
            Err(Full) => {
                self.damage();
                Destination::Skipped
            }
        }
    }

    fn role(&self) -> Option<Role> {
        match self.codec {
            VideoCodec::H264 => h264::role(self.nal.head(), &self.sets),
            VideoCodec::H265 => h265::role(self.nal.head()),
        }
    }

    /// Whether the NAL unit at hand is a slice, by its header.
    fn is_slice(&self) -> bool {
        self.nal.head().first().is_some_and(|header| match self.codec {
            VideoCodec::H264 => h264::is_slice(*header),
            VideoCodec::H265 => h265::is_slice(*header),
        })
    }

    /// Bytes of a NAL unit's header.
    pub(super) fn header_len(&self) -> usize {
        match self.codec {
            VideoCodec::H264 => 1,
            VideoCodec::H265 => 2,
        }
    }
}
