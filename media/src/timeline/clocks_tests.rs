//! Tests of clocks that lie, against arrival, in virtual time.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{MS, Timeline};
use crate::dts::Reorder;
use crate::frame::CLOCK_HZ;
use crate::testing::{picture, sound};

const HOUR: i64 = 3600 * CLOCK_HZ;

/// What the camera's clock tells at a time, in ticks, for the frame of that number.
type Clock = fn(time: i64, frame: i64) -> i64;
/// How late a frame is that was taken at a time; `random` is up to 20 ms.
type Delay = fn(time: i64, random: i64) -> i64;

/// A camera at 25 fps with AAC every 64 ms, over a network.
struct Camera {
    clocks: [Clock; 2],
    /// Duration of a frame of each track.
    spans: [i64; 2],
    /// Since when each clock tells this, and what it told then.
    since: [(i64, i64); 2],
    /// Whether pictures wait for others: I P B B.
    b_frames: bool,
    late: Delay,
    rng: StdRng,
    timeline: Timeline,
    reorder: Reorder,
    start: Instant,
    /// Number of the next frame of each track.
    frame: [i64; 2],
    /// Arrival of the newest frame.
    now: i64,
}

/// What became of the frames of a stretch of time.
#[derive(Debug, Default)]
struct Outcome {
    /// Greatest distance of sound and picture, of those delayed least in a second.
    apart: i64,
    /// Greatest distance of a track's lead from where it was at first.
    off: i64,
    breaks: u32,
    /// Longest and shortest step of each track.
    steps: [(i64, i64); 2],
}

fn jitter(_: i64, random: i64) -> i64 {
    random
}

impl Camera {
    fn new(sound: Clock, picture: Clock) -> Self {
        Self {
            clocks: [sound, picture],
            spans: [64 * MS, 40 * MS],
            since: [(0, 0); 2],
            b_frames: false,
            late: jitter,
            rng: StdRng::seed_from_u64(9),
            timeline: Timeline::default(),
            reorder: Reorder::new(Some(0)),
            start: Instant::now(),
            frame: [0; 2],
            now: 0,
        }
    }

    /// The camera with pictures that wait for others: I P B B.
    fn with_b_frames(self) -> Self {
        Self { b_frames: true, reorder: Reorder::new(Some(1)), ..self }
    }

    /// Makes the clocks go on from here in another way.
    fn change(&mut self, clocks: [Clock; 2]) {
        for (i, span) in self.spans.into_iter().enumerate() {
            let time = self.frame[i] * span;
            self.since[i] = (time, self.told(i, time, self.frame[i]));
        }
        self.clocks = clocks;
        let zero = [0, 1].map(|i| self.told(i, self.since[i].0, 0) - self.since[i].1);
        for (since, zero) in self.since.iter_mut().zip(zero) {
            since.1 -= zero;
        }
    }

    fn told(&self, i: usize, time: i64, frame: i64) -> i64 {
        let (since, told) = self.since[i];
        told + (self.clocks[i])(time - since, frame)
    }

    /// Runs up to `until`. Returns what comes of it from `from` on. The first frame is placed where
    /// the arrival clock is 1 s.
    fn run(&mut self, from: i64, until: i64) -> Outcome {
        let mut outcome = Outcome { steps: [(0, i64::MAX); 2], ..Outcome::default() };
        let mut last = [None::<i64>; 2];
        let mut best = [None::<i64>; 2];
        let mut second = from;
        loop {
            let due = [self.frame[0] * self.spans[0] + 3 * MS, self.frame[1] * self.spans[1]];
            let i = usize::from(due[1] <= due[0]);
            let (time, n) = (due[i], self.frame[i]);
            if time >= until {
                return outcome;
            }
            self.frame[i] += 1;
            // Encoding waits for the pictures shown before.
            let encoded = time + if i == 1 && self.b_frames { 80 * MS } else { 0 };
            self.now = self.now.max(encoded + (self.late)(time, self.rng.random_range(0..20 * MS)));
            let received = self.start + Duration::from_micros((self.now * 100 / 9) as u64);
            let mut frame = if i == 0 {
                sound(self.told(0, time, n), received)
            } else {
                let shown = match (self.b_frames, n % 3) {
                    (false, _) | (true, 0) if n == 0 || !self.b_frames => n,
                    (_, 1) => n + 2,
                    _ => n - 1,
                };
                let mut frame = picture(n % 50 == 0, 0, 10, received);
                let raw = self.told(1, shown * self.spans[1], shown);
                (frame.pts, frame.dts) = self.reorder.place(raw);
                frame
            };
            self.timeline.place(&mut frame);
            assert!(frame.dts <= frame.pts);
            assert!(last[i].is_none_or(|last| frame.dts > last), "dts must increase");
            if let Some(last) = last[i].replace(frame.dts).filter(|_| time >= from) {
                let (longest, shortest) = &mut outcome.steps[i];
                *longest = (frame.dts - last).max(*longest);
                *shortest = (frame.dts - last).min(*shortest);
            }
            outcome.breaks += u32::from(frame.discontinuity);
            if self.now < from {
                continue;
            }
            best[i] = best[i].max(Some(frame.pts - self.now - CLOCK_HZ));
            if self.now - second >= CLOCK_HZ {
                second = self.now;
                if let [Some(sound), Some(picture)] = std::mem::take(&mut best) {
                    outcome.apart = outcome.apart.max((sound - picture).abs());
                    outcome.off = outcome.off.max(sound.abs()).max(picture.abs());
                }
            }
        }
    }
}

fn right(time: i64, _: i64) -> i64 {
    77 * CLOCK_HZ + time
}

/// Clocks that lie from the first frame on.
const LIES: &[(&str, Clock)] = &[
    ("right", right),
    ("20 % slow", |time, _| time * 10 / 12),
    ("20 % fast", |time, _| time * 12 / 10),
    ("half", |time, _| time / 2),
    ("double", |time, _| time * 2),
    ("milliseconds", |time, _| time / 90),
    ("90 times", |time, _| time * 90),
    ("4 times", |time, _| time * 4),
    ("5 % slow", |time, _| time * 95 / 100),
    ("5 % fast", |time, _| time * 105 / 100),
    ("3 % slow", |time, _| time * 97 / 100),
    ("3 % fast", |time, _| time * 103 / 100),
    ("frozen", |_, _| 5),
    ("seconds", |time, _| time / CLOCK_HZ * CLOCK_HZ),
    ("tenths", |time, _| time / 9000 * 9000),
    ("noise", |_, n| (n * 7_919_003 % 1_000_003) * 90_000),
    ("small noise", |time, n| time + n * 7_919_003 % 1_000_003 % 60 * MS),
    ("outliers", |time, n| right(time, n) - i64::from(n % 50 == 20) * 9800 * CLOCK_HZ),
    ("outliers ahead", |time, n| right(time, n) + i64::from(n % 50 == 20) * 9800 * CLOCK_HZ),
    ("small outliers", |time, n| right(time, n) + i64::from(n % 50 == 20) * 500 * MS),
    ("pairs of outliers", |time, n| right(time, n) - i64::from(n % 50 / 2 == 10) * 98 * CLOCK_HZ),
];

/// Errors of clocks that are not found in seconds.
const DRIFTS: &[(&str, Clock)] = &[
    ("100 ppm slow", |time, _| time - time / 10_000),
    ("100 ppm fast", |time, _| time + time / 10_000),
    ("0.1 % slow", |time, _| time - time / 1000),
    ("0.5 % slow", |time, _| time - time / 200),
    ("0.5 % fast", |time, _| time + time / 200),
    ("1 % slow", |time, _| time - time / 100),
    ("1 % fast", |time, _| time + time / 100),
    ("2 % slow", |time, _| time - time / 50),
    ("2 % fast", |time, _| time + time / 50),
];

fn check(name: &str, outcome: &Outcome, apart: i64, off: i64) -> bool {
    let good = outcome.apart <= apart * MS && outcome.off <= off * MS && outcome.breaks == 0;
    println!(
        "{} {name}: apart {} ms, off {} ms, {} breaks, steps {:?} ms",
        if good { "ok  " } else { "FAIL" },
        outcome.apart / MS,
        outcome.off / MS,
        outcome.breaks,
        outcome.steps.map(|(longest, shortest)| (longest / MS, shortest / MS))
    );
    good
}

/// The combinations of who lies.
fn liars(lie: Clock) -> [(&'static str, [Clock; 2]); 3] {
    [("sound", [lie, right]), ("picture", [right, lie]), ("both", [lie; 2])]
}

#[test]
fn a_lie_is_found_within_five_seconds_of_the_first_frame() {
    let mut good = true;
    for b_frames in [false, true] {
        for (name, lie) in LIES {
            // With B-frames, half a second ahead may be reordering.
            if b_frames && *name == "small outliers" {
                continue;
            }
            for (who, [sound, picture]) in liars(*lie) {
                let camera = Camera::new(sound, picture);
                let mut camera = if b_frames { camera.with_b_frames() } else { camera };
                let outcome = camera.run(5 * CLOCK_HZ, 60 * CLOCK_HZ);
                // The place of the first picture is less certain when others wait for it.
                let (b_frames, off) = if b_frames { (", B-frames", 250) } else { ("", 150) };
                good &= check(&format!("{name}, {who}{b_frames}"), &outcome, 100, off);
            }
        }
    }
    assert!(good);
}

#[test]
fn a_lie_is_found_within_five_seconds_of_its_beginning() {
    let mut good = true;
    for (name, lie) in LIES {
        for (who, lying) in liars(*lie) {
            let mut camera = Camera::new(right, right);
            camera.run(0, 30 * CLOCK_HZ);
            camera.change(lying);
            let outcome = camera.run(35 * CLOCK_HZ, 90 * CLOCK_HZ);
            good &= check(&format!("{name}, {who}"), &outcome, 100, 150);
            // A clock that is right again is used again.
            camera.change([right; 2]);
            let outcome = camera.run(95 * CLOCK_HZ, 150 * CLOCK_HZ);
            good &= check(&format!("right after {name}, {who}"), &outcome, 100, 150);
        }
    }
    assert!(good);
}

#[test]
fn frames_of_any_duration_tell_of_a_lie() {
    let mut good = true;
    for spans in [[20 * MS, 100 * MS], [128 * MS, 16 * MS], [40 * MS, 66 * MS + 60]] {
        for (name, lie) in LIES {
            // Noise that is less than a frame's duration is none.
            if *name == "small noise" {
                continue;
            }
            for (who, [sound, picture]) in liars(*lie) {
                let mut camera = Camera { spans, ..Camera::new(sound, picture) };
                let outcome = camera.run(5 * CLOCK_HZ, 30 * CLOCK_HZ);
                good &= check(&format!("{name}, {who}, {spans:?}"), &outcome, 100, 150);
            }
        }
    }
    assert!(good);
}

#[test]
fn an_hour_is_dated_to_within_a_fifth_of_a_second() {
    let mut good = true;
    for (name, lie) in DRIFTS {
        let outcome = Camera::new(*lie, *lie).run(5 * CLOCK_HZ, HOUR);
        good &= check(name, &outcome, 100, 200);
        let outcome = Camera::new(right, *lie).run(5 * CLOCK_HZ, HOUR / 10);
        good &= check(&format!("{name}, picture"), &outcome, 100, 200);
    }
    for (name, lie) in LIES {
        let outcome = Camera::new(*lie, *lie).run(5 * CLOCK_HZ, HOUR / 6);
        good &= check(name, &outcome, 100, 200);
    }
    assert!(good);
}

/// Networks that only delay, and come back: `time` in ticks.
const NETWORKS: &[(&str, Delay)] = &[
    ("jitter of 20 ms", |_, random| random),
    ("jitter of 60 ms", |_, random| random * 3),
    ("a stall of 6 s every minute", |time, random| {
        random + (CLOCK_HZ * 6 - time % (60 * CLOCK_HZ)).max(0)
    }),
    ("a stall of 1 s every 3 s", |time, random| random + (CLOCK_HZ - time % (3 * CLOCK_HZ)).max(0)),
    ("a stall that is made up for slowly", |time, _| {
        let within = time % (60 * CLOCK_HZ);
        if time == within { 0 } else { (CLOCK_HZ * 5 - within / 2).max(0) }
    }),
    ("frames in clumps of 0.6 s", |time, _| 54_000 - time % 54_000),
    ("large key pictures", |time, random| random + (200 * MS - time % (2 * CLOCK_HZ)).max(0)),
    ("a backlog that grows for 2 s", |time, random| {
        let within = (time - 20 * CLOCK_HZ).max(0) % (60 * CLOCK_HZ);
        random + within.min(4 * CLOCK_HZ - within).max(0) / 4
    }),
];

#[test]
fn networks_change_no_step_of_a_clock_that_is_right() {
    let mut good = true;
    for (name, late) in NETWORKS {
        let mut camera = Camera { late: *late, ..Camera::new(right, right) };
        let outcome = camera.run(2 * CLOCK_HZ, HOUR / 6);
        let even = outcome.steps == [(64 * MS, 64 * MS), (40 * MS, 40 * MS)];
        println!("{name}: {outcome:?}");
        good &= even && outcome.breaks == 0;
    }
    assert!(good);
}

#[test]
fn heavy_jitter_changes_steps_by_two_percent_at_most() {
    let mut camera = Camera::new(right, right);
    camera.late = |_, random| random * 10;
    let outcome = camera.run(3 * CLOCK_HZ, HOUR / 6);
    for (step, (longest, shortest)) in [64 * MS, 40 * MS].into_iter().zip(outcome.steps) {
        assert!(longest <= step + step / 50 && shortest >= step - step / 50, "{outcome:?}");
    }
    assert_eq!(outcome.breaks, 0);
}

#[test]
fn congestion_that_looks_like_a_slow_clock_is_undone() {
    // The pictures are sent at 80 % of their rate for 6 s, then what is behind comes at twice that.
    let mut camera = Camera::new(right, right);
    camera.late = |time, random| {
        let within = time - 30 * CLOCK_HZ;
        random + (within / 5).min((6 * CLOCK_HZ - within) * 4 / 5 + 6 * CLOCK_HZ / 5).max(0)
    };
    camera.run(0, 45 * CLOCK_HZ);
    let outcome = camera.run(45 * CLOCK_HZ, 300 * CLOCK_HZ);
    assert!(check("after congestion", &outcome, 60, 60));
}

#[test]
fn a_clock_that_is_set_moves_sound_and_picture_alike() {
    let mut good = true;
    for (millis, breaks) in [(-500, 1), (-20, 0), (-50, 1), (500, 0), (100, 0), (3_600_000, 1)] {
        let mut camera = Camera::new(right, right);
        camera.run(0, 30 * CLOCK_HZ);
        for since in &mut camera.since {
            since.1 += millis * MS;
        }
        let outcome = camera.run(30 * CLOCK_HZ, 40 * CLOCK_HZ);
        good &= outcome.breaks <= breaks;
        let outcome = Outcome { breaks: 0, ..outcome };
        good &= check(&format!("set by {millis} ms"), &outcome, 100, 130);
    }
    assert!(good);
}

#[test]
fn an_outlier_takes_one_step_and_changes_nothing_else() {
    let outlier: Clock = |time, n| right(time, n) - i64::from(n % 50 == 20) * 9800 * CLOCK_HZ;
    let mut camera = Camera::new(right, outlier);
    let outcome = camera.run(0, 60 * CLOCK_HZ);
    assert_eq!(outcome.steps, [(64 * MS, 64 * MS), (40 * MS, 40 * MS)]);
    assert_eq!(outcome.breaks, 0);
}

#[test]
fn connections_that_begin_with_stored_pictures_do_not_add_up() {
    let mut timeline = Timeline::default();
    let start = Instant::now();
    let mut lead = 0;
    for connection in 0..20 {
        timeline.reopen();
        // Half a minute, the first 2 s of which come at once.
        for n in 0..750 {
            let now = start + Duration::from_millis(connection * 33_000 + 40 * (n - 50.min(n)));
            let mut frame = picture(n % 50 == 0, n as i64 * 40 * MS, 10, now);
            timeline.place(&mut frame);
            let micros = now.duration_since(start).as_micros() as i64;
            lead = frame.dts - micros * 9 / 100 - CLOCK_HZ;
        }
    }
    assert!(lead <= 2100 * MS, "{} ms", lead / MS);
}
