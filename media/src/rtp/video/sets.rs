//! The parameter sets of a stream, by kind and number.

use crate::bits::Bits;
use crate::frame::{VideoCodec, VideoParams};
use crate::record::{self, SetKind};
use crate::sps::{self, H264Sps, H265Sps};

/// Longest parameter set, in bytes.
pub(super) const MAX_SET: usize = 4 << 10;
/// Most bytes of all sets together.
const MAX_TOTAL: usize = 64 << 10;

/// The newest set of each kind and number. When there are too many, the one not seen for longest
/// goes.
#[derive(Debug)]
pub(super) struct Sets {
    codec: VideoCodec,
    /// Sorted by kind and number.
    sets: Vec<Set>,
    /// Number of sets that came.
    clock: u64,
    /// Whether a set came or went since the last [`Sets::settle`].
    pub(super) changed: bool,
}

/// One parameter set.
#[derive(Debug)]
pub(super) struct Set {
    kind: SetKind,
    /// Number of the set.
    pub(super) id: u8,
    nal: Box<[u8]>,
    refers: Refers,
    /// Whether the set is missing from the record in force.
    new: bool,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Refers {
    Nowhere,
    H264(H264Sps),
    H265(H265Sps),
    /// A PPS refers to the SPS of this number.
    Sps(u8),
}

impl Sets {
    /// No sets yet.
    pub(super) fn new(codec: VideoCodec) -> Self {
        Self { codec, sets: Vec::new(), clock: 0, changed: false }
    }

    /// Takes a NAL unit; `None` if it is no parameter set, or none that can be read.
    pub(super) fn store(&mut self, nal: &[u8]) -> Option<SetKind> {
        if nal.len() > MAX_SET {
            return None;
        }
        self.clock += 1;
        if let Some(same) = self.sets.iter_mut().find(|set| *set.nal == *nal) {
            same.seen = self.clock;
            return Some(same.kind);
        }
        let (kind, id, refers) = match self.codec {
            VideoCodec::H264 => read_h264(nal)?,
            VideoCodec::H265 => read_h265(nal)?,
        };
        let place = self.sets.binary_search_by_key(&(kind, id), |set| (set.kind, set.id));
        let set = Set { kind, id, nal: nal.into(), refers, new: true, seen: self.clock };
        self.changed = true;
        match place {
            Ok(at) => {
                if let Some(old) = self.sets.get_mut(at) {
                    *old = set;
                }
            }
            Err(at) => self.sets.insert(at, set),
        }
        self.bound(kind);
        Some(kind)
    }

    /// Whether the sets of some picture are complete.
    pub(super) fn is_complete(&self) -> bool {
        let mut pps = self.sets.iter().filter(|set| set.kind == SetKind::Pps);
        pps.any(|set| self.sps_of(set.id).is_some())
    }

    /// The SPS that this PPS refers to, if both are known.
    pub(super) fn sps_of(&self, pps: u8) -> Option<&Set> {
        match self.find(SetKind::Pps, pps)?.refers {
            Refers::Sps(id) => self.find(SetKind::Sps, id),
            _ => None,
        }
    }

    /// What the SPS says that this PPS refers to.
    pub(super) fn h264(&self, pps: u8) -> Option<H264Sps> {
        match self.sps_of(pps)?.refers {
            Refers::H264(sps) => Some(sps),
            _ => None,
        }
    }

    /// Whether the PPS or its SPS changed since the last [`Sets::settle`].
    pub(super) fn is_new(&self, pps: u8) -> bool {
        let is_new = |set: Option<&Set>| set.is_none_or(|set| set.new);
        is_new(self.find(SetKind::Pps, pps)) || is_new(self.sps_of(pps))
    }

    /// Notes that all sets known now are in the record in force.
    pub(super) fn settle(&mut self) {
        self.changed = false;
        self.sets.iter_mut().for_each(|set| set.new = false);
    }

    /// Parameters of pictures with this SPS, and the pictures a decoder must hold back.
    pub(super) fn params(&self, sps: u8) -> Option<(VideoParams, Option<usize>)> {
        let active = self.find(SetKind::Sps, sps)?;
        // Players look at the first SPS of a record.
        let others = self.of(SetKind::Sps).filter(|set| set.id != active.id);
        let sps = &mut std::iter::once(active).chain(others).map(Set::nal);
        let pps = &mut self.of(SetKind::Pps).map(Set::nal);
        let (record, dimensions, frame_rate, depth) = match active.refers {
            Refers::H264(read) => {
                let record = record::avc(&active.nal, sps, pps)?;
                (record, read.dimensions, read.frame_rate, read.reorder_depth)
            }
            Refers::H265(read) => {
                let record =
                    record::hevc(&read, &mut self.of(SetKind::Vps).map(Set::nal), sps, pps)?;
                let vps = || self.find(SetKind::Vps, read.vps);
                let frame_rate = read.frame_rate.or_else(|| sps::h265_vps_frame_rate(&vps()?.nal));
                (record, read.dimensions?, frame_rate, Some(read.reorder_depth))
            }
            _ => return None,
        };
        let record = record.into();
        Some((VideoParams { codec: self.codec, record, dimensions, frame_rate }, depth))
    }

    fn of(&self, kind: SetKind) -> impl Iterator<Item = &Set> + Clone {
        self.sets.iter().filter(move |set| set.kind == kind)
    }

    fn find(&self, kind: SetKind, id: u8) -> Option<&Set> {
        let at = self.sets.binary_search_by_key(&(kind, id), |set| (set.kind, set.id)).ok()?;
        self.sets.get(at)
    }

    fn bound(&mut self, kind: SetKind) {
        let most = match kind {
            SetKind::Vps => 16,
            SetKind::Sps => 32,
            SetKind::Pps => 64,
        };
        if self.of(kind).count() > most {
            self.forget(Some(kind));
        }
        while self.sets.iter().map(|set| set.nal.len()).sum::<usize>() > MAX_TOTAL {
            self.forget(None);
        }
    }

    /// Removes the oldest set, of one kind or of all.
    fn forget(&mut self, kind: Option<SetKind>) {
        let ages = self.sets.iter().filter(|set| kind.is_none_or(|kind| set.kind == kind));
        if let Some(oldest) = ages.map(|set| set.seen).min() {
            self.sets.retain(|set| set.seen != oldest);
        }
    }
}

impl Set {
    fn nal(&self) -> &[u8] {
        &self.nal
    }
}

fn read_h264(nal: &[u8]) -> Option<(SetKind, u8, Refers)> {
    let (&header, rest) = nal.split_first()?;
    match (header & 0x80, header & 0x1f) {
        (0, 7) => sps::h264(nal).map(|sps| (SetKind::Sps, sps.id, Refers::H264(sps))),
        (0, 8) => {
            let bits = &mut Bits::new(rest);
            let id = bits.ue_up_to(255)? as u8;
            Some((SetKind::Pps, id, Refers::Sps(bits.ue_up_to(31)? as u8)))
        }
        _ => None,
    }
}

fn read_h265(nal: &[u8]) -> Option<(SetKind, u8, Refers)> {
    let ([first, second], rest) = nal.split_first_chunk()?;
    if first & 0x81 != 0 || second & 0xf8 != 0 || second & 7 == 0 {
        return None;
    }
    let bits = &mut Bits::new(rest);
    match first >> 1 {
        32 => Some((SetKind::Vps, bits.read(4)? as u8, Refers::Nowhere)),
        33 => {
            let sps = sps::h265(nal)?;
            sps.dimensions?;
            Some((SetKind::Sps, sps.id, Refers::H265(sps)))
        }
        34 => {
            let id = bits.ue_up_to(63)? as u8;
            Some((SetKind::Pps, id, Refers::Sps(bits.ue_up_to(15)? as u8)))
        }
        _ => None,
    }
}
