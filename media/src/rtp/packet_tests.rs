use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

/// A header with these flags (padding 0x20, extension 0x10, number of sources) and what follows it.
fn packet(flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | flags, 0xE0, 0x12, 0x34, 0, 1, 2, 3, 9, 8, 7, 6];
    bytes.extend(rest);
    bytes
}

fn payload(bytes: &[u8]) -> &[u8] {
    Packet::parse(bytes).unwrap().payload
}

#[test]
fn the_header_is_taken_apart() {
    let bytes = packet(0, b"payload");
    let expected = Packet {
        marker: true,
        payload_type: 96,
        sequence: 0x1234,
        timestamp: 0x0001_0203,
        ssrc: 0x0908_0706,
        payload: b"payload",
    };
    assert_eq!(Packet::parse(&bytes), Ok(expected));
}

#[test]
fn sources_and_extension_are_passed_over() {
    let mut rest = vec![1; 8];
    rest.extend([0xAB, 0xAC, 0, 3]);
    rest.extend([2; 12]);
    rest.extend(b"data");
    assert_eq!(payload(&packet(0x12, &rest)), b"data");
    assert_eq!(payload(&packet(0x10, b"\xBE\xDE\0\0data")), b"data");
}

#[test]
fn padding_is_cut_off() {
    assert_eq!(payload(&packet(0x20, b"data\0\0\x03")), b"data");
    assert_eq!(payload(&packet(0x20, b"\0\0\0\x04")), b"", "nothing but padding");
    assert_eq!(payload(&packet(0x20, b"")), b"", "not even a count");
}

#[test]
fn a_padding_bit_that_lies_leaves_the_payload_whole() {
    assert_eq!(payload(&packet(0x20, b"data\0")), b"data\0", "a count of zero");
    assert_eq!(payload(&packet(0x20, b"data\x06")), b"data\x06", "more than there is");
    assert_eq!(payload(&packet(0x20, b"\0\0\0\x08")), b"", "zeros are no data");
    assert_eq!(payload(&packet(0x20, b"\0\0\0\0")), b"");
}

#[test]
fn an_empty_payload_is_a_packet() {
    assert_eq!(payload(&packet(0, b"")), b"");
}

#[test]
fn a_packet_that_ends_within_its_header_is_malformed() {
    let whole = packet(0x12, b"ssssrrrr\xAB\xAC\0\x01extn");
    assert_eq!(payload(&whole), b"");
    for len in 0..whole.len() {
        assert_eq!(Packet::parse(&whole[..len]), Err(Malformed::Short(len)));
    }
}

#[test]
fn another_version_is_malformed() {
    let mut bytes = packet(0, b"data");
    for version in [0, 1, 3] {
        bytes[0] = version << 6;
        assert_eq!(Packet::parse(&bytes), Err(Malformed::Version(version)));
    }
}

#[test]
fn control_packets_are_told_by_their_type() {
    for kind in 0..=255 {
        assert_eq!(is_rtcp(&[0x81, kind, 0, 0]), (192..=223).contains(&kind));
        assert!(!is_rtcp(&[0x41, kind, 0, 0]) && !is_rtcp(&[0xC1, kind, 0, 0]));
    }
    assert!(!is_rtcp(&[0x80]) && !is_rtcp(&[]));
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.payload.len() <= bytes.len() - 12);
        }
    }

    #[test]
    fn what_was_written_is_read(
        sources in 0..16u8,
        extension in prop::option::of(0..40u8),
        data in prop::collection::vec(any::<u8>(), 0..50),
        padding in 0..=255u8,
    ) {
        let mut rest = vec![7; 4 * usize::from(sources)];
        if let Some(words) = extension {
            rest.extend([1, 2, 0, words]);
            rest.extend(vec![7; 4 * usize::from(words)]);
        }
        rest.extend(&data);
        if padding > 0 {
            rest.extend(vec![0; usize::from(padding) - 1]);
            rest.push(padding);
        }
        let flags = sources | u8::from(extension.is_some()) << 4 | u8::from(padding > 0) << 5;
        let bytes = packet(flags, &rest);
        prop_assert_eq!(payload(&bytes), data);
    }
}
