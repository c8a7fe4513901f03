use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::frame::{CLOCK_HZ, Frame};

const MS: i64 = CLOCK_HZ / 1000;

/// Writes a group of these frames, with what the tables should list.
fn group(muxer: &mut Muxer, frames: &[Frame]) -> Vec<u8> {
    let mut tracks = Tracks::default();
    for frame in frames {
        let Tracks { video, audio } = Tracks::of(frame);
        tracks = Tracks { video: tracks.video.or(video), audio: tracks.audio.or(audio) };
    }
    muxer.open(tracks.video.is_some(), false);
    for frame in frames {
        assert!(muxer.carries(frame));
        let bound = muxer.bytes_with(frame);
        muxer.push(frame);
        assert!(muxer.bytes() <= bound, "{} bytes, expected at most {bound}", muxer.bytes());
    }
    muxer.flush();
    let told = muxer.bytes();
    let chunks = muxer.close(&tracks);
    assert!(chunks.iter().all(|chunk| chunk.len() <= 65_536 && chunk.len() % PACKET == 0));
    let bytes = chunks.concat();
    assert_eq!(told, bytes.len() as u64);
    bytes
}

fn read(bytes: &[u8]) -> Recorded {
    let mut recorded = Recorded::default();
    recorded.read(bytes);
    recorded
}

#[test]
fn a_delimiter_and_the_parameter_sets_come_before_a_key_picture() {
    let (h264, h265) = (h264(), h265());
    let cases = [
        (&h264, vec![SPS, PPS], &[0x09, 0xf0][..], &[0x65, 1, 2][..], &[0x41, 3][..]),
        (&h265, HEVC_SETS.to_vec(), &[0x46, 1, 0x50], &[0x26, 1, 2], &[0x02, 1, 3]),
    ];
    for (params, sets, delimiter, key, other) in cases {
        // The camera's own delimiter is in the way.
        let frames = [
            picture(params, true, 0, &[delimiter, key, key]),
            picture(params, false, 3600, &[other]),
        ];
        let recorded = read(&group(&mut Muxer::new(), &frames));
        let nals: Vec<_> = recorded.pictures().map(Unit::nals).collect();
        assert_eq!(nals[0], [&[delimiter][..], &sets, &[key, key]].concat());
        assert_eq!(nals[1], [delimiter, other]);
        let access: Vec<_> = recorded.pictures().map(|unit| unit.random_access).collect();
        assert_eq!(access, [true, false]);
    }
}

#[test]
fn the_clock_ticks_between_pictures_that_are_seconds_apart() {
    let (video, audio) = (h264(), aac(48000));
    for step in [50, 101, 1000, 3000, 10_000] {
        for with_sound in [false, true] {
            let mut muxer = Muxer::new();
            let mut recorded = Recorded::default();
            for n in 0..4 {
                let at = n * step * MS;
                let mut frames = vec![picture(&video, true, at, &[&[0x65; 300]])];
                let sounds = (0..).map(|n| at + n * 1920).take_while(|t| *t < at + step * MS);
                frames.extend(sounds.filter(|_| with_sound).map(|t| sound(&audio, t, &[7; 50])));
                recorded.read(&group(&mut muxer, &frames)); // It asserts the clock.
            }
            assert_eq!(recorded.pictures().count(), 4);
        }
    }
}

#[test]
fn a_longer_hole_is_marked_as_a_new_time_base_instead() {
    let params = h264();
    let [a, b] = [0, 10 * CLOCK_HZ + 1].map(|at| picture(&params, true, at, &[&[0x65, 1]]));
    let bytes = group(&mut Muxer::new(), &[a, b]);
    assert_eq!(bytes.len(), 4 * PACKET);
    let marks: Vec<_> = read(&bytes).units.iter().map(|unit| unit.discontinuity).collect();
    assert_eq!(marks, [false, true]);
}

#[test]
fn sound_is_gathered_for_at_most_200_ms() {
    let (video, audio) = (h264(), aac(48000));
    let mut frames = vec![picture(&video, true, 0, &[&[0x65, 1]])];
    frames.extend((0..100).map(|n| sound(&audio, n * 1920, &[n as u8; 200])));
    let recorded = read(&group(&mut Muxer::new(), &frames));
    let sounds = recorded.units.iter().filter(|unit| !unit.video);
    let sizes: Vec<_> = sounds.map(|unit| unit.data.len() / 207).collect();
    let most = [9; 11].into_iter().chain([1]);
    assert_eq!(sizes, most.collect::<Vec<_>>(), "1920 ticks each, 18,000 ticks at most");
    // A picture ends the wait of sound that stopped.
    let frames = [
        picture(&video, true, 0, &[&[0x65, 1]]),
        sound(&audio, 0, &[1]),
        picture(&video, false, 100 * MS, &[&[0x41, 1]]),
        picture(&video, false, 200 * MS, &[&[0x41, 2]]),
    ];
    let recorded = read(&group(&mut Muxer::new(), &frames));
    let order: Vec<_> = recorded.units.iter().map(|unit| unit.video).collect();
    assert_eq!(order, [true, true, false, true]);
}

#[test]
fn other_parameters_do_not_change_the_sound_before() {
    let (video, first, other) = (h264(), aac(48000), aac(16000));
    let frames = [
        picture(&video, true, 0, &[&[0x65, 1]]),
        sound(&first, 0, &[1]),
        sound(&first, 1920, &[2]),
        sound(&other, 3840, &[3]),
    ];
    let recorded = read(&group(&mut Muxer::new(), &frames));
    let sounds: Vec<_> = recorded.sounds().into_iter().map(|(at, _)| at).collect();
    assert_eq!(sounds, [0, 1920, 3840]);
}

#[test]
fn sound_after_a_hole_has_a_time_of_its_own() {
    let (video, audio) = (h264(), aac(48000));
    let times = [0, 1920, 1920 * 2 + 100, 1920 * 4, 1920 * 5];
    let mut frames = vec![picture(&video, true, 0, &[&[0x65, 1]])];
    frames.extend(times.map(|at| sound(&audio, at, &[5])));
    let recorded = read(&group(&mut Muxer::new(), &frames));
    let starts: Vec<_> = recorded.units.iter().filter(|u| !u.video).map(|u| u.pts).collect();
    assert_eq!(starts, [0, 1920 * 4], "100 ticks are rounding");
}

#[test]
fn the_longest_sound_fits_and_a_longer_one_is_refused() {
    let (video, audio) = (h264(), aac(48000));
    let longest = 0x1fff - 7;
    let mut frames = vec![picture(&video, true, 0, &[&[0x65, 1]])];
    frames.extend((0..20).map(|n| sound(&audio, n * 1920, &vec![n as u8; longest])));
    let recorded = read(&group(&mut Muxer::new(), &frames));
    assert_eq!(recorded.sounds().len(), 20);
    let most = recorded.units.iter().skip(1).map(|unit| unit.data.len()).max();
    assert_eq!(most, Some(7 * 0x1fff), "as long as a PES packet can tell");
    assert!(!Muxer::new().carries(&sound(&audio, 0, &vec![0; longest + 1])));
    assert!(!Muxer::new().carries(&sound(&audio, 0, &[])));
}

#[test]
fn a_picture_larger_than_a_pes_header_can_tell_is_whole() {
    let params = h264();
    let nal = vec![0x65; 3_000_000];
    let recorded = read(&group(&mut Muxer::new(), &[picture(&params, true, 0, &[&nal])]));
    assert_eq!(recorded.units[0].nals().last(), Some(&&nal[..]));
}

#[test]
fn memory_is_no_more_than_the_bytes_need() {
    let params = h264();
    for size in [1, 10_000, 65_000, 66_000, 500_000] {
        let mut muxer = Muxer::new();
        muxer.open(true, false);
        muxer.push(&picture(&params, true, 0, &[&vec![0x65; size]]));
        let tracks = Tracks { video: Some(params.clone()), audio: None };
        let chunks = muxer.close(&tracks);
        assert!(chunks.iter().map(|chunk| chunk.len()).sum::<usize>() > size, "{size}");
        for chunk in chunks {
            let len = chunk.len();
            assert!(Vec::from(chunk).capacity() <= len + PACKET, "{size}");
        }
    }
}

#[derive(Clone, Debug)]
struct Stream {
    hevc: bool,
    start: i64,
    step: i64,
    /// Sizes of the NAL units of each picture, and by how many steps it is shown later.
    pictures: Vec<(Vec<usize>, i64)>,
    gop: usize,
    sound: Option<(u32, i64)>,
}

fn streams() -> impl Strategy<Value = Stream> {
    let sizes = prop::collection::vec(prop_oneof![2usize..600, 160usize..200, Just(20_000)], 1..5);
    let pictures = prop::collection::vec((sizes, 0i64..4), 1..60);
    let start = prop_oneof![Just(CLOCK_HZ), WRAP - 3 * CLOCK_HZ..WRAP, Just(-CLOCK_HZ)];
    let step = prop_oneof![Just(3600i64), Just(3003), Just(1500), Just(9001), 1500i64..200_000];
    let rate = prop_oneof![Just(48000u32), Just(44100), Just(16000)];
    let sound = prop::option::of((rate, -150 * MS..150 * MS));
    (any::<bool>(), start, step, pictures, 1usize..30, sound).prop_map(
        |(hevc, start, step, pictures, gop, sound)| Stream {
            hevc,
            start,
            step,
            pictures,
            gop,
            sound,
        },
    )
}

impl Stream {
    fn frames(&self) -> Vec<Frame> {
        let params = if self.hevc { h265() } else { h264() };
        let header = |key| match (self.hevc, key) {
            (true, key) => {
                if key {
                    0x26
                } else {
                    0x02
                }
            }
            (false, key) => {
                if key {
                    0x65
                } else {
                    0x41
                }
            }
        };
        let mut frames = Vec::new();
        for (n, (sizes, delay)) in self.pictures.iter().enumerate() {
            let key = n % self.gop == 0;
            let nal = |(m, size): (usize, &usize)| {
                let mut nal = vec![(n + m) as u8 | 1; *size];
                nal[0] = header(key);
                nal
            };
            let nals: Vec<_> = sizes.iter().enumerate().map(nal).collect();
            let nals: Vec<_> = nals.iter().map(|nal| &nal[..]).collect();
            let dts = self.start + n as i64 * self.step;
            let mut frame = picture(&params, key, dts, &nals);
            frame.pts += delay * self.step;
            frames.push(frame);
        }
        if let Some((rate, skew)) = self.sound {
            let audio = aac(rate);
            let end = self.start + self.pictures.len() as i64 * self.step;
            let at = |n: i64| self.start + skew + n * 1024 * CLOCK_HZ / i64::from(rate);
            let times = (0..).map(at).take_while(|at| *at < end).enumerate();
            frames.extend(times.map(|(n, at)| sound(&audio, at, &vec![n as u8; 20 + n % 500])));
            frames.sort_by_key(|frame| frame.dts - if frame.is_video() { 0 } else { skew });
        }
        frames
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(stream in streams()) {
        let frames = stream.frames();
        let (mut muxer, mut recorded) = (Muxer::new(), Recorded::default());
        for group_frames in frames.chunk_by(|_, next| !(next.is_video() && next.key)) {
            recorded.read(&group(&mut muxer, group_frames));
        }
        let (pictures, sounds): (Vec<_>, Vec<_>) = frames.iter().partition(|f| f.is_video());
        prop_assert_eq!(recorded.pictures().count(), pictures.len());
        for (unit, frame) in recorded.pictures().zip(pictures) {
            prop_assert_eq!(unit.pts, frame.pts.rem_euclid(WRAP));
            prop_assert_eq!(unit.dts, frame.dts.rem_euclid(WRAP));
            prop_assert_eq!(unit.random_access, frame.key);
            let mut nals = unit.nals().into_iter().skip(1);
            if frame.key {
                nals.nth(if stream.hevc { 2 } else { 1 });
            }
            let mut data = &frame.data[..];
            for nal in nals {
                prop_assert_eq!(&data[..4], (nal.len() as u32).to_be_bytes());
                prop_assert_eq!(&data[4..4 + nal.len()], nal);
                data = &data[4 + nal.len()..];
            }
            prop_assert!(data.is_empty());
        }
        let heard = recorded.sounds();
        prop_assert_eq!(heard.len(), sounds.len());
        for ((at, data), frame) in heard.iter().zip(sounds) {
            prop_assert_eq!(&data[..], &frame.data[..]);
            let off = (at - frame.pts + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
            prop_assert!(off.abs() <= 2 * MS, "{} off", off);
        }
    }

    #[test]
    fn any_frame_at_all_is_survived(
        frames in prop::collection::vec(
            (any::<bool>(), any::<i64>(), any::<i64>(), prop::collection::vec(any::<u8>(), 0..300)),
            1..30,
        ),
        small in any::<bool>(),
    ) {
        let (video, audio) = (h264(), aac(48000));
        let mut muxer = Muxer::new();
        muxer.open(true, false);
        for (is_video, dts, pts, data) in frames {
            let dts = if small { dts % WRAP } else { dts };
            let mut frame = match is_video {
                true => picture(&video, false, dts, &[&data]),
                false => sound(&audio, dts, &data),
            };
            frame.pts = pts;
            let bound = muxer.bytes_with(&frame);
            muxer.push(&frame);
            prop_assert!(muxer.bytes() <= bound);
        }
        let tracks = Tracks { video: Some(video), audio: Some(audio) };
        prop_assert_eq!(muxer.close(&tracks).concat().len() % PACKET, 0);
    }
}
