//! H.265 access units of a byte stream, one to a PES packet (ITU-T H.265 annex B).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use ivt_media::frame::VideoParams;

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
/// NAL unit types of pictures at which decoding may start.
const RANDOM_ACCESS: std::ops::RangeInclusive<u8> = 16..=23;

/// The parameter sets in force.
#[derive(Default)]
pub(super) struct Params {
    sets: [Vec<u8>; 3],
    made: Option<Arc<VideoParams>>,
}

impl Params {
    /// The parameters, whether the unit is a key picture, and its NAL units with lengths; `None` before the
    /// first parameter sets.
    pub(super) fn unit(&mut self, data: &[u8]) -> Option<(Arc<VideoParams>, bool, Bytes)> {
        let mut unit = BytesMut::with_capacity(data.len());
        let mut key = false;
        for nal in nal_units(data) {
            let Some(header) = nal.first() else { continue };
            match header >> 1 & 63 {
                kind @ VPS..=PPS => {
                    let set = &mut self.sets[usize::from(kind - VPS)];
                    if set != nal {
                        *set = nal.to_vec();
                        self.made = None;
                    }
                }
                DELIMITER => {}
                kind => {
                    key |= RANDOM_ACCESS.contains(&kind);
                    unit.put_u32(u32::try_from(nal.len()).ok()?);
                    unit.put_slice(nal);
                }
            }
        }
        if self.made.is_none() {
            self.made = params(&self.sets);
        }
        Some((self.made.clone()?, key, unit.freeze()))
    }
}

/// The NAL units without start codes and trailing zeros.
fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(data).and_then(|at| data.get(at + 3..));
    std::iter::from_fn(move || {
        let from = rest?;
        let end = start_code(from);
        rest = end.and_then(|at| from.get(at + 3..));
        let nal = &from[..end.unwrap_or(from.len())];
        let length = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..length])
    })
}

fn start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|window| window == [0, 0, 1])
}

fn params([vps, sps, pps]: &[Vec<u8>; 3]) -> Option<Arc<VideoParams>> {
    let record = record(vps, sps, pps)?;
    // In Enhanced RTMP this is a key frame's sequence start; a coded picture of no bytes follows.
    let header = [b"\x90hvc1", &record[..]].concat();
    super::video_params(header.into(), Bytes::from_static(b"\x91hvc1\0\0\0\0\0\0\x02\x28\x01"))
}

/// An `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 8.3.3.1) of 4:2:0 and 8 bits; decoders find other
/// values in the parameter sets.
fn record(vps: &[u8], sps: &[u8], pps: &[u8]) -> Option<Vec<u8>> {
    let mut record = vec![1];
    // The profile_tier_level follows the header and one byte.
    record.extend_from_slice(unescape(sps.get(2..)?).get(1..13)?);
    record.extend_from_slice(&[0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3]);
    for (kind, nal) in [(VPS, vps), (SPS, sps), (PPS, pps)] {
        record.extend_from_slice(&[0x80 | kind, 0, 1]);
        record.extend_from_slice(&u16::try_from(nal.len()).ok().filter(|n| *n > 0)?.to_be_bytes());
        record.extend_from_slice(nal);
    }
    Some(record)
}

/// The bytes without those that keep start codes out.
fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPS_NAL: &[u8] =
        b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\xa0\x0a\x08\x0b\
        \x9f\x79\x64\xa9\x24\xca\xf0\x16\x80\x80\0\0\x03\0\x80\0\0\x0c\x84";

    #[test]
    fn a_unit_carries_pictures_and_its_parameters_their_size() {
        let stream = [
            b"\0\0\0\x01\x46\x01\x50\0\0\x01\x40\x01v\0\0\x01",
            SPS_NAL,
            b"\0\0\x01\x44\x01p\0\0\x01\x26\x01key\0",
        ];
        let mut params = Params::default();
        assert!(params.unit(b"\0\0\x01\x02\x01early").is_none());
        let (first, key, data) = params.unit(&stream.concat()).unwrap();
        assert_eq!((key, &data[..]), (true, &b"\0\0\0\x05\x26\x01key"[..]));
        assert_eq!(first.dimensions, (320, 180));
        assert_eq!(&first.record[1..13], b"\x01\x60\0\0\0\x90\0\0\0\0\0\x3c");
        let (second, key, _) = params.unit(b"\0\0\x01\x02\x01inter").unwrap();
        assert!(!key && Arc::ptr_eq(&first, &second));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(units in prop::collection::vec(
            prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x40), Just(0x42), Just(0x44), any::<u8>()], 0..80), 0..5,
        )) {
            let mut params = Params::default();
            for unit in units {
                params.unit(&unit);
            }
        }
    }
}
