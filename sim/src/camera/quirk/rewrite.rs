//! Changes bytes of decoder configuration records and of pictures.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::bits::{pps_with_id, sps_with_reordering};

/// The decoder configuration record of H.264 (ISO/IEC 14496-15 5.3.3.1) with a copy of its PPS under id 1;
/// `None` when the record is damaged.
pub fn with_second_pps(record: &[u8]) -> Option<Bytes> {
    // The built-in clips have one SPS and one PPS.
    let sps = usize::from(u16::from_be_bytes(record.get(6..8)?.try_into().ok()?));
    let (head, rest) = record.split_at_checked(8 + sps)?;
    let length = usize::from(u16::from_be_bytes(rest.get(1..3)?.try_into().ok()?));
    let (first, tail) = rest.get(1..)?.split_at_checked(2 + length)?;
    let second = pps_with_id(first.get(2..)?, 1)?;
    let mut new = BytesMut::from(head);
    new.put_u8(2);
    new.put_slice(first);
    new.put_u16(second.len() as u16);
    new.put_slice(&second);
    new.put_slice(tail);
    Some(new.freeze())
}

/// The decoder configuration record of H.265 (8.3.3.1) with an SPS that allows reordering; `None` when the
/// record is damaged.
pub fn with_reordering(record: &[u8]) -> Option<Bytes> {
    let (head, mut rest) = record.split_at_checked(23)?;
    let mut new = BytesMut::from(head);
    while let [kind, high, low, after @ ..] = rest {
        new.put_slice(&[*kind, *high, *low]);
        rest = after;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let length = usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
            let nal = rest.get(2..2 + length)?;
            rest = rest.get(2 + length..)?;
            let nal = if kind & 0x3f == 33 { sps_with_reordering(nal)? } else { nal.to_vec() };
            new.put_u16(nal.len() as u16);
            new.put_slice(&nal);
        }
    }
    Some(new.freeze())
}

/// The key picture, at least `length` bytes long by `cabac_zero_words` (H.264 7.3.2.8) behind its last NAL
/// unit, which every decoder skips.
pub fn enlarge(data: &[u8], length: usize) -> Bytes {
    let mut start = 0;
    while let Some(length) = length_at(data, start)
        && length_at(data, start + 4 + length).is_some()
    {
        start += 4 + length;
    }
    let mut new = BytesMut::from(data);
    while new.len() < length {
        new.put_slice(&[0, 0, 3]);
    }
    let length = (new.len() - start).saturating_sub(4) as u32;
    if let Some(prefix) = new.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
    new.freeze()
}

pub fn length_at(data: &[u8], at: usize) -> Option<usize> {
    let prefix = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(prefix.try_into().ok()?) as usize)
}

/// The H.265 picture with all slices under the NAL unit type `kind`.
pub fn with_slice_type(data: &[u8], kind: u8) -> Bytes {
    let mut new = data.to_vec();
    let mut at = 0;
    while let Some(length) = length_at(&new, at) {
        if let Some(header) = new.get_mut(at + 4)
            && *header >> 1 & 0x3f < 32
        {
            *header = *header & 0x81 | kind << 1;
        }
        at += 4 + length;
    }
    new.into()
}
