use proptest::prelude::*;

use super::*;
use crate::flv::{Head, file};

const MAIN: &[u8] = include_bytes!("../../clips/main.flv");
const HEVC: &[u8] = include_bytes!("../../../tests/fixtures/hevc.flv");
const B_FRAMES: &[u8] = include_bytes!("../../../tests/fixtures/h264_bframes.flv");
const PCMA: &[u8] = include_bytes!("../../../tests/fixtures/pcma.flv");

fn tag(kind: TagKind, timestamp_ms: u32, body: &[u8]) -> Tag {
    Tag { kind, timestamp_ms, head: Head::default(), body: Bytes::copy_from_slice(body) }
}

fn frames(bytes: &'static [u8]) -> Vec<Frame> {
    let mut demux = Demuxer::new();
    let tags = file::tags(Bytes::from_static(bytes)).unwrap();
    tags.filter_map(|tag| demux.push(&tag.unwrap(), Instant::now()).unwrap()).collect()
}

fn video_params(frames: &[Frame]) -> &VideoParams {
    let found = frames.iter().find_map(|frame| match &frame.track {
        Track::Video(params) => Some(params),
        Track::Audio(_) => None,
    });
    found.unwrap()
}

fn audio_params(frames: &[Frame]) -> &AudioParams {
    let found = frames.iter().find_map(|frame| match &frame.track {
        Track::Audio(params) => Some(params),
        Track::Video(_) => None,
    });
    found.unwrap()
}

#[test]
fn the_clip_is_read_without_copying() {
    let frames = frames(MAIN);
    let video = video_params(&frames);
    assert_eq!((video.codec, video.dimensions), (VideoCodec::H264, (640, 360)));
    assert_eq!(video.frame_rate, Some((15_000, 1000)));
    let audio = audio_params(&frames);
    assert_eq!((audio.codec, audio.sample_rate, audio.channels), (AudioCodec::Aac, 16_000, 1));
    assert!(frames.iter().find(|frame| frame.is_video()).unwrap().key);
    assert!(frames.iter().all(|frame| frame.is_video() || !frame.key));
    assert!(MAIN.as_ptr_range().contains(&frames[9].data.as_ptr()));
}

#[test]
fn hevc_is_read_with_its_size() {
    let frames = frames(HEVC);
    let video = video_params(&frames);
    assert_eq!((video.codec, video.dimensions), (VideoCodec::H265, (256, 144)));
    let bare = config::dimensions(VideoCodec::H265, &video.record);
    assert_eq!(bare, Some((256, 144)), "from the parameter set, not the metadata");
}

#[test]
fn b_frames_keep_their_order() {
    let frames = frames(B_FRAMES);
    let video: Vec<_> = frames.iter().filter(|frame| frame.is_video()).collect();
    assert!(video.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    assert!(video.windows(2).any(|pair| pair[0].pts > pair[1].pts), "no B-frame in the fixture");
}

#[test]
fn g711_is_read() {
    let frames = frames(PCMA);
    let audio = audio_params(&frames);
    assert_eq!((audio.codec, audio.sample_rate, audio.channels), (AudioCodec::Pcma, 8000, 1));
}

#[test]
fn legacy_hevc_is_tolerated() {
    let mut demux = Demuxer::new();
    let header = [&[0x1c, 0, 0, 0, 0][..], &[0xff; 23]].concat();
    let now = Instant::now();
    assert!(demux.push(&tag(TagKind::Video, 0, &header), now).unwrap().is_none());
    let picture = tag(TagKind::Video, 7, &[0x1c, 1, 0, 0, 0, 0, 0, 0, 1, 0x26]);
    let frame = demux.push(&picture, now).unwrap().unwrap();
    assert_eq!((frame.dts, frame.key, &frame.data[..]), (630, true, &[0, 0, 0, 1, 0x26][..]));
}

#[test]
fn negative_composition_times_show_the_picture_at_once() {
    let mut demux = Demuxer::new();
    let now = Instant::now();
    demux
        .push(&tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 66, 0, 30, 0xff, 0xe0, 0]), now)
        .unwrap();
    let picture = tag(TagKind::Video, 40, &[0x27, 1, 0xff, 0xff, 0xfe, 0, 0, 0, 0]);
    let frame = demux.push(&picture, now).unwrap().unwrap();
    assert_eq!((frame.dts, frame.pts), (3600, 3600));
}

#[test]
fn pictures_before_their_header_are_dropped() {
    let mut demux = Demuxer::new();
    let picture = tag(TagKind::Video, 0, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
    assert!(demux.push(&picture, Instant::now()).unwrap().is_none());
}

#[test]
fn bad_tags_are_errors_not_panics() {
    let mut demux = Demuxer::new();
    let now = Instant::now();
    demux
        .push(&tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 66, 0, 30, 0xff, 0xe0, 0]), now)
        .unwrap();
    let rows: [(TagKind, &[u8]); 8] = [
        (TagKind::Video, &[0x17]),
        (TagKind::Video, &[0x17, 1, 0]),
        (TagKind::Video, &[0x17, 0, 0, 0, 0, 1]),
        (TagKind::Video, &[0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0]),
        (TagKind::Video, &[0x17, 1, 0, 0, 0, 0, 0, 1]),
        (TagKind::Video, &[0x12, 1, 2, 3]),
        (TagKind::Video, b"\x90av01xx"),
        (TagKind::Audio, &[0xaf, 0, 0x16, 0x88]),
    ];
    for (kind, body) in rows {
        assert!(demux.push(&tag(kind, 1, body), now).is_err(), "{body:02x?}");
    }
    let picture = tag(TagKind::Video, 2, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
    assert!(demux.push(&picture, now).unwrap().is_some(), "a good tag after bad ones");
}

proptest! {
    #[test]
    fn any_tags_are_survived_and_times_only_grow(
        tags in prop::collection::vec(
            (0usize..3, any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..30),
    ) {
        let mut demux = Demuxer::new();
        let mut last = [i64::MIN; 2];
        let config = [0x17, 0, 0, 0, 0, 1, 66, 0, 30, 0xff, 0xe0, 0];
        demux.push(&tag(TagKind::Video, 0, &config), Instant::now()).unwrap();
        for (kind, stamp, mut body) in tags {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][kind];
            let holds_frame = kind != TagKind::Script && !body.is_empty();
            if kind == TagKind::Video {
                body.splice(0..0, [0x17, 1, 0, 0, 0, 0, 0, 0, body.len() as u8]);
            } else if kind == TagKind::Audio {
                body.splice(0..0, [0x72]);
            }
            let pushed = demux.push(&tag(kind, stamp, &body), Instant::now());
            prop_assert!(!holds_frame || matches!(pushed, Ok(Some(_))));
            if let Ok(Some(frame)) = pushed {
                let last = &mut last[usize::from(frame.is_video())];
                prop_assert!(frame.dts > *last && frame.pts >= frame.dts);
                *last = frame.dts;
            }
        }
    }
}
