//! Tests of which pictures are given, and with which parameters.

use std::sync::Arc;

use super::testing::*;
use super::*;
use crate::frame::VideoParams;
use VideoCodec::{H264, H265};
use h264_reader::avcc::AvcDecoderConfigurationRecord;

/// Timestamp of each picture, whether it is a key, and whether it is leading.
fn given(stream: &mut Stream) -> Vec<(u32, bool, bool)> {
    stream.end();
    let pictures = stream.pictures.drain(..);
    pictures.map(|picture| (picture.timestamp, picture.key, picture.leading)).collect()
}

/// The parameter sets of a record.
fn sets(params: &VideoParams) -> Vec<u8> {
    let sets = record_sets(params);
    glued(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn hevc_stream() -> Stream {
    let mut stream = Stream::new(H265);
    stream.send(0, false, &aggregate(H265, &[HEVC_VPS, HEVC_SPS, HEVC_PPS]));
    stream
}

#[test]
fn pictures_of_unknown_parameters_are_dropped_and_counted() {
    let mut stream = Stream::new(H264);
    stream.send(0, true, &idr(b"a")).send(1, true, &p(b"b"));
    stream.send(2, false, SPS).send(2, false, PPS).send(2, true, &p(b"c"));
    stream.send(3, true, &idr(b"d")).send(4, true, &p(b"e"));
    assert_eq!(given(&mut stream), [(3, true, false), (4, false, false)]);
    assert_eq!(stream.video.dropped(), 3);
    assert_eq!(stream.video.reorder_depth(), Some(0));
}

#[test]
fn a_slice_of_an_unknown_parameter_set_is_no_part_of_a_picture() {
    let mut stream = Stream::known();
    stream.send(0, true, &pps_slice(0x65, 0, I, 3, b"a")).send(1, true, &idr(b"b"));
    assert_eq!(given(&mut stream), [(1, true, false)]);
}

#[test]
fn described_streams_begin_before_their_first_key_picture() {
    let mut stream = Stream::known();
    stream.send(0, true, &p(b"a")).send(1, true, &idr(b"b"));
    assert_eq!(given(&mut stream), [(0, false, false), (1, true, false)]);
}

#[test]
fn after_a_loss_nothing_is_given_before_the_next_key_picture() {
    let mut stream = Stream::known();
    stream.prove();
    stream.after_loss(1, 90_000, true, &p(b"a")).send(90_001, true, &p(b"b"));
    stream.send(90_002, true, &idr(b"c")).send(90_003, true, &p(b"d"));
    assert_eq!(given(&mut stream), [(90_002, true, false), (90_003, false, false)]);
    assert_eq!(stream.video.dropped(), 3);
}

#[test]
fn all_parameter_sets_are_in_the_record_and_repeated_ones_change_nothing() {
    let second = pps(1, 0, b"");
    let mut stream = Stream::known();
    for n in 0..10 {
        stream.send(n, false, SPS).send(n, false, PPS).send(n, false, &second);
        stream.send(n, true, &idr(b"key"));
    }
    stream.end();
    let first = stream.pictures[0].params.clone();
    assert_eq!(sets(&first), glued(&[SPS, PPS, &second]));
    assert!(stream.pictures.iter().all(|picture| Arc::ptr_eq(&picture.params, &first)));
    assert_eq!((first.dimensions, first.frame_rate), ((320, 180), Some((50, 2))));
    assert_eq!(first.record[..6], [1, 0x64, 0, 0x0c, 0xff, 0xe1]);
}

#[test]
fn the_sps_in_use_comes_first_and_gives_the_size() {
    let (other, of_other) = (sps(3, 40, false), pps(1, 3, b""));
    let mut stream = Stream::known();
    stream.send(0, false, &other).send(0, false, &of_other);
    stream.send(0, true, &pps_slice(0x65, 0, I, 1, b"a")).send(1, true, &idr(b"b")).end();
    let [a, b] = [0, 1].map(|n| stream.pictures[n].params.clone());
    assert_eq!(sets(&a), glued(&[&other, SPS, PPS, &of_other]));
    assert_eq!(sets(&b), glued(&[SPS, &other, PPS, &of_other]));
    assert_eq!((a.dimensions, b.dimensions), ((640, 288), (320, 180)));
    assert_eq!(a.record[1..4], other[1..4]);
}

#[test]
fn changed_parameters_come_into_force_with_a_key_picture() {
    let (other, changed) = (sps(0, 40, false), pps(0, 0, b"x"));
    let mut stream = Stream::known();
    stream.send(0, true, &idr(b"a")).send(1, true, &p(b"b"));
    stream.send(2, false, &other).send(2, false, &changed).send(2, true, &idr(b"c"));
    // A picture that uses a changed set cannot be decoded with the old record.
    stream.send(3, false, PPS).send(3, true, &p(b"d")).send(4, true, &p(b"e"));
    stream.send(5, true, &idr(b"f")).end();
    let seen: Vec<_> = stream
        .pictures
        .iter()
        .map(|p| (p.timestamp, p.params.dimensions, sets(&p.params)))
        .collect();
    let want = [
        (0, (320, 180), glued(&[SPS, PPS])),
        (1, (320, 180), glued(&[SPS, PPS])),
        (2, (640, 288), glued(&[&other, &changed])),
        (5, (640, 288), glued(&[&other, PPS])),
    ];
    assert_eq!(seen, want);
    assert_eq!(stream.video.dropped(), 2);
}

#[test]
fn a_new_set_that_is_not_used_costs_no_picture() {
    let mut stream = Stream::known();
    stream.send(0, true, &idr(b"a")).send(1, false, &pps(9, 0, b"")).send(1, true, &p(b"b"));
    assert_eq!(given(&mut stream).len(), 2);
    stream.send(2, true, &pps_slice(0x41, 0, P, 9, b"c"));
    assert_eq!(given(&mut stream).len(), 0);
}

#[test]
fn sets_that_cannot_be_read_are_no_sets() {
    let mut stream = Stream::known();
    let long = [SPS, &[7; 5000]].concat();
    for bad in [&b"\x67\x64\0\x0c"[..], b"\xe7\x64\0\x0c\xac", b"\x68\x01", &long] {
        stream.send(0, false, bad);
    }
    stream.send(0, true, &idr(b"a")).end();
    assert_eq!(sets(&stream.pictures[0].params), glued(&[SPS, PPS]));
}

#[test]
fn sets_are_bounded_and_the_oldest_goes() {
    let mut stream = Stream::known();
    for id in 0..200 {
        stream.send(0, false, &pps(id, 0, b"")).send(0, false, &sps(id % 32, 20, false));
    }
    stream.send(0, false, SPS).send(0, true, &pps_slice(0x65, 0, I, 199, b"a")).end();
    let params = stream.pictures[0].params.clone();
    assert_eq!(params.record[5], 0xe0 | 31, "the count has 5 bits");
    let record = AvcDecoderConfigurationRecord::try_from(&params.record[..]).unwrap();
    assert_eq!(record.picture_parameter_sets().count(), 64);
    for id in 0..200 {
        stream.send(0, false, &pps(id, 0, &[1; 3000]));
    }
    stream.send(0, false, SPS).send(1, true, &pps_slice(0x65, 0, I, 199, b"b"));
    stream.send(2, true, &pps_slice(0x65, 0, I, 100, b"forgotten")).end();
    assert_eq!(stream.pictures.len(), 2);
    assert!((60_000..70_000).contains(&stream.pictures[1].params.record.len()));
}

#[test]
fn hevc_records_hold_what_the_sps_says() {
    let mut stream = hevc_stream();
    stream.send(0, true, &hevc(19, true, b"a")).end();
    let params = &stream.pictures[0].params;
    let mut head = vec![1];
    head.extend([1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60]);
    head.extend([0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3]);
    assert_eq!(params.record[..23], head);
    assert_eq!(params.record[23..28], [0xa0, 0, 1, 0, HEVC_VPS.len() as u8]);
    assert_eq!(sets(params), glued(&[HEVC_VPS, HEVC_SPS, HEVC_PPS]));
    assert_eq!(params.dimensions, (320, 180));
    assert_eq!(stream.video.reorder_depth(), Some(0));
}

#[test]
fn the_rate_of_hevc_is_that_of_the_sps_and_else_that_of_the_vps() {
    // 25 pictures per second; the SPS without its last part, and with 31.
    let timed = b"\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\x97\x03\0\0\
                  \x03\0\x01\0\0\x03\0\x19\x50";
    let cut = &HEVC_SPS[..33];
    let [start @ .., _, last] = HEVC_SPS else { unreachable!() };
    let faster = [start, &[0x0f, *last]].concat();
    for (vps, sps, rate) in [
        (&timed[..], cut, Some((25, 1))),
        (timed, &faster, Some((31, 1))),
        (HEVC_VPS, &faster, Some((31, 1))),
        (HEVC_VPS, HEVC_SPS, Some((25, 1))),
        (HEVC_VPS, cut, None),
    ] {
        let mut stream = Stream::new(H265);
        stream.send(0, false, &aggregate(H265, &[vps, sps, HEVC_PPS]));
        stream.send(0, true, &hevc(19, true, b"a")).end();
        assert_eq!(stream.pictures[0].params.frame_rate, rate, "{vps:02x?} {sps:02x?}");
    }
}

#[test]
fn every_irap_picture_of_hevc_is_a_key() {
    for kind in 0..=21 {
        if (10..16).contains(&kind) {
            continue;
        }
        let mut stream = hevc_stream();
        stream.send(0, true, &hevc(20, true, b"first")).send(1, true, &hevc(kind, true, b"a"));
        let keys = given(&mut stream).iter().filter(|(_, key, _)| *key).count();
        assert_eq!(keys, if kind >= 16 { 2 } else { 1 }, "{kind}");
    }
}

#[test]
fn a_recovery_point_makes_a_key_picture() {
    let i = slice(0x61, 0, I, b"i");
    for (sei, nal, key) in [
        (recovery(0), &i, true),
        (recovery(0), &p(b"p"), false),
        (recovery(14), &p(b"p"), true),
        ([&SEI[..SEI.len() - 1], &recovery(3)[1..]].concat(), &p(b"p"), true),
        (SEI.to_vec(), &i, false),
    ] {
        let mut stream = Stream::known();
        stream.send(0, true, &sei).send(0, true, nal);
        assert_eq!(given(&mut stream), [(0, key, false)], "{sei:?}");
    }
    // One slice of another kind is enough.
    let mut stream = Stream::known();
    stream.send(0, false, &recovery(0)).send(0, false, &i).send(0, true, &slice(0x61, 5, P, b"p"));
    assert_eq!(given(&mut stream), [(0, false, false)]);
}

/// Numbers of the key pictures of a stream that begins with `first` and then has `pictures` once a
/// second, each number followed by a picture 100 later.
fn keys_of(first: &[u8], pictures: [&[&[u8]]; 2]) -> Vec<u32> {
    let second = Duration::from_secs(1);
    let mut stream = Stream::known();
    stream.send(0, true, first);
    for n in 1..9 {
        stream.wait(second);
        for (number, nals) in [n, n + 100].into_iter().zip(pictures) {
            for (at, nal) in nals.iter().enumerate() {
                stream.send(number, at + 1 == nals.len(), nal);
            }
        }
    }
    given(&mut stream).into_iter().filter(|(_, key, _)| *key).map(|(n, ..)| n).collect()
}

#[test]
fn what_comes_nearest_is_the_key_picture_of_a_stream_that_shows_no_other() {
    let (i, p) = (slice(0x61, 0, I, b"i"), p(b"p"));
    let with_sets: [&[&[u8]]; 2] = [&[SPS, &i], &[&p]];
    assert_eq!(keys_of(&idr(b"a"), with_sets), [0], "it has shown one");
    assert_eq!(keys_of(&p, with_sets), [3, 4, 5, 6, 7, 8]);
    let bare: [&[&[u8]]; 2] = [&[&p], &[&i]];
    assert_eq!(keys_of(&p, bare), [106, 107, 108], "the parameter sets are known");
    let lying = recovery(0);
    let recovering: [&[&[u8]]; 2] = [&[&lying, &p], &[&p]];
    assert_eq!(keys_of(&p, recovering), [3, 4, 5, 6, 7, 8]);
    assert_eq!(keys_of(&idr(b"a"), recovering), [0]);
}

#[test]
fn leading_pictures_of_hevc_are_left_out_after_a_join_and_marked_later() {
    let mut stream = hevc_stream();
    stream.send(30, true, &hevc(21, true, b"cra")).send(10, true, &hevc(9, true, b"rasl"));
    stream.send(20, true, &hevc(8, true, b"rasl")).send(40, true, &hevc(1, true, b"p"));
    stream.send(70, true, &hevc(21, true, b"cra")).send(50, true, &hevc(9, true, b"rasl"));
    stream.send(60, true, &hevc(7, true, b"radl")).end();
    let want = [
        (30, true, false),
        (40, false, false),
        (70, true, false),
        (50, false, true),
        (60, false, false),
    ];
    assert_eq!(given(&mut stream), want);
    stream.after_loss(1, 80, true, &hevc(1, true, b"p")).send(90, true, &hevc(21, true, b"cra"));
    stream.send(85, true, &hevc(9, true, b"rasl")).send(95, true, &hevc(1, true, b"p"));
    assert_eq!(given(&mut stream), [(90, true, false), (95, false, false)]);
}

#[test]
fn leading_pictures_of_h264_are_told_by_their_time() {
    let base = u32::MAX - 2;
    let at = |n: u32| base.wrapping_add(n);
    let open = |stream: &mut Stream, n| {
        stream.send(at(n), false, &recovery(0)).send(at(n), true, &slice(0x61, 0, I, b"open"));
    };
    let mut stream = Stream::known();
    open(&mut stream, 3);
    stream.send(at(1), true, &p(b"b")).send(at(6), true, &p(b"p")).send(at(5), true, &p(b"b"));
    open(&mut stream, 9);
    stream.send(at(7), true, &p(b"b")).send(at(12), true, &p(b"p"));
    stream.send(at(15), true, &idr(b"closed")).send(at(14), true, &p(b"b"));
    let want = [(3, true, false), (6, false, false), (5, false, false), (9, true, false)];
    let rest = [(7, false, true), (12, false, false), (15, true, false), (14, false, false)];
    let want = [want, rest].concat().into_iter().map(|(n, key, leading)| (at(n), key, leading));
    assert!(given(&mut stream).into_iter().eq(want));
}

#[test]
fn an_endless_picture_is_given_up_and_its_memory_freed() {
    let mut stream = Stream::known();
    let packets = fragments(H264, &idr(&vec![7; 150_000]), 50_000);
    stream.send(0, false, &packets[0]);
    for n in 0..300 {
        stream.send(n, false, &packets[1]);
        assert!(stream.video.unit.data.capacity() <= 2 * crate::rtp::video::unit::MAX_UNIT);
    }
    assert_eq!(stream.video.unit.data.capacity(), 0);
    stream.send(1, true, &p(b"a")).send(2, true, &idr(b"b"));
    assert_eq!(given(&mut stream), [(2, true, false)]);
    assert_eq!(stream.video.dropped(), 2);
}

#[test]
fn a_picture_of_too_many_nal_units_is_given_up() {
    let mut stream = Stream::known();
    stream.send(0, false, &idr(b"a"));
    for _ in 0..5000 {
        stream.send(0, false, &slice(0x65, 5, I, b"b"));
    }
    stream.send(1, true, &idr(b"c"));
    assert_eq!(given(&mut stream), [(1, true, false)]);
    // Information that no picture follows is not kept for ever.
    for n in 0..20_000 {
        stream.send(n, n % 3 == 0, SEI);
    }
    assert!(stream.video.unit.data.len() < 100_000);
}

#[test]
fn pictures_do_not_hold_memory_they_do_not_use() {
    let mut stream = Stream::known();
    stream.send(0, true, &idr(&vec![7; 40_000])).send(1, true, &idr(b"small")).end();
    let kept: Vec<u8> = stream.pictures[1].data.clone().into();
    assert!(kept.capacity() < 2 * kept.len() + 64);
}
