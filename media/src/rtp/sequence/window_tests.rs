use proptest::prelude::{Just, Strategy as _, any, prop, prop_assert, prop_assert_eq, proptest};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::rtp::sequence::{Sequence, Verdict};

/// A window, the time, and what came out of it.
struct Rig {
    window: Window,
    now: Instant,
    out: Vec<u16>,
    /// How many packets had to be copied.
    copied: usize,
}

impl Rig {
    fn new() -> Self {
        Self { window: Window::default(), now: Instant::now(), out: Vec::new(), copied: 0 }
    }

    fn poll(&mut self) {
        while let Some(bytes) = self.window.poll(self.now) {
            self.out.push(u16::from_be_bytes([bytes[0], bytes[1]]));
            self.copied += 1;
        }
    }

    /// A packet of a track that has three packets per picture.
    fn push(&mut self, number: u16) -> Place {
        self.push_at(number, u32::from(number) / 3 * 3600)
    }

    fn push_at(&mut self, number: u16, time: u32) -> Place {
        let place = self.window.push(&number.to_be_bytes(), number, time, self.now);
        if place == Place::Now {
            self.out.push(number);
        }
        self.poll();
        place
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.poll();
    }
}

#[test]
fn what_comes_in_order_is_never_copied() {
    let mut rig = Rig::new();
    for n in 0..70_000u32 {
        assert_eq!(rig.push_at(n as u16, n), Place::Now);
        assert_eq!(rig.window.poll_timeout(), None);
    }
    assert_eq!((rig.copied, rig.window.dropped()), (0, 0));
}

#[test]
fn a_swapped_pair_costs_one_copy() {
    let mut rig = Rig::new();
    let places = [10, 12, 11, 13].map(|n| rig.push(n));
    assert_eq!(places, [Place::Now, Place::Hold, Place::Now, Place::Now]);
    assert_eq!((rig.out, rig.copied), (vec![10, 11, 12, 13], 1));
}

#[test]
fn one_swapped_in_fifty_or_in_four_hundred_loses_nothing() {
    for every in [2, 50, 400] {
        let (mut rig, mut sequence) = (Rig::new(), Sequence::default());
        let mut numbers: Vec<u16> = (0..20_000).map(|n: u16| n.wrapping_add(60_000)).collect();
        for pair in numbers.chunks_exact_mut(every) {
            pair.swap(every - 2, every - 1);
        }
        rig.window.start_at(60_000);
        for (n, &number) in (0..).zip(&numbers) {
            rig.push_at(number, n / 10 * 3600);
            rig.now += Duration::from_millis(1);
        }
        numbers.sort_by_key(|n| n.wrapping_sub(60_000));
        assert_eq!(rig.out, numbers);
        assert_eq!(rig.copied, numbers.len() / every);
        let in_order = |&n: &u16| sequence.accept(n, 0, 1) == Verdict::Next { lost: 0 };
        assert!(rig.out.iter().all(in_order));
    }
}

#[test]
fn every_order_of_six_packets_is_restored() {
    // The digits of the code in factorial base choose from those that are left.
    for code in 0..720usize {
        let (mut rest, mut code) = ((101..107).collect::<Vec<u16>>(), code);
        let mut rig = Rig::new();
        rig.push(100);
        for base in (1..=6).rev() {
            rig.push(rest.remove(code % base));
            code /= base;
        }
        assert_eq!(rig.out, (100..107).collect::<Vec<_>>());
    }
}

#[test]
fn a_lost_packet_costs_at_most_two_hundred_milliseconds() {
    let mut rig = Rig::new();
    rig.push(1);
    rig.push(3);
    let from = rig.now;
    rig.wait(150);
    rig.push(6);
    assert_eq!(rig.window.poll_timeout(), Some(from + WAIT));
    rig.wait(49);
    assert_eq!(rig.out, [1]);
    rig.wait(1);
    assert_eq!(rig.out, [1, 3], "the second gap has its own time");
    assert_eq!(rig.window.poll_timeout(), Some(from + Duration::from_millis(150) + WAIT));
    rig.push(4);
    rig.wait(150);
    assert_eq!(rig.out, [1, 3, 4, 6]);
    assert_eq!(rig.window.poll_timeout(), None);
    assert_eq!(rig.push(2), Place::Drop, "too late");
    assert_eq!(rig.push(5), Place::Drop, "too late");
    assert_eq!(rig.push(7), Place::Now);
}

#[test]
fn a_lost_packet_is_waited_for_by_sixty_three_at_most() {
    let mut rig = Rig::new();
    rig.push(0);
    for n in 2..=64 {
        assert_eq!(rig.push(n), Place::Hold);
    }
    assert_eq!(rig.out, [0]);
    rig.push(65);
    assert_eq!(rig.out.len(), 65, "all but the lost one");
    assert_eq!(rig.push(66), Place::Now);
}

#[test]
fn a_long_gap_is_waited_for_only_where_order_may_still_change() {
    let mut rig = Rig::new();
    for n in [0, 1, 3, 500, 499] {
        rig.push(n);
    }
    assert_eq!(rig.out, [0, 1, 3]);
    rig.wait(200);
    assert_eq!(rig.out, [0, 1, 3, 499, 500]);
}

#[test]
fn doubles_are_dropped() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        assert_eq!(rig.push(n), Place::Now);
        assert_eq!(rig.push(n), Place::Drop);
    }
    assert_eq!(rig.push(1001), Place::Hold);
    assert_eq!(rig.push(1001), Place::Drop, "one that is held");
    assert_eq!(rig.push(1000), Place::Now);
    assert_eq!(rig.out, (0..=1001).collect::<Vec<_>>());
    assert_eq!(rig.window.dropped(), 1001);
}

#[test]
fn a_restart_gives_out_what_is_held_and_begins_anew() {
    let mut rig = Rig::new();
    for (n, number) in (0..).zip([5000, 5002, 1, 3, 2, 4, 40_000, 2, 3]) {
        rig.push_at(number, n * 3600);
    }
    assert_eq!(rig.out, [5000, 5002, 1, 2, 3, 4, 40_000, 2, 3]);
}

#[test]
fn a_restart_within_the_window_is_told_by_the_clock() {
    for length in [2, 30, 64, 100, 500] {
        let mut rig = Rig::new();
        let numbers: Vec<u16> = (0..10 * length).map(|n| n % length + 1).collect();
        for (n, &number) in (0..).zip(&numbers) {
            rig.push_at(number, n * 3600);
        }
        assert_eq!(rig.out, numbers, "every {length} packets");
    }
}

#[test]
fn a_late_packet_after_a_restart_is_no_other_restart() {
    let mut rig = Rig::new();
    for n in (0..70).filter(|n| *n != 54) {
        rig.push_at(n % 50 + 1, u32::from(n) * 3600);
    }
    rig.wait(200);
    assert_eq!(rig.push_at(5, 54 * 3600), Place::Drop);
    assert_eq!(rig.push_at(21, 70 * 3600), Place::Now);
}

#[test]
fn a_straggler_from_beyond_the_window_is_no_restart() {
    let mut rig = Rig::new();
    let time = |n: u16| u32::from(n) / 40 * 3600;
    for n in (0..1000).filter(|n| *n != 500) {
        rig.push_at(n, time(n));
        rig.now += Duration::from_millis(1);
    }
    assert_eq!(rig.push_at(500, time(500)), Place::Drop, "late by 500 packets");
    assert_eq!(rig.push_at(100, time(100)), Place::Drop, "twice, and late by 900");
    assert_eq!(rig.push_at(1000, time(1000)), Place::Now);
}

#[test]
fn one_number_for_ever_stops_only_the_first_packets() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        rig.push_at(7, n / 100 * 3600);
    }
    assert!(rig.out.len() >= 1000 - 31, "{}", rig.out.len());
}

#[test]
fn the_number_told_puts_the_first_packets_in_order() {
    let mut rig = Rig::new();
    rig.window.start_at(10);
    for n in [11, 10, 12] {
        rig.push(n);
    }
    assert_eq!(rig.out, [10, 11, 12]);

    for wrong in [0, 9_000, 1235, 30_000] {
        let mut rig = Rig::new();
        rig.window.start_at(wrong);
        for n in [1234, 1236, 1235] {
            rig.push(n);
        }
        assert_eq!(rig.out, [1234, 1235, 1236], "told {wrong}");
    }
}

#[test]
fn what_is_held_is_bounded_in_bytes() {
    let (mut window, now) = (Window::default(), Instant::now());
    let mut numbers = Vec::new();
    let packet = |n: u16| {
        let mut packet = vec![0; 65_535];
        packet[..2].copy_from_slice(&n.to_be_bytes());
        packet
    };
    // Every second packet is lost.
    for n in (0..2000).step_by(2) {
        if window.push(&packet(n), n, n.into(), now) == Place::Now {
            numbers.push(n);
        }
        while let Some(bytes) = window.poll(now) {
            numbers.push(u16::from_be_bytes([bytes[0], bytes[1]]));
        }
        assert!(window.bytes <= BYTES);
    }
    assert!(numbers.iter().copied().eq((0..).step_by(2).take(numbers.len())));
    assert!(numbers.len() >= 1000 - 16, "{}", numbers.len());

    // The window holds little even if nobody polls it.
    for n in (0..10_000).step_by(3) {
        window.push(&packet(n), n, n.into(), now);
        assert!(window.bytes <= BYTES && window.held.len() <= SPAN.into());
    }
}

#[test]
fn a_hundred_thousand_packets_in_disorder_come_out_in_order() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut rig = Rig::new();
    let mut numbers: Vec<u32> = (1..100_000).collect();
    for chunk in numbers.chunks_mut(60) {
        chunk.shuffle(&mut rng);
    }
    rig.push_at(0, 0);
    for n in numbers {
        rig.push_at(n as u16, n / 5 * 3600);
        if rng.random_bool(0.01) {
            rig.push_at(n as u16, n / 5 * 3600);
        }
        rig.now += Duration::from_micros(500);
    }
    assert!(rig.out.iter().copied().eq((0..100_000u32).map(|n| n as u16)));
}

proptest! {
    #[test]
    fn any_displacement_below_sixty_four_is_undone(
        first in any::<u16>(),
        delays in prop::collection::vec(0..63usize, 1..400),
    ) {
        // A packet that is delayed by d comes after the next d packets, and before the one after them.
        let mut order: Vec<(usize, usize)> = delays.iter().enumerate().map(|(n, d)| (n + d, n)).collect();
        order.sort();
        let mut rig = Rig::new();
        rig.window.start_at(first);
        for &(_, n) in &order {
            rig.push_at(first.wrapping_add(n as u16), n as u32 * 3600);
        }
        let expected: Vec<u16> = (0..delays.len()).map(|n| first.wrapping_add(n as u16)).collect();
        prop_assert_eq!(rig.out, expected);
    }

    #[test]
    fn loss_and_disorder_keep_the_order_and_every_packet(
        kept in prop::collection::vec(prop::bool::weighted(0.9), 1..300)
            .prop_flat_map(|kept| {
                let delays = prop::collection::vec(0..20usize, kept.len());
                (Just(kept), delays)
            }),
    ) {
        let (kept, delays) = kept;
        let mut order: Vec<(usize, u16)> =
            (0..kept.len()).filter(|&n| kept[n]).map(|n| (n + delays[n], n as u16)).collect();
        order.sort();
        let mut rig = Rig::new();
        rig.window.start_at(0);
        for &(_, n) in &order {
            rig.push(n);
            rig.wait(5);
        }
        rig.wait(200);
        let mut expected: Vec<u16> = order.iter().map(|&(_, n)| n).collect();
        expected.sort_unstable();
        prop_assert_eq!(rig.out, expected);
        prop_assert_eq!(rig.window.dropped(), 0);
    }

    #[test]
    fn anything_at_all_comes_out_once_and_in_time(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0..300u64, 0..3u8), 0..300),
        few in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        let mut taken = 0;
        for (number, time, ms, near) in packets {
            let number = if near > 0 { number % 80 } else { number };
            let time = if few { 7 } else { time };
            taken += usize::from(rig.push_at(number, time) != Place::Drop);
            prop_assert!(rig.out.len() <= taken);
            rig.wait(ms);
            prop_assert!(rig.window.poll_timeout().is_none_or(|at| at > rig.now));
            prop_assert!(rig.window.held.len() < usize::from(SPAN));
        }
        rig.wait(200);
        prop_assert_eq!(rig.out.len(), taken);
        prop_assert_eq!(rig.window.bytes, 0);
    }
}
