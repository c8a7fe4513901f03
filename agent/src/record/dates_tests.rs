//! The dates of segments, in virtual time, from a camera over its timeline to a recorder.

use std::ops::Range;
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
/// Time between two pictures, and between two key pictures.
const STEP: i64 = 40 * MS;
const GROUP: i64 = 50;

/// What a camera's clock shows at a time, both in ticks.
type Clock = fn(i64) -> i64;
/// How late the n-th picture comes that was taken at a time. The last argument is a random delay of
/// up to 20 ms.
type Delay = fn(n: i64, time: i64, random: i64) -> i64;

#[derive(Default)]
struct Told {
    taken: Option<Instant>,
    segments: Vec<Segment>,
    groups: usize,
}

impl Told {
    fn note(&mut self, recorder: &mut Recorder) {
        for recorded in recorder.recorded.drain(..) {
            match recorded {
                Recorded::Taken(first) => {
                    assert!(self.taken.replace(first).is_none(), "a date must not change");
                }
                Recorded::Begin { .. } => {
                    assert!(self.taken.is_some(), "a segment begins without a date");
                }
                Recorded::Group(..) => self.groups += 1,
                Recorded::End(segment) => {
                    self.segments.push(Segment { chunks: Arc::default(), ..segment });
                }
                Recorded::Forming(_) => {}
            }
        }
    }
}

/// A camera at 25 fps with a key picture every two seconds, and a recording of it.
#[derive(Clone)]
struct Scene {
    clock: Clock,
    late: Delay,
    /// Least duration of a segment, in seconds.
    seconds: u64,
    /// Time from the connection to the beginning of the recording, and the recording's duration.
    joined: i64,
    length: i64,
    /// When the camera is away.
    away: Range<i64>,
}

/// What a run of a scene recorded.
struct Outcome {
    told: Told,
    start: Instant,
    /// Media times of the key pictures since the first one, and when they were taken.
    taken: Vec<(i64, i64)>,
}

impl Scene {
    async fn record(&self) -> Outcome {
        let [other, key] = pictures().await;
        let start = Instant::now();
        let (mut timeline, mut rng) = (Timeline::default(), StdRng::seed_from_u64(9));
        let (mut told, mut taken) = (Told::default(), Vec::new());
        let mut recorder = None;
        let (mut now, mut first) = (0, 0);
        for n in 0..(self.joined + self.length) / STEP {
            let time = n * STEP;
            now = (time + (self.late)(n, time, rng.random_range(0..20 * MS))).max(now);
            if self.away.contains(&time) {
                timeline.reopen();
                continue;
            }
            let mut frame = if n % GROUP == 0 { key.clone() } else { other.clone() };
            frame.pts = 77 * CLOCK_HZ + (self.clock)(time);
            (frame.dts, frame.discontinuity) = (frame.pts, false);
            frame.received = start + ticks_to_duration(now);
            timeline.place(&mut frame);
            if recorder.is_none() && time >= self.joined && frame.key {
                let duration = Duration::from_secs(self.seconds);
                let limits = Limits { duration, max_bytes: 8 << 20 };
                recorder = Some(Recorder::new(0, limits, &frame, 0, false));
                first = frame.dts;
            }
            if frame.key && recorder.is_some() {
                taken.push((frame.dts - first, time));
            }
            if let Some(recorder) = &mut recorder {
                recorder.take(Item::Frame(Arc::new(frame)));
                told.note(recorder);
            }
        }
        let mut recorder = recorder.unwrap();
        recorder.finish();
        told.note(&mut recorder);
        Outcome { told, start, taken }
    }

    /// The greatest distance in ms between the start of a segment and when its first picture was
    /// taken: of the first segment, and of those from 5 s after a connection on.
    async fn off(&self) -> i64 {
        let recorded = self.record().await;
        recorded.check_that_segments_join();
        let mut worst = 0;
        for segment in &recorded.told.segments {
            let (time, off) = recorded.off(segment);
            // A wrong clock is found out 5 s after a connection.
            let opened = if time < self.away.start { 0 } else { self.away.end };
            let counts = offset(segment) == Duration::ZERO || time >= opened + 5 * CLOCK_HZ;
            if counts && off.abs() > i64::abs(worst) {
                worst = off;
            }
        }
        worst / MS
    }
}

impl Outcome {
    /// Fails if a segment is missing, is there twice or does not join the one before.
    fn check_that_segments_join(&self) {
        assert_eq!(self.told.groups, self.taken.len(), "every group, and each once");
        for pair in self.told.segments.windows(2) {
            assert_eq!(pair[1].number, pair[0].number + 1);
            let (start, end) = (offset(&pair[1]), offset(&pair[0]) + pair[0].duration);
            if pair[1].discontinuity {
                assert!(start >= end, "{start:?} {end:?}");
            } else {
                assert!(start.abs_diff(end) < Duration::from_micros(50), "{start:?} {end:?}");
            }
        }
    }

    /// When the segment's first picture was taken, and how much later its date is.
    fn off(&self, segment: &Segment) -> (i64, i64) {
        let offset = offset(segment);
        let at = self.taken.iter().find(|(dts, _)| ticks_to_duration(*dts) == offset);
        let (_, time) = *at.expect("segments begin with key pictures");
        let date = self.told.taken.unwrap() + offset;
        let since = duration_to_ticks(date.saturating_duration_since(self.start));
        let until = duration_to_ticks(self.start.saturating_duration_since(date));
        (time, since - until - time)
    }
}

/// A picture that is no key picture, and one that is.
async fn pictures() -> [Frame; 2] {
    let mut clip = ClipOpener::built_in(BuiltIn::Sub).open().await.unwrap();
    let mut pictures = [None, None];
    loop {
        let frame = clip.frame().await.unwrap();
        if frame.is_video() {
            let kind = usize::from(frame.key);
            pictures[kind] = Some(frame);
        }
        if let [Some(other), Some(key)] = &pictures {
            return [other.clone(), key.clone()];
        }
    }
}

fn offset(segment: &Segment) -> Duration {
    let Start::Media(offset) = segment.start else { panic!("{:?}", segment.start) };
    offset
}

/// An hour of a perfect camera.
const GOOD: Scene = Scene {
    clock: |time| time,
    late: |_, _, random| random,
    seconds: 10,
    joined: 0,
    length: HOUR,
    away: 0..0,
};

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

async fn dated(what: &str, scene: Scene, most: i64) -> bool {
    let off = scene.off().await;
    println!("{what}: {off} ms");
    off.abs() <= most
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_dated_to_within_a_fifth_of_a_second() {
    let mut good = true;
    for &(name, clock) in CLOCKS {
        good &= dated(name, Scene { clock, ..GOOD }, 200).await;
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn any_length_of_segments_is_dated_alike_on_any_network() {
    let mut good = true;
    for &(name, clock) in CLOCKS {
        for &(network, late) in NETWORKS {
            for seconds in [1, 2, 5, 10] {
                for joined in [0, 60 * CLOCK_HZ] {
                    let what = format!("{name}, {network}, {seconds} s, {joined}");
                    let scene = Scene { clock, late, seconds, joined, length: HOUR / 60, ..GOOD };
                    // Segments this short cannot wait until a wrong clock is found out.
                    let most = if seconds == 1 { 300 } else { 200 };
                    good &= dated(&what, scene, most).await;
                }
            }
        }
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn pictures_that_were_stored_are_dated_when_they_were_taken() {
    let mut good = true;
    // The frames of the first two seconds come together when those are over.
    let late = |n, time, random| random + if n < 50 { 2 * CLOCK_HZ - time + n * 20 } else { 0 };
    for &(name, clock) in &CLOCKS[..3] {
        for seconds in [1, 10] {
            let what = format!("{name}, {seconds} s");
            good &= dated(&what, Scene { clock, late, seconds, ..GOOD }, 200).await;
        }
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_was_away_is_dated_as_before() {
    let mut good = true;
    for &(name, clock) in CLOCKS {
        let scene = Scene { clock, away: HOUR / 60..HOUR / 40, length: HOUR / 10, ..GOOD };
        good &= dated(name, scene, 200).await;
    }
    assert!(good);
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_ends_at_once_is_dated_by_what_there_is() {
    let length = CLOCK_HZ;
    assert_eq!(Scene { length, ..GOOD }.record().await.told.segments.len(), 1);
    let late = |n, _, _| if n == 0 { 150 * MS } else { 0 };
    assert!(dated("a late first picture", Scene { late, length, ..GOOD }, 1).await);
}
