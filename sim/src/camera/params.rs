//! The parameter sets in the decoder configuration records of ISO/IEC 14496-15.

use bytes::{Buf, Bytes};
use ivt_media::frame::{VideoCodec, VideoParams};

/// The parameter sets of a stream in the order that a decoder needs: VPS (H.265 only), SPS, PPS. Empty when the
/// record is damaged.
pub fn parameter_sets(params: &VideoParams) -> Vec<Bytes> {
    let record = params.record.clone();
    match params.codec {
        VideoCodec::H264 => avc(record),
        VideoCodec::H265 => hevc(record),
    }
    .unwrap_or_default()
}

fn avc(mut record: Bytes) -> Option<Vec<Bytes>> {
    let mut sets = Vec::new();
    skip(&mut record, 5)?;
    for mask in [0x1f, 0xff] {
        for _ in 0..record.try_get_u8().ok()? & mask {
            sets.push(nal(&mut record)?);
        }
    }
    Some(sets)
}

fn hevc(mut record: Bytes) -> Option<Vec<Bytes>> {
    let mut sets = Vec::new();
    skip(&mut record, 22)?;
    for _ in 0..record.try_get_u8().ok()? {
        let kind = record.try_get_u8().ok()? & 0x3f;
        for _ in 0..record.try_get_u16().ok()? {
            let nal = nal(&mut record)?;
            if (32..=34).contains(&kind) {
                sets.push((kind, nal));
            }
        }
    }
    sets.sort_by_key(|(kind, _)| *kind);
    Some(sets.into_iter().map(|(_, nal)| nal).collect())
}

fn nal(record: &mut Bytes) -> Option<Bytes> {
    let length = usize::from(record.try_get_u16().ok()?);
    (length <= record.len()).then(|| record.split_to(length))
}

fn skip(record: &mut Bytes, length: usize) -> Option<()> {
    (length <= record.len()).then(|| record.advance(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(codec: VideoCodec, record: &[u8]) -> Vec<Bytes> {
        let record = Bytes::copy_from_slice(record);
        parameter_sets(&VideoParams { codec, record, dimensions: (0, 0), frame_rate: None })
    }

    #[test]
    fn both_records_give_their_sets_in_decoding_order() {
        let avc = [1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 1, 2, 0, 1, 0x68, 0, 1, 0x69];
        assert_eq!(sets(VideoCodec::H264, &avc), [&[0x67, 1][..], &[0x68], &[0x69]]);
        let mut hevc = vec![0; 22];
        hevc.push(4);
        for (kind, byte) in [(34, 3), (0x80 | 32, 1), (39, 9), (33, 2)] {
            hevc.extend_from_slice(&[kind, 0, 1, 0, 1, byte]);
        }
        assert_eq!(sets(VideoCodec::H265, &hevc), [&[1][..], &[2], &[3]]);
    }

    #[test]
    fn a_record_cut_anywhere_gives_nothing_and_does_not_panic() {
        let avc = [1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        for cut in 0..avc.len() {
            assert!(sets(VideoCodec::H264, &avc[..cut]).is_empty());
            assert!(sets(VideoCodec::H265, &avc[..cut]).is_empty());
        }
    }
}
