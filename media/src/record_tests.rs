use h264_reader::avcc::AvcDecoderConfigurationRecord;
use proptest::prelude::*;

use super::*;
use VideoCodec::{H264, H265};

fn list(codec: VideoCodec, record: &[u8]) -> Vec<(SetKind, &[u8])> {
    sets(codec, record).collect()
}

fn slices(sets: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> + Clone {
    sets.iter().map(Vec::as_slice)
}

#[test]
fn sets_of_an_hevc_record_come_in_its_order_without_sei() {
    let mut record = vec![0; 22];
    record.extend([3, 0xa0, 0, 1, 0, 2, 0x40, 1, 0x27, 0, 1, 0, 1, 0x4e]);
    record.extend([0x22, 0, 2, 0, 1, 0x44, 0, 2, 0x44, 2]);
    let sets: Vec<_> = sets(H265, &record).map(|(_, nal)| nal).collect();
    assert_eq!(sets, [&[0x40, 1][..], &[0x44], &[0x44, 2]]);
}

#[test]
fn what_follows_the_sets_of_a_record_does_not_matter() {
    // A record with the fields of high profiles, an extension of an SPS, and a set of another kind.
    let record = b"\x01\x64\0\x0c\xff\xe2\0\x02\x67\x64\0\x01\x6d\x01\0\x02\x68\xce";
    let want = [(SetKind::Sps, &b"\x67\x64"[..]), (SetKind::Pps, &b"\x68\xce"[..])];
    assert_eq!(list(H264, record), want);
    for tail in [&b"\xfd\xf8\xf8\0"[..], b"\xfd", b"\xfd\xf8\xf8\x01\0\x02\x6d\x01"] {
        assert_eq!(list(H264, &[record, tail].concat()), want);
    }
}

#[test]
fn a_record_cut_short_has_the_sets_before_the_cut() {
    let record = b"\x01\x64\0\x0c\xff\xe1\0\x02\x67\x64\x02\0\x02\x68\xce\0\x02\x68\xcf";
    for cut in 0..record.len() {
        let want = [10, 15, 19].iter().filter(|end| cut >= **end).count();
        assert_eq!(list(H264, &record[..cut]).len(), want, "{cut}");
    }
    assert_eq!(list(H264, record).len(), 3);
}

#[test]
fn a_record_of_another_version_has_no_sets() {
    assert_eq!(list(H264, b"\x02\x64\0\x0c\xff\xe1\0\x02\x67\x64\0"), []);
}

#[test]
fn what_does_not_fit_into_a_record_is_refused() {
    let sps = &b"\x67\x64\0\x0c\xac"[..];
    let written = |count: usize, long: &[u8]| {
        avc(sps, &mut std::iter::repeat_n(sps, 40), &mut std::iter::repeat_n(long, count))
    };
    let record = written(255, sps).unwrap();
    assert_eq!(record[5], 0xe0 | 31, "the count has 5 bits");
    assert_eq!(written(256, sps), None);
    assert_eq!(written(1, &[0x68; 65_536]), None);
    assert_eq!(avc(&sps[..3], &mut std::iter::empty(), &mut std::iter::empty()), None);
}

prop_compose! {
    fn nals(header: u8, most: usize)(
        nals in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..20), 1..most),
    ) -> Vec<Vec<u8>> {
        nals.into_iter().map(|body| [&[header][..], &body].concat()).collect()
    }
}

proptest! {
    #[test]
    fn a_written_record_is_read_by_us_and_by_others(
        sps in nals(0x67, 31),
        pps in nals(0x68, 80),
        tail in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut record = avc(&sps[0], &mut slices(&sps), &mut slices(&pps)).unwrap();
        record.extend(tail);
        let want: Vec<_> = slices(&sps).map(|nal| (SetKind::Sps, nal))
            .chain(slices(&pps).map(|nal| (SetKind::Pps, nal))).collect();
        prop_assert_eq!(list(H264, &record), want);
        let other = AvcDecoderConfigurationRecord::try_from(&record[..]).unwrap();
        let read: Vec<_> = other.sequence_parameter_sets().map(Result::unwrap).collect();
        prop_assert!(read.into_iter().eq(slices(&sps)));
        let read: Vec<_> = other.picture_parameter_sets().map(Result::unwrap).collect();
        prop_assert!(read.into_iter().eq(slices(&pps)));
    }

    #[test]
    fn a_written_hevc_record_is_read(
        vps in nals(0x40, 4),
        sps in nals(0x42, 5),
        pps in nals(0x44, 80),
        layers in 1u8..9,
    ) {
        let active = H265Sps {
            id: 0,
            vps: 0,
            dimensions: None,
            reorder_depth: 0,
            profile: [7; 12],
            chroma: 1,
            depths: [2, 2],
            layers,
            nested: true,
            frame_rate: None,
        };
        let (vps, sps, pps) = (slices(&vps), slices(&sps), slices(&pps));
        let want: Vec<_> = vps.clone().map(|nal| (SetKind::Vps, nal))
            .chain(sps.clone().map(|nal| (SetKind::Sps, nal)))
            .chain(pps.clone().map(|nal| (SetKind::Pps, nal))).collect();
        let record = hevc(&active, &mut vps.clone(), &mut sps.clone(), &mut pps.clone()).unwrap();
        prop_assert_eq!(list(H265, &record), want);
    }

    #[test]
    fn noise_is_survived(
        head in prop_oneof![Just(vec![1; 5]), Just(vec![1; 22]), Just(vec![])],
        noise in prop::collection::vec(prop_oneof![Just(0u8), 0u8..4, any::<u8>()], 0..200),
    ) {
        let record = [head, noise].concat();
        for codec in [H264, H265] {
            let total: usize = sets(codec, &record).map(|(_, nal)| nal.len() + 2).sum();
            prop_assert!(total <= record.len());
        }
    }
}
