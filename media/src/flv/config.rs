//! What sequence headers say about their track: picture sizes and sample rates.

use bytes::Bytes;
use h264_reader::avcc::AvcDecoderConfigurationRecord;

use crate::flv::FlvError;
use crate::frame::{AudioCodec, AudioParams, VideoCodec};
use crate::sps;

/// Sampling frequencies by index, ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Reads an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
pub fn aac_params(config: Bytes) -> Result<AudioParams, FlvError> {
    let mut bits = Bits { bytes: &config, at: 0 };
    if bits.read(5)? == 31 {
        bits.read(6)?;
    }
    let index = bits.read(4)?;
    let sample_rate = match SAMPLE_RATES.get(index as usize) {
        Some(rate) => *rate,
        None if index == 15 => bits.read(24)?,
        None => {
            return Err(FlvError::Malformed {
                what: "AAC sampling frequency",
                expected: "index 0 to 12 or 15",
                got: index.into(),
            });
        }
    };
    let channels = match bits.read(4)? {
        7 => 8,
        // 0: said in a program config element, which for two channels is the rule.
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
    match codec {
        VideoCodec::H264 => {
            let context = AvcDecoderConfigurationRecord::try_from(record).ok()?.create_context();
            context.ok()?.sps().next()?.pixel_dimensions().ok()
        }
        VideoCodec::H265 => sps::h265(hevc_sps(record)?)?.dimensions,
    }
}

/// The first sequence parameter set of an `HEVCDecoderConfigurationRecord`, ISO/IEC 14496-15, 8.3.2.
fn hevc_sps(record: &[u8]) -> Option<&[u8]> {
    const SPS: u8 = 33;
    let (arrays, mut rest) = record.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let ([kind, n1, n0], tail) = rest.split_first_chunk()?;
        rest = tail;
        for _ in 0..u16::from_be_bytes([*n1, *n0]) {
            let (len, tail) = rest.split_first_chunk()?;
            let (nal, tail) = tail.split_at_checked(u16::from_be_bytes(*len).into())?;
            if kind & 0x3f == SPS {
                return Some(nal);
            }
            rest = tail;
        }
    }
    None
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Result<u32, FlvError> {
        let mut value = 0;
        for _ in 0..count {
            let truncated = FlvError::Truncated { what: "sequence header" };
            let byte = self.bytes.get(self.at / 8).ok_or(truncated)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
