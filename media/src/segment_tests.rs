use mpeg2ts::es::StreamType;
use proptest::prelude::*;

use super::*;
use crate::frame::VideoParams;
use crate::ts::PACKET;
use crate::ts::testing::*;

const SECOND: Duration = Duration::from_secs(1);
/// Ticks between two pictures at 25 fps.
const STEP: i64 = 3600;

/// What came of the frames, segment by segment, and what is unfinished at the end.
#[derive(Default)]
struct Made {
    segments: Vec<Whole>,
    groups: Vec<Group>,
}

struct Whole {
    begin: Begin,
    end: End,
    groups: Vec<Group>,
    bytes: Vec<u8>,
}

impl Made {
    fn push(&mut self, segmenter: &mut Segmenter, frame: &Frame) {
        segmenter.push(frame);
        self.drain(segmenter);
    }

    fn drain(&mut self, segmenter: &mut Segmenter) {
        while let Some(cut) = segmenter.poll() {
            match cut {
                SegmentEvent::Group(group) => {
                    assert_eq!(group.begins.is_some(), self.groups.is_empty());
                    assert_eq!(group.bytes, group.chunks.iter().map(|c| c.len() as u64).sum());
                    self.groups.push(group);
                }
                SegmentEvent::End(end) => {
                    let groups = std::mem::take(&mut self.groups);
                    let begin = groups[0].begins.expect("the first one begins it");
                    let bytes: Vec<u8> =
                        groups.iter().flat_map(|group| group.chunks.concat()).collect();
                    assert_eq!(end.bytes, bytes.len() as u64);
                    assert_eq!(end.duration, groups.iter().map(|g| g.duration).sum::<Duration>());
                    self.segments.push(Whole { begin, end, groups, bytes });
                }
            }
        }
    }
}

fn segmenter(duration: Duration, max_bytes: u64) -> Segmenter {
    Segmenter::new(Limits { duration, max_bytes })
}

/// Groups of `gop` pictures of `size` bytes, from `start` on.
fn pictures(
    params: &Arc<VideoParams>,
    start: i64,
    gop: usize,
    size: usize,
) -> impl Iterator<Item = Frame> + use<> {
    let (key, other) = (vec![0x65; size], vec![0x41; size]);
    let params = Arc::clone(params);
    (0..).map(move |n: usize| {
        let key_frame = n.is_multiple_of(gop);
        let nal = if key_frame { &key } else { &other };
        picture(&params, key_frame, start + n as i64 * STEP, &[nal])
    })
}

fn sounds(params: &Arc<AudioParams>, start: i64) -> impl Iterator<Item = Frame> + use<> {
    let params = Arc::clone(params);
    let step = 1024 * CLOCK_HZ / i64::from(params.sample_rate);
    (0..).map(move |n: i64| sound(&params, start + n * step, &[n as u8; 60]))
}

fn cut(limits: (Duration, u64), frames: impl IntoIterator<Item = Frame>) -> Made {
    let (mut segmenter, mut made) = (segmenter(limits.0, limits.1), Made::default());
    for frame in frames {
        made.push(&mut segmenter, &frame);
    }
    made
}

fn durations(made: &Made) -> Vec<f64> {
    made.segments.iter().map(|segment| segment.end.duration.as_secs_f64()).collect()
}

#[test]
fn the_first_key_frame_at_or_after_the_duration_cuts() {
    // The stream has a key frame every 0.8 s.
    for (duration, want) in [(2.0, 2.4), (2.4, 2.4), (2.401, 3.2), (0.0, 0.8), (0.9, 1.6)] {
        let limits = (Duration::from_secs_f64(duration), u64::MAX);
        let made = cut(limits, pictures(&h264(), 90_000, 20, 100).take(200));
        assert!(made.segments.len() >= 2);
        assert!(durations(&made).iter().all(|d| *d == want), "{duration}: {:?}", durations(&made));
        let starts: Vec<_> = made.segments.iter().map(|s| s.begin.at).take(2).collect();
        assert_eq!(starts, [90_000, 90_000 + (want * 90_000.0) as i64]);
        assert!(made.segments.iter().all(|s| !s.begin.discontinuity && !s.end.oversize));
    }
}

#[test]
fn the_last_key_frame_before_the_size_cuts() {
    let frames = || pictures(&h264(), 0, 20, 1000).take(200);
    let groups = cut((Duration::ZERO, u64::MAX), frames());
    let one = groups.segments[0].end.bytes;
    for (max, want) in [(one, 1), (2 * one - 1, 1), (2 * one, 2), (3 * one + 5, 3)] {
        let made = cut((60 * SECOND, max), frames());
        assert!(made.segments.len() >= 2);
        for segment in &made.segments {
            assert_eq!((segment.groups.len(), segment.end.oversize), (want, false), "{max}");
            assert!(segment.end.bytes <= max);
        }
    }
}

#[test]
fn the_end_of_a_full_segment_does_not_wait_for_the_rest_of_the_group() {
    let frames: Vec<_> = pictures(&h264(), 0, 20, 1000).take(60).collect();
    let one = cut((Duration::ZERO, u64::MAX), frames.clone()).segments[0].end.bytes;
    let made = cut((60 * SECOND, one + one / 2), frames[..35].to_vec());
    assert_eq!(durations(&made), [0.8], "half of the second group is known to be too much");
}

#[test]
fn a_group_larger_than_the_size_is_cut_where_it_must_be() {
    let frames: Vec<_> = pictures(&h264(), 0, 100, 1000).take(301).collect();
    let max = 40 * 1000;
    let made = cut((SECOND, max), frames.clone());
    assert!(made.segments.len() > 6);
    let mut all = Recorded::default();
    for segment in &made.segments {
        assert!(segment.end.bytes <= max, "{}", segment.end.bytes);
        all.read(&segment.bytes);
        let mut alone = Recorded::default();
        alone.read(&segment.bytes);
        let first = alone.pictures().next().expect("a picture");
        assert_eq!(first.nals()[1..3], [SPS, PPS], "also inside of a group");
    }
    assert_eq!(all.pictures().count(), 300, "none is lost");
    let oversize: Vec<_> = made.segments.iter().map(|s| s.end.oversize).collect();
    assert_eq!(oversize[..6], [true, true, false, true, true, false]);
    assert_eq!(made.segments.iter().map(|s| s.end.duration).sum::<Duration>(), 12 * SECOND);
    assert!(made.segments.iter().skip(1).all(|s| !s.begin.discontinuity));
}

#[test]
fn a_group_that_must_be_cut_begins_a_segment_of_its_own() {
    let frames = pictures(&h264(), 0, 20, 1000).take(22).chain([
        picture(&h264(), false, 22 * STEP, &[&[0x41; 49_000]]),
        picture(&h264(), true, 23 * STEP, &[&[0x65; 9]]),
    ]);
    let made = cut((60 * SECOND, 50_000), frames);
    let ends: Vec<_> = made.segments.iter().map(|s| (s.begin.at / STEP, s.end.oversize)).collect();
    assert_eq!(ends, [(0, false), (20, true)]);
    assert_eq!(made.groups[0].begins.map(|begin| begin.at), Some(22 * STEP));
}

#[test]
fn no_more_than_the_size_and_one_frame_is_held() {
    let mut segmenter = segmenter(SECOND, 50_000);
    for frame in pictures(&h264(), 0, 100_000, 3000).take(500) {
        segmenter.push(&frame);
        while segmenter.poll().is_some() {}
        assert!(segmenter.forming_bytes() <= 50_000);
    }
    // Sound that goes on after the pictures ended.
    for frame in sounds(&aac(48000), 500 * STEP).take(5000) {
        segmenter.push(&frame);
        while segmenter.poll().is_some() {}
        assert!(segmenter.forming_bytes() <= 50_000);
    }
    // A single frame is never cut.
    let huge = picture(&h264(), true, 1000 * STEP, &[&[0x65; 100_000]]);
    let made = cut((SECOND, 50_000), [huge.clone(), Frame { dts: 1200 * STEP, ..huge }]);
    assert!(made.segments[0].end.bytes > 100_000);
}

#[test]
fn other_parameter_sets_begin_a_segment() {
    let (first, other) = (h264(), h265());
    let copy = Arc::new(VideoParams::clone(&first));
    let frames = pictures(&first, 0, 25, 100).take(50);
    let frames = frames.chain(pictures(&copy, 50 * STEP, 25, 100).take(50));
    let frames = frames.chain(pictures(&other, 100 * STEP, 25, 100).take(26));
    let made = cut((3 * SECOND, u64::MAX), frames.chain([]));
    assert_eq!(durations(&made), [3.0, 1.0], "an equal set in another place is no other set");
    assert_eq!(made.segments[1].begin.at, 75 * STEP);
    let begin = made.groups[0].begins.expect("a new segment");
    assert_eq!((begin.at, begin.discontinuity), (100 * STEP, false));
    let mut recorded = Recorded::default();
    for bytes in made.segments.iter().map(|s| &s.bytes) {
        recorded.read(bytes);
    }
    recorded.read(&made.groups[0].chunks.concat());
    let versions: Vec<_> = recorded.programs.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, [0, 0, 0, 0, 1]);
}

#[test]
fn other_parameters_inside_a_group_are_a_gap() {
    let (first, other) = (h264(), h265());
    let frames = pictures(&first, 0, 25, 100).take(30);
    let frames = frames.chain(pictures(&other, 20 * STEP, 25, 100).skip(10).take(41));
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    frames.for_each(|frame| made.push(&mut segmenter, &frame));
    assert_eq!(durations(&made), [1.2]);
    let begin = made.groups[0].begins.expect("a new segment");
    assert_eq!((begin.at, begin.discontinuity), (45 * STEP, true));
    assert_eq!(segmenter.dropped(), 1, "the others came before a key frame");
}

#[test]
fn other_parameters_of_the_sound_wait_for_the_next_key_picture() {
    let (video, first, other) = (h264(), aac(48000), aac(16000));
    let mut frames: Vec<_> = pictures(&video, 0, 25, 100).take(76).collect();
    frames.extend(sounds(&first, 0).take_while(|f| f.dts < 30 * STEP));
    frames.extend(sounds(&other, 30 * STEP).take_while(|f| f.dts < 75 * STEP));
    frames.sort_by_key(|frame| frame.dts);
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    frames.iter().for_each(|frame| made.push(&mut segmenter, frame));
    assert_eq!(durations(&made), [2.0]);
    let begin = made.groups[0].begins.expect("a new segment");
    assert_eq!((begin.at, begin.discontinuity), (50 * STEP, false));
    let dropped = frames.iter().filter(|f| f.dts >= 30 * STEP && f.dts < 50 * STEP);
    assert_eq!(segmenter.dropped(), dropped.filter(|f| !f.is_video()).count() as u64);
    let mut recorded = Recorded::default();
    recorded.read(&made.groups[0].chunks.concat());
    assert_eq!(recorded.sounds().len(), 16, "15.6 of 64 ms in 1 s");
}

#[test]
fn sound_that_joins_later_begins_a_segment_with_its_group() {
    let mut frames: Vec<_> = pictures(&h264(), 0, 25, 100).take(101).collect();
    frames.extend(sounds(&aac(48000), 60 * STEP).take_while(|f| f.dts < 100 * STEP));
    frames.sort_by_key(|frame| frame.dts);
    let made = cut((60 * SECOND, u64::MAX), frames);
    assert_eq!(durations(&made), [2.0]);
    assert_eq!(made.groups.len(), 2);
    let mut recorded = Recorded::default();
    recorded.read(&made.segments[0].bytes);
    recorded.read(&made.groups[0].chunks.concat());
    let tracks: Vec<_> = recorded.programs.iter().map(|(_, streams)| streams.len()).collect();
    assert_eq!(tracks, [1, 1, 2]);
    assert!(!recorded.sounds().is_empty(), "the tables cover it although it came later");
}

#[test]
fn sound_heard_lately_is_listed_before_it_comes_again() {
    let audio = aac(48000);
    let mut frames: Vec<_> = pictures(&h264(), 0, 25, 100).take(151).collect();
    frames.extend(sounds(&audio, 0).take_while(|f| f.dts < 49 * STEP));
    frames.sort_by_key(|frame| frame.dts);
    let made = cut((2 * SECOND, u64::MAX), frames);
    let mut recorded = Recorded::default();
    made.segments.iter().for_each(|s| recorded.read(&s.bytes));
    let tracks: Vec<_> = recorded.programs.iter().map(|(_, streams)| streams.len()).collect();
    assert_eq!(tracks, [2, 2, 2, 2, 1, 1], "but not once it is gone");
    assert_eq!(durations(&made), [2.0, 2.0, 2.0]);
}

#[test]
fn sound_from_before_a_gap_is_not_listed() {
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    let frames = pictures(&h264(), 0, 25, 100).take(10).chain(sounds(&aac(48000), 0).take(5));
    frames.for_each(|frame| made.push(&mut segmenter, &frame));
    segmenter.gap();
    pictures(&h264(), 12 * STEP, 25, 100)
        .take(10)
        .for_each(|frame| made.push(&mut segmenter, &frame));
    segmenter.finish();
    made.drain(&mut segmenter);
    let mut recorded = Recorded::default();
    made.segments.iter().for_each(|s| recorded.read(&s.bytes));
    let tracks: Vec<_> = recorded.programs.iter().map(|(_, streams)| streams.len()).collect();
    assert_eq!(tracks, [2, 1]);
}

#[test]
fn a_gap_ends_the_segment_and_the_next_is_a_discontinuity() {
    let params = h264();
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    segmenter.gap();
    pictures(&params, 0, 25, 100).take(40).for_each(|frame| made.push(&mut segmenter, &frame));
    segmenter.gap();
    segmenter.gap();
    // The stream goes on in the middle of a group, then with a whole one.
    let later = pictures(&params, 1000 * STEP, 25, 100).skip(5).take(45);
    later.for_each(|frame| made.push(&mut segmenter, &frame));
    let mut jump = picture(&params, true, 90 * STEP, &[&[0x65; 9]]);
    jump.discontinuity = true;
    made.push(&mut segmenter, &jump);
    segmenter.finish();
    made.drain(&mut segmenter);
    assert_eq!(durations(&made), [1.6, 1.0, 0.04], "to the end of the last frame");
    let begins: Vec<_> =
        made.segments.iter().map(|s| (s.begin.at / STEP, s.begin.discontinuity)).collect();
    assert_eq!(begins, [(0, false), (1025, true), (90, true)]);
    let mut recorded = Recorded::default();
    made.segments.iter().for_each(|segment| recorded.read(&segment.bytes));
    let marked = recorded.pictures().filter(|unit| unit.discontinuity).count();
    assert_eq!((marked, recorded.pictures().count()), (2, 40 + 25 + 1));
}

/// Pictures of open groups of 25: the two behind each key frame are leading ones. Their bytes say
/// which they are.
fn open_groups(params: &Arc<VideoParams>, start: i64) -> impl Iterator<Item = Frame> + use<> {
    let params = Arc::clone(params);
    (0..).map(move |n: u8| {
        let nal = [if n.is_multiple_of(25) { 0x65 } else { 0x41 }, n];
        let frame = picture(&params, n.is_multiple_of(25), start + i64::from(n) * STEP, &[&nal]);
        Frame { leading: matches!(n % 25, 1 | 2), ..frame }
    })
}

#[test]
fn leading_pictures_are_recorded_where_the_stream_goes_on_and_left_out_where_it_begins() {
    let pictures = |made: &Made| -> Vec<usize> {
        let read = |segment: &Whole| {
            let mut recorded = Recorded::default();
            recorded.read(&segment.bytes);
            recorded.pictures().count()
        };
        made.segments.iter().map(read).collect()
    };
    let params = h264();
    let mut segmenter = segmenter(SECOND, u64::MAX);
    let mut made = Made::default();
    open_groups(&params, 0).take(75).for_each(|frame| made.push(&mut segmenter, &frame));
    segmenter.gap();
    open_groups(&params, 100 * STEP).take(50).for_each(|frame| made.push(&mut segmenter, &frame));
    // The camera was opened anew; then other parameters.
    let mut again: Vec<_> = open_groups(&params, 200 * STEP).take(25).collect();
    again[0].discontinuity = true;
    again.extend(open_groups(&h265(), 225 * STEP).take(25));
    again.iter().for_each(|frame| made.push(&mut segmenter, frame));
    segmenter.finish();
    made.drain(&mut segmenter);
    assert_eq!(pictures(&made), [23, 25, 25, 23, 25, 23, 23]);
    assert_eq!(segmenter.dropped(), 0);
}

#[test]
fn stopping_ends_the_segment_with_what_is_there() {
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    segmenter.finish();
    assert!(segmenter.poll().is_none(), "nothing to end");
    pictures(&h264(), 0, 25, 100).take(60).for_each(|frame| made.push(&mut segmenter, &frame));
    assert!(segmenter.forming_bytes() > 6000);
    segmenter.finish();
    made.drain(&mut segmenter);
    assert_eq!(durations(&made), [2.4]);
    assert_eq!(made.segments[0].groups.len(), 3);
    assert_eq!(segmenter.forming_bytes(), 0);
}

#[test]
fn sound_alone_is_cut_at_any_frame() {
    let key = |frame: Frame| Frame { key: true, ..frame };
    let (first, other) = (aac(16000), aac(48000));
    let frames = sounds(&first, 0).take(100).map(key); // 64 ms each
    let frames = frames.chain(sounds(&other, 100 * 5760).take(10).map(key));
    let made = cut((2 * SECOND, u64::MAX), frames);
    assert_eq!(durations(&made), [2.048, 2.048, 2.048, 0.256], "other parameters cut at once");
    assert!(made.segments.iter().flat_map(|s| &s.groups).all(|g| g.duration < SECOND));
    let mut recorded = Recorded::default();
    for segment in &made.segments {
        recorded.read(&segment.bytes);
        Recorded::default().read(&segment.bytes);
    }
    assert_eq!(recorded.sounds().len(), 100);
    // Groups of sound are also cut by size, where no place is better than another.
    let made = cut((60 * SECOND, 6000), sounds(&first, 0).take(500).map(key));
    assert!(made.segments.len() > 5);
    for segment in made.segments {
        assert!(segment.end.bytes <= 6000 && segment.end.bytes > 4000 && !segment.end.oversize);
    }
}

#[test]
fn a_lone_frame_lasts_as_long_as_those_before() {
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    // Frames of a segment at 90 kHz, and what it lasts; nothing is learned from gaps.
    let segments: [(&[i64], f64); 5] = [
        (&[90_000], 0.04),
        (&[450_000], 0.04),
        (&[540_000, 549_000], 0.2),
        (&[630_000], 0.1),
        (&[90_000], 0.1),
    ];
    for (times, want) in segments {
        for dts in times {
            made.push(&mut segmenter, &picture(&h264(), true, *dts, &[&[0x65; 9]]));
        }
        segmenter.gap();
        made.drain(&mut segmenter);
        assert_eq!(durations(&made).last(), Some(&want), "{times:?}");
    }
}

#[test]
fn the_clock_between_slow_pictures_is_in_the_segment_before() {
    // The stream has a key frame a second and nothing else.
    let slow = (0..10).map(|n| picture(&h264(), true, n * CLOCK_HZ, &[&[0x65; 9]]));
    let made = cut((3 * SECOND, u64::MAX), slow);
    assert_eq!(durations(&made), [3.0; 3]);
    for segment in &made.segments {
        let payload = segment.bytes[2 * PACKET + 3] & 0x10;
        assert_ne!(payload, 0, "the third packet begins the picture");
        assert_eq!(segment.bytes.len() / PACKET, 3 * (2 + 1 + 9));
    }
}

#[test]
fn a_stream_of_key_frames_is_never_cut_inside_of_a_group() {
    let made = cut((60 * SECOND, 100_000), pictures(&h264(), 0, 1, 20_000).take(60));
    assert!(made.segments.len() > 10);
    for segment in &made.segments {
        assert!(segment.end.bytes <= 100_000 && !segment.end.oversize);
        assert_plays_alone(&segment.bytes, &[SPS, PPS]);
    }
}

#[test]
fn a_stream_of_key_frames_makes_groups_of_half_a_second() {
    let made = cut((2 * SECOND, u64::MAX), pictures(&h264(), 0, 1, 100).take(101));
    assert_eq!(durations(&made), [2.0, 2.0]);
    let groups: Vec<_> = made.segments[0].groups.iter().map(|g| g.duration.as_millis()).collect();
    assert_eq!(groups, [520, 520, 520, 440]);
}

#[test]
fn what_comes_before_a_key_frame_and_what_is_damaged_is_left_out() {
    let params = h264();
    let mut segmenter = segmenter(60 * SECOND, u64::MAX);
    let mut made = Made::default();
    for frame in pictures(&params, -5 * STEP, 25, 100).skip(5).take(20) {
        made.push(&mut segmenter, &frame);
    }
    made.push(&mut segmenter, &sound(&aac(48000), 0, &[1]));
    assert_eq!((segmenter.forming_bytes(), segmenter.dropped()), (0, 0));
    let cut_short = |frame: Frame| Frame { data: frame.data.slice(..50), ..frame };
    for (n, frame) in pictures(&params, 0, 25, 100).take(90).enumerate() {
        // One damaged frame is inside of a group, the other is a key frame.
        let damaged = n == 10 || n == 50;
        made.push(&mut segmenter, &if damaged { cut_short(frame) } else { frame });
    }
    assert_eq!(segmenter.dropped(), 2);
    assert_eq!(
        durations(&made),
        [2.0],
        "what follows a key frame that is missing waits for the next"
    );
    segmenter.finish();
    made.drain(&mut segmenter);
    assert_eq!(made.segments[1].begin.at, 75 * STEP);
    let mut recorded = Recorded::default();
    recorded.read(&made.segments[0].bytes);
    assert_eq!(recorded.pictures().count(), 49);
}

#[cfg(not(feature = "g711-aac"))]
#[test]
fn g711_is_left_out_and_the_pictures_are_not() {
    let mut frames: Vec<_> = pictures(&h264(), 0, 25, 100).take(51).collect();
    frames.extend((0..50).map(|n| crate::testing::sound(n * STEP, std::time::Instant::now())));
    frames.sort_by_key(|frame| frame.dts);
    let made = cut((2 * SECOND, u64::MAX), frames);
    assert_eq!(durations(&made), [2.0]);
    let mut recorded = Recorded::default();
    recorded.read(&made.segments[0].bytes);
    assert!(recorded.programs.iter().all(|(_, streams)| streams.len() == 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_becomes_segments_that_play_alone_and_add_up(
        gops in prop::collection::vec((1usize..40, 0usize..4000, 0u8..8), 2..30),
        step in prop_oneof![Just(3600i64), Just(3003), 900i64..90_000],
        millis in 0u64..4000,
        max_bytes in prop_oneof![Just(u64::MAX), 30_000u64..200_000],
        start in prop_oneof![Just(CLOCK_HZ), (1i64 << 33) - 200_000..1 << 33],
    ) {
        let (mut segmenter, mut made) = (segmenter(Duration::from_millis(millis), max_bytes), Made::default());
        let (avc, hevc, audio) = (h264(), h265(), aac(16000));
        let (mut at, mut heard_at, mut gaps, mut pushed) = (start, start, 0, 0);
        let mut params = &avc;
        for (frames, size, event) in gops {
            match event {
                0 => params = if Arc::ptr_eq(params, &avc) { &hevc } else { &avc },
                1 => {
                    segmenter.gap();
                    made.drain(&mut segmenter);
                    gaps += 1;
                    (at, heard_at) = (at + 12_345, at + 12_345);
                }
                _ => {}
            }
            for n in 0..frames {
                let nal = vec![if n == 0 { 0x65 } else { 0x41 }; size / 10 * (10 - n.min(9)) + 2];
                made.push(&mut segmenter, &picture(params, n == 0, at, &[&nal]));
                pushed += 1;
                at += step;
                while heard_at < at {
                    made.push(&mut segmenter, &sound(&audio, heard_at, &[3; 90]));
                    heard_at += 5760;
                }
            }
        }
        segmenter.finish();
        made.drain(&mut segmenter);
        prop_assert!(made.groups.is_empty());

        let mut all = Recorded::default();
        let mut inside = false;
        for pair in made.segments.windows(2) {
            if !pair[1].begin.discontinuity {
                prop_assert_eq!(pair[0].end.duration, span(pair[0].begin.at, pair[1].begin.at));
            }
        }
        for segment in &made.segments {
            all.read(&segment.bytes);
            prop_assert!(segment.end.bytes <= max_bytes);
            if !inside {
                let codec = all.programs.last().expect("a table").1[0];
                let sets = if codec == StreamType::H264 { &[SPS, PPS][..] } else { &HEVC_SETS };
                assert_plays_alone(&segment.bytes, sets);
            }
            inside = segment.end.oversize;
            prop_assert_eq!(segment.bytes.len() % PACKET, 0);
        }
        prop_assert_eq!(all.pictures().count(), pushed);
        let marked = made.segments.iter().filter(|s| s.begin.discontinuity).count();
        prop_assert!(marked <= gaps);
        prop_assert_eq!(segmenter.dropped(), 0);
    }

    #[test]
    fn any_frames_at_all_are_survived(
        frames in prop::collection::vec(
            (any::<[bool; 4]>(), any::<i64>(), any::<i64>(), prop::collection::vec(any::<u8>(), 0..99)),
            1..60,
        ),
        max_bytes in 0u64..20_000,
        near in any::<bool>(),
    ) {
        let mut segmenter = segmenter(SECOND, max_bytes);
        let (avc, hevc, audio) = (h264(), h265(), aac(16000));
        for ([video, key, discontinuity, whole], dts, pts, data) in frames {
            let dts = if near { dts % CLOCK_HZ } else { dts };
            let mut frame = match video {
                true => picture(if pts % 9 == 0 { &hevc } else { &avc }, key, dts, &[&data]),
                false => sound(&audio, dts, &data),
            };
            if !whole {
                frame.data = data.into();
            }
            let frame = Frame { key, pts, discontinuity: discontinuity && key, ..frame };
            segmenter.push(&frame);
            while let Some(cut) = segmenter.poll() {
                if let SegmentEvent::Group(group) = cut {
                    prop_assert_eq!(group.bytes, group.chunks.concat().len() as u64);
                }
            }
        }
        segmenter.finish();
        prop_assert_eq!(segmenter.forming_bytes(), 0);
    }
}
