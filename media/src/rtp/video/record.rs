//! Decoder configuration records (ISO/IEC 14496-15).

use super::sets::{Kind, Set};
use crate::sps::H265Sps;

/// An `AVCDecoderConfigurationRecord` (5.3.3.1). The fields that high profiles add at its end are
/// left out, as most writers do.
pub(super) fn avc<'a>(
    active: &[u8],
    sps: impl Iterator<Item = &'a Set>,
    pps: impl Iterator<Item = &'a Set>,
) -> Option<Vec<u8>> {
    let mut record = vec![1];
    record.extend_from_slice(active.get(1..4)?);
    record.push(0xff); // 4-byte lengths
    // The count has 5 bits, and there may be 32.
    counted(&mut record, 0xe0, sps.take(31))?;
    counted(&mut record, 0, pps)?;
    Some(record)
}

/// An `HEVCDecoderConfigurationRecord` (8.3.3.1).
pub(super) fn hevc<'a>(
    active: &H265Sps,
    vps: impl Iterator<Item = &'a Set>,
    sps: impl Iterator<Item = &'a Set>,
    pps: impl Iterator<Item = &'a Set>,
) -> Option<Vec<u8>> {
    let mut record = vec![1];
    record.extend_from_slice(&active.profile);
    // No spatial segmentation and no parallelism told of; reserved bits are 1.
    record.extend_from_slice(&[0xf0, 0, 0xfc, 0xfc | active.chroma]);
    record.extend(active.depths.map(|depth| 0xf8 | depth));
    record.extend_from_slice(&[0, 0]); // avgFrameRate: not told
    // The field has 3 bits: 8 sub-layers, which no set may have, are 7. Lengths have 4 bytes.
    record.push(active.layers.min(7) << 3 | u8::from(active.nested) << 2 | 3);
    let arrays_at = record.len();
    record.push(0);
    let mut arrays = 0;
    arrays += array(&mut record, Kind::Vps, vps)?;
    arrays += array(&mut record, Kind::Sps, sps)?;
    arrays += array(&mut record, Kind::Pps, pps)?;
    *record.get_mut(arrays_at)? = arrays;
    Some(record)
}

/// Writes an array of sets, if there are any; the number of arrays written.
fn array<'a>(record: &mut Vec<u8>, kind: Kind, sets: impl Iterator<Item = &'a Set>) -> Option<u8> {
    const COMPLETE: u8 = 0x80;
    let kind = match kind {
        Kind::Vps => 32,
        Kind::Sps => 33,
        Kind::Pps => 34,
    };
    let start = record.len();
    record.extend_from_slice(&[COMPLETE | kind, 0]);
    if counted(record, 0, sets)? == 0 {
        record.truncate(start);
        return Some(0);
    }
    Some(1)
}

/// Writes a count of one byte, and each set after its length; the count.
fn counted<'a>(
    record: &mut Vec<u8>,
    high_bits: u8,
    sets: impl Iterator<Item = &'a Set>,
) -> Option<u8> {
    let at = record.len();
    record.push(high_bits);
    let mut count = 0u8;
    for set in sets {
        record.extend_from_slice(&u16::try_from(set.nal.len()).ok()?.to_be_bytes());
        record.extend_from_slice(&set.nal);
        count = count.checked_add(1)?;
    }
    *record.get_mut(at)? |= count;
    Some(count)
}
