use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

const MS: i64 = CLOCK_HZ / 1000;
/// A day in 2026, as the wall clock of a sender report.
const DAY: u64 = 3_988_000_000 << 32;

/// Wall-clock time so long after [`DAY`].
fn ntp(ms: i64) -> u64 {
    DAY.wrapping_add_signed(((i128::from(ms) << 32) / 1000) as i64)
}

/// A clock of `rate`, its first packet at `base`.
fn clock(rate: u32, base: u32) -> RtpClock {
    let mut clock = RtpClock::new(rate);
    assert_eq!(clock.ticks(base), 0);
    clock
}

/// Sends packets for so long, and a report every 5 s whose wall clock is `late` behind; `rtp` turns
/// milliseconds into the timestamp that the report tells.
fn run(clock: &mut RtpClock, base: u32, from: i64, to: i64, late: i64, rtp: impl Fn(i64) -> u32) {
    for ms in (from..to).step_by(20) {
        let rate = i64::from(clock.rate);
        clock.ticks(base.wrapping_add((ms * rate / 1000) as u32));
        if ms % 5000 == 0 {
            clock.report(ntp(ms - late), rtp(ms));
        }
    }
}

/// How timestamps advance from `base` at `rate`.
fn honest(base: u32, rate: i64) -> impl Fn(i64) -> u32 {
    move |ms| base.wrapping_add((ms * rate / 1000) as u32)
}

/// The shift of a camera with honest reports, its sound stamped so late by the wall clock.
fn shift_of(late: i64) -> Option<i64> {
    let (mut video, mut audio) = (clock(90_000, 7), clock(16_000, 4_000_000_000));
    run(&mut video, 7, 0, 11_000, 0, honest(7, 90_000));
    run(&mut audio, 4_000_000_000, 0, 13_000, late, honest(4_000_000_000, 16_000));
    shift(&video, &audio)
}

#[test]
fn timestamps_wrap_for_days() {
    let mut clock = clock(90_000, u32::MAX - 1000);
    // 20 days at a picture every 10 s.
    for n in 1..172_800i64 {
        let ticks = n * 10 * CLOCK_HZ;
        assert_eq!(clock.ticks((ticks + i64::from(u32::MAX) - 1000) as u32), ticks);
    }
}

#[test]
fn pictures_come_in_another_order_than_they_are_shown() {
    let base = u32::MAX - 9000;
    let mut clock = clock(90_000, base);
    for shown in [3i64, 1, 2, 6, 4, 5, 9, 7, 8] {
        assert_eq!(clock.ticks(base.wrapping_add(3600 * shown as u32)), 3600 * shown);
    }
}

#[test]
fn one_picture_stamped_hours_ago_changes_no_other() {
    let mut clock = clock(90_000, 1000);
    for n in 1..200i64 {
        let ago = if n % 30 == 20 { 9800 * CLOCK_HZ } else { 0 };
        assert_eq!(clock.ticks((1000 + n * 3600 - ago) as u32), n * 3600 - ago);
    }
}

#[test]
fn no_rate_drifts_over_hours() {
    for rate in [30_000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 90_000, 7] {
        let base = u32::MAX - 1_000_000;
        let mut clock = clock(rate, base);
        // Six hours in steps of 1024 samples, against a division of numbers that never wrap.
        for n in 0..6 * 3600 * u64::from(rate) / 1024 {
            let ticks = clock.ticks(base.wrapping_add((n * 1024) as u32));
            assert_eq!(ticks as u64, n * 1024 * 90_000 / u64::from(rate));
        }
    }
}

#[test]
fn a_rate_of_zero_is_that_of_pictures() {
    assert_eq!(clock(0, 5).ticks(3605), 3600);
}

#[test]
fn ticks_count_from_the_start_that_was_told() {
    for (told, first) in [(5000, 0), (5000 + 8 * 90_000, -8), (5000 - 10 * 90_000, 10)] {
        let mut clock = RtpClock::new(90_000);
        clock.start_at((told + (1i64 << 32)) as u32);
        assert_eq!(clock.ticks(5000), first * CLOCK_HZ);
        assert_eq!(clock.ticks(8600), first * CLOCK_HZ + 3600);
    }
    let mut sound = RtpClock::new(8000);
    sound.start_at(1000);
    assert_eq!(sound.ticks(1000 + 80_000), 10 * CLOCK_HZ);
}

#[test]
fn a_wrong_start_is_none() {
    for (rate, told) in [(90_000, 0), (90_000, 5_900_001), (8000, 5_080_001), (8000, 3 << 30)] {
        let mut clock = RtpClock::new(rate);
        clock.start_at(told);
        assert_eq!(clock.ticks(5_000_000), 0, "told {told}");
    }
}

#[test]
fn a_start_told_after_the_first_packet_moves_nothing() {
    let mut clock = clock(90_000, 5000);
    clock.start_at(0);
    assert_eq!(clock.ticks(8600), 3600);
}

#[test]
fn reports_tell_how_far_sound_and_picture_are_apart() {
    for late in [0, 300, -300, 4999, -4999] {
        let shift = shift_of(late).unwrap();
        assert!((shift + late * MS).abs() <= 2, "{late} ms late: {shift}");
    }
    for apart in [5001, -5001, 3_600_000, 1 << 40] {
        assert_eq!(shift_of(apart), None, "{apart} ms are no measure");
    }
}

#[test]
fn one_report_of_each_track_is_enough_when_it_is_of_now() {
    let (mut video, mut audio) = (clock(90_000, 0), clock(8000, 0));
    video.report(ntp(0), 0);
    assert_eq!(shift(&video, &audio), None);
    audio.report(ntp(250), 0);
    assert_eq!(shift(&video, &audio), Some(250 * MS));

    let mut elsewhere = clock(8000, 0);
    elsewhere.report(ntp(250), 8001);
    assert_eq!(shift(&video, &elsewhere), None, "more than a second from its packets");
    elsewhere.report(ntp(5250), 48_001);
    assert!(shift(&video, &elsewhere).is_some(), "but a second one bears it out");
}

#[test]
fn a_report_before_the_first_packet_counts_with_it() {
    let (mut video, mut audio) = (clock(90_000, 0), RtpClock::new(8000));
    video.report(ntp(0), 0);
    audio.report(ntp(0), u32::MAX - 799);
    assert_eq!(shift(&video, &audio), None);
    assert_eq!(audio.ticks(0), 0);
    assert_eq!(shift(&video, &audio), Some(100 * MS));
}

#[test]
fn reports_that_lie_are_disbelieved() {
    type Lie = fn(i64) -> u32;
    let lies: [(&str, Lie); 5] = [
        ("frozen", |_| 9),
        ("milliseconds", |ms| 9 + ms as u32),
        ("20 % fast", |ms| 9 + (ms * 108) as u32),
        ("backwards", |ms| 9u32.wrapping_sub((ms * 90) as u32)),
        ("noise", |ms| (ms as u32).wrapping_mul(2_654_435_761)),
    ];
    let mut audio = clock(16_000, 3);
    run(&mut audio, 3, 0, 60_000, 0, honest(3, 16_000));
    for (lie, rtp) in lies {
        let mut video = clock(90_000, 9);
        for from in (0..60_000).step_by(5000).skip(1) {
            run(&mut video, 9, from - 5000, from, 0, rtp);
            if from > 5000 {
                assert_eq!(shift(&video, &audio), None, "{lie}, after {from} ms");
            }
        }
    }
}

#[test]
fn a_wall_clock_of_zero_or_standing_still_is_disbelieved() {
    let (mut video, mut audio) = (clock(90_000, 0), clock(8000, 0));
    for s in 0..20 {
        video.ticks(s * 90_000);
        audio.ticks(s * 8000);
        audio.report(ntp(i64::from(s) * 1000), s * 8000);
        video.report(0, s * 90_000);
        assert_eq!(shift(&video, &audio), None);
    }
    video.report(ntp(20_000), 20 * 90_000);
    assert!(shift(&video, &audio).is_some());
    for s in 24..40 {
        video.report(ntp(20_000), s * 90_000);
        assert_eq!(shift(&video, &audio), None);
    }
}

#[test]
fn reports_are_believed_again_when_they_agree_again() {
    let mut audio = clock(8000, 0);
    run(&mut audio, 0, 0, 30_000, 0, honest(0, 8000));
    let mut video = clock(90_000, 0);
    run(&mut video, 0, 0, 10_000, 0, honest(0, 90_000));
    assert!(shift(&video, &audio).is_some());
    run(&mut video, 0, 10_000, 14_000, -86_400_000, honest(0, 90_000)); // The camera's clock is set.
    assert_eq!(shift(&video, &audio), None);
    run(&mut video, 0, 15_000, 16_000, -86_400_000, honest(0, 90_000));
    assert_eq!(shift(&video, &audio), None, "a day apart");
    run(&mut video, 0, 20_000, 21_000, 0, honest(0, 90_000));
    run(&mut video, 0, 25_000, 26_000, 0, honest(0, 90_000));
    assert!(shift(&video, &audio).is_some_and(|shift| shift.abs() <= 2));
}

#[test]
fn reports_in_quick_succession_are_one() {
    let (mut video, mut audio) = (clock(90_000, 0), clock(8000, 0));
    audio.report(ntp(0), 0);
    // The timestamp is that of the last picture, which is up to 40 ms old.
    for ms in (0..10_000).step_by(30) {
        let timestamp = (ms / 40 * 3600) as u32;
        video.ticks(timestamp);
        video.report(ntp(ms), timestamp);
        let shift = shift(&video, &audio);
        assert!(shift.is_some_and(|shift| shift.abs() <= 40 * MS), "{shift:?} at {ms}");
    }
    // The same report comes again and again.
    for _ in 0..5 {
        video.report(ntp(9990), 249 * 3600);
        assert!(shift(&video, &audio).is_some());
    }
}

#[test]
fn a_report_that_was_sent_late_moves_nothing_until_the_next_one_bears_it_out() {
    let (mut video, mut audio) = (clock(90_000, 0), clock(8000, 0));
    for second in (0..60).step_by(5) {
        let late = if second == 20 || second >= 40 { 60 } else { 0 };
        for (clock, late) in [(&mut video, 0), (&mut audio, late)] {
            let timestamp = second as u32 * clock.rate;
            clock.ticks(timestamp);
            clock.report(ntp(second * 1000 + late), timestamp);
        }
        let expected = if second >= 45 { 60 * MS } else { 0 };
        let shift = shift(&video, &audio);
        assert!(
            shift.is_some_and(|shift| (shift - expected).abs() <= 2),
            "{shift:?} at {second} s"
        );
    }
}

#[test]
fn the_wall_clock_of_any_moment_is_told() {
    let mut video = clock(90_000, 4_294_000_000);
    assert_eq!(video.wall(0), None);
    video.report(ntp(0), 4_294_000_000 + 45_000);
    assert_eq!(video.wall(45_000), Some(ntp(0)));
    for ms in [0, 40, -40, 12_345, -1_000_001, 1_000_000_000_000] {
        let wall = video.wall(45_000 + ms * MS).unwrap();
        assert!(wall.abs_diff(ntp(ms)) <= 2, "{ms} ms: {wall:x}");
    }
}

#[test]
fn a_wall_clock_that_began_with_the_camera_will_do() {
    let (mut video, mut audio) = (clock(90_000, 0), clock(8000, 0));
    video.report(1, 0);
    audio.report(1 << 31, 0);
    assert_eq!(shift(&video, &audio), Some(500 * MS - 1));
}

proptest! {
    #[test]
    fn unwrapping_is_exact_for_steps_of_less_than_half_the_range(
        rate in 1..200_000u32,
        base in any::<u32>(),
        steps in prop::collection::vec(-0x7FFF_FFFFi64..0x7FFF_FFFF, 0..50),
    ) {
        let mut clock = clock(rate, base);
        let mut at = 0i64;
        for step in steps {
            at += step;
            let expected = (i128::from(at) * 90_000).div_euclid(rate.into());
            prop_assert_eq!(i128::from(clock.ticks(base.wrapping_add(at as u32))), expected);
        }
    }

    #[test]
    fn any_reports_and_times_at_all_are_survived(
        rate in prop_oneof![any::<u32>(), 0..3u32],
        told in any::<Option<u32>>(),
        events in prop::collection::vec((any::<u64>(), any::<u32>(), 0..3u8), 0..60),
        ticks in any::<i64>(),
    ) {
        let mut clocks = [RtpClock::new(rate), RtpClock::new(8000)];
        if let Some(told) = told {
            clocks[0].start_at(told);
        }
        for (ntp, rtp, what) in events {
            for clock in &mut clocks {
                match what {
                    0 => _ = clock.ticks(rtp),
                    1 => clock.report(ntp, rtp),
                    _ => clock.report(ntp & 0xF_FFFF_FFFF, rtp & 0xFFFF),
                }
            }
            let shift = shift(&clocks[0], &clocks[1]);
            prop_assert!(shift.is_none_or(|shift| shift.abs() <= 5 * CLOCK_HZ));
            clocks[0].wall(ticks);
        }
    }

    #[test]
    fn extremes_are_survived(at in prop::collection::vec(0..8usize, 5)) {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX, 1 << 62].map(Some);
        let [zero, newest, report, ticks, rate] = at[..] else { unreachable!() };
        let mut clock = RtpClock {
            rate: [1, 2, 8000, 90_000, u32::MAX, 3, 44_100, 7][rate],
            told: Some(u32::MAX),
            zero: ends[zero].filter(|zero| *zero != 0),
            newest: ends[newest],
            report: ends[report].map(|at| Moment { ntp: at as u64, at }),
            doubted: None,
            believed: true,
        };
        clock.wall(ends[ticks].unwrap());
        shift(&clock, &clock.clone());
        clock.ticks(0x8000_0000);
        clock.report(u64::MAX, 0x8000_0000);
        clock.report(1, 0x7FFF_FFFF);
        clock.wall(ends[ticks].unwrap());
        shift(&clock, &RtpClock { believed: true, ..clock.clone() });
    }
}
