//! AAC (RFC 3640, mode AAC-hbr: 13 bits of size, 3 of index) and G.711 (RFC 3551).

use super::{MTU, Writer};

/// Largest access unit whose size 13 bits can hold, in bytes.
const MAX_ACCESS_UNIT: usize = 8191;

/// Writes one AAC access unit. A unit longer than a packet is sent in fragments, each with the size of the
/// whole; a unit above 8191 bytes is dropped.
pub fn write_aac(writer: &mut Writer<'_>, unit: &[u8]) {
    if unit.is_empty() || unit.len() > MAX_ACCESS_UNIT {
        return;
    }
    let size = (unit.len() as u16) << 3;
    let header = [0, 16, (size >> 8) as u8, size as u8];
    let mut chunks = unit.chunks(MTU - header.len()).peekable();
    while let Some(chunk) = chunks.next() {
        writer.packet(chunks.peek().is_none(), &header, chunk);
    }
}

/// Writes samples of one byte each; the time of each packet follows from the samples before it.
pub fn write_g711(writer: &mut Writer<'_>, samples: &[u8], channels: u16) {
    let channels = usize::from(channels.clamp(1, 8));
    for chunk in samples.chunks(MTU / channels * channels) {
        writer.packet(false, &[], chunk);
        writer.timestamp = writer.timestamp.wrapping_add((chunk.len() / channels) as u32);
    }
}

#[cfg(test)]
mod tests {
    use ivt_media::frame::AudioCodec;
    use proptest::prelude::*;

    use super::super::testutil::{audio, packets};
    use super::super::{Packetizer, Source};
    use super::*;

    proptest! {
        #[test]
        fn an_access_unit_survives_packets(size in 1usize..=MAX_ACCESS_UNIT) {
            let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let frame = audio(AudioCodec::Aac, 16_000, 1, &data);
            let source = Source::new(1, &frame.track);
            let packets = packets(&Packetizer::new(source).frame(&frame, 5760, &[]));
            let mut received = Vec::new();
            for packet in &packets {
                let p = &packet.payload;
                prop_assert_eq!(&p[..2], &[0, 16]);
                let header = u16::from_be_bytes([p[2], p[3]]);
                prop_assert_eq!((usize::from(header >> 3), header & 7), (size, 0));
                prop_assert_eq!(packet.timestamp, source.timestamp(5760));
                received.extend_from_slice(&p[4..]);
            }
            prop_assert_eq!(received, data);
            prop_assert!(packets.last().unwrap().marker);
            prop_assert_eq!(packets.iter().filter(|p| p.marker).count(), 1);
        }

        #[test]
        fn samples_survive_packets_and_keep_their_time(
            samples in prop::collection::vec(any::<u8>(), 1..5000),
            stereo: bool,
        ) {
            let channels = 1 + u16::from(stereo);
            let frame = audio(AudioCodec::Pcma, 8000, channels, &samples);
            let source = Source::new(1, &frame.track);
            let packets = packets(&Packetizer::new(source).frame(&frame, 0, &[]));
            let mut received: Vec<u8> = Vec::new();
            for packet in &packets {
                let before = (received.len() / usize::from(channels)) as u32;
                prop_assert_eq!(packet.timestamp, source.base.wrapping_add(before));
                prop_assert!(packet.payload.len() <= MTU);
                received.extend_from_slice(&packet.payload);
            }
            prop_assert_eq!(received, samples);
        }
    }

    #[test]
    fn what_thirteen_bits_cannot_count_is_dropped() {
        let frame = audio(AudioCodec::Aac, 16_000, 1, &[0; MAX_ACCESS_UNIT + 1]);
        let unit = Packetizer::new(Source::new(1, &frame.track)).frame(&frame, 0, &[]);
        assert!(packets(&unit).is_empty());
    }
}
