use std::time::Duration;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const REPORT: SenderReport = SenderReport {
    ssrc: 0x0102_0304,
    ntp: 0xE5A1_B2C3_8000_0000,
    timestamp: 0x1122_3344,
    packets: 10,
    octets: 1000,
};

const IDENTITY: Identity = Identity { ssrc: 0xCAFE_F00D, name: 0x0123_4567_89AB_CDEF };

/// A sender report as bytes, its length field saying `length`.
fn sender_report(length: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 200];
    bytes.extend(length.to_be_bytes());
    bytes.extend([1, 2, 3, 4, 0xE5, 0xA1, 0xB2, 0xC3, 0x80, 0, 0, 0, 0x11, 0x22, 0x33, 0x44]);
    bytes.extend([0, 0, 0, 10, 0, 0, 3, 0xE8]);
    bytes
}

const SDES: &[u8] = b"\x81\xCA\0\x03\x01\x02\x03\x04\x01\x03cam\0\0\0";
const BYE: &[u8] = b"\x81\xCB\0\x01\x01\x02\x03\x04";

fn reports(bytes: &[u8]) -> Vec<Report> {
    read(bytes).collect()
}

#[test]
fn a_compound_packet_is_read() {
    let bytes = [&sender_report(6), SDES, BYE].concat();
    let bye = Report::Bye { ssrc: Some(0x0102_0304) };
    assert_eq!(reports(&bytes), [Report::Sender(REPORT), bye]);
}

#[test]
fn blocks_and_unknown_packets_are_passed_over() {
    let mut bytes = sender_report(12);
    bytes[0] = 0x81;
    bytes.extend([0xCC; 24]);
    let others = [&b"\x80\xC9\0\x01abcd"[..], b"\x80\xCC\0\x02abcdname", b"\x80\xDF\0\0"].concat();
    let bytes = [&others, &bytes, &others, BYE].concat();
    assert_eq!(reports(&bytes).len(), 2);
    assert_eq!(reports(&bytes)[0], Report::Sender(REPORT));
}

#[test]
fn a_report_cut_short_has_its_times() {
    let whole = sender_report(6);
    let times = SenderReport { packets: 0, octets: 0, ..REPORT };
    for len in 0..=28 {
        let expected = match len {
            ..20 => vec![],
            20..28 => vec![Report::Sender(times)],
            _ => vec![Report::Sender(REPORT)],
        };
        assert_eq!(reports(&whole[..len]), expected, "{len} bytes");
    }
    // A report whose length says that it is cut.
    let cut = [&sender_report(4)[..20], BYE].concat();
    assert_eq!(reports(&cut).len(), 2);
    assert_eq!(reports(&cut)[0], Report::Sender(times));
}

#[test]
fn a_wrong_length_costs_only_what_follows() {
    for length in [7, 28, 255, 65_535] {
        assert_eq!(reports(&sender_report(length)), [Report::Sender(REPORT)], "{length}");
    }
    for length in [0, 1, 3] {
        let times = SenderReport { packets: 0, octets: 0, ..REPORT };
        assert_eq!(reports(&sender_report(length)), [Report::Sender(times)], "{length}");
    }
}

#[test]
fn a_source_that_looks_like_a_header_is_none() {
    let mut bytes = sender_report(0);
    bytes[4..8].copy_from_slice(b"\x81\xCB\0\0");
    assert_eq!(reports(&bytes).len(), 1);
}

#[test]
fn a_farewell_may_name_nobody() {
    assert_eq!(reports(b"\x80\xCB\0\0"), [Report::Bye { ssrc: None }]);
    assert_eq!(reports(b"\x81\xCB\0\0"), [Report::Bye { ssrc: None }]);
    assert_eq!(reports(b"\x81\xCB\0\x01\x01"), [Report::Bye { ssrc: None }]);
}

#[test]
fn data_packets_are_no_reports() {
    assert_eq!(reports(b"\x80\x60\0\x01\0\0\0\0\x80\xCB\0\0"), []);
    assert_eq!(reports(b"\x40\xCB\0\0"), []);
}

/// Numbers of 100 packets, of which 10 are missing.
fn lossy() -> Sequence {
    let mut sequence = Sequence::default();
    for n in (0..100u16).filter(|n| n % 10 != 5) {
        sequence.accept(n.wrapping_sub(50), n.into(), 0x0A0B_0C0D);
    }
    sequence
}

#[test]
fn the_report_is_as_written_by_hand() {
    let now = Instant::now();
    let mut reception = Reception::new(8000);
    reception.arrive(0, now);
    reception.arrive(160, now + Duration::from_millis(40)); // 160 ticks late.
    reception.report(&REPORT, now);
    let report = reception.receiver_report(&IDENTITY, &lossy(), now + Duration::from_millis(1500));
    #[rustfmt::skip]
    let expected = [
        0x81, 0xC9, 0x00, 0x07,
        0xCA, 0xFE, 0xF0, 0x0D,
        0x0A, 0x0B, 0x0C, 0x0D,
        25, 0, 0, 10, // 10 of 100; 0.1 of 256.
        0x00, 0x01, 0x00, 49,
        0, 0, 0, 10, // 160 / 16
        0xB2, 0xC3, 0x80, 0x00,
        0x00, 0x01, 0x80, 0x00,
        0x81, 0xCA, 0x00, 0x06,
        0xCA, 0xFE, 0xF0, 0x0D,
        1, 16, b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'7',
        b'8', b'9', b'a', b'b', b'c', b'd', b'e', b'f', 0, 0,
    ];
    assert_eq!(report, Some(expected));
}

/// A receiver report as RFC 3550 6.4.2 and 6.5 have it, read by other means.
struct Read {
    fraction: u8,
    lost: i32,
    highest: u32,
    jitter: u32,
    last: u32,
    delay: u32,
}

fn read_back(bytes: &[u8]) -> Read {
    let word = |i: usize| u32::from_be_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap());
    assert_eq!(word(0), 2 << 30 | 1 << 24 | 201 << 16 | 7);
    assert_eq!(word(8), 2 << 30 | 1 << 24 | 202 << 16 | 6);
    assert_eq!((word(1), word(9), word(2)), (IDENTITY.ssrc, IDENTITY.ssrc, 0x0A0B_0C0D));
    assert_eq!(bytes.len(), 4 * (7 + 1 + 6 + 1));
    let (kind, length) = (bytes[40], usize::from(bytes[41]));
    assert_eq!((kind, &bytes[42..42 + length]), (1, &b"0123456789abcdef"[..]));
    assert!(bytes[42 + length..].iter().all(|&byte| byte == 0) && bytes.len() > 42 + length);
    Read {
        fraction: bytes[12],
        lost: (word(3) << 8) as i32 >> 8,
        highest: word(4),
        jitter: word(5),
        last: word(6),
        delay: word(7),
    }
}

#[test]
fn the_fraction_lost_is_of_the_time_since_the_last_report() {
    let now = Instant::now();
    let (mut reception, mut sequence) = (Reception::new(90_000), lossy());
    let mut report = |sequence: &Sequence| {
        read_back(&reception.receiver_report(&IDENTITY, sequence, now).unwrap())
    };
    assert_eq!(report(&sequence).fraction, 25);
    assert_eq!(report(&sequence).fraction, 0, "nothing came since");
    for n in 50..80 {
        sequence.accept(n, n.into(), 0x0A0B_0C0D);
    }
    let second = report(&sequence);
    assert_eq!((second.fraction, second.lost, second.highest), (0, 10, 0x1_004F));
    sequence.accept(2080, 9000, 0x0A0B_0C0D);
    let third = report(&sequence);
    assert_eq!((third.fraction, third.lost), (255, 2010));
}

#[test]
fn without_a_sender_report_its_fields_are_zero() {
    let now = Instant::now();
    let mut reception = Reception::new(0);
    let report = read_back(&reception.receiver_report(&IDENTITY, &lossy(), now).unwrap());
    assert_eq!((report.last, report.delay, report.jitter), (0, 0, 0));
    assert_eq!(reception.receiver_report(&IDENTITY, &Sequence::default(), now), None);
}

#[test]
fn numbers_too_large_for_their_fields_stay_at_the_largest() {
    let now = Instant::now();
    let mut reception = Reception::new(90_000);
    reception.report(&REPORT, now);
    let mut sequence = Sequence::default();
    for n in 0..200_000u32 {
        // Between gaps enough packets follow one another for the numbers to be believed.
        let number = n + n / 20 * 2900;
        sequence.accept(number as u16, n, 0x0A0B_0C0D);
    }
    let later = now + Duration::from_secs(1_000_000);
    let report = read_back(&reception.receiver_report(&IDENTITY, &sequence, later).unwrap());
    assert_eq!((report.lost, report.delay), (0x7F_FFFF, u32::MAX));
}

#[test]
fn a_steady_stream_has_no_jitter() {
    let (now, mut reception) = (Instant::now(), Reception::new(90_000));
    for n in 0..100_000u32 {
        let timestamp = (n * 3600).wrapping_sub(100_000);
        reception.arrive(timestamp, now + Duration::from_millis(u64::from(n) * 40));
    }
    assert_eq!(reception.jitter >> 4, 0);
}

proptest! {
    #[test]
    fn the_jitter_is_that_of_the_definition(
        first in any::<u32>(),
        late in prop::collection::vec(0..40_000u64, 2..200),
    ) {
        let (now, mut reception) = (Instant::now(), Reception::new(90_000));
        let (mut jitter, mut before) = (0.0, None);
        for (n, &late) in (0..).zip(&late) {
            let timestamp = first.wrapping_add(n * 3600);
            reception.arrive(timestamp, now + Duration::from_micros(u64::from(n) * 40_000 + late));
            // J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16, RFC 3550 6.4.1.
            let transit = late as f64 * 0.09;
            let d: f64 = before.replace(transit).map_or(0.0, |before: f64| (transit - before).abs());
            jitter += (d - jitter) / 16.0;
        }
        prop_assert!((reception.jitter as f64 / 16.0 - jitter).abs() < 2.0);
    }

    #[test]
    fn anything_at_all_is_survived(
        mut bytes in prop::collection::vec(any::<u8>(), 0..100),
        kinds in prop::collection::vec((0..25usize, 198..205u8, 0..8u8), 0..5),
    ) {
        for (word, kind, length) in kinds {
            if let Some(header) = bytes.get_mut(4 * word..4 * word + 4) {
                header.copy_from_slice(&[0x81, kind, 0, length]);
            }
        }
        prop_assert!(read(&bytes).count() <= bytes.len() / 4);
    }

    #[test]
    fn any_times_at_all_are_reported(
        rate in any::<u32>(),
        arrivals in prop::collection::vec((any::<u32>(), 0..1u64 << 40), 0..50),
        ntp in any::<u64>(),
    ) {
        let (now, mut reception) = (Instant::now(), Reception::new(rate));
        for (timestamp, ms) in arrivals {
            reception.arrive(timestamp, now + Duration::from_millis(ms));
        }
        reception.report(&SenderReport { ntp, ..REPORT }, now);
        let report = read_back(&reception.receiver_report(&IDENTITY, &lossy(), now).unwrap());
        prop_assert_eq!(report.last, (ntp >> 16) as u32);
        prop_assert!(report.jitter <= 1 << 31);
    }
}
