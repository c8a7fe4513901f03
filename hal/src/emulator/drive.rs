//! Where an emulated camera looks, and what moves it.

use std::time::Duration;

/// Axes per second at full speed: pan and tilt from end to end in 4 s, zoom too.
const FULL: [f64; 3] = [0.5, 0.5, 0.25];
/// Share of the full speed at which speed 0 moves.
const SLOWEST: f64 = 0.05;
/// Time after which a movement that nobody looked at is not followed in full any more.
const LONGEST_STEP: Duration = Duration::from_secs(3600);

/// Where a camera looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// −1, all the way to the left, to 1, to the right.
    pub pan: f64,
    /// −1, all the way down, to 1, up.
    pub tilt: f64,
    /// 0, the widest view, to 1, the smallest.
    pub zoom: f64,
    /// Whether it is changing.
    pub moving: bool,
}

/// A camera's motors.
#[derive(Clone, Debug, Default)]
pub(super) struct Drive {
    at: [f64; 3],
    course: Course,
}

#[derive(Clone, Debug, Default)]
enum Course {
    #[default]
    Rest,
    /// Shares of the full speed of each axis.
    Velocity([f64; 3]),
    /// From stop to stop.
    Route(Route),
}

#[derive(Clone, Debug)]
struct Route {
    stops: Vec<[f64; 3]>,
    next: usize,
    /// Seconds at each stop.
    dwell: f64,
    /// Seconds left at the stop where the camera is.
    wait: f64,
    endless: bool,
}

impl Drive {
    pub(super) fn position(&self) -> Position {
        let [pan, tilt, zoom] = self.at;
        let moving = match &self.course {
            Course::Rest => false,
            Course::Velocity(velocity) => {
                (0..3).any(|axis| step(self.at[axis], velocity[axis], axis) != self.at[axis])
            }
            Course::Route(route) => route.wait <= 0.0,
        };
        Position { pan, tilt, zoom, moving }
    }

    pub(super) fn at(&self) -> [f64; 3] {
        self.at
    }

    pub(super) fn stop(&mut self) {
        self.course = Course::Rest;
    }

    /// Moves each axis at this share of its full speed, −1 to 1.
    pub(super) fn run(&mut self, velocity: [f64; 3]) {
        self.course = Course::Velocity(velocity.map(|share| finite(share).clamp(-1.0, 1.0)));
    }

    /// Goes to one position and stays there.
    pub(super) fn go_to(&mut self, target: [f64; 3]) {
        self.route(vec![target], Duration::ZERO, false);
    }

    /// Goes from stop to stop, over and over, and rests for `dwell` at each.
    pub(super) fn tour(&mut self, stops: Vec<[f64; 3]>, dwell: Duration) {
        self.route(stops, dwell, true);
    }

    fn route(&mut self, stops: Vec<[f64; 3]>, dwell: Duration, endless: bool) {
        let stops = stops.into_iter().map(limited).collect();
        let route = Route { stops, next: 0, dwell: dwell.as_secs_f64(), wait: 0.0, endless };
        self.course = Course::Route(route);
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, time: Duration) {
        let seconds = time.min(LONGEST_STEP).as_secs_f64();
        match &mut self.course {
            Course::Rest => {}
            Course::Velocity(velocity) => {
                for (axis, at) in self.at.iter_mut().enumerate() {
                    *at = step(*at, velocity[axis] * seconds, axis);
                }
            }
            Course::Route(route) => {
                if !route.follow(&mut self.at, seconds) {
                    self.course = Course::Rest;
                }
            }
        }
    }
}

impl Route {
    /// Goes on for this time; false once the end is reached.
    fn follow(&mut self, at: &mut [f64; 3], mut seconds: f64) -> bool {
        while let Some(&target) = self.stops.get(self.next) {
            let rest = self.wait.min(seconds);
            self.wait -= rest;
            seconds -= rest;
            let away = (0..3).map(|axis| (target[axis] - at[axis]).abs() / FULL[axis]);
            let away = away.fold(0.0, f64::max);
            if seconds <= 0.0 {
                return true;
            }
            if away > seconds {
                for axis in 0..3 {
                    at[axis] += (target[axis] - at[axis]) * seconds / away;
                }
                return true;
            }
            *at = target;
            // A route whose stops are all at the same place takes time, too.
            seconds -= away.max(0.001);
            self.next += 1;
            if self.endless {
                self.next %= self.stops.len();
                self.wait = self.dwell;
            }
        }
        false
    }
}

/// The share of the full speed at which a camera moves that is told a speed of 0 to 100.
pub(super) fn share(speed: u8) -> f64 {
    SLOWEST + (1.0 - SLOWEST) * f64::from(speed.min(100)) / 100.0
}

fn step(at: f64, seconds: f64, axis: usize) -> f64 {
    let least = if axis == 2 { 0.0 } else { -1.0 };
    (at + FULL[axis] * seconds).clamp(least, 1.0)
}

fn limited(target: [f64; 3]) -> [f64; 3] {
    let [pan, tilt, zoom] = target.map(finite);
    [pan.clamp(-1.0, 1.0), tilt.clamp(-1.0, 1.0), zoom.clamp(0.0, 1.0)]
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(drive: &mut Drive, millis: u64) -> [f64; 3] {
        drive.advance(Duration::from_millis(millis));
        drive.at()
    }

    #[test]
    fn a_movement_goes_on_to_the_end_of_its_axis() {
        let mut drive = Drive::default();
        drive.run([1.0, -0.5, 0.0]);
        assert_eq!(after(&mut drive, 1000), [0.5, -0.25, 0.0]);
        assert!(drive.position().moving);
        assert_eq!(after(&mut drive, 60_000), [1.0, -1.0, 0.0]);
        assert!(!drive.position().moving, "both axes are at their ends");
        drive.run([f64::NAN, 0.0, 9.0]);
        assert_eq!(after(&mut drive, 1000), [1.0, -1.0, 0.25]);
    }

    #[test]
    fn a_target_is_reached_by_all_axes_at_once_and_kept() {
        let mut drive = Drive::default();
        drive.go_to([1.0, -0.5, 7.0]);
        assert_eq!(after(&mut drive, 2000), [0.5, -0.25, 0.5]);
        assert!(drive.position().moving);
        assert_eq!(after(&mut drive, 9000), [1.0, -0.5, 1.0]);
        assert!(!drive.position().moving);
    }

    #[test]
    fn a_tour_rests_at_each_stop_and_begins_anew() {
        let mut drive = Drive::default();
        drive.tour(vec![[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]], Duration::from_secs(3));
        assert_eq!(after(&mut drive, 1001), [0.5, 0.0, 0.0]);
        assert!(!drive.position().moving);
        assert!((after(&mut drive, 3498)[0] - 0.2505).abs() < 1e-9);
        let around = after(&mut drive, 4000 * 100);
        assert!((0.0..=0.5).contains(&around[0]));
        drive.tour(vec![[0.0; 3], [0.0; 3]], Duration::ZERO);
        drive.advance(Duration::MAX);
        drive.tour(Vec::new(), Duration::ZERO);
        drive.advance(Duration::MAX);
        assert!(!drive.position().moving);
    }

    #[test]
    fn the_slowest_speed_still_moves() {
        assert!(share(0) > 0.0);
        assert_eq!((share(100), share(255)), (1.0, 1.0));
    }
}
