use std::time::Duration;

use proptest::prelude::{any, prop, proptest};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::dts::Reorder;
use crate::testing::{picture, sound};

const MS: i64 = CLOCK_HZ / 1000;
const FRAME: i64 = 40 * MS;

/// A camera at 25 fps with sound, frame by frame; `true` is a picture.
struct Camera {
    start: Instant,
    now: Duration,
    /// Camera clock minus time.
    skew: i64,
    /// How many more frames of each track the clock stands still for.
    frozen: [u32; 2],
    stuck_at: [i64; 2],
    due: [Duration; 2],
    picture: u64,
}

impl Camera {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            skew: 77 * CLOCK_HZ,
            frozen: [0; 2],
            stuck_at: [0; 2],
            due: [Duration::from_millis(3), Duration::ZERO],
            picture: 0,
        }
    }

    /// The next frame, which arrives `late`, and its capture time.
    fn frame(&mut self, late: Duration) -> (Frame, i64) {
        let i = usize::from(self.due[1] <= self.due[0]);
        let captured = self.due[i];
        self.now = self.now.max(captured + late);
        let mut clock = duration_to_ticks(captured) + self.skew;
        if self.frozen[i] > 0 {
            self.frozen[i] -= 1;
            clock = self.stuck_at[i];
        }
        self.stuck_at[i] = clock;
        self.due[i] += Duration::from_millis([64, 40][i]);
        let received = self.start + self.now;
        let frame = if i == 1 {
            self.picture += 1;
            picture(self.picture % 50 == 1, clock, 10, received)
        } else {
            sound(clock, received)
        };
        (frame, duration_to_ticks(captured))
    }
}

/// Placed time minus capture time of each track's newest frame: the difference of the two is the
/// skew.
#[derive(Default)]
struct Check {
    last: [Option<i64>; 2],
    lead: [i64; 2],
    breaks: u32,
}

impl Check {
    fn frame(&mut self, frame: &Frame, captured: i64) {
        let i = usize::from(frame.is_video());
        assert!(frame.dts <= frame.pts);
        assert!(self.last[i].is_none_or(|last| frame.dts > last), "dts must increase");
        assert!(frame.key || !frame.discontinuity);
        self.last[i] = Some(frame.dts);
        self.lead[i] = frame.dts - captured;
        self.breaks += u32::from(frame.discontinuity);
    }

    fn skew(&self) -> i64 {
        (self.lead[0] - self.lead[1]).abs()
    }
}

fn run(timeline: &mut Timeline, camera: &mut Camera, check: &mut Check, frames: u32) {
    for _ in 0..frames {
        let (mut frame, captured) = camera.frame(Duration::ZERO);
        timeline.place(&mut frame);
        check.frame(&frame, captured);
    }
}

#[test]
fn jumps_of_the_clock_move_nothing_but_the_flag() {
    let jumps = [CLOCK_HZ, -CLOCK_HZ, 3600 * CLOCK_HZ, -3600 * CLOCK_HZ, -(1 << 32), 1 << 40];
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    run(&mut timeline, &mut camera, &mut check, 500);
    let lead = check.lead;
    for (n, jump) in (1..).zip(jumps) {
        camera.skew += jump;
        run(&mut timeline, &mut camera, &mut check, 500);
        assert_eq!(check.skew(), (lead[0] - lead[1]).abs(), "after a jump of {jump}");
        assert!((check.lead[1] - lead[1]).abs() <= 2 * n * FRAME);
        assert_eq!(i64::from(check.breaks), n);
    }
}

#[test]
fn a_stopped_clock_is_replaced_by_arrival() {
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    run(&mut timeline, &mut camera, &mut check, 500);
    let lead = check.lead;
    camera.frozen = [200, 300];
    run(&mut timeline, &mut camera, &mut check, 300);
    assert!((check.lead[1] - lead[1]).abs() <= FRAME, "goes on while it stands");
    run(&mut timeline, &mut camera, &mut check, 700);
    assert!(check.skew() <= 100 * MS);
}

#[test]
fn a_reconnect_continues_by_the_time_that_passed() {
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    run(&mut timeline, &mut camera, &mut check, 101);
    let lead = check.lead;
    for outage in [1u32, 30, 86_400] {
        let outage = Duration::from_secs(outage.into());
        camera.due = camera.due.map(|due| due + outage);
        camera.skew = -duration_to_ticks(camera.due[1]);
        camera.picture = 0;
        timeline.reopen();
        run(&mut timeline, &mut camera, &mut check, 400);
        assert!((check.lead[1] - lead[1]).abs() <= 2 * FRAME);
        assert!(check.skew() <= 100 * MS);
    }
    assert_eq!(check.breaks, 3);
}

#[test]
fn network_stalls_are_no_jumps() {
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    run(&mut timeline, &mut camera, &mut check, 500);
    let lead = check.lead;
    for stall in 0..20u64 {
        for n in 0..500 {
            let late = Duration::from_millis(if n == 100 { 450 * stall } else { n % 7 });
            let (mut frame, captured) = camera.frame(late);
            timeline.place(&mut frame);
            check.frame(&frame, captured);
        }
    }
    assert_eq!((check.lead, check.breaks), (lead, 0));
}

#[test]
fn lost_pictures_leave_a_hole_and_no_break() {
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    run(&mut timeline, &mut camera, &mut check, 500);
    let lead = check.lead;
    for _ in 0..200 {
        camera.frame(Duration::ZERO);
    }
    run(&mut timeline, &mut camera, &mut check, 500);
    assert_eq!((check.lead, check.breaks), (lead, 0));
}

#[test]
fn drifting_sound_is_brought_back() {
    let (mut timeline, mut check) = (Timeline::default(), Check::default());
    let (mut camera, mut worst) = (Camera::new(), 0);
    for n in 0..200_000 {
        let (mut frame, captured) = camera.frame(Duration::from_millis(n % 11));
        if !frame.is_video() {
            // The clock is 0.1 % fast: 8 s apart after these 80 minutes.
            frame.dts += duration_to_ticks(camera.now) / 1000;
            frame.pts = frame.dts;
        }
        timeline.place(&mut frame);
        check.frame(&frame, captured);
        worst = worst.max(if n > 1 { check.skew() } else { 0 });
    }
    assert!(worst <= 150 * MS, "{} ms", worst / MS);
}

#[test]
fn tracks_on_unrelated_clocks_start_together() {
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    for _ in 0..500 {
        let (mut frame, captured) = camera.frame(Duration::ZERO);
        let other = if frame.is_video() { 0 } else { 1 << 35 };
        (frame.dts, frame.pts) = (frame.dts + other, frame.pts + other);
        timeline.place(&mut frame);
        check.frame(&frame, captured);
    }
    assert!(check.skew() <= 100 * MS);
}

#[test]
fn stored_pictures_sent_first_stay_with_their_sound() {
    let (mut timeline, mut check) = (Timeline::default(), Check::default());
    let start = Instant::now();
    let mut place = |mut frame: Frame| {
        let captured = frame.dts;
        timeline.place(&mut frame);
        check.frame(&frame, captured);
    };
    // Two seconds of pictures in one burst, the live sound in the middle of it.
    for n in 0..50 {
        place(picture(n == 0, n * FRAME, 10, start));
        if n == 25 {
            place(sound(49 * FRAME, start));
        }
    }
    assert_eq!(check.skew(), 0);
}

/// Everything a camera clock can do, a million times over, with B-frames half of the time.
#[test]
fn a_million_frames_of_trouble_show_no_violation() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut random = |n: u32| rng.random_range(0..n);
    let (mut timeline, mut camera) = (Timeline::default(), Camera::new());
    let mut check = Check::default();
    let mut reorder = Reorder::new(None);
    let mut quiet = 0;
    for n in 0..1_000_000u32 {
        quiet += 1;
        if random(2000) == 0 {
            quiet = 0;
            match random(6) {
                0 => camera.skew += CLOCK_HZ,
                1 => camera.skew -= CLOCK_HZ,
                2 => camera.skew += 3600 * CLOCK_HZ,
                3 => camera.skew -= 3600 * CLOCK_HZ,
                4 => camera.frozen = [random(50), random(50)],
                _ => {
                    let outage = Duration::from_millis(random(60_000).into());
                    camera.due = camera.due.map(|due| due + outage);
                    camera.skew = i64::from(random(1 << 31)) - duration_to_ticks(camera.now);
                    camera.picture = 0;
                    reorder = Reorder::new(Some(1).filter(|_| random(2) == 0));
                    timeline.reopen();
                }
            }
        }
        let (mut frame, captured) = camera.frame(Duration::from_millis(random(20).into()));
        if frame.is_video() {
            // P and B in turn: the P is shown two frames later than its turn.
            if n & 0x8_0000 != 0 && camera.frozen[1] == 0 {
                frame.pts += if camera.picture % 2 == 0 { FRAME } else { -FRAME };
            }
            (frame.pts, frame.dts) = reorder.place(frame.pts);
        }
        timeline.place(&mut frame);
        check.frame(&frame, captured);
        // The skew is gone 40 s after trouble, drift correction included.
        if quiet > 1600 {
            assert!(check.skew() <= 100 * MS + FRAME, "{} ms, frame {n}", check.skew() / MS);
        }
    }
    assert!(check.breaks > 300);
}

proptest! {
    #[test]
    fn any_times_at_all_come_out_in_order(
        frames in prop::collection::vec(
            (any::<bool>(), any::<bool>(), any::<i64>(), 0i64..1 << 40, any::<bool>(), 0u64..20_000),
            1..200,
        ),
    ) {
        let (mut timeline, mut check) = (Timeline::default(), Check::default());
        let mut received = Instant::now();
        for (video, key, dts, ahead, reopen, ms) in frames {
            received += Duration::from_millis(ms);
            if reopen {
                timeline.reopen();
            }
            let mut frame = match video {
                true => picture(key, dts, 10, received),
                false => sound(dts, received),
            };
            frame.pts = dts.saturating_add(ahead);
            timeline.place(&mut frame);
            check.frame(&frame, 0);
        }
    }
}
