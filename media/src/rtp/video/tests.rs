//! Tests of where pictures begin and end.

use std::time::Duration;

use super::testing::*;
use super::*;

const MS: Duration = Duration::from_millis(1);

fn both(key: &[u8], other: &[u8]) -> Vec<(u32, bool, Vec<u8>)> {
    vec![(0, true, data(&[key])), (3600, false, data(&[other]))]
}

#[test]
fn a_picture_ends_where_the_next_begins_whatever_begins_it() {
    let (key, other) = (idr(b"key"), p(b"other"));
    let begins: [&[u8]; 7] =
        [&other, AUD, SEI, SPS, PPS, b"\x0f\x01", &slice(0x41, 0, I, b"same time")];
    for next in begins {
        let mut stream = Stream::known();
        stream.send(0, false, &key);
        assert!(stream.pictures.is_empty());
        stream.send(0, false, next);
        assert_eq!(stream.take(), [(0, true, data(&[&key]))], "{next:?}");
    }
    // Filler does not end the picture, but filler of another time does.
    let mut stream = Stream::known();
    stream.send(0, false, &key).send(0, false, FILLER);
    assert!(stream.pictures.is_empty());
    stream.send(3600, false, FILLER);
    assert_eq!(stream.pictures.len(), 1);
}

#[test]
fn slices_of_a_picture_stay_together_whatever_their_markers_and_times_say() {
    let (one, two, three) = (idr(b"one"), slice(0x65, 5, I, b"two"), slice(0x65, 9, I, b"three"));
    for markers in 0..8 {
        for times in [[0, 0, 0], [0, 1, 2]] {
            let mut stream = Stream::known();
            for (n, nal) in [&one, &two, &three].into_iter().enumerate() {
                stream.send(times[n], markers >> n & 1 == 1, nal);
            }
            stream.send(3600, true, &p(b"next"));
            assert_eq!(stream.take(), [(0, true, data(&[&one, &two, &three]))], "{markers}");
        }
    }
}

#[test]
fn markers_anywhere_give_the_same_pictures() {
    let nals = |key: bool| -> Vec<Vec<u8>> {
        let first = if key { idr(b"first") } else { p(b"first") };
        let mut nals = vec![AUD.to_vec(), SEI.to_vec(), first, FILLER.to_vec()];
        if key {
            nals.splice(1..1, [SPS.to_vec(), PPS.to_vec()]);
        }
        nals
    };
    for kinds in 0u32..32 {
        let mut stream = Stream::new(VideoCodec::H264);
        for n in 0..40 {
            for nal in nals(n % 10 == 0) {
                let bit = match nal[0] & 0x1f {
                    9 => 0,
                    6 => 1,
                    7 | 8 => 2,
                    12 => 3,
                    _ => 4,
                };
                stream.send(n * 3600, kinds >> bit & 1 == 1, &nal);
            }
            stream.wait(MS);
        }
        stream.end();
        let want = (0..40).map(|n| {
            let first = if n % 10 == 0 { idr(b"first") } else { p(b"first") };
            (n * 3600, n % 10 == 0, data(&[SEI, &first]))
        });
        assert!(stream.take().into_iter().eq(want), "markers {kinds:b}");
        assert_eq!(stream.video.dropped(), 0);
    }
}

#[test]
fn an_unproven_marker_holds_a_picture_for_15_ms() {
    let (key, other) = (idr(b"key"), p(b"other"));
    let mut stream = Stream::known();
    stream.send(0, true, &key);
    assert!(!stream.video.is_mid_picture());
    assert_eq!(stream.video.poll_timeout(), Some(stream.now + 15 * MS));
    stream.wait(14 * MS);
    assert!(stream.pictures.is_empty());
    stream.wait(MS).send(3600, true, &other).wait(15 * MS);
    assert_eq!(stream.take(), both(&key, &other));
}

#[test]
fn a_proven_marker_ends_a_picture_at_once() {
    let mut stream = Stream::known();
    for n in 0..12 {
        let nal = if n == 0 { idr(b"key") } else { p(b"other") };
        stream.send(n * 3600, true, &nal);
        // Each of the first is given by the one after it.
        assert_eq!(stream.pictures.len(), if n < 8 { n } else { n + 1 } as usize);
    }
}

#[test]
fn a_picture_that_goes_on_after_its_marker_refutes_markers() {
    let mut stream = Stream::known();
    stream.prove();
    let (one, two) = (idr(b"one"), slice(0x65, 5, I, b"two"));
    stream.send(90_000, true, &one).send(90_000, true, &two);
    stream.send(93_600, true, &p(b"refers to half a picture"));
    assert_eq!(stream.take(), [(90_000, true, data(&[&one]))], "given before the rest came");
    for n in 1..12 {
        let at = 90_000 + n * 36_000;
        stream.send(at, true, &one).send(at, true, &two).send(at + 3600, false, AUD);
        assert_eq!(stream.take(), [(at, true, data(&[&one, &two]))]);
    }
    stream.send(900_000, true, &one).wait(199 * MS);
    assert!(stream.pictures.is_empty());
    stream.wait(MS);
    assert_eq!(stream.pictures.len(), 1);
    assert_eq!(stream.video.dropped(), 2);
}

#[test]
fn a_marker_on_every_fragment_is_not_believed() {
    let mut stream = Stream::known();
    stream.prove();
    let key = idr(&[7; 100]);
    for n in 10..30 {
        for fragment in fragments(VideoCodec::H264, &key, 30) {
            stream.send(n * 3600, true, &fragment);
        }
        assert_eq!(stream.take(), [(n * 3600, true, data(&[&key]))], "the end bit is right");
    }
}

#[test]
fn a_picture_without_a_marker_ends_after_200_ms() {
    let mut stream = Stream::known();
    stream.send(0, false, &idr(b"key"));
    assert!(stream.video.is_mid_picture());
    stream.wait(199 * MS);
    assert!(stream.pictures.is_empty());
    stream.wait(MS);
    assert_eq!(stream.pictures.len(), 1);
}

#[test]
fn a_stall_in_a_picture_whose_marker_will_come_costs_nothing() {
    let mut stream = Stream::known();
    stream.prove();
    let key = idr(&[7; 100]);
    for (n, fragment) in fragments(VideoCodec::H264, &key, 60).iter().enumerate() {
        stream.wait(Duration::from_secs(5)).send(90_000, n == 1, fragment);
    }
    assert_eq!(stream.take(), [(90_000, true, data(&[&key]))]);
}

#[test]
fn what_comes_before_a_slice_belongs_to_it_whatever_its_time() {
    let (key, other) = (idr(b"key"), p(b"other"));
    let mut stream = Stream::new(VideoCodec::H264);
    stream.send(7, false, SPS).send(8, false, PPS).send(9, false, SEI).send(0, false, &key);
    stream.send(3600, true, &other).end();
    assert_eq!(stream.take(), [(0, true, data(&[SEI, &key])), (3600, false, data(&[&other]))]);
}

#[test]
fn information_with_a_marker_belongs_to_its_own_time() {
    let (key, other) = (idr(b"key"), p(b"other"));
    let mut stream = Stream::known();
    stream.send(0, true, SEI).send(0, true, &key).send(1, true, SEI).send(3600, true, &other).end();
    assert_eq!(stream.take(), [(0, true, data(&[SEI, &key])), (3600, false, data(&[&other]))]);
    assert!(stream.video.slices_seen());
}

#[test]
fn units_without_a_slice_are_no_pictures() {
    let mut stream = Stream::new(VideoCodec::H264);
    for n in 0..20 {
        for nal in [AUD, SPS, PPS, SEI, FILLER] {
            stream.send(n * 3600, true, nal);
        }
    }
    stream.end();
    assert!(stream.pictures.is_empty() && !stream.video.slices_seen());
    assert!(stream.video.has_parameter_sets());
    assert_eq!(stream.video.dropped(), 0);
}

#[test]
fn the_fields_of_a_frame_are_one_picture() {
    let field = |header, first, kind, frame: u32, bottom: u32, tail: &[u8]| {
        let head = Writer::default().ue(first).ue(kind).ue(0).u(frame, 4).u(1, 1).u(bottom, 1);
        head.nal(&[header], tail)
    };
    let top = field(0x65, 0, I, 0, 0, b"top");
    let bottom = field(0x41, 0, P, 0, 1, b"bottom");
    let rest = field(0x41, 9, P, 0, 1, b"rest");
    let mut stream = Stream::new(VideoCodec::H264);
    stream.send(0, false, &sps(0, 20, true)).send(0, false, &pps(0, 0, b""));
    stream.send(0, true, &top).send(0, false, AUD).send(0, false, &bottom).send(0, true, &rest);
    // The next field is of another frame, and the first one has no second field.
    let lone = field(0x41, 0, P, 1, 0, b"lone");
    let next = field(0x41, 0, P, 2, 1, b"next");
    stream.send(0, true, &lone).send(0, true, &next).end();
    let want = [
        (0, true, data(&[&top, &bottom, &rest])),
        (0, false, data(&[&lone])),
        (0, false, data(&[&next])),
    ];
    assert_eq!(stream.take(), want);
}

#[test]
fn hevc_pictures_are_cut_by_their_first_segment() {
    let mut stream = Stream::new(VideoCodec::H265);
    let sets = aggregate(VideoCodec::H265, &[HEVC_VPS, HEVC_SPS, HEVC_PPS]);
    let (one, two) = (hevc(19, true, b"one"), hevc(19, false, b"two"));
    let other = hevc(1, true, b"other");
    let (prefix, suffix): (&[u8], &[u8]) = (b"\x4e\x01\x05\x01a\x80", b"\x50\x01\x84\x01b\x80");
    stream.send(0, true, b"\x46\x01\x50").send(0, true, &sets).send(0, true, prefix);
    stream.send(0, true, &one).send(0, true, &two).send(0, true, suffix);
    stream.send(0, true, b"\x4c\x01\xff\x80");
    stream.send(0, true, prefix).send(0, false, &other).end();
    let want =
        [(0, true, data(&[prefix, &one, &two, suffix])), (0, false, data(&[prefix, &other]))];
    assert_eq!(stream.take(), want);
}

#[test]
fn a_frozen_clock_without_markers_does_not_join_pictures() {
    let mut stream = Stream::known();
    for n in 0..20 {
        stream.send(5, false, &if n == 0 { idr(b"key") } else { p(&[n]) });
    }
    assert_eq!(stream.pictures.len(), 19);
}
