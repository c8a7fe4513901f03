use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const MS: i64 = CLOCK_HZ / 1000;
/// Ticks of 1024 samples at 16 kHz.
const FRAME: i64 = 64 * MS;

/// The places of so many frames from `at` on, while the shift is as given.
fn run(slew: &mut Slew, at: &mut i64, frames: i64, shift: Option<i64>) -> Vec<i64> {
    (0..frames)
        .map(|_| {
            *at += FRAME;
            slew.place(*at, shift) - *at
        })
        .collect()
}

#[test]
fn a_shift_known_from_the_start_is_there_at_once() {
    let mut slew = Slew::default();
    assert_eq!(slew.place(0, Some(-3 * CLOCK_HZ)), -3 * CLOCK_HZ);
    assert_eq!(slew.place(FRAME, Some(-3 * CLOCK_HZ)), FRAME - 3 * CLOCK_HZ);
}

#[test]
fn a_small_step_forward_is_done_at_once() {
    let (mut slew, mut at) = (Slew::default(), 0);
    assert_eq!(run(&mut slew, &mut at, 2, None), [0, 0]);
    assert_eq!(run(&mut slew, &mut at, 2, Some(100 * MS)), [100 * MS, 100 * MS]);
}

#[test]
fn other_steps_take_a_quarter_of_each_frame() {
    for (shift, frames) in [(300 * MS, 13), (-300 * MS, 19), (-100 * MS, 7), (5000 * MS, 307)] {
        let (mut slew, mut at) = (Slew::default(), 0);
        run(&mut slew, &mut at, 1, None);
        let moved = run(&mut slew, &mut at, 400, Some(shift));
        let needed = 1 + moved.iter().position(|&moved| moved == shift).unwrap();
        assert!(needed <= frames + 1 && needed + 1 >= frames, "{} ms: {needed}", shift / MS);
        let first = if shift < 0 { -FRAME / 4 } else { FRAME / 4 };
        assert_eq!(moved[0], first);
    }
}

#[test]
fn a_shift_that_trembles_moves_nothing() {
    let (mut slew, mut at) = (Slew::default(), 0);
    run(&mut slew, &mut at, 1, Some(500 * MS));
    for off in [39, -39, 40, 0, -40] {
        assert_eq!(run(&mut slew, &mut at, 1, Some((500 + off) * MS)), [500 * MS]);
    }
    let moved = run(&mut slew, &mut at, 10, Some(459 * MS));
    assert_eq!(moved.last(), Some(&(459 * MS)), "once on the way, it goes all of it");
}

#[test]
fn a_shift_that_is_lost_stays_applied() {
    let (mut slew, mut at) = (Slew::default(), 0);
    run(&mut slew, &mut at, 30, Some(-200 * MS));
    assert_eq!(run(&mut slew, &mut at, 2, None), [-200 * MS, -200 * MS]);
}

#[test]
fn a_clock_that_was_set_back_is_followed() {
    let mut slew = Slew::default();
    slew.place(3600 * CLOCK_HZ, Some(50 * MS));
    assert_eq!(slew.place(0, Some(50 * MS)), 50 * MS);
}

proptest! {
    #[test]
    fn places_increase_where_ticks_do(
        frames in prop::collection::vec(
            (1..20_000i64, prop::option::of(-6 * CLOCK_HZ..6 * CLOCK_HZ)),
            1..200,
        ),
    ) {
        let (mut slew, mut ticks, mut last) = (Slew::default(), 0, None);
        for (duration, shift) in frames {
            ticks += duration;
            let place = slew.place(ticks, shift);
            prop_assert!(last.is_none_or(|last| place > last));
            last = Some(place);
        }
    }

    #[test]
    fn the_shift_is_reached(shift in -5 * CLOCK_HZ..5 * CLOCK_HZ, duration in 900..10_000i64) {
        let mut slew = Slew::default();
        slew.place(0, None);
        let end = 30 * CLOCK_HZ / duration * duration;
        let last = (1..=end / duration).map(|n| slew.place(n * duration, Some(shift))).last();
        let off = (last.unwrap() - end - shift).abs();
        prop_assert_eq!(off, if shift.abs() > TOLERANCE { 0 } else { shift.abs() });
    }

    #[test]
    fn any_ticks_at_all_are_survived(
        frames in prop::collection::vec((any::<i64>(), any::<Option<i64>>()), 0..50),
        ends in prop::collection::vec(0..4usize, 0..50),
    ) {
        let mut slew = Slew::default();
        for (ticks, shift) in frames {
            slew.place(ticks, shift);
        }
        let extremes = [i64::MIN, i64::MAX, 0, -1];
        for (a, b) in ends.iter().zip(ends.iter().rev()) {
            slew.place(extremes[*a], Some(extremes[*b]));
        }
    }
}
