use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;

use crate::frame::{AudioCodec, AudioParams};
use crate::rtp::Packet;
use crate::rtp::audio::Audio;
use crate::rtp::audio::testing::{Writer, noise, open, packet};

/// An `AudioSpecificConfig` in hexadecimal: AAC-LC, 16 kHz, mono.
const CONFIG: &str = "1408";
const HBR: [(&str, &str); 5] = [
    ("mode", "AAC-hbr"),
    ("sizelength", "13"),
    ("indexlength", "3"),
    ("indexdeltalength", "3"),
    ("config", CONFIG),
];

fn hbr() -> Audio {
    open("mpeg4-generic", 16000, 1, &HBR).unwrap()
}

/// A payload of AAC-hbr: units of these sizes and index deltas, then the bytes of them.
fn payload(headers: &[(usize, u32)], data: &[u8]) -> Vec<u8> {
    let bits = Writer::default().put(16, headers.len() as u32 * 16);
    let bits =
        headers.iter().fold(bits, |bits, (size, delta)| bits.put(13, *size as u32).put(3, *delta));
    bits.put_all(data).bytes
}

fn single(unit: &[u8]) -> Vec<u8> {
    payload(&[(unit.len(), 0)], unit)
}

/// ADTS frames of AAC-LC, 48 kHz, stereo.
fn adts(units: &[&[u8]], crc: bool) -> Vec<u8> {
    let mut out = Writer::default();
    for unit in units {
        let len = if crc { 9 } else { 7 } + unit.len() as u32;
        out = out.put(12, 0xfff).put(3, 0).put(1, u32::from(!crc)).put(2, 1).put(4, 3).put(1, 0);
        out = out.put(3, 2).put(4, 0).put(13, len).put(11, 0x7ff).put(2, 0);
        out = out.put(if crc { 16 } else { 0 }, 0xaa55).put_all(unit);
    }
    out.bytes
}

#[test]
fn a_unit_in_a_packet_comes_out_with_its_parameters() {
    let mut audio = hbr();
    let at = Instant::now();
    audio.push(&packet(77, &single(&[1, 2, 3])), 0, at);
    audio.push(&packet(77 + 1024, &single(&[4])), 0, at);
    let sounds = audio.sounds();
    let [first, second] = &sounds[..] else { panic!("{sounds:?}") };
    assert_eq!((first.timestamp, first.received, &first.data[..]), (77, at, &[1, 2, 3][..]));
    let config = Bytes::from_static(&[0x14, 0x08]);
    let want = AudioParams { codec: AudioCodec::Aac, sample_rate: 16000, channels: 1, config };
    assert_eq!(*first.params, want);
    assert!(std::sync::Arc::ptr_eq(&first.params, &second.params));
    assert_eq!((audio.clock_rate(), audio.dropped()), (16000, 0));
}

#[test]
fn several_units_in_a_packet_are_as_far_apart_as_their_samples() {
    let headers = [(2, 0), (0, 0), (3, 0), (1, 0)];
    let payload = payload(&headers, &[1, 1, 2, 2, 2, 3]);
    // Samples in a unit: 1024 or, as the configuration says, 960.
    for (config, samples) in [(CONFIG, 1024), ("140C", 960)] {
        let mut audio = open("mpeg4-generic", 16000, 1, &[("config", config)]).unwrap();
        audio.take(u32::MAX, &payload);
        let want =
            [(u32::MAX, vec![1, 1]), (2 * samples - 1, vec![2, 2, 2]), (3 * samples - 1, vec![3])];
        assert_eq!(audio.drain(), want, "a unit of no bytes takes its time all the same");
    }
}

#[test]
fn units_of_sbr_count_twice_at_the_rate_it_plays_at() {
    // AAC-LC with SBR explicitly signalled: core 16 kHz, 32 kHz in all.
    let parameters = [("config", "2c0a8800")];
    let mut audio = open("mpeg4-generic", 32000, 1, &parameters).unwrap();
    let payload = payload(&[(1, 0), (1, 0)], &[1, 2]);
    audio.take(0, &payload);
    assert_eq!(audio.drain(), [], "the rate is not known yet");
    audio.take(4096, &payload);
    audio.take(8192, &payload);
    let times: Vec<u32> = audio.drain().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 2048, 4096, 6144, 8192, 10240]);
    assert_eq!(audio.clock_rate(), 32000);
}

#[test]
fn timestamps_in_the_rate_of_the_configuration_are_found_out() {
    for (step, rate) in [(1024, 16000), (512, 8000)] {
        let mut audio = open("mpeg4-generic", 8000, 1, &HBR).unwrap();
        for n in 0..3 {
            audio.take(n * step, &single(&[n as u8]));
        }
        let sounds = audio.sounds();
        assert_eq!(sounds.len(), 3, "none is lost while the rate is not known");
        assert_eq!(sounds[2].params.sample_rate, 16000, "the configuration is believed");
        assert_eq!((audio.clock_rate(), sounds[2].timestamp), (rate, 2 * step));
    }
}

#[test]
fn lbr_and_any_other_widths_are_read() {
    let lbr = [("mode", "aac-LBR"), ("config", CONFIG)];
    let mut audio = open("mpeg4-generic", 16000, 1, &lbr).unwrap();
    audio.take(0, &[0, 16, 2 << 2, 1 << 2, 7, 7, 8]);
    assert_eq!(audio.drain(), [(0, vec![7, 7]), (1024, vec![8])]);

    // Every field that a header may have, and an auxiliary section of 11 bits.
    let all = [
        ("config", CONFIG),
        ("sizelength", "\"20\""),
        ("indexlength", "32"),
        ("indexdeltalength", "1"),
        ("ctsdeltalength", "5"),
        ("dtsdeltalength", " 9 "),
        ("randomaccessindication", "1"),
        ("streamstateindication", "4"),
        ("auxiliarydatasizelength", "8"),
    ];
    let first = Writer::default().put(20, 2).put(32, 9).put(1, 0).put(1, 1).put(9, 3);
    let both = first.put(5, 0).put(20, 1).put(1, 0).put(1, 1).put(5, 1).put(1, 0).put(5, 0);
    let len = both.bits() as u32;
    let payload = Writer::default().put(16, len).put_all(&both.bytes);
    let payload = payload.put(8, 11).put_all(&[0xff, 0xff]).put_all(&[7, 7, 8]).bytes;
    let mut audio = open("mpeg4-generic", 16000, 1, &all).unwrap();
    audio.take(0, &payload);
    assert_eq!(audio.drain(), [(0, vec![7, 7]), (1024, vec![8])]);

    let none = [("config", CONFIG), ("sizelength", "0"), ("indexlength", "0")];
    let mut audio = open("mpeg4-generic", 16000, 1, &none).unwrap();
    audio.take(0, &[7, 7, 8]);
    assert_eq!(audio.drain(), [(0, vec![7, 7, 8])], "no headers: the packet is the unit");

    let absurd = [("config", CONFIG), ("sizelength", "99"), ("indexlength", "x")];
    let mut audio = open("mpeg4-generic", 16000, 1, &absurd).unwrap();
    audio.take(0, &single(&[5]));
    assert_eq!(audio.drain(), [(0, vec![5])], "widths that cannot be are those of AAC-hbr");
}

#[test]
fn a_length_of_headers_in_bytes_is_understood() {
    let mut audio = hbr();
    audio.take(0, &[0, 2, 0, 2 << 3, 7, 7]);
    audio.take(1024, &[0, 4, 0, 1 << 3, 0, 1 << 3, 8, 9]);
    assert_eq!(audio.drain(), [(0, vec![7, 7]), (1024, vec![8]), (2048, vec![9])]);
}

#[test]
fn bytes_behind_the_last_unit_are_ignored() {
    let mut audio = hbr();
    audio.take(0, &payload(&[(2, 0)], &[1, 2, 3]));
    assert_eq!((audio.drain(), audio.dropped()), (vec![(0, vec![1, 2])], 0));
}

#[test]
fn interleaved_units_come_in_order() {
    // Nine units in groups of three packets: 0 3 6, 1 4 7, 2 5 8, then the next nine.
    let mut audio = hbr();
    let mut given = Vec::new();
    for packet in 0..6u32 {
        let first = packet / 3 * 9 + packet % 3;
        let units = [first as u8, first as u8 + 3, first as u8 + 6];
        audio.take(first * 1024, &payload(&[(1, 0), (1, 2), (1, 2)], &units));
        given.extend(audio.drain());
    }
    let want: Vec<_> = (0..18).map(|n| (u32::from(n) * 1024, vec![n])).collect();
    assert_eq!(given, want);
}

#[test]
fn units_interleaved_over_a_loss_or_a_jump_are_bounded_and_all_come() {
    let mut audio = hbr();
    let mut given = Vec::new();
    for n in 0..40u32 {
        let base = if n < 20 { 1 << 30 } else { 0 };
        // A unit that would fill the gap never comes.
        audio.take(base + n * 3 * 1024, &payload(&[(1, 0), (1, 1)], &[n as u8, n as u8]));
        given.extend(audio.drain());
    }
    assert!(given.len() >= 78, "{}", given.len());
    let jumps = given.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    assert!(jumps <= 2, "{jumps}");

    let many: Vec<_> = (0..120).map(|_| (1, 7)).collect();
    let mut audio = hbr();
    audio.take(0, &payload(&many, &[1; 120]));
    assert!(audio.drain().len() >= 120 - 33);
}

#[test]
fn index_deltas_of_a_camera_that_does_not_interleave_are_ignored() {
    let mut audio = hbr();
    let mut given = Vec::new();
    for n in 0..6u32 {
        let first = n as u8 * 3;
        let units = [first, first + 1, first + 2];
        audio.take(n * 3 * 1024, &payload(&[(1, 0), (1, 1), (1, 2)], &units));
        given.extend(audio.drain());
    }
    let order: Vec<_> = given.iter().map(|(_, data)| data[0]).collect();
    assert_eq!(order, (0..18).collect::<Vec<_>>());
    assert!(given[3..].iter().all(|(at, data)| *at == u32::from(data[0]) * 1024));
}

#[test]
fn a_fragmented_unit_is_complete_when_its_size_came() {
    let unit = noise(1, 700);
    for markers in [[false; 4], [true; 4], [false, false, true, true]] {
        let mut audio = hbr();
        let parts = [&unit[..300], &unit[300..301], &unit[301..]];
        for (part, marker) in parts.iter().zip(markers) {
            let payload = payload(&[(700, 0)], part);
            audio.push(&Packet { marker, ..packet(9, &payload) }, 0, Instant::now());
        }
        let payload = single(&[5]);
        audio.push(&Packet { marker: markers[3], ..packet(1033, &payload) }, 0, Instant::now());
        assert_eq!(audio.drain(), [(9, unit.clone()), (1033, vec![5])], "{markers:?}");
        assert_eq!(audio.dropped(), 0);
    }
}

#[test]
fn the_rest_of_a_unit_may_come_without_headers_or_behind_others() {
    let unit = noise(2, 500);
    let mut audio = hbr();
    audio.take(0, &payload(&[(500, 0)], &unit[..200]));
    // The rest begins like no length of headers does: 0xffff.
    let mut rest = unit[200..].to_vec();
    rest[..2].copy_from_slice(&[0xff, 0xff]);
    audio.take(0, &rest);
    assert_eq!(audio.drain(), [(0, [&unit[..200], &rest].concat())]);

    audio.take(1024, &payload(&[(1, 0), (500, 0)], &[&[9], &unit[..200]].concat()));
    audio.take(2048, &payload(&[(500, 0), (1, 0)], &[&unit[200..], &[8]].concat()));
    assert_eq!(audio.drain(), [(1024, vec![9]), (2048, unit), (3072, vec![8])]);
    assert_eq!(audio.dropped(), 0);
}

#[test]
fn a_unit_with_a_lost_part_is_dropped_and_no_other() {
    let unit = noise(3, 300);
    let part = |range: std::ops::Range<usize>| payload(&[(300, 0)], &unit[range]);
    let mut audio = hbr();
    audio.take(0, &part(0..100));
    audio.push(&packet(0, &part(200..300)), 1, Instant::now());
    audio.take(1024, &single(&[5]));
    assert_eq!(audio.drain(), [(1024, vec![5])]);
    assert!(audio.dropped() > 0);

    // The loss is told by a packet of the next unit, then by one without payload.
    for lost in [single(&[6]), Vec::new()] {
        let mut audio = hbr();
        audio.take(0, &part(0..100));
        audio.push(&packet(0, &lost), 1, Instant::now());
        audio.take(0, &part(100..300));
        audio.take(1024, &single(&[7]));
        assert!(audio.drain().iter().all(|(_, data)| data.len() == 1));
        assert!(audio.dropped() > 0);
    }

    // No packet is lost, and yet the rest of the unit never comes.
    let mut audio = hbr();
    audio.take(0, &part(0..100));
    audio.take(1024, &single(&[8]));
    assert_eq!((audio.drain(), audio.dropped()), (vec![(1024, vec![8])], 1));
}

#[test]
fn parts_of_different_units_are_never_joined() {
    let unit = noise(8, 300);
    let mut audio = open("mpeg4-generic", 48000, 2, &[("config", "1190")]).unwrap();
    // The rest of the unit is shorter than its size, and yet another unit is to follow.
    audio.take(0, &payload(&[(300, 0)], &unit[..100]));
    audio.take(0, &payload(&[(300, 0), (5, 0)], &unit[100..200]));
    audio.take(0, &payload(&[(5, 0)], &[1, 2, 3, 4, 5]));
    assert_eq!((audio.drain(), audio.dropped()), (vec![(0, vec![1, 2, 3, 4, 5])], 1));

    // A unit of one ADTS frame and a half, before another one.
    let frames = adts(&[&[1, 2], &unit], false);
    let cut = &frames[..100];
    audio.take(1024, &payload(&[(cut.len(), 0), (3, 0)], &[cut, &[7, 8, 9]].concat()));
    assert_eq!(audio.drain(), [(1024, vec![1, 2]), (2048, vec![7, 8, 9])]);
    assert_eq!(audio.dropped(), 2);
}

#[test]
fn what_contradicts_itself_is_dropped_and_counted() {
    let mut audio = hbr();
    for bad in [
        &[1][..],
        &[0, 0, 1, 2],
        &[0, 16, 1],
        &[0x20, 0, 1, 2, 3],
        // Too large a first unit before another one.
        &[0, 32, 0, 80, 0, 8, 1, 2],
    ] {
        let before = audio.dropped();
        audio.take(0, bad);
        assert_eq!((audio.drain(), audio.dropped()), (vec![], before + 1), "{bad:x?}");
    }
    audio.take(0, &[]);
    audio.take(1024, &single(&[8]));
    assert_eq!((audio.drain(), audio.dropped()), (vec![(1024, vec![8])], 5));
}

#[test]
fn more_units_than_a_packet_can_reasonably_have_are_dropped() {
    let mut audio = hbr();
    audio.take(0, &payload(&[(1, 0); 1000], &[1; 1000]));
    assert_eq!((audio.drain().len(), audio.dropped()), (128, 1));
}

#[test]
fn a_unit_of_impossible_size_takes_no_memory() {
    let wide = [("config", CONFIG), ("sizelength", "32"), ("indexlength", "0")];
    let mut audio = open("mpeg4-generic", 16000, 1, &wide).unwrap();
    audio.take(0, &[0, 32, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
    assert_eq!((audio.drain(), audio.dropped()), (vec![], 1));
}

#[test]
fn what_nobody_takes_is_bounded() {
    let mut audio = hbr();
    (0..1000).for_each(|n| audio.take(n * 1024, &single(&[1])));
    assert_eq!(audio.dropped(), 1000 - 256);
    assert_eq!(audio.drain().first(), Some(&(744 * 1024, vec![1])), "the newest are kept");
    let mut audio = hbr();
    (0..255).for_each(|n| audio.take(n * 1024, &single(&noise(1, 8191))));
    assert_eq!(audio.dropped(), 255 - 128, "a mebibyte is kept");
    assert_eq!(audio.drain().len(), 128);
}

#[test]
fn adts_frames_in_place_of_headers_are_unpacked() {
    let (a, b) = (noise(4, 20), noise(5, 9));
    let config = [("config", "1190")];
    for crc in [false, true] {
        let frames = adts(&[&a, &b], crc);
        let one = adts(&[&b], crc);
        let two = [adts(&[&a[..9]], crc), one.clone()].concat();
        for (payload, first) in [
            (frames.clone(), &a[..]),
            ([&[0, 0][..], &frames].concat(), &a),
            (payload(&[(frames.len(), 0)], &frames), &a),
            (payload(&[(one.len(), 0); 2], &two), &a[..9]),
        ] {
            let mut audio = open("mpeg4-generic", 48000, 2, &config).unwrap();
            audio.take(0, &payload);
            assert_eq!(audio.drain(), [(0, first.to_vec()), (1024, b.clone())]);
            assert_eq!(audio.dropped(), 0);
        }
    }
}

#[test]
fn adts_frames_may_be_fragmented() {
    let (a, b) = (noise(6, 900), noise(7, 5));
    let frames = adts(&[&a, &b], false);
    let mut audio = open("mpeg4-generic", 48000, 2, &[("config", "1190")]).unwrap();
    audio.take(0, &frames[..400]);
    audio.take(0, &frames[400..]);
    let (first, second) = frames.split_at(907);
    audio.take(4096, &payload(&[(907, 0)], &first[..400]));
    audio.take(4096, &payload(&[(907, 0)], &first[400..]));
    audio.take(5120, second);
    let want = [(0, a.clone()), (1024, b.clone()), (4096, a), (5120, b)];
    assert_eq!((audio.drain(), audio.dropped()), (want.to_vec(), 0));
}

#[test]
fn an_adts_header_is_believed_where_no_configuration_was_given() {
    let mut audio = open("mpeg4-generic", 48000, 0, &[]).unwrap();
    audio.take(0, &adts(&[&[1, 2]], false));
    let sounds = audio.sounds();
    assert_eq!((sounds[0].params.channels, &sounds[0].params.config[..]), (2, &[0x11, 0x90][..]));

    // A configuration whose core says the same as the header is kept, with its SBR.
    let mut audio = open("mpeg4-generic", 48000, 2, &[("config", "2991880000")]).unwrap();
    audio.take(0, &adts(&[&[1, 2]], false));
    assert_eq!(audio.sounds()[0].params.config.len(), 5);
}

#[test]
fn a_frame_of_several_units_is_dropped() {
    let mut frame = adts(&[&[1, 2, 3]], false);
    frame[6] |= 1;
    let mut audio = hbr();
    audio.take(0, &frame);
    assert_eq!((audio.drain(), audio.dropped()), (vec![], 1));
}

proptest! {
    #[test]
    fn every_split_of_units_into_fragments_gives_the_same_units(
        sizes in prop::collection::vec(1usize..400, 1..8),
        cuts in prop::collection::vec(1usize..120, 1..8),
        markers in any::<u64>(),
    ) {
        let mut audio = hbr();
        let mut want = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        for (n, size) in (0u32..).zip(sizes) {
            let unit = noise(n as u8, size);
            let mut rest = &unit[..];
            while !rest.is_empty() {
                let (part, tail) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                let payload = payload(&[(size, 0)], part);
                let marker = markers >> (rest.len() % 64) & 1 == 1;
                audio.push(&Packet { marker, ..packet(n * 1024, &payload) }, 0, Instant::now());
                rest = tail;
            }
            want.push((n * 1024, unit));
        }
        prop_assert_eq!(audio.drain(), want);
        prop_assert_eq!(audio.dropped(), 0);
    }

    #[test]
    fn every_grouping_of_units_into_packets_gives_the_same_units(
        sizes in prop::collection::vec(0usize..50, 1..40),
        group in 1usize..12,
    ) {
        let units: Vec<_> = (0..).zip(sizes).map(|(n, size)| noise(n, size)).collect();
        let mut audio = hbr();
        for (at, group) in (0u32..).step_by(group).zip(units.chunks(group)) {
            let headers: Vec<_> = group.iter().map(|unit| (unit.len(), 0)).collect();
            audio.take(at * 1024, &payload(&headers, &group.concat()));
        }
        let want: Vec<_> = (0u32..)
            .map(|n| n * 1024)
            .zip(units)
            .filter(|(_, unit)| !unit.is_empty())
            .collect();
        prop_assert_eq!(audio.drain(), want);
    }

    #[test]
    fn interleaving_by_any_depth_is_undone(depth in 1u32..=8, count in 1u32..=4, groups in 1u32..4) {
        let mut audio = hbr();
        let mut given = Vec::new();
        for at in 0..groups * depth {
            let first = at / depth * depth * count + at % depth;
            let units: Vec<u8> = (0..count).map(|n| (first + n * depth) as u8).collect();
            let headers: Vec<_> =
                (0..count).map(|n| (1, if n == 0 { 0 } else { depth - 1 })).collect();
            audio.take(first * 1024, &payload(&headers, &units));
            given.extend(audio.drain().into_iter().map(|(at, data)| (at, data[0])));
        }
        let want: Vec<_> =
            (0..groups * depth * count).map(|n| (n * 1024, n as u8)).collect();
        prop_assert_eq!(given, want);
    }
}
