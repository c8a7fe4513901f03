//! Decoder configuration records (ISO/IEC 14496-15): the parameter sets of a stream in one piece.

use crate::frame::VideoCodec;
use crate::sps::H265Sps;

/// A kind of parameter set. Records and byte streams have them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SetKind {
    Vps,
    Sps,
    Pps,
}

/// The parameter sets of a record in its order, as far as it can be read. What else it holds is
/// left out.
pub(crate) fn sets(codec: VideoCodec, record: &[u8]) -> Sets<'_> {
    let (lists, rest) = match (codec, record) {
        // Another version of this record may be of another form (5.3.3.1.2).
        (VideoCodec::H264, [1, _, _, _, _, rest @ ..]) => (2, rest),
        (VideoCodec::H264, _) => (0, record),
        (VideoCodec::H265, _) => match record.get(22..).and_then(<[u8]>::split_first) {
            Some((arrays, rest)) => (*arrays, rest),
            None => (0, record),
        },
    };
    Sets { codec, rest, lists, kind: None, count: 0 }
}

/// The parameter sets of a record, as [`sets`] reads them.
#[derive(Clone, Debug)]
pub(crate) struct Sets<'a> {
    codec: VideoCodec,
    rest: &'a [u8],
    /// Lists of NAL units that follow the one at hand.
    lists: u8,
    /// Kind of the sets in the list at hand; `None` for a list of other NAL units.
    kind: Option<SetKind>,
    /// NAL units left in the list at hand.
    count: u16,
}

impl<'a> Iterator for Sets<'a> {
    type Item = (SetKind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.count == 0 {
                self.lists = self.lists.checked_sub(1)?;
                self.begin_list()?;
            }
            self.count -= 1;
            let (len, rest) = self.rest.split_first_chunk()?;
            let (nal, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
            self.rest = rest;
            if let Some(kind) = self.kind.filter(|kind| self.may_be(*kind, nal)) {
                return Some((kind, nal));
            }
        }
    }
}

impl Sets<'_> {
    fn begin_list(&mut self) -> Option<()> {
        (self.kind, self.count, self.rest) = match (self.codec, self.rest) {
            (VideoCodec::H264, [count, rest @ ..]) => match self.lists {
                1 => (Some(SetKind::Sps), (count & 0x1f).into(), rest),
                _ => (Some(SetKind::Pps), (*count).into(), rest),
            },
            (VideoCodec::H265, [header, high, low, rest @ ..]) => {
                let kind = match header & 0x3f {
                    32 => Some(SetKind::Vps),
                    33 => Some(SetKind::Sps),
                    34 => Some(SetKind::Pps),
                    _ => None,
                };
                (kind, u16::from_be_bytes([*high, *low]), rest)
            }
            _ => return None,
        };
        Some(())
    }

    /// Whether a NAL unit can be a set of this kind. In H.264 only its header tells sets from their
    /// extensions.
    fn may_be(&self, kind: SetKind, nal: &[u8]) -> bool {
        match (self.codec, nal.first()) {
            (_, None) => false,
            (VideoCodec::H264, Some(header)) => {
                header & 0x9f == if kind == SetKind::Sps { 7 } else { 8 }
            }
            (VideoCodec::H265, Some(_)) => true,
        }
    }
}

/// An `AVCDecoderConfigurationRecord` (5.3.3.1) of sets of which `active` is the SPS in use. The
/// fields that high profiles add at its end are left out, as most writers do. `None` if a set is
/// too short or too long, or if they are too many.
pub(crate) fn avc(
    active: &[u8],
    sps: &mut dyn Iterator<Item = &[u8]>,
    pps: &mut dyn Iterator<Item = &[u8]>,
) -> Option<Vec<u8>> {
    let mut record = vec![1];
    record.extend_from_slice(active.get(1..4)?);
    record.push(0xff); // 4-byte lengths
    // The count has 5 bits, one set too few for the 32 that there may be.
    counted(&mut record, 0xe0, &mut sps.take(31))?;
    counted(&mut record, 0, pps)?;
    Some(record)
}

/// An `HEVCDecoderConfigurationRecord` (8.3.3.1) of sets of which `active` is the SPS in use. `None`
/// if a set is too long, or if they are too many.
pub(crate) fn hevc(
    active: &H265Sps,
    vps: &mut dyn Iterator<Item = &[u8]>,
    sps: &mut dyn Iterator<Item = &[u8]>,
    pps: &mut dyn Iterator<Item = &[u8]>,
) -> Option<Vec<u8>> {
    let mut record = vec![1];
    record.extend_from_slice(&active.profile);
    // The record tells of no spatial segmentation and no parallelism; reserved bits are 1.
    record.extend_from_slice(&[0xf0, 0, 0xfc, 0xfc | active.chroma]);
    record.extend(active.depths.map(|depth| 0xf8 | depth));
    record.extend_from_slice(&[0, 0]); // avgFrameRate: not told
    // The field has 3 bits: 8 sub-layers, which no set may have, are 7. Lengths have 4 bytes.
    record.push(active.layers.min(7) << 3 | u8::from(active.nested) << 2 | 3);
    let arrays_at = record.len();
    record.push(0);
    let mut arrays = 0;
    arrays += array(&mut record, 32, vps)?;
    arrays += array(&mut record, 33, sps)?;
    arrays += array(&mut record, 34, pps)?;
    *record.get_mut(arrays_at)? = arrays;
    Some(record)
}

/// Writes an array of NAL units of one type, if there are any. Returns the number of arrays
/// written.
fn array(record: &mut Vec<u8>, nal_type: u8, sets: &mut dyn Iterator<Item = &[u8]>) -> Option<u8> {
    const COMPLETE: u8 = 0x80;
    let start = record.len();
    record.extend_from_slice(&[COMPLETE | nal_type, 0]);
    if counted(record, 0, sets)? == 0 {
        record.truncate(start);
        return Some(0);
    }
    Some(1)
}

/// Writes a count of one byte, and each set after its length. Returns the count.
fn counted(
    record: &mut Vec<u8>,
    high_bits: u8,
    sets: &mut dyn Iterator<Item = &[u8]>,
) -> Option<u8> {
    let at = record.len();
    record.push(high_bits);
    let mut count = 0u8;
    for nal in sets {
        record.extend_from_slice(&u16::try_from(nal.len()).ok()?.to_be_bytes());
        record.extend_from_slice(nal);
        count = count.checked_add(1)?;
    }
    *record.get_mut(at)? |= count;
    Some(count)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
