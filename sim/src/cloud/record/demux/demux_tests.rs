use std::fs;
use std::path::Path;

use std::time::Duration;

use ivt_media::clip::ClipOpener;
use ivt_media::frame::{AudioCodec, VideoCodec};
use ivt_media::segment::{Limits, SegmentEvent, Segmenter};
use ivt_media::source::Opener;
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

/// The first frames of a clip that loops, and the segments our own segmenter makes of them.
async fn cut(path: &str, frames: usize) -> (Vec<Frame>, Vec<Vec<u8>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let mut source = ClipOpener::file(path).unpaced().open().await.unwrap();
    let limits = Limits { duration: Duration::from_secs(1), max_bytes: u64::MAX };
    let (mut segmenter, mut given) = (Segmenter::new(limits), Vec::new());
    for _ in 0..frames {
        let frame = source.frame().await.unwrap();
        segmenter.push(&frame);
        given.push(frame);
    }
    segmenter.finish();
    let (mut segments, mut forming) = (Vec::new(), Vec::new());
    while let Some(cut) = segmenter.poll() {
        match cut {
            SegmentEvent::Group(group) => {
                group.chunks.iter().for_each(|c| forming.extend_from_slice(c))
            }
            SegmentEvent::End(_) => segments.push(std::mem::take(&mut forming)),
        }
    }
    (given, segments)
}

#[tokio::test]
async fn our_own_segments_give_back_every_frame() {
    for path in
        ["media/clips/sub.flv", "tests/fixtures/h264_bframes.flv", "tests/fixtures/hevc.flv"]
    {
        let (given, segments) = cut(path, 400).await;
        assert!(segments.len() > 3, "{path}: {} segments", segments.len());
        let found: Vec<_> = segments.iter().flat_map(|segment| frames(segment).unwrap()).collect();
        let (pictures, sounds) = split(&given);
        let (found_pictures, found_sounds) = split(&found);
        let shift = found_pictures[0].dts - pictures[0].dts;
        assert_eq!(found_pictures.len(), pictures.len(), "{path}");
        for (found, given) in found_pictures.iter().zip(pictures) {
            assert_eq!((found.key, &found.data), (given.key, &given.data), "{path}");
            assert_eq!((found.dts - shift, found.pts - shift), (given.dts, given.pts), "{path}");
        }
        // Sound before the first picture is no part of a segment.
        let early = sounds.len() - found_sounds.len();
        assert!(early < 20, "{path}: {early}");
        for (found, given) in found_sounds.iter().zip(&sounds[early..]) {
            assert_eq!(found.data, given.data, "{path}");
            assert!((found.pts - shift - given.pts).abs() <= 90, "{path}: off by a millisecond");
        }
    }
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
