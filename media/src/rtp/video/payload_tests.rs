//! Tests of how NAL units travel in payloads.

use bytes::Bytes;
use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::flv::{Demuxer, file};
use crate::frame::Track;
use VideoCodec::{H264, H265};

/// A key picture and one more, from fragments changed by `bend`, with right markers.
fn bent(bend: impl Fn(usize, usize, &mut Vec<u8>)) -> Vec<(u32, bool, Vec<u8>)> {
    let mut stream = Stream::known();
    for (time, nal) in [(0, idr(&[7; 100])), (3600, p(&[8; 100]))] {
        let packets = fragments(H264, &nal, 30);
        let count = packets.len();
        for (n, mut packet) in packets.into_iter().enumerate() {
            bend(n, count, &mut packet);
            stream.send(time, n + 1 == count, &packet);
        }
    }
    stream.end().take()
}

fn straight() -> Vec<(u32, bool, Vec<u8>)> {
    vec![(0, true, data(&[&idr(&[7; 100])])), (3600, false, data(&[&p(&[8; 100])]))]
}

#[test]
fn a_fragmented_unit_is_complete_whatever_its_end_bits_say() {
    assert_eq!(bent(|_, _, _| {}), straight());
    assert_eq!(bent(|_, _, packet| packet[1] &= !0x40), straight(), "never");
    assert_eq!(bent(|_, _, packet| packet[1] |= 0x40), straight(), "on each fragment");
    assert_eq!(bent(|n, _, packet| packet[1] |= u8::from(n == 1) << 6), straight(), "early");
}

#[test]
fn a_start_bit_on_every_fragment_begins_nothing() {
    let mut stream = Stream::known();
    for n in 0..6u8 {
        let nal = if n % 2 == 0 { idr(&[n + 4; 100]) } else { p(&[n + 4; 100]) };
        for (at, mut packet) in fragments(H264, &nal, 30).into_iter().enumerate() {
            packet[1] |= 0x80;
            stream.send(u32::from(n) * 3600, at == 3, &packet);
        }
    }
    let times: Vec<_> = stream.end().take().into_iter().map(|(time, ..)| time / 3600).collect();
    assert_eq!(times, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_camera_that_never_sets_the_start_bit_is_understood_after_its_first_picture() {
    let mut stream = Stream::known();
    for n in 0..6 {
        let nal = if n % 2 == 0 { idr(&[n; 100]) } else { p(&[n; 100]) };
        for (at, mut packet) in fragments(H264, &nal, 30).into_iter().enumerate() {
            packet[1] &= !0x80;
            stream.send(u32::from(n) * 3600, at == 3, &packet);
        }
    }
    let times: Vec<_> = stream.end().take().into_iter().map(|(time, ..)| time / 3600).collect();
    assert_eq!(times, [2, 3, 4, 5], "after the next key picture");
}

#[test]
fn parameter_sets_before_fragments_without_a_start_bit_do_not_hide_the_start() {
    let mut stream = Stream::new(H264);
    stream.send(0, false, SPS).send(0, false, PPS);
    for mut packet in fragments(H264, &idr(&[7; 100]), 30) {
        packet[1] &= !0x80;
        stream.send(0, false, &packet);
    }
    assert_eq!(stream.end().take(), straight()[..1]);
}

#[test]
fn a_join_in_the_middle_of_a_picture_gives_nothing_before_the_next_key() {
    let mut stream = Stream::known();
    let packets = fragments(H264, &idr(&[7; 100]), 30);
    for packet in &packets[1..] {
        stream.send(0, false, packet);
    }
    stream.send(3600, true, &p(b"no")).send(7200, true, &idr(b"yes")).send(7300, true, &p(b"too"));
    let want = [(7200, true, data(&[&idr(b"yes")])), (7300, false, data(&[&p(b"too")]))];
    assert_eq!(stream.end().take(), want);
    assert_eq!(stream.video.dropped(), 2);
}

#[test]
fn empty_and_hostile_fragments_are_ignored() {
    let mut stream = Stream::known();
    let packets = fragments(H264, &idr(&[7; 100]), 30);
    for packet in &packets {
        stream.send(0, false, packet);
        for hostile in [&b"\x7c\x05"[..], b"\x7c", b"\x7c\x98x", b"\x7c\x1cx", b"\x7c\x00x", b""] {
            stream.send(0, false, hostile);
        }
    }
    let small = p(b"small");
    let whole = [&[small[0] & 0xe0 | 28, 0xc0 | small[0] & 31], &small[1..]].concat();
    stream.send(3600, true, &whole).send(3600, true, b"\x7a\0\x01");
    assert_eq!(
        stream.end().take(),
        [(0, true, data(&[&idr(&[7; 100])])), (3600, false, data(&[&small]))]
    );
}

#[test]
fn of_a_cut_aggregate_what_is_whole_is_taken() {
    let mut packet = aggregate(H264, &[SPS, b"", PPS, &idr(b"key"), &p(b"cut")]);
    packet.pop();
    let mut stream = Stream::new(H264);
    stream.send(0, true, &packet).end();
    assert_eq!(stream.take(), [(0, true, data(&[&idr(b"key")]))]);
}

#[test]
fn byte_streams_inside_payloads_are_split() {
    let key = idr(&[7; 100]);
    let nals: [&[u8]; 4] = [AUD, SPS, PPS, &key];
    let want = [(0, true, data(&[&key]))];
    let whole = glued(&nals);
    let as_fragments = fragments(H264, &whole[4..], 7);
    let inner = fragments(H264, &[&[0x65][..], &whole].concat(), 50);
    let singles = nals.map(|nal| glued(&[nal]));
    let ways: [&[Vec<u8>]; 5] =
        [std::slice::from_ref(&whole), &[whole[4..].to_vec()], &as_fragments, &inner, &singles];
    for (n, packets) in ways.into_iter().enumerate() {
        let mut stream = Stream::new(H264);
        for packet in packets {
            stream.send(0, false, packet);
        }
        assert_eq!(stream.end().take(), want, "way {n}");
    }
    let mut stream = Stream::new(H264);
    stream.send(0, false, &aggregate(H264, &[&singles[1], &singles[2], &singles[3]])).end();
    assert_eq!(stream.take(), want);
}

#[test]
fn glued_slices_are_found_for_good_if_they_come_early() {
    let (one, two) = (p(b"one"), slice(0x41, 4, P, b"two"));
    for early in [true, false] {
        let mut stream = Stream::known();
        stream.send(0, true, &idr(b"key"));
        for n in 1..100 {
            let together = [&one[..], &[0, 0, 1], &two].concat();
            let glued = early || n > 60;
            stream.send(n * 3600, true, if glued { &together } else { &one });
        }
        let last = stream.end().take().pop().unwrap().2;
        let found = data(&[&one, &two]);
        // Slices are not searched for ever.
        assert_eq!(last == found, early);
    }
}

#[test]
fn decoding_order_numbers_are_left_out() {
    let (key, other) = (hevc(19, true, &[7; 100]), hevc(1, true, b"other"));
    let mut stream = Stream::new(H265);
    stream.video.with_don(true);
    let mut sets = vec![48 << 1, 1, 0, 1];
    for (n, nal) in [HEVC_VPS, HEVC_SPS, HEVC_PPS].into_iter().enumerate() {
        sets.extend_from_slice(if n > 0 { &[0] } else { &[] });
        sets.extend((nal.len() as u16).to_be_bytes());
        sets.extend(nal);
    }
    stream.send(0, false, &sets);
    for (n, mut packet) in fragments(H265, &key, 40).into_iter().enumerate() {
        if n == 0 {
            packet.splice(3..3, [0, 2]);
        }
        stream.send(0, false, &packet);
    }
    let single = [&other[..2], &[0, 3], &other[2..]].concat();
    stream.send(3600, true, &single).end();
    assert_eq!(stream.take(), [(0, true, data(&[&key])), (3600, false, data(&[&other]))]);
}

/// Checks that the pictures of a clip come out of packets of 1400 bytes as they were.
fn clip(bytes: &'static [u8], describe: bool, marked: bool) {
    let (mut demuxer, now) = (Demuxer::new(), Instant::now());
    let frames: Vec<_> = file::tags(Bytes::from_static(bytes))
        .unwrap()
        .filter_map(|tag| demuxer.push(&tag.unwrap(), now).unwrap())
        .filter(|frame| frame.is_video())
        .collect();
    let Track::Video(ref params) = frames[0].track else { panic!("a picture") };
    let mut stream = Stream::new(params.codec);
    for frame in &frames {
        let sets = if frame.key { record_sets(params) } else { Vec::new() };
        if describe {
            sets.iter().for_each(|nal| assert!(stream.video.sets.store(nal).is_some()));
        }
        let units = units_of(&frame.data);
        let nals = sets.iter().map(Vec::as_slice).filter(|_| !describe).chain(units);
        let packets: Vec<_> = nals.flat_map(|nal| fragments(params.codec, nal, 1400)).collect();
        let count = packets.len();
        for (n, packet) in packets.into_iter().enumerate() {
            stream.send(frame.pts as u32, marked && n + 1 == count, &packet);
        }
    }
    stream.end();
    assert_eq!(stream.pictures.len(), frames.len());
    for (picture, frame) in stream.pictures.iter().zip(&frames) {
        assert!(picture.data == frame.data && picture.key == frame.key && !picture.leading);
        assert_eq!(i64::from(picture.timestamp), frame.pts);
        assert_eq!(picture.params.dimensions, params.dimensions);
        assert_eq!(record_sets(&picture.params), record_sets(params));
    }
}

#[test]
fn pictures_of_encoders_come_out_as_they_went_in() {
    let clips: [&[u8]; 3] = [
        include_bytes!("../../../../tests/fixtures/hevc.flv"),
        include_bytes!("../../../../tests/fixtures/h264_bframes.flv"),
        include_bytes!("../../../clips/sub.flv"),
    ];
    for bytes in clips {
        for describe in [true, false] {
            for marked in [true, false] {
                clip(bytes, describe, marked);
            }
        }
    }
}

#[test]
fn sets_are_described_leniently() {
    let ways = [
        SETS,
        "Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,aOvDyyLA;",
        " Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ , aOvDyyLA==,,!,AAAA",
        "AAAAAWdkAAysswKDPz4CIAAAAwAgAAAGQeKFSQ==,Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,AAAAAWjrw8siwAAA",
    ];
    for way in ways {
        let mut stream = Stream::new(H264);
        stream.video.describe(way);
        assert!(stream.video.has_parameter_sets(), "{way}");
        stream.send(0, true, &idr(b"key")).end();
        assert_eq!(stream.pictures[0].params.dimensions, (320, 180));
    }
    let mut video = Video::new(H264);
    video.describe("Z2QA,aOvDyyLA");
    assert!(!video.has_parameter_sets());
}

const AUD_OF: [&[u8]; 2] = [AUD, b"\x46\x01\x50"];

#[derive(Clone, Debug)]
enum Way {
    Single,
    Fragments(usize),
    Aggregate,
    Glued,
}

fn ways() -> impl Strategy<Value = Vec<(Way, u32)>> {
    let way = prop_oneof![
        Just(Way::Single),
        (1..50usize).prop_map(Way::Fragments),
        Just(Way::Aggregate),
        Just(Way::Glued),
    ];
    prop::collection::vec((way, any::<u32>()), 30)
}

/// Pictures as lists of NAL units.
fn units(codec: VideoCodec, tails: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let unit = |n: usize, tail: &Vec<u8>| {
        let key = n.is_multiple_of(7);
        match codec {
            H264 => {
                let (header, kind) = if key { (0x65, I) } else { (0x41, P) };
                let sets = if key { vec![SPS.to_vec(), PPS.to_vec()] } else { vec![] };
                let slices = [slice(header, 0, kind, tail), slice(header, 7, kind, tail)];
                let slices = slices[..1 + tail.len() % 2].to_vec();
                [vec![AUD.to_vec()], sets, vec![SEI.to_vec()], slices, vec![FILLER.to_vec()]]
                    .concat()
            }
            H265 => {
                let kind = if key { 21 } else { 1 };
                let sets = [HEVC_VPS, HEVC_SPS, HEVC_PPS].map(<[u8]>::to_vec);
                let sets = if key { sets.to_vec() } else { vec![] };
                let slices = [hevc(kind, true, tail), hevc(kind, false, tail)];
                let slices = slices[..1 + tail.len() % 2].to_vec();
                [vec![AUD_OF[1].to_vec()], sets, slices].concat()
            }
        }
    };
    tails.iter().enumerate().map(|(n, tail)| unit(n, tail)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_to_send_the_same_units_gives_the_same_pictures(
        ways in ways(),
        tails in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 1..90), 30),
        marked in any::<bool>(),
    ) {
        let tails: Vec<Vec<u8>> = tails.into_iter().map(|tail| [&tail[..], b"\x80"].concat()).collect();
        for codec in [H264, H265] {
            let mut stream = Stream::new(codec);
            let mut want = Vec::new();
            for (n, ((way, markers), unit)) in ways.iter().zip(units(codec, &tails)).enumerate() {
                let nals: Vec<&[u8]> = unit.iter().map(Vec::as_slice).collect();
                let packets: Vec<Vec<u8>> = match way {
                    Way::Single => unit.clone(),
                    Way::Fragments(size) => {
                        nals.iter().flat_map(|nal| fragments(codec, nal, *size)).collect()
                    }
                    Way::Aggregate => vec![aggregate(codec, &nals)],
                    Way::Glued => vec![glued(&nals)],
                };
                let count = packets.len();
                for (at, packet) in packets.into_iter().enumerate() {
                    // Right markers, or markers anywhere until one is believed.
                    let marker = if marked { at + 1 == count } else { markers >> (at % 32) & 1 == 1 };
                    stream.send(n as u32 * 3600, marker && (marked || n < 8), &packet);
                }
                let kept = nals.into_iter().filter(|nal| match codec {
                    H264 => matches!(nal[0] & 31, 1 | 5 | 6),
                    H265 => nal[0] >> 1 < 32,
                });
                want.push((n as u32 * 3600, n % 7 == 0, data(&kept.collect::<Vec<_>>())));
            }
            prop_assert_eq!(stream.end().take(), want);
            prop_assert_eq!(stream.video.dropped(), 0);
        }
    }

    #[test]
    fn after_a_loss_anywhere_only_whole_pictures_are_given(
        tails in prop::collection::vec(prop::collection::vec(1u8.., 1..90), 30),
        size in 1..60usize,
        lost in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        marked in any::<bool>(),
    ) {
        for codec in [H264, H265] {
            let (mut packets, mut whole) = (Vec::new(), Vec::new());
            for (n, unit) in units(codec, &tails).into_iter().enumerate() {
                let pieces: Vec<_> =
                    unit.iter().flat_map(|nal| fragments(codec, nal, size)).collect();
                let count = pieces.len();
                packets.extend(pieces.into_iter().enumerate().map(|(at, piece)| {
                    (n as u32 * 3600, marked && at + 1 == count, piece)
                }));
                let kept: Vec<&[u8]> = unit.iter().map(Vec::as_slice).filter(|nal| match codec {
                    H264 => matches!(nal[0] & 31, 1 | 5 | 6),
                    H265 => nal[0] >> 1 < 32,
                }).collect();
                whole.push((data(&kept), kept.last().unwrap().to_vec()));
            }
            let lost: Vec<usize> = lost.iter().map(|index| index.index(packets.len())).collect();
            let mut stream = Stream::new(codec);
            let mut missing = 0;
            for (n, (time, marker, packet)) in packets.iter().enumerate() {
                if lost.contains(&n) {
                    missing += 1;
                } else {
                    stream.after_loss(missing, *time, *marker, packet);
                    missing = 0;
                }
            }
            stream.after_loss(missing, 108_000, false, AUD_OF[usize::from(codec == H265)]);
            let given = stream.end().take();
            let damaged: Vec<usize> =
                lost.iter().map(|at| packets[*at].0 as usize / 3600).collect();
            for n in 0..whole.len() {
                // A loss may cost what is right before and behind it, too.
                let needed = (n - n % 7).saturating_sub(1)..=n + 1;
                let intact = damaged.iter().all(|n| !needed.contains(n));
                let is_given = given.iter().any(|(time, ..)| *time as usize == n * 3600);
                prop_assert!(is_given || !intact, "picture {} is whole", n);
            }
            let mut last: Option<u32> = None;
            for (time, key, data) in given {
                let n = time / 3600;
                prop_assert!(key || last == Some(n - 1), "a picture that refers to a lost one");
                // Information before the slices may have been lost without a trace.
                prop_assert!(whole[n as usize].0.ends_with(&data));
                prop_assert!(data.ends_with(&whole[n as usize].1));
                last = Some(n);
            }
        }
    }

    #[test]
    fn anything_at_all_is_survived_in_bounded_memory(
        packets in prop::collection::vec((any::<bool>(), 0..3u32, 0..8u32, hostile()), 0..200),
        hevc in any::<bool>(),
        don in any::<bool>(),
    ) {
        let mut stream = Stream::new(if hevc { H265 } else { H264 });
        stream.video.with_don(don);
        let mut sent = 0;
        for (marker, lost, time, payload) in packets {
            stream.after_loss(lost.saturating_sub(1), time, marker, &payload);
            if time == 0 {
                stream.wait(Duration::from_millis(9));
            }
            sent += payload.len();
            prop_assert!(stream.video.unit.data.len() <= 6 * sent + 64);
            prop_assert!(stream.video.unit.data.capacity() <= 16 * sent + 256);
            stream.pictures.clear();
        }
    }

    #[test]
    fn any_description_is_survived(text in "[A-Za-z0-9+/=,;]{0,300}") {
        for codec in [H264, H265] {
            Video::new(codec).describe(&text);
        }
    }
}

/// Noise that begins like payloads.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<Vec<u8>> = vec![
        SPS.to_vec(),
        PPS.to_vec(),
        idr(b""),
        p(b""),
        slice(0x41, 3, P, b""),
        recovery(0),
        AUD.to_vec(),
        b"\x7c\x85\x88".to_vec(),
        b"\x7c\x05".to_vec(),
        b"\x7c\x45".to_vec(),
        b"\x78\0\x03\x65\x88\x84".to_vec(),
        b"\0\0\0\x01".to_vec(),
        HEVC_VPS.to_vec(),
        HEVC_SPS.to_vec(),
        HEVC_PPS.to_vec(),
        hevc(19, true, b""),
        hevc(9, false, b""),
        b"\x62\x01\x93".to_vec(),
        b"\x62\x01\x13".to_vec(),
        b"\x60\x01\0\x03".to_vec(),
        b"".to_vec(),
    ];
    let byte = prop_oneof![3 => Just(0u8), 2 => Just(1), 1 => Just(3), 3 => any::<u8>()];
    (prop::sample::select(heads), prop::collection::vec(byte, 0..80))
        .prop_map(|(head, tail)| [head, tail].concat())
}
