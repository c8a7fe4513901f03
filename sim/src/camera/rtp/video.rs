//! H.264 (RFC 6184, packetization-mode 1) and H.265 (RFC 7798): single NAL units and fragments.

use bytes::{Buf, Bytes};
use ivt_media::frame::VideoCodec;

use super::Writer;

/// The NAL units of data in which a length goes before each unit. Stops at the first length that does not fit.
pub fn nals(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = data.try_get_u32().ok()? as usize;
        (length <= data.len()).then(|| data.split_to(length))
    })
}

/// Writes one access unit; its last packet carries the marker.
pub fn write(writer: &mut Writer<'_>, codec: VideoCodec, nals: impl Iterator<Item = Bytes>) {
    let header = match codec {
        VideoCodec::H264 => 1,
        VideoCodec::H265 => 2,
    };
    // A NAL unit without a body has no header to build a fragment from, and is left out.
    let mut nals = nals.filter(|nal| nal.len() > header).peekable();
    while let Some(nal) = nals.next() {
        let last = nals.peek().is_none();
        if nal.len() <= writer.packetizer.mtu {
            writer.packet(last, &nal, &[]);
        } else {
            write_fragments(writer, codec, &nal, last);
        }
    }
}

/// Writes a NAL unit in fragments (FU-A, or the FU of H.265). The unit is longer than its header.
fn write_fragments(writer: &mut Writer<'_>, codec: VideoCodec, nal: &[u8], last: bool) {
    let (mut head, body) = match codec {
        VideoCodec::H264 => (vec![nal[0] & 0xe0 | 28, nal[0] & 0x1f], &nal[1..]),
        VideoCodec::H265 => (vec![nal[0] & 0x81 | 49 << 1, nal[1], nal[0] >> 1 & 0x3f], &nal[2..]),
    };
    let kind = head.len() - 1;
    let mut chunks = body.chunks(writer.packetizer.mtu - head.len()).peekable();
    head[kind] |= 0x80; // Start bit.
    while let Some(chunk) = chunks.next() {
        let end = chunks.peek().is_none();
        if end {
            head[kind] |= 0x40;
        }
        writer.packet(last && end, &head, chunk);
        head[kind] &= 0x7f;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testutil::{Packet, packets, video};
    use super::super::{MTU, Packetizer, Source};
    use super::*;

    /// Puts NAL units together again as RFC 6184 5.8 and RFC 7798 4.4.3 say.
    fn depacketize(codec: VideoCodec, packets: &[Packet]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        let mut open = false;
        for Packet { payload: p, .. } in packets {
            assert!(p.len() <= MTU);
            let (fragment, header, fu, body) = match codec {
                VideoCodec::H264 => {
                    (p[0] & 0x1f == 28, vec![p[0] & 0xe0 | p[1] & 0x1f], p[1], &p[2..])
                }
                VideoCodec::H265 => (
                    p[0] >> 1 & 0x3f == 49,
                    vec![p[0] & 0x81 | (p[2] & 0x3f) << 1, p[1]],
                    p[2],
                    &p[3..],
                ),
            };
            if !fragment {
                assert!(!open);
                nals.push(p.clone());
                continue;
            }
            let (start, end) = (fu & 0x80 != 0, fu & 0x40 != 0);
            assert!(!(start && end), "a fragment is never the whole");
            assert_eq!(start, !open);
            if start {
                nals.push(header);
            }
            nals.last_mut().unwrap().extend_from_slice(body);
            open = !end;
        }
        assert!(!open);
        nals
    }

    fn round_trip(codec: VideoCodec, nals: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Packet>) {
        let frame = video(&[]);
        let mut packetizer = Packetizer::new(Source::new(0, &frame.track));
        let mut writer = Writer::new(&mut packetizer, 0, 0);
        write(&mut writer, codec, nals.iter().map(|nal| Bytes::from(nal.clone())));
        let packets = packets(&writer.finish(super::super::Kind::Rtp, true));
        (depacketize(codec, &packets), packets)
    }

    proptest! {
        #[test]
        fn nal_units_survive_packets(
            sizes in prop::collection::vec(3usize..6000, 1..6),
            seed in 0u8..200,
            h265: bool,
        ) {
            let (codec, head) = match h265 {
                false => (VideoCodec::H264, [0x65, 0x11]),
                true => (VideoCodec::H265, [19 << 1, 0x01]),
            };
            let nals: Vec<Vec<u8>> = sizes
                .iter()
                .map(|&n| head.into_iter().chain((2..n).map(|i| (i as u8) ^ seed)).collect())
                .collect();
            let (received, packets) = round_trip(codec, &nals);
            prop_assert_eq!(received, nals);
            let markers = packets.iter().filter(|p| p.marker).count();
            prop_assert!(markers == 1 && packets.last().unwrap().marker);
        }
    }

    #[test]
    fn fragments_begin_just_above_the_limit() {
        for codec in [VideoCodec::H264, VideoCodec::H265] {
            assert_eq!(round_trip(codec, &[vec![2; MTU]]).1.len(), 1);
            assert_eq!(round_trip(codec, &[vec![2; MTU + 1]]).1.len(), 2);
        }
    }

    #[test]
    fn a_lying_length_ends_the_unit() {
        let mut data = vec![0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0];
        data.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 1, 2]);
        let nals: Vec<_> = nals(data.into()).collect();
        assert_eq!(nals, [Bytes::from_static(&[0x65, 1]), Bytes::new()]);
    }
}
