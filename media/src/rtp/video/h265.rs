//! Payloads (RFC 7798) and NAL units (ITU-T H.265 7.3.1, 7.3.6) of H.265.

use super::nal::{Entries, Fragment, Payload, Role, Slice};
use crate::bits::Bits;

const RASL_N: u8 = 8;
const RASL_R: u8 = 9;
const BLA_W_LP: u8 = 16;
const CRA: u8 = 21;
/// Highest type of a slice.
const LAST_SLICE: u8 = 31;
const VPS: u8 = 32;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;
const PREFIX_SEI: u8 = 39;
const SUFFIX_SEI: u8 = 40;
const AGGREGATE: u8 = 48;
const FRAGMENT: u8 = 49;

/// Takes a payload apart; `don` tells that it has decoding order numbers (4.4, `DONL`, `DOND`).
pub(super) fn payload(bytes: &[u8], don: bool) -> Payload<'_> {
    let Some(([first, second], rest)) = bytes.split_first_chunk() else { return Payload::Nothing };
    let numbered = |rest| if don { <[u8]>::get(rest, 2..) } else { Some(rest) };
    let read = || {
        Some(match kind(*first) {
            0..AGGREGATE => Payload::Single(bytes.get(..2)?, numbered(rest)?),
            AGGREGATE => {
                Payload::Aggregate(Entries { rest: numbered(rest)?, gap: usize::from(don) })
            }
            FRAGMENT => {
                let (&bits, data) = rest.split_first()?;
                let (start, end) = (bits & 0x80 != 0, bits & 0x40 != 0);
                let kind = bits & 0x3f;
                if kind >= AGGREGATE {
                    return None;
                }
                // Only the first fragment has a number.
                let data = if start { numbered(data)? } else { data };
                let header = [first & 0x81 | kind << 1, *second];
                Payload::Fragment(Fragment { start, end, kind, header, data })
            }
            _ => return None,
        })
    };
    read().unwrap_or(Payload::Nothing)
}

/// What the NAL unit is that begins with `head`; `None` if that is not enough to tell.
pub(super) fn role(head: &[u8]) -> Option<Role> {
    let ([first, second], rest) = head.split_first_chunk()?;
    // The NAL unit has the forbidden bit, another layer than the base, or no temporal identifier.
    if first & 0x81 != 0 || second & 0xf8 != 0 || second & 7 == 0 {
        return Some(Role::Foreign);
    }
    Some(match kind(*first) {
        kind @ (0..=RASL_R | BLA_W_LP..=CRA) => Role::Slice(slice(kind, rest)?),
        VPS..=PPS => Role::Set,
        DELIMITER => Role::Delimiter,
        36..=FILLER => Role::Padding,
        PREFIX_SEI => Role::Sei,
        SUFFIX_SEI => Role::Suffix,
        _ => Role::Foreign,
    })
}

/// True for slices, by the first byte of the NAL unit's header.
pub(super) fn is_slice(header: u8) -> bool {
    kind(header) <= LAST_SLICE
}

fn slice(kind: u8, rest: &[u8]) -> Option<Slice> {
    let bits = &mut Bits::new(rest);
    let first = bits.flag()?;
    let refresh = kind >= BLA_W_LP;
    if refresh {
        bits.skip(1)?; // no_output_of_prior_pics_flag
    }
    let pps = bits.ue_up_to(63)? as u8;
    let skipped = matches!(kind, RASL_N | RASL_R);
    Some(Slice { first, refresh, intra: false, skipped, pps, field: None })
}

fn kind(header: u8) -> u8 {
    header >> 1 & 0x3f
}
