use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const NEXT: Verdict = Verdict::Next { lost: 0 };

/// A track whose packets have one picture each, 3600 ticks long.
#[derive(Default)]
struct Track {
    sequence: Sequence,
    time: u32,
}

impl Track {
    /// Packets with these numbers, the clock going on.
    fn take(&mut self, numbers: impl IntoIterator<Item = u16>) {
        for number in numbers {
            self.time += 3600;
            assert_eq!(self.sequence.accept(number, self.time, 1), NEXT, "number {number}");
        }
    }

    fn counts(&self) -> (u64, u64, u64, u64) {
        let Counts { received, lost, stale, restarts } = self.sequence.counts();
        (received, lost, stale, restarts)
    }
}

#[test]
fn missing_packets_are_told() {
    let mut sequence = Sequence::default();
    assert_eq!(sequence.accept(65_534, 0, 1), NEXT);
    assert_eq!(sequence.accept(65_535, 0, 1), NEXT);
    assert_eq!(sequence.accept(2, 9, 1), Verdict::Next { lost: 2 });
    assert_eq!(sequence.accept(3002, 9, 1), Verdict::Next { lost: 2999 });
    assert_eq!(sequence.extended_highest(), 65_536 + 3002);
    assert_eq!(sequence.counts(), Counts { received: 4, lost: 3001, stale: 0, restarts: 0 });
}

#[test]
fn runs_of_doubled_packets_are_stale() {
    for (size, numbers) in [(1, "1122"), (2, "12123434"), (3, "123123456456")] {
        let mut sequence = Sequence::default();
        for round in 0..40u16 {
            for (i, digit) in numbers.bytes().map(|digit| u16::from(digit - b'0')).enumerate() {
                let number = round * 2 * size + digit;
                let doubled = i / usize::from(size) % 2 == 1;
                let expected = if doubled { Verdict::Stale } else { NEXT };
                assert_eq!(
                    sequence.accept(number, number.into(), 1),
                    expected,
                    "{numbers}, {number}"
                );
            }
        }
        assert_eq!((sequence.counts().lost, sequence.counts().restarts), (0, 0));
    }
}

#[test]
fn a_whole_picture_sent_twice_is_stale() {
    let mut sequence = Sequence::default();
    for picture in 0..100u16 {
        for expected in [NEXT, Verdict::Stale] {
            for n in 0..64 {
                let number = (picture * 64 + n).wrapping_add(60_000);
                assert_eq!(sequence.accept(number, picture.into(), 1), expected);
            }
        }
    }
}

#[test]
fn a_restart_at_one_every_three_seconds_loses_nothing() {
    for length in [2, 20, 63, 64, 65, 500] {
        let mut track = Track::default();
        for _ in 0..20 {
            track.take(1..=length);
        }
        assert_eq!(track.counts(), (20 * u64::from(length), 0, 0, 19), "{length} packets");
    }
}

#[test]
fn a_restart_just_behind_the_old_number_is_one() {
    for back in [0, 1, 2, 50, 64, 65, 200] {
        let mut track = Track::default();
        track.take(1000..1300);
        track.take(1299 - back..1600);
        assert_eq!(track.counts().3, 1, "{back} back");
        assert_eq!((track.counts().1, track.counts().2), (0, 0));
    }
}

#[test]
fn a_restart_with_a_clock_that_stands_still_is_one() {
    for length in [70, 100, 200] {
        let mut sequence = Sequence::default();
        for _ in 0..5 {
            for number in 1..=length {
                assert_eq!(sequence.accept(number, 77, 1), NEXT, "number {number} of {length}");
            }
        }
        assert_eq!(sequence.counts().restarts, 4);
    }
}

#[test]
fn a_number_that_came_at_another_time_is_a_restart() {
    let mut track = Track::default();
    track.take(1..=10);
    assert_eq!(track.sequence.accept(5, 5 * 3600 + 1, 1), NEXT);
    assert_eq!(track.counts().3, 1);
}

#[test]
fn the_numbering_before_explains_no_late_packet() {
    let mut track = Track::default();
    track.take(1..=50);
    track.take(1..=4);
    assert_eq!(track.sequence.accept(6, track.time + 7200, 1), Verdict::Next { lost: 1 });
    assert_eq!(track.sequence.accept(5, track.time + 3600, 1), Verdict::Stale);
}

#[test]
fn a_far_jump_is_a_restart() {
    let mut track = Track::default();
    track.take([5, 3006, 6, 40_000, 39_999]);
    assert_eq!(track.counts(), (5, 0, 0, 4));
}

#[test]
fn another_source_matters_only_with_a_jump() {
    let mut sequence = Sequence::default();
    for number in 0..100 {
        assert_eq!(sequence.accept(number, 0, u32::from(number / 10)), NEXT);
    }
    assert_eq!((sequence.counts().restarts, sequence.ssrc()), (0, 9));
    assert_eq!(sequence.accept(105, 0, 10), NEXT);
    assert_eq!((sequence.counts().restarts, sequence.counts().lost), (1, 0));
}

#[test]
fn a_late_packet_that_was_called_lost_is_stale() {
    let mut sequence = Sequence::default();
    let packets = [(1, 100), (2, 100), (4, 100), (3, 100), (5, 100), (8, 300), (6, 200), (7, 300)];
    let verdicts = packets.map(|(number, time)| sequence.accept(number, time, 1));
    let lost = |lost| Verdict::Next { lost };
    let stale = Verdict::Stale;
    assert_eq!(verdicts, [NEXT, NEXT, lost(1), stale, NEXT, lost(2), stale, stale]);
    assert_eq!(sequence.accept(9, 300, 1), NEXT);
}

#[test]
fn numbers_that_say_nothing_are_disbelieved() {
    type Number = fn(u16) -> u16;
    let cameras: [(&str, Number, u32); 5] = [
        ("one number for ever", |_| 7, 31),
        ("one number per picture of 100 packets", |n| n / 100, 31),
        ("counting by two", |n| n.wrapping_mul(2), 0),
        ("bytes swapped", u16::swap_bytes, 31),
        ("counting backwards", |n| 5000u16.wrapping_sub(n), 31),
    ];
    for (camera, number, dropped) in cameras {
        let mut sequence = Sequence::default();
        let (mut stale, mut lost) = (0, 0);
        for n in 0..20_000u16 {
            match sequence.accept(number(n), u32::from(n / 100) * 3600, 1) {
                Verdict::Next { lost: 0 } => {}
                Verdict::Next { .. } => lost += 1,
                Verdict::Stale => stale += 1,
            }
        }
        assert!(stale <= dropped && lost <= 31, "{camera}: {stale} left out, {lost} gaps");
    }
}

#[test]
fn heavy_loss_is_believed_and_told() {
    let mut sequence = Sequence::default();
    for n in (0..30_000u16).filter(|n| n % 7 < 2) {
        sequence.accept(n, u32::from(n) * 3600, 1);
    }
    assert_eq!(sequence.counts().lost, 30_000 / 7 * 5);
}

#[test]
fn belief_comes_back_when_numbers_are_right_again() {
    let mut sequence = Sequence::default();
    for n in 0..100 {
        sequence.accept(7, n, 1);
    }
    for n in (8..3000).filter(|n| n % 100 != 0) {
        sequence.accept(n, n.into(), 1);
    }
    assert_eq!(sequence.accept(3005, 3005, 1), Verdict::Next { lost: 5 });
}

#[test]
fn wraps_are_counted_in_the_high_bits() {
    let mut sequence = Sequence::default();
    for n in 0..200_000u32 {
        sequence.accept(n as u16, n, 1);
        assert_eq!(sequence.extended_highest(), n);
    }
    sequence.accept(1, 200_001, 1);
    assert_eq!(sequence.extended_highest(), (4 << 16) + 1, "a restart goes up as well");
}

proptest! {
    #[test]
    fn what_is_missing_is_counted_exactly(
        first in any::<u16>(),
        kept in prop::collection::vec(prop::bool::weighted(0.8), 1..500),
    ) {
        let mut sequence = Sequence::default();
        let numbers: Vec<usize> = (0..kept.len()).filter(|&i| kept[i]).collect();
        for &i in &numbers {
            let verdict = sequence.accept(first.wrapping_add(i as u16), i as u32 * 3600, 1);
            prop_assert!(verdict != Verdict::Stale);
        }
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
            let lost = last - first + 1 - numbers.len();
            prop_assert_eq!(sequence.counts().lost, lost as u64);
            prop_assert_eq!(sequence.counts().restarts, 0);
        }
    }

    #[test]
    fn anything_at_all_is_counted_once(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0..3u32), 0..300),
    ) {
        let mut sequence = Sequence::default();
        for (n, &(number, time, ssrc)) in packets.iter().enumerate() {
            sequence.accept(number, time, ssrc);
            let counts = sequence.counts();
            prop_assert_eq!(counts.received + counts.stale, n as u64 + 1);
        }
    }
}
