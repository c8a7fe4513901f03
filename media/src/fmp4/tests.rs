use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::frame::{VideoCodec, VideoParams};

const CONTAINERS: [&str; 9] =
    ["moov", "trak", "mdia", "minf", "dinf", "stbl", "mvex", "moof", "traf"];

fn video(codec: VideoCodec) -> Arc<VideoParams> {
    let record = match codec {
        VideoCodec::H264 => Bytes::from_static(&[1, 0x64, 0, 0x28, 0xFF, 0xE0, 0]),
        VideoCodec::H265 => Bytes::from_static(&[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0]),
    };
    Arc::new(VideoParams { codec, record, dimensions: (1920, 1080), frame_rate: None })
}

fn audio(codec: AudioCodec) -> Arc<AudioParams> {
    let config = Bytes::from_static(if codec == AudioCodec::Aac { &[0x14, 0x08] } else { &[] });
    Arc::new(AudioParams { codec, sample_rate: 16_000, channels: 1, config })
}

fn frame(track: Track, dts: i64, delay: i64, key: bool, data: Bytes) -> Arc<Frame> {
    let (pts, received) = (dts + delay, Instant::now());
    Arc::new(Frame { track, key, discontinuity: false, leading: false, pts, dts, received, data })
}

/// Paths and contents of all boxes, also of those inside containers. Fails on a wrong length.
fn walk(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn visit(mut bytes: &[u8], prefix: &str, found: &mut Vec<(String, Vec<u8>)>) {
        while !bytes.is_empty() {
            let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            let name = std::str::from_utf8(&bytes[4..8]).unwrap();
            let contents = &bytes[8..length];
            let path = format!("{prefix}/{name}");
            if CONTAINERS.contains(&name) {
                visit(contents, &path, found);
            } else if name == "stsd" {
                visit(&contents[8..], &path, found);
            } else if ["avc1", "hvc1"].contains(&name) {
                visit(&contents[78..], &path, found);
            } else if name == "mp4a" {
                visit(&contents[28..], &path, found);
            }
            found.push((path, contents.to_vec()));
            bytes = &bytes[length..];
        }
    }
    let mut found = Vec::new();
    visit(bytes, "", &mut found);
    found
}

fn find<'a>(boxes: &'a [(String, Vec<u8>)], path: &str) -> &'a [u8] {
    &boxes.iter().find(|(found, _)| found == path).unwrap_or_else(|| panic!("no {path}")).1
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn init_announces_both_tracks_with_their_parameters() {
    let tracks =
        Tracks { video: Some(video(VideoCodec::H264)), audio: Some(audio(AudioCodec::Aac)) };
    assert_eq!(tracks.mime().unwrap(), "video/mp4; codecs=\"avc1.640028, mp4a.40.2\"");
    let boxes = walk(&Muxer::new(tracks.clone(), 0).init());
    let stsd = "/moov/trak/mdia/minf/stbl/stsd";
    assert_eq!(find(&boxes, &format!("{stsd}/avc1/avcC")), tracks.video.unwrap().record);
    let esds = find(&boxes, &format!("{stsd}/mp4a/esds"));
    assert!(esds.windows(4).any(|w| w == [DECODER_SPECIFIC, 2, 0x14, 0x08]));
    let dimensions = &find(&boxes, &format!("{stsd}/avc1"))[24..28];
    assert_eq!(dimensions, [0x07, 0x80, 0x04, 0x38]);
    assert_eq!(boxes.iter().filter(|(path, _)| path == "/moov/mvex/trex").count(), 2);
    assert_eq!(number(find(&boxes, "/moov/trak/mdia/mdhd"), 12), 90_000);
    // The sizes are those of ISO/IEC 14496-12, with version and flags.
    for (path, size) in [
        ("/moov/mvhd", 100),
        ("/moov/trak/tkhd", 84),
        ("/moov/trak/mdia/mdhd", 24),
        ("/moov/trak/mdia/hdlr", 25),
        ("/moov/trak/mdia/minf/vmhd", 12),
        ("/moov/trak/mdia/minf/smhd", 8),
        ("/moov/mvex/trex", 24),
    ] {
        assert_eq!(find(&boxes, path).len(), size, "{path}");
    }
}

const DECODER_SPECIFIC: u8 = 5;

#[test]
fn descriptor_lengths_add_up() {
    let tracks = Tracks { video: None, audio: Some(audio(AudioCodec::Aac)) };
    let boxes = walk(&Muxer::new(tracks, 0).init());
    let esds = &find(&boxes, "/moov/trak/mdia/minf/stbl/stsd/mp4a/esds")[4..];
    assert_eq!(usize::from(esds[1]), esds.len() - 2, "whole descriptor");
    let decoder = &esds[5..];
    assert_eq!(decoder[0], 4);
    assert_eq!(decoder[2 + usize::from(decoder[1])], 6, "what follows is the SL configuration");
}

#[test]
fn h265_has_its_name_and_entry() {
    let tracks = Tracks { video: Some(video(VideoCodec::H265)), audio: None };
    assert_eq!(tracks.mime().unwrap(), "video/mp4; codecs=\"hvc1.1.6.L93.90\"");
    let boxes = walk(&Muxer::new(tracks, 0).init());
    assert!(!find(&boxes, "/moov/trak/mdia/minf/stbl/stsd/hvc1/hvcC").is_empty());
}

#[test]
fn g711_is_left_out_and_the_picture_stays() {
    let tracks =
        Tracks { video: Some(video(VideoCodec::H264)), audio: Some(audio(AudioCodec::Pcma)) };
    assert_eq!(tracks.mime().unwrap(), "video/mp4; codecs=\"avc1.640028\"");
    let mut muxer = Muxer::new(tracks, 0);
    assert_eq!(walk(&muxer.init()).iter().filter(|(path, _)| path == "/moov/trak").count(), 1);
    let sound = Track::Audio(audio(AudioCodec::Pcma));
    for dts in [0, 1800, 3600] {
        assert_eq!(muxer.push(frame(sound.clone(), dts, 0, false, Bytes::from_static(b"x"))), None);
    }
    assert_eq!(Tracks { video: None, audio: Some(audio(AudioCodec::Pcmu)) }.mime(), None);
}

#[test]
fn a_fragment_carries_time_flags_and_data_of_its_frame() {
    let picture = Track::Video(video(VideoCodec::H264));
    let tracks = Tracks { video: Some(video(VideoCodec::H264)), audio: None };
    let mut muxer = Muxer::new(tracks, 9_000);
    let early = frame(picture.clone(), 8_999, 0, true, Bytes::from_static(b"early"));
    assert_eq!(muxer.push(early), None);
    let key = frame(picture.clone(), 9_000, 7_200, true, Bytes::from_static(b"key"));
    assert_eq!(muxer.push(key), None, "its duration is not known yet");
    let inter = frame(picture.clone(), 12_600, 0, false, Bytes::from_static(b"inter"));
    let first = muxer.push(inter).unwrap().joined();
    let second = muxer.push(frame(picture, 15_000, 0, false, Bytes::new())).unwrap().joined();

    let boxes = walk(&first);
    assert_eq!(number(find(&boxes, "/moof/mfhd"), 4), 1);
    assert_eq!(find(&boxes, "/moof/traf/tfdt")[4..], 0u64.to_be_bytes());
    let run = find(&boxes, "/moof/traf/trun");
    assert_eq!([number(run, 4), number(run, 12), number(run, 16)], [1, 3_600, 3]);
    assert_eq!([number(run, 20), number(run, 24)], [SYNC_SAMPLE, 7_200]);
    assert_eq!(&first[number(run, 8) as usize..], b"key");

    let boxes = walk(&second);
    assert_eq!(find(&boxes, "/moof/traf/tfdt")[4..], 3_600u64.to_be_bytes());
    let run = find(&boxes, "/moof/traf/trun");
    assert_eq!([number(run, 12), number(run, 20)], [2_400, OTHER_SAMPLE]);
    assert_eq!(&second[number(run, 8) as usize..], b"inter");
}

#[test]
fn what_is_held_back_comes_out_at_the_end() {
    let tracks =
        Tracks { video: Some(video(VideoCodec::H264)), audio: Some(audio(AudioCodec::Aac)) };
    let mut muxer = Muxer::new(tracks.clone(), 0);
    let (picture, sound) = (tracks.video.unwrap(), tracks.audio.unwrap());
    muxer.push(frame(Track::Video(picture), 9_000, 0, true, Bytes::from_static(b"p")));
    muxer.push(frame(Track::Audio(sound), 9_500, 0, false, Bytes::from_static(b"s")));
    let last: Vec<_> = muxer.finish(12_000).collect();
    let durations: Vec<_> =
        last.iter().map(|f| number(find(&walk(&f.joined()), "/moof/traf/trun"), 12)).collect();
    assert_eq!(durations, [3_000, 5_760], "until the end, and 1024 samples of 16 kHz");
    assert_eq!(muxer.finish(20_000).count(), 0);
}

#[test]
fn changed_parameters_are_noticed_and_equal_ones_are_not() {
    let mut tracks = Tracks::default();
    let first = Track::Video(video(VideoCodec::H264));
    assert!(!tracks.covers(&first));
    assert!(tracks.learn(&first));
    assert!(!tracks.learn(&Track::Video(video(VideoCodec::H264))), "another pointer, the same set");
    assert!(tracks.learn(&Track::Video(video(VideoCodec::H265))));
    assert!(!tracks.covers(&first));
}

proptest! {
    /// Whatever the frames are, the boxes nest, the data is where the fragment says, and decode time plus
    /// duration of one frame is the decode time of the next.
    #[test]
    fn fragments_of_any_frames_join(
        steps in prop::collection::vec((1i64..90_000, 0i64..20_000, any::<bool>(), 0usize..300), 2..40),
        origin in 0i64..1 << 40,
    ) {
        let tracks = Tracks { video: Some(video(VideoCodec::H264)), audio: None };
        let picture = Track::Video(video(VideoCodec::H264));
        let mut muxer = Muxer::new(tracks, origin);
        let (mut dts, mut expected, mut sizes) = (origin, 0, Vec::new());
        for (step, delay, key, size) in steps {
            sizes.push(size);
            let data = Bytes::from(vec![size as u8; size]);
            if let Some(fragment) = muxer.push(frame(picture.clone(), dts, delay, key, data)) {
                let fragment = fragment.joined();
                let boxes = walk(&fragment);
                let time = find(&boxes, "/moof/traf/tfdt")[4..].try_into().unwrap();
                prop_assert_eq!(u64::from_be_bytes(time), expected);
                let run = find(&boxes, "/moof/traf/trun");
                expected += u64::from(number(run, 12));
                let size = sizes[sizes.len() - 2];
                prop_assert_eq!(number(run, 16) as usize, size);
                prop_assert_eq!(&fragment[number(run, 8) as usize..], &vec![size as u8; size][..]);
            }
            dts += step;
        }
    }

    /// Records come from the network: any bytes make a segment whose boxes nest.
    #[test]
    fn any_record_makes_a_segment(
        record in prop::collection::vec(any::<u8>(), 0..80),
        config in prop::collection::vec(any::<u8>(), 0..80),
        dimensions in any::<(u32, u32)>(),
        hevc in any::<bool>(),
    ) {
        let codec = if hevc { VideoCodec::H265 } else { VideoCodec::H264 };
        let tracks = Tracks {
            video: Some(Arc::new(VideoParams { codec, record: record.into(), dimensions, frame_rate: None })),
            audio: Some(Arc::new(AudioParams {
                codec: AudioCodec::Aac, sample_rate: 96_000, channels: 2, config: config.into(),
            })),
        };
        prop_assert!(tracks.mime().is_some());
        walk(&Muxer::new(tracks, 0).init());
    }
}
