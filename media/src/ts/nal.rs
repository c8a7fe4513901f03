//! Writes access units as byte streams: delimiter first, parameter sets before key frames, start
//! codes.

use crate::frame::{VideoCodec, VideoParams};
use crate::record;

/// The bytes before every NAL unit; as long as the length that they replace.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An access unit delimiter with its start code: pictures of any type may follow.
pub fn delimiter(codec: VideoCodec) -> &'static [u8] {
    match codec {
        VideoCodec::H264 => &[0, 0, 0, 1, 0x09, 0xf0],
        VideoCodec::H265 => &[0, 0, 0, 1, 0x46, 0x01, 0x50],
    }
}

/// The NAL units behind 4-byte lengths, without empty ones and delimiters; `None` for one that is
/// cut short.
pub fn units(codec: VideoCodec, mut data: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        while !data.is_empty() {
            let (len, rest) = data.split_first_chunk().unwrap_or((&[0xff; 4], data));
            let Some((unit, rest)) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)
            else {
                data = &[];
                return Some(None);
            };
            data = rest;
            if unit.first().is_some_and(|header| !is_delimiter(codec, *header)) {
                return Some(Some(unit));
            }
        }
        None
    })
}

/// Bytes of the NAL units with their start codes. `None` if a unit is cut short or there is none.
pub fn measure(codec: VideoCodec, data: &[u8]) -> Option<usize> {
    let total = units(codec, data).try_fold(0, |sum, unit| Some(sum + 4 + unit?.len()))?;
    (total > 0).then_some(total)
}

/// The parameter sets with their start codes, as far as the record can be read.
pub fn parameter_sets(params: &VideoParams) -> Vec<u8> {
    let mut sets = Vec::new();
    for (_, unit) in record::sets(params.codec, &params.record) {
        sets.extend_from_slice(&START_CODE);
        sets.extend_from_slice(unit);
    }
    sets
}

fn is_delimiter(codec: VideoCodec, header: u8) -> bool {
    match codec {
        VideoCodec::H264 => header & 0x1f == 9,
        VideoCodec::H265 => header >> 1 & 0x3f == 35,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(codec: VideoCodec, data: &[u8]) -> Vec<Option<&[u8]>> {
        units(codec, data).collect()
    }

    #[test]
    fn empty_units_and_delimiters_are_left_out() {
        let data = [0, 0, 0, 2, 0x09, 0xf0, 0, 0, 0, 0, 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41];
        assert_eq!(list(VideoCodec::H264, &data), [Some(&[0x65, 1][..]), Some(&[0x41])]);
        assert_eq!(measure(VideoCodec::H264, &data), Some(6 + 5));
        let data = [0, 0, 0, 3, 0x46, 1, 0x50, 0, 0, 0, 3, 0x26, 1, 7];
        assert_eq!(list(VideoCodec::H265, &data), [Some(&[0x26, 1, 7][..])]);
    }

    #[test]
    fn a_unit_cut_short_is_told() {
        for data in [&[0, 0, 0][..], &[0, 0, 0, 2, 0x65], &[0xff; 5], &[0, 0, 0, 1, 0x65, 9]] {
            assert_eq!(measure(VideoCodec::H264, data), None, "{data:?}");
            assert_eq!(list(VideoCodec::H264, data).last(), Some(&None));
        }
        assert_eq!(measure(VideoCodec::H264, &[0; 8]), None, "nothing in it");
    }

    #[test]
    fn the_sets_of_a_record_come_behind_start_codes() {
        let record = [1, 0x42, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 7, 1, 0, 1, 0x68].to_vec().into();
        let (dimensions, frame_rate) = ((0, 0), None);
        let params = VideoParams { codec: VideoCodec::H264, record, dimensions, frame_rate };
        assert_eq!(parameter_sets(&params), [0, 0, 0, 1, 0x67, 7, 0, 0, 0, 1, 0x68]);
    }

    proptest! {
        #[test]
        fn noise_is_survived(
            data in prop::collection::vec(prop_oneof![Just(0u8), 0u8..4, any::<u8>()], 0..200),
        ) {
            for codec in [VideoCodec::H264, VideoCodec::H265] {
                let (dimensions, frame_rate) = ((0, 0), None);
                let record = data.clone().into();
                parameter_sets(&VideoParams { codec, record, dimensions, frame_rate });
                prop_assert!(measure(codec, &data).is_none_or(|len| len <= data.len()));
            }
        }
    }
}
