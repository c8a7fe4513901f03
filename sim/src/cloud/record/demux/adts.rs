//! AAC as MPEG-TS carries it (ISO/IEC 14496-3, 1.A.2).

use bytes::Bytes;
use ivt_media::frame::{AudioCodec, AudioParams, CLOCK_HZ};

const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
const SAMPLES: i64 = 1024;

/// An AAC frame without its header.
pub(super) struct AdtsFrame<'a> {
    pub(super) params: AudioParams,
    pub(super) data: &'a [u8],
}

impl AdtsFrame<'_> {
    /// Duration of the frame in ticks of 90 kHz.
    pub(super) fn ticks(&self) -> i64 {
        SAMPLES * CLOCK_HZ / i64::from(self.params.sample_rate)
    }
}

/// The frames of one PES packet, up to the first that is cut short or malformed.
pub(super) fn frames(mut data: &[u8]) -> impl Iterator<Item = AdtsFrame<'_>> {
    std::iter::from_fn(move || {
        let (frame, rest) = split(data)?;
        data = rest;
        Some(frame)
    })
}

fn split(data: &[u8]) -> Option<(AdtsFrame<'_>, &[u8])> {
    let head = data.first_chunk::<7>()?;
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return None;
    }
    let unchecked = head[1] & 1 == 1;
    let object_type = (head[2] >> 6) + 1;
    let rate_index = head[2] >> 2 & 15;
    let channels = (head[2] & 1) << 2 | head[3] >> 6;
    let length =
        usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    let (frame, rest) = data.split_at_checked(length)?;
    let params = AudioParams {
        codec: AudioCodec::Aac,
        sample_rate: *SAMPLE_RATES.get(usize::from(rate_index))?,
        channels: match channels {
            7 => 8,
            0 => 2,
            n => n.into(),
        },
        // The AudioSpecificConfig has fields of 5, 4 and 4 bits, and three bits of zero.
        config: Bytes::copy_from_slice(&[
            object_type << 3 | rate_index >> 1,
            rate_index << 7 | channels << 3,
        ]),
    };
    Some((AdtsFrame { params, data: frame.get(if unchecked { 7 } else { 9 }..)? }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame of AAC-LC, 16 kHz, mono.
    fn adts(body: &[u8]) -> Vec<u8> {
        let length = 7 + body.len();
        let [high, low] = u16::try_from(length << 5).unwrap().to_be_bytes();
        [&[0xff, 0xf1, 0x60, 0x40, high, low | 0x1f, 0xfc][..], body].concat()
    }

    #[test]
    fn headers_are_taken_off_and_understood() {
        let data = [adts(b"one"), adts(b"three"), adts(b"cut")[..8].to_vec()].concat();
        let found: Vec<_> = frames(&data).collect();
        assert_eq!(
            found.iter().map(|frame| frame.data).collect::<Vec<_>>(),
            [&b"one"[..], b"three"]
        );
        let params = &found[0].params;
        assert_eq!(
            (params.sample_rate, params.channels, &params.config[..]),
            (16_000, 1, &[0x14, 0x08][..])
        );
        assert_eq!(found[0].ticks(), 5760);
    }

    proptest! {
        #[test]
        fn any_bytes_end(data in prop::collection::vec(prop_oneof![Just(0xffu8), Just(0xf1), any::<u8>()], 0..200)) {
            let total: usize = frames(&data).map(|frame| frame.data.len()).sum();
            prop_assert!(total <= data.len());
        }
    }
}
