use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::flv::Demuxer;

fn video(codec: VideoCodec) -> Arc<VideoParams> {
    let record: &[u8] = match codec {
        VideoCodec::H264 => &[1, 0x42, 0, 30, 0xff, 0xe0, 0],
        VideoCodec::H265 => &[0xff; 23],
    };
    let record = Bytes::from_static(record);
    Arc::new(VideoParams { codec, record, dimensions: (640, 360), frame_rate: Some((25, 1)) })
}

fn audio(codec: AudioCodec, sample_rate: u32) -> Arc<AudioParams> {
    let config = match codec {
        AudioCodec::Aac => Bytes::from_static(&[0x14, 0x08]),
        _ => Bytes::new(),
    };
    Arc::new(AudioParams { codec, sample_rate, channels: 1, config })
}

fn picture(params: &Arc<VideoParams>, key: bool, dts: i64, pts: i64) -> Frame {
    Frame {
        track: Track::Video(params.clone()),
        key,
        discontinuity: false,
        leading: false,
        pts,
        dts,
        received: Instant::now(),
        data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
    }
}

fn sound(params: &Arc<AudioParams>, dts: i64) -> Frame {
    let video = video(VideoCodec::H264);
    let data = Bytes::from_static(&[0x21, 0x10]);
    Frame { track: Track::Audio(params.clone()), data, ..picture(&video, false, dts, dts) }
}

#[test]
fn a_stream_starts_at_zero_with_metadata_and_headers() {
    let (mut mux, params) = (Muxer::new(), video(VideoCodec::H264));
    let tags: Vec<_> =
        mux.tags(&picture(&params, true, 900_000, 903_600)).unwrap().into_iter().collect();
    let kinds: Vec<_> = tags.iter().map(|tag| (tag.kind, tag.timestamp_ms)).collect();
    assert_eq!(kinds, [(TagKind::Script, 0), (TagKind::Video, 0), (TagKind::Video, 0)]);
    assert_eq!(tags[1].head.as_slice(), [0x17, 0, 0, 0, 0]);
    assert_eq!(tags[1].body, params.record);
    assert_eq!(tags[2].head.as_slice(), [0x17, 1, 0, 0, 40], "composition time of 40 ms");
    let next = mux.tags(&picture(&params, false, 903_600, 903_600)).unwrap();
    assert!(next.headers.is_empty());
    assert_eq!((next.media.timestamp_ms, next.media.head.as_slice()[0]), (40, 0x27));
}

#[test]
fn the_body_is_shared_not_copied() {
    let frame = picture(&video(VideoCodec::H264), true, 0, 0);
    let tags = Muxer::new().tags(&frame).unwrap();
    assert_eq!(tags.media.body.as_ptr(), frame.data.as_ptr());
}

#[test]
fn hevc_is_said_the_enhanced_way() {
    let (mut mux, params) = (Muxer::new(), video(VideoCodec::H265));
    let tags = mux.tags(&picture(&params, true, 0, 0)).unwrap();
    assert_eq!(tags.headers[1].head.as_slice(), b"\x90hvc1");
    assert_eq!(tags.media.head.as_slice(), b"\x93hvc1", "no composition time: CodedFramesX");
    let tags = mux.tags(&picture(&params, false, 3600, 10_800)).unwrap();
    assert_eq!(tags.media.head.as_slice(), b"\xa1hvc1\0\0\x50");
}

#[test]
fn headers_are_repeated_only_when_parameters_change() {
    let (mut mux, params) = (Muxer::new(), video(VideoCodec::H264));
    assert_eq!(mux.tags(&picture(&params, true, 0, 0)).unwrap().headers.len(), 2);
    let same = video(VideoCodec::H264);
    assert!(mux.tags(&picture(&same, true, 3600, 3600)).unwrap().headers.is_empty());
    let other = Arc::new(VideoParams { dimensions: (320, 180), ..(*params).clone() });
    assert_eq!(mux.tags(&picture(&other, true, 7200, 7200)).unwrap().headers.len(), 2);
    // The track that joins later is announced beside the one already there.
    let joined = mux.tags(&sound(&audio(AudioCodec::Aac, 16_000), 7200)).unwrap().headers;
    let announced = metadata::parse(&joined[0].payload()).unwrap();
    assert_eq!((announced.dimensions, announced.video), (Some((320, 180)), true));
    assert_eq!(joined[1].head.as_slice(), [0xaf, 0]);
}

#[test]
fn sound_that_is_known_is_announced_with_the_first_picture() {
    let (params, aac) = (video(VideoCodec::H264), audio(AudioCodec::Aac, 16_000));
    let mut mux = Muxer::announcing(Some(Arc::clone(&aac)));
    let headers = mux.tags(&picture(&params, true, 0, 0)).unwrap().headers;
    let heads: Vec<_> = headers.iter().map(|tag| tag.head.as_slice().to_vec()).collect();
    assert_eq!(heads, [&[][..], &[0x17, 0, 0, 0, 0], &[0xaf, 0]], "metadata, picture, sound");
    let said = crate::rtmp::amf::decode(&headers[0].payload()).unwrap();
    assert_eq!(said[1].member("audiocodecid"), Some(&10.0.into()));
    assert!(mux.tags(&sound(&aac, 900)).unwrap().headers.is_empty(), "it was announced");
    let other = audio(AudioCodec::Aac, 8_000);
    let changed = AudioParams { channels: 2, ..(*other).clone() };
    assert_eq!(mux.tags(&sound(&Arc::new(changed), 1800)).unwrap().headers.len(), 2);

    let mut alone = Muxer::announcing(Some(Arc::clone(&aac)));
    assert_eq!(alone.tags(&sound(&aac, 0)).unwrap().headers.len(), 2, "a source of sound alone");
    let mut without = Muxer::announcing(Some(audio(AudioCodec::Pcmu, 16_000)));
    let headers = without.tags(&picture(&params, true, 0, 0)).unwrap().headers;
    let said = crate::rtmp::amf::decode(&headers[0].payload()).unwrap();
    assert_eq!((headers.len(), said[1].member("audiocodecid")), (2, None), "nothing RTMP can say");
}

#[test]
fn sound_rtmp_cannot_say_is_left_out() {
    let mut mux = Muxer::new();
    let tags = mux.tags(&sound(&audio(AudioCodec::Pcma, 8000), 0)).unwrap();
    assert_eq!((tags.headers.len(), tags.media.head.as_slice()), (1, &[0x72][..]));
    assert_eq!(mux.tags(&sound(&audio(AudioCodec::Pcmu, 16_000), 720)), None);
    let bare = AudioParams { config: Bytes::new(), ..(*audio(AudioCodec::Aac, 16_000)).clone() };
    assert_eq!(mux.tags(&sound(&Arc::new(bare), 1440)), None);
}

#[test]
fn sound_from_before_the_first_picture_is_left_out() {
    let (mut mux, params) = (Muxer::new(), audio(AudioCodec::Aac, 16_000));
    mux.tags(&picture(&video(VideoCodec::H264), true, 9000, 9000)).unwrap();
    assert_eq!(mux.tags(&sound(&params, 8000)), None);
    assert_eq!(mux.tags(&sound(&params, 9090)).unwrap().media.timestamp_ms, 1);
}

#[test]
fn timestamps_wrap_after_seven_weeks() {
    let (mut mux, params) = (Muxer::new(), video(VideoCodec::H264));
    let mut demux = Demuxer::new();
    let mut frames = Vec::new();
    for ms in (0..3 * (1 << 31)).step_by(1 << 30).chain([3 << 31]) {
        for tag in mux.tags(&picture(&params, true, ms * 90, ms * 90)).unwrap() {
            frames.extend(demux.push(&tag, Instant::now()).unwrap());
        }
    }
    assert_eq!(frames.last().unwrap().dts, (3 << 31) * 90);
}

#[test]
fn a_million_frames_of_a_wild_clock_never_stand_still() {
    let (mut mux, params) = (Muxer::new(), video(VideoCodec::H264));
    let (mut last, mut noise) = (None, 1u32);
    for n in 0..1_000_000i64 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let dts = n * 3600 + i64::from(noise % 20_000) - 10_000;
        let Some(tags) = mux.tags(&picture(&params, false, dts, dts)) else { continue };
        assert!(last < Some(tags.media.timestamp_ms), "frame {n}");
        last = Some(tags.media.timestamp_ms);
    }
    assert!(last > Some(39_000_000), "the clock is followed");
}

proptest! {
    #[test]
    fn frames_survive_the_way_through_tags(
        hevc: bool,
        steps in prop::collection::vec((1i64..400, 0i64..400, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let video = video(if hevc { VideoCodec::H265 } else { VideoCodec::H264 });
        let audio = audio(AudioCodec::Aac, 16_000);
        let (mut mux, mut demux, mut ms) = (Muxer::new(), Demuxer::new(), 0);
        let received = Instant::now() + Duration::from_secs(1);
        for (n, (step, ahead, key, is_video)) in steps.into_iter().enumerate() {
            let sent = if is_video {
                picture(&video, key, ms * 90, (ms + ahead) * 90)
            } else {
                sound(&audio, ms * 90)
            };
            let tags = mux.tags(&sent).unwrap();
            prop_assert_eq!(n == 0, tags.headers.first().is_some_and(|tag| tag.timestamp_ms == 0));
            let mut got = Vec::new();
            for tag in tags {
                got.extend(demux.push(&tag, received).unwrap());
            }
            prop_assert_eq!(got.len(), 1);
            let got = &got[0];
            prop_assert_eq!((got.dts, got.pts, &got.data), (sent.dts, sent.pts, &sent.data));
            prop_assert_eq!((got.is_video(), got.received), (sent.is_video(), received));
            if is_video {
                prop_assert_eq!(got.key, key);
            }
            ms += step;
        }
    }
}
