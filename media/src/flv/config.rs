//! What sequence headers say about their track: picture sizes and sample rates.

use bytes::Bytes;

use crate::bits::Bits;
use crate::flv::FlvError;
use crate::frame::{AAC_RATES, AudioCodec, AudioParams, VideoCodec};
use crate::record::{self, SetKind};
use crate::sps;

/// Reads an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
pub fn aac_params(config: Bytes) -> Result<AudioParams, FlvError> {
    let mut bits = Bits::plain(&config);
    let mut read = |count| bits.read(count).ok_or(FlvError::Truncated { what: "sequence header" });
    if read(5)? == 31 {
        read(6)?;
    }
    let index = read(4)?;
    let sample_rate = match AAC_RATES.get(index as usize) {
        Some(rate) => *rate,
        None if index == 15 => read(24)?,
        None => {
            return Err(FlvError::Malformed {
                what: "AAC sampling frequency",
                expected: "index 0 to 12 or 15",
                got: index.into(),
            });
        }
    };
    let channels = match read(4)? {
        7 => 8,
        // Channel configuration 0 means a program config element, which is the rule for two
        // channels.
        0 => 2,
        n => n as u16,
    };
    Ok(AudioParams { codec: AudioCodec::Aac, sample_rate, channels, config })
}

/// Checks that a decoder configuration record is whole and that its NAL units carry 4-byte lengths.
pub fn check_record(codec: VideoCodec, record: &[u8]) -> Result<(), FlvError> {
    let (length_at, least) = match codec {
        VideoCodec::H264 => (4, 7),
        VideoCodec::H265 => (21, 23),
    };
    match record.get(length_at) {
        Some(byte) if record.len() >= least && byte & 3 == 3 => Ok(()),
        Some(byte) if record.len() >= least => {
            Err(FlvError::Unsupported { what: "NAL length size", got: u64::from(byte & 3) + 1 })
        }
        _ => Err(FlvError::Truncated { what: "decoder configuration record" }),
    }
}

/// Width and height in pixels, as the first sequence parameter set of the record has them.
pub fn dimensions(codec: VideoCodec, record: &[u8]) -> Option<(u32, u32)> {
    let (_, sps) = record::sets(codec, record).find(|(kind, _)| *kind == SetKind::Sps)?;
    match codec {
        VideoCodec::H264 => Some(sps::h264(sps)?.dimensions),
        VideoCodec::H265 => sps::h265(sps)?.dimensions,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Writer;

    proptest! {
        #[test]
        fn any_record_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            for codec in [VideoCodec::H264, VideoCodec::H265] {
                let _ = check_record(codec, &bytes);
                let _ = dimensions(codec, &bytes);
            }
        }
    }

    #[test]
    fn a_short_nal_length_is_refused() {
        let record = [1, 0x42, 0, 30, 0xfd, 0xe0, 0];
        let want = FlvError::Unsupported { what: "NAL length size", got: 2 };
        assert_eq!(check_record(VideoCodec::H264, &record), Err(want));
        assert!(check_record(VideoCodec::H264, &record[..4]).is_err());
    }

    #[test]
    fn the_first_set_gives_the_size() {
        let [first, second] = [[3, 40], [0, 20]].map(|[id, width]| {
            let head = Writer::default().u(77, 8).u(30, 16).ue(id).ue(0).ue(2).ue(1).u(0, 1);
            head.ue(width - 1).ue(17).u(12, 4).u(0, 1).nal(&[0x67], &[])
        });
        let size = |sets: &[&[u8]], pps: &[u8]| {
            let sps = &mut sets.iter().copied();
            let record = record::avc(sets[0], sps, &mut std::iter::once(pps)).unwrap();
            dimensions(VideoCodec::H264, &record)
        };
        assert_eq!(size(&[&first, &second], b"\x68\xce"), Some((640, 288)));
        assert_eq!(size(&[&second, &first], b"\x68\xce"), Some((320, 288)));
        assert_eq!(size(&[&first], b"broken"), Some((640, 288)), "whatever else is in it");
        assert_eq!(size(&[&first[..5], &second], b"\x68\xce"), None);
    }

    #[test]
    fn rates_and_channels_are_read() {
        let params = |bytes: &'static [u8]| {
            aac_params(Bytes::from_static(bytes))
                .map(|params| (params.sample_rate, params.channels))
        };
        assert_eq!(params(&[0x14, 0x08]), Ok((16000, 1)));
        assert_eq!(params(&[0x11, 0x90]), Ok((48000, 2)));
        // An explicit rate: index 15, then 24 bits.
        assert_eq!(params(&[0x17, 0x80, 0x1f, 0x40, 0x08]), Ok((16000, 1)));
        assert!(matches!(params(&[0x16, 0x88]), Err(FlvError::Malformed { .. })));
        assert!(matches!(params(&[0x14]), Err(FlvError::Truncated { .. })));
    }
}
