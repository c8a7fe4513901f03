use std::fs;
use std::path::Path;

use ivt_media::frame::{AudioCodec, VideoCodec};
use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn split(frames: &[Frame]) -> (Vec<&Frame>, Vec<&Frame>) {
    frames.iter().partition(|frame| frame.is_video())
}

fn video(frame: &Frame) -> &VideoParams {
    let Track::Video(params) = &frame.track else { panic!("a picture") };
    params
}

#[test]
fn pictures_and_sound_of_a_foreign_muxer_are_all_found() {
    let frames = frames(&fixture("h264_0.ts")).unwrap();
    let (pictures, sounds) = split(&frames);
    assert_eq!((pictures.len(), sounds.len()), (20, 32));
    assert!(pictures[0].key && video(pictures[0]).dimensions == (320, 180));
    assert!(pictures.windows(2).all(|pair| pair[1].dts - pair[0].dts == 9000), "10 a second");
    let Track::Audio(params) = &sounds[0].track else { panic!("sound") };
    assert_eq!((params.codec, params.sample_rate), (AudioCodec::Aac, 16_000));
    assert!(sounds.windows(2).all(|pair| pair[1].dts - pair[0].dts == 5760), "64 ms each");
    for picture in pictures {
        let (length, unit) = picture.data.split_at(4);
        assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, unit.len());
    }
}

#[test]
fn pictures_keep_the_order_of_decoding_and_the_times_of_showing() {
    let frames = frames(&fixture("h264_bframes.ts")).unwrap();
    let (pictures, _) = split(&frames);
    assert!(pictures.iter().any(|picture| picture.pts > picture.dts));
    assert!(pictures.iter().all(|picture| picture.pts >= picture.dts));
    assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts));
}

#[test]
fn h265_is_told_from_h264_by_the_program_map() {
    let frames = frames(&fixture("hevc.ts")).unwrap();
    let (pictures, sounds) = split(&frames);
    assert_eq!(
        (video(pictures[0]).codec, video(pictures[0]).dimensions),
        (VideoCodec::H265, (256, 144))
    );
    assert!(pictures[0].key && !pictures[1].key && pictures.len() > 30 && !sounds.is_empty());
}

#[test]
fn what_is_no_segment_is_refused() {
    for bytes in [&b""[..], b"G", &[0; 188], b"<html></html>"] {
        assert!(frames(bytes).is_err());
    }
    let whole = fixture("h264_0.ts");
    assert!(frames(&whole[..188 * 3 + 50]).is_err(), "cut inside a packet");
}

#[test]
fn timestamps_count_on_over_the_wrap() {
    let mut clock = Clock::default();
    let times = [(1 << 33) - 5, 10, 5, (1 << 33) - 1].map(|raw| clock.unwrap(raw));
    assert_eq!(times, [WRAP - 5, WRAP + 10, WRAP + 5, WRAP - 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_flipped_or_cut_segment_is_survived(
        flips in prop::collection::vec((0usize..1 << 20, any::<u8>()), 0..40),
        packets in 0usize..60,
    ) {
        let mut bytes = fixture("h264_0.ts");
        bytes.truncate(packets * 188);
        let length = bytes.len().max(1);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte = value;
            }
        }
        let _ = frames(&bytes);
    }
}
