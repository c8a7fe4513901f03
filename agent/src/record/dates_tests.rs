//! What segments are dated, in virtual time: a camera, its timeline, a recorder.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::{CLOCK_HZ, duration_to_ticks};
use ivt_media::source::Opener as _;
use ivt_media::timeline::Timeline;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const MS: i64 = CLOCK_HZ / 1000;
const HOUR: i64 = 3600 * CLOCK_HZ;
/// Between pictures, and between key pictures.
const STEP: i64 = 40 * MS;
const GROUP: i64 = 50;

/// What a camera's clock tells at a time, both in ticks.
type Clock = fn(i64) -> i64;
/// How late the n-th picture is that was taken at a time; the last is random and up to 20 ms.
type Delay = fn(n: i64, time: i64, random: i64) -> i64;

#[derive(Default)]
struct Told {
    taken: Option<Instant>,
    segments: Vec<Segment>,
    groups: usize,
}

impl Outlet for &mut Told {
    fn taken(&mut self, first: Instant) {
        assert!(self.taken.replace(first).is_none(), "a date must not change");
    }

    fn begin(&mut self, _: u64, _: Start, _: bool) {
        assert!(self.taken.is_some(), "a segment begins without a date");
    }

    fn group(&mut self, _: &[Bytes], _: Duration) {
        self.groups += 1;
    }

    fn end(&mut self, segment: Segment) {
        self.segments.push(Segment { chunks: Arc::default(), ..segment });
    }

    fn forming(&mut self, _: u64) {}
}

/// Records `length` of such a camera, from `joined` after its connection was opened on. The greatest
/// distance, in ms, of a segment's start from when its first picture was taken: of the first one,
/// and of those 5 s after the connection was opened.
async fn off(clock: Clock, late: Delay, seconds: u64, joined: i64, length: i64) -> i64 {
    let mut clip = ClipOpener::built_in(BuiltIn::Sub).open().await.unwrap();
    let mut pictures = [None, None];
    while pictures.iter().any(Option::is_none) {
        let frame = clip.frame().await.unwrap();
        if frame.is_video() {
            let kind = usize::from(frame.key);
            pictures[kind] = Some(frame);
        }
    }
    let [Some(other), Some(key)] = pictures else { unreachable!() };

    let start = Instant::now();
    let (mut timeline, mut rng) = (Timeline::default(), StdRng::seed_from_u64(9));
    let (mut told, mut taken) = (Told::default(), BTreeMap::new());
    let mut recorder = None;
    let mut now = 0;
    for n in 0..(joined + length) / STEP {
        let time = n * STEP;
        now = (time + late(n, time, rng.random_range(0..20 * MS))).max(now);
        let mut frame = if n % GROUP == 0 { key.clone() } else { other.clone() };
        frame.pts = 77 * CLOCK_HZ + clock(time);
        (frame.dts, frame.discontinuity) = (frame.pts, false);
        frame.received = start + ticks_to_duration(now);
        timeline.place(&mut frame);
        if frame.key {
            taken.insert(frame.dts, time);
        }
        if recorder.is_none() && time >= joined && frame.key {
            let limits = Limits { duration: Duration::from_secs(seconds), max_bytes: 8 << 20 };
            recorder = Some((frame.dts, Recorder::new(0, limits, &frame, 0, &mut told)));
        }
        if let Some((_, recorder)) = &mut recorder {
            recorder.take(Item::Frame(Arc::new(frame)));
        }
    }
    let (first, mut recorder) = recorder.unwrap();
    recorder.finish();
    drop(recorder);

    let recorded = taken.range(first..).count();
    assert_eq!(told.groups, recorded, "every group, and each once");
    let taken: Vec<_> = taken.range(first..).map(|(dts, time)| (dts - first, *time)).collect();
    let zero = told.taken.unwrap();
    let mut worst = 0;
    let mut seen = HashSet::new();
    for pair in told.segments.windows(2) {
        assert!(!pair[1].discontinuity && pair[1].number == pair[0].number + 1);
        let gap = offset(&pair[1]).abs_diff(offset(&pair[0]) + pair[0].duration);
        assert!(gap < Duration::from_micros(50), "{gap:?}");
    }
    for segment in &told.segments {
        let offset = offset(segment);
        let at = taken.iter().find(|(dts, _)| ticks_to_duration(*dts) == offset);
        let (_, time) = *at.expect("segments begin with key pictures");
        assert!(seen.insert(time), "{time} is there twice");
        let date = zero + offset;
        let off = match date.checked_duration_since(start) {
            Some(date) => duration_to_ticks(date) - time,
            None => -duration_to_ticks(start - date) - time,
        };
        // By then a wrong clock is found out.
        let counts = offset == Duration::ZERO || time >= 5 * CLOCK_HZ;
        if counts && off.abs() > i64::abs(worst) {
            worst = off;
        }
    }
    worst / MS
}

fn offset(segment: &Segment) -> Duration {
    let Start::Media(offset) = segment.start else { panic!("{:?}", segment.start) };
    offset
}

const CLOCKS: &[(&str, Clock)] = &[
    ("right", |time| time),
    ("100 ppm slow", |time| time - time / 10_000),
    ("100 ppm fast", |time| time + time / 10_000),
    ("1 % slow", |time| time - time / 100),
    ("1 % fast", |time| time + time / 100),
    ("20 % slow", |time| time * 10 / 12),
    ("20 % fast", |time| time * 12 / 10),
];

const NETWORKS: &[(&str, Delay)] = &[
    ("jitter of 20 ms", |_, _, random| random),
    ("jitter of 60 ms", |_, _, random| random * 3),
    ("large key pictures", |n, _, random| random + if n % GROUP == 0 { 250 * MS } else { 0 }),
];

#[tokio::test(start_paused = true)]
async fn an_hour_is_dated_to_within_a_fifth_of_a_second() {
    let mut good = true;
    for (name, clock) in CLOCKS {
        let off = off(*clock, NETWORKS[0].1, 10, 0, HOUR).await;
        println!("{name}: {off} ms");
        good &= off.abs() <= 200;
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn any_length_of_segments_is_dated_alike_on_any_network() {
    let mut good = true;
    for (name, clock) in CLOCKS {
        for (network, late) in NETWORKS {
            for seconds in [1, 2, 5, 10] {
                for joined in [0, 60 * CLOCK_HZ] {
                    let off = off(*clock, *late, seconds, joined, HOUR / 60).await;
                    println!(
                        "{name}, {network}, {seconds} s, after {} s: {off} ms",
                        joined / CLOCK_HZ
                    );
                    // Segments this short cannot wait until a wrong clock is found out.
                    good &= off.abs() <= if seconds == 1 { 300 } else { 200 };
                }
            }
        }
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn pictures_that_were_stored_are_dated_when_they_were_taken() {
    let mut good = true;
    for (name, clock) in &CLOCKS[..3] {
        for seconds in [1, 10] {
            // All of the first two seconds come when those are over.
            let off = off(
                *clock,
                |n, time, random| random + if n < 50 { 2 * CLOCK_HZ - time + n * 20 } else { 0 },
                seconds,
                0,
                HOUR,
            )
            .await;
            println!("{name}, {seconds} s: {off} ms");
            good &= off.abs() <= 200;
        }
    }
    assert!(good);
}
