//! Payloads (RFC 6184) and NAL units (ITU-T H.264 7.3.1, 7.3.3) of H.264.

use super::nal::{Entries, Field, Fragment, Payload, Role, Slice};
use super::sets::Sets;
use crate::bits::Bits;

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const END_OF_SEQUENCE: u8 = 10;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Takes a payload apart. Aggregates and fragments with decoding order numbers (STAP-B, MTAP, FU-B)
/// belong to the interleaved mode, which no camera has.
pub(super) fn payload(bytes: &[u8]) -> Payload<'_> {
    let Some((&header, rest)) = bytes.split_first() else { return Payload::Nothing };
    match header & 0x1f {
        0..STAP_A => Payload::Single(&bytes[..1], rest),
        STAP_A => Payload::Aggregate(Entries { rest, gap: 0 }),
        FU_A => {
            let Some((&bits, data)) = rest.split_first() else { return Payload::Nothing };
            let kind = bits & 0x1f;
            if kind == 0 || kind >= STAP_A {
                return Payload::Nothing;
            }
            let (start, end) = (bits & 0x80 != 0, bits & 0x40 != 0);
            Payload::Fragment(Fragment {
                start,
                end,
                kind,
                header: [header & 0xe0 | kind, 0],
                data,
            })
        }
        _ => Payload::Nothing,
    }
}

/// What the NAL unit is that begins with `head`; `None` if that is not enough to tell.
pub(super) fn role(head: &[u8], sets: &Sets) -> Option<Role> {
    let (&header, rest) = head.split_first()?;
    if header & 0x80 != 0 {
        return Some(Role::Foreign);
    }
    Some(match header & 0x1f {
        kind @ (SLICE | IDR) => Role::Slice(slice(kind, rest, sets)?),
        SEI => Role::Sei,
        SPS | PPS => Role::Set,
        DELIMITER | 15..=18 => Role::Delimiter,
        END_OF_SEQUENCE..=FILLER => Role::Padding,
        _ => Role::Foreign,
    })
}

/// True for slices, by the NAL unit's header.
pub(super) fn is_slice(header: u8) -> bool {
    matches!(header & 0x1f, SLICE | IDR)
}

fn slice(kind: u8, rest: &[u8], sets: &Sets) -> Option<Slice> {
    let bits = &mut Bits::new(rest);
    let first = bits.ue()? == 0;
    // Slice types from 5 on say that all slices of the picture are alike: P, B, I, SP, SI.
    let intra = matches!(bits.ue_up_to(9)? % 5, 2 | 4);
    let pps = bits.ue_up_to(255)? as u8;
    let mut field = None;
    if let Some(sps) = sets.h264(pps).filter(|sps| !sps.frames_only) {
        bits.skip(if sps.separate_planes { 2 } else { 0 })?; // colour_plane_id
        let frame_num = bits.read(sps.frame_num_bits)?;
        if bits.flag()? {
            field = Some(Field { frame_num, bottom: bits.flag()? });
        }
    }
    Some(Slice { first, refresh: kind == IDR, intra, skipped: false, pps, field })
}

/// `recovery_frame_cnt` of a recovery point in an SEI (a NAL unit with its header; D.1.8).
pub(super) fn recovery_point(nal: &[u8]) -> Option<u32> {
    const RECOVERY_POINT: u32 = 6;
    let bits = &mut Bits::new(nal.get(1..)?);
    loop {
        let (kind, size) = (sei_number(bits)?, sei_number(bits)?);
        if kind == RECOVERY_POINT {
            return bits.ue();
        }
        bits.skip_bytes(size)?;
    }
}

/// Reads a type or a size of SEI: 255 for each byte of that value, and the next byte (7.3.2.3.1).
fn sei_number(bits: &mut Bits<'_>) -> Option<u32> {
    let mut number = 0u32;
    loop {
        let byte = bits.read(8)?;
        number = number.saturating_add(byte);
        if byte != 255 {
            return Some(number);
        }
    }
}
