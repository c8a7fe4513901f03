//! Clocks that lie, against arrival, in virtual time.

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

/// A camera at 25 fps with AAC every 64 ms, over a network.
struct Camera {
    clocks: [Clock; 2],
    /// Since when, and what they told then.
    since: [(i64, i64); 2],
    /// The pictures wait for others: I P B B.
    b_frames: bool,
    /// How late a frame is that was taken at a time.
    late: fn(time: i64, random: i64) -> i64,
    rng: StdRng,
    timeline: Timeline,
    reorder: Reorder,
    start: Instant,
    /// Next of each track, arrival of the last frame.
    frame: [i64; 2],
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

    /// With pictures that wait for others: I P B B.
    fn with_b_frames(self) -> Self {
        Self { b_frames: true, reorder: Reorder::new(Some(1)), ..self }
    }

    /// The clocks go on from here in another way.
    fn change(&mut self, clocks: [Clock; 2]) {
        for (i, span) in [64 * MS, 40 * MS].into_iter().enumerate() {
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

    /// Runs up to `until`; what comes of it is told from `from` on. The first frame is placed where
    /// the arrival clock is 1 s.
    fn run(&mut self, from: i64, until: i64) -> Outcome {
        let mut outcome = Outcome { steps: [(0, i64::MAX); 2], ..Outcome::default() };
        let mut last = [None::<i64>; 2];
        let mut best = [None::<i64>; 2];
        let mut second = from;
        loop {
            let due = [self.frame[0] * 64 * MS + 3 * MS, self.frame[1] * 40 * MS];
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
                let raw = self.told(1, shown * 40 * MS, shown);
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

/// Every lie, from the first frame on.
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
            for (who, [sound, picture]) in liars(*lie) {
                let camera = Camera::new(sound, picture);
                let mut camera = if b_frames { camera.with_b_frames() } else { camera };
                let outcome = camera.run(5 * CLOCK_HZ, 60 * CLOCK_HZ);
                // Where the first picture belongs is not known as well when others wait for it.
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
fn an_hour_is_dated_to_within_a_fifth_of_a_second() {
    let mut good = true;
    for (name, lie) in DRIFTS.iter().chain(LIES) {
        let mut camera = Camera::new(*lie, *lie);
        let outcome = camera.run(5 * CLOCK_HZ, HOUR);
        good &= check(name, &outcome, 100, 200);
    }
    assert!(good);
}
