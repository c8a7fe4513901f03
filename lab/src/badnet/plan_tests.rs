use proptest::prelude::*;

use super::super::conditions::Shape;
use super::super::flow::RATE_SLOT;
use super::*;

const PLACE: Place = Place { link: 0, connection: 3 };
const MS: u64 = 1_000_000;

fn plan(conditions: Conditions) -> Plan {
    plan_of(42, conditions)
}

fn plan_of(seed: u64, conditions: Conditions) -> Plan {
    let mut plan = Plan::new(seed, "wan", &["cloud".to_owned()], conditions);
    plan.step(Duration::ZERO, &Step::Open(PLACE));
    plan
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Everything at once, so that each rule is tried by what concerns all of them.
fn rough() -> Way {
    Way {
        delay_ms: 30,
        jitter_ms: 20,
        jitter: Shape::Pareto,
        rate_kbit: 3000,
        rate_low_kbit: 100,
        loss: 0.05,
        burst: 2.0,
        reset: 0.002,
        ..Way::default()
    }
}

/// Feeds a stream in reads of these sizes at these times; for each piece its end in the stream, its time and its fate.
fn fed(plan: &mut Plan, reads: &[(u64, u64)]) -> Vec<(u64, u64, Fate)> {
    let mut end = 0;
    let mut seen = Vec::new();
    for (ms, bytes) in reads {
        for piece in plan.step(at(*ms), &Step::Bytes(PLACE, Direction::Up, *bytes)) {
            end += piece.bytes;
            seen.push((end, piece.due, piece.fate));
        }
    }
    seen
}

/// What is decided for these reads byte by byte.
fn byte_by_byte(reads: &[(u64, u64)]) -> Vec<(u64, u64, Fate)> {
    let single: Vec<_> =
        reads.iter().flat_map(|(ms, bytes)| (0..*bytes).map(|_| (*ms, 1))).collect();
    fed(&mut plan(Conditions::both(rough())), &single)
}

/// Checks that what is decided for these reads is what was decided byte by byte.
fn same(bytes: &[(u64, u64, Fate)], reads: &[(u64, u64)]) -> Result<(), TestCaseError> {
    let mut begin = 0;
    for (end, due, fate) in fed(&mut plan(Conditions::both(rough())), reads) {
        if fate != Fate::Reset {
            prop_assert_eq!(bytes[end as usize - 1].1, due, "byte {}", end - 1);
        }
        prop_assert_eq!(bytes[begin as usize].2, fate, "byte {}", begin);
        begin = end;
    }
    prop_assert!(begin > 0);
    Ok(())
}

#[test]
fn every_split_of_a_read_leads_to_the_same_decisions() {
    let bytes = byte_by_byte(&[(5, 4500)]);
    for cut in (1..4500).step_by(5).chain(PACKET - 2..PACKET + 2) {
        same(&bytes, &[(5, cut), (5, 4500 - cut)]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn reads_of_any_size_lead_to_the_same_decisions(
        reads in prop::collection::vec((0_u64..900, prop::collection::vec(1_u64..1500, 1..4)), 1..6),
    ) {
        let (mut now, mut whole, mut split) = (0, Vec::new(), Vec::new());
        for (pause, parts) in reads {
            now += pause;
            whole.push((now, parts.iter().sum::<u64>()));
            split.extend(parts.into_iter().map(|part| (now, part)));
        }
        let bytes = byte_by_byte(&whole);
        same(&bytes, &split)?;
        same(&bytes, &whole)?;
    }

    #[test]
    fn bytes_never_overtake_each_other_and_nothing_panics(
        steps in prop::collection::vec((0_u64..5000, 0_u64..100_000, any::<bool>()), 1..60),
        low in 0_u32..2000, more in 0_u32..9_998_000, delay_ms in 0_u32..60_000, loss in 0.0..0.9_f64,
    ) {
        let way = Way { delay_ms, rate_kbit: low + more, rate_low_kbit: low, loss, jitter_ms: 60_000, ..Way::default() };
        let mut plan = plan(Conditions::both(way));
        let (mut now, mut last) = (0, [0, 0]);
        for (pause, bytes, up) in steps {
            now += pause;
            let direction = if up { Direction::Up } else { Direction::Down };
            for piece in plan.step(at(now), &Step::Bytes(PLACE, direction, bytes)) {
                prop_assert!(piece.due >= last[up as usize] && piece.due >= (now + u64::from(delay_ms)) * MS);
                last[up as usize] = piece.due;
            }
        }
    }
}

#[test]
fn the_same_seed_decides_the_same_and_another_one_otherwise() {
    let reads: Vec<_> = (0..400).map(|i| (i * 10, 1448)).collect();
    let run = |seed| fed(&mut plan_of(seed, Conditions::both(rough())), &reads);
    assert_eq!(run(42), run(42));
    assert_ne!(run(42), run(43));
    // Of another connection the same packets are not lost; other links change nothing.
    let links = ["cloud".to_owned(), "rtmp".to_owned()];
    let mut two = Plan::new(42, "wan", &links, Conditions::both(rough()));
    two.step(at(0), &Step::Open(PLACE));
    assert_eq!(fed(&mut two, &reads), run(42));
    let other = Place { connection: 4, ..PLACE };
    let mut again = plan(Conditions::both(rough()));
    again.step(at(0), &Step::Open(other));
    let fates = |pieces: Vec<Piece>| pieces.into_iter().map(|piece| piece.fate).collect::<Vec<_>>();
    let [one, another] = [PLACE, other]
        .map(|place| fates(again.step(at(5), &Step::Bytes(place, Direction::Down, 400_000))));
    assert_ne!(one, another);
}

#[test]
fn a_clean_line_delays_nothing_and_a_delay_is_exact() {
    let mut clean = plan(Conditions::default());
    assert_eq!(fed(&mut clean, &[(7, 3000)]).last(), Some(&(3000, 7 * MS, Fate::Pass)));
    let far = Way { delay_ms: 300, ..Way::default() };
    let mut far = plan(Conditions::both(far));
    // The handshake takes a round trip, and then each byte half of one.
    assert_eq!(
        fed(&mut far, &[(0, 1), (1000, 1)]),
        [(1, 900 * MS, Fate::Pass), (2, 1300 * MS, Fate::Pass)]
    );
    let end = far.step(at(2000), &Step::End(PLACE, Direction::Up));
    assert_eq!(end, [Piece { bytes: 0, due: 2300 * MS, fate: Fate::Pass }]);
}

#[test]
fn connections_share_the_rate_of_their_line() {
    let slow = Way { rate_kbit: 512, queue_ms: 500, ..Way::default() };
    let mut plan = plan(Conditions { up: slow, ..Conditions::default() });
    let other = Place { connection: 4, ..PLACE };
    plan.step(at(0), &Step::Open(other));
    // 64,000 bytes take a second at 512 kbit/s.
    for (place, due) in [(PLACE, 500), (other, 1000)] {
        let pieces = plan.step(at(0), &Step::Bytes(place, Direction::Up, 32_000));
        assert_eq!(pieces[pieces.len() - 1].due, due * MS);
    }
    assert_eq!(plan.room(Direction::Up), (at(500), PACKET));
    assert_eq!(plan.room(Direction::Down), (at(0), u64::MAX));
    let back = plan.step(at(0), &Step::Bytes(PLACE, Direction::Down, 32_000));
    assert_eq!(back[back.len() - 1].due, 0);
}

#[test]
fn a_rate_that_sways_stays_in_its_limits() {
    let way = Way { rate_kbit: 4000, rate_low_kbit: 500, ..Way::default() };
    let rates: Vec<_> = (0..500).map(|s| rate(&way, 42, [1, RATE, 0], s * RATE_SLOT)).collect();
    assert!(rates.iter().all(|rate| (500_000..=4_000_000).contains(rate)));
    let mean = rates.iter().sum::<u64>() / 500;
    assert!((2_100_000..2_400_000).contains(&mean), "{mean}");
}

#[test]
fn jitter_is_bounded_in_every_shape() {
    let means = [Shape::Uniform, Shape::Normal, Shape::Pareto].map(|shape| {
        let mut dice = stream(9, &[]);
        let draws: Vec<_> = (0..4000).map(|_| shaped(shape, share(&mut dice), 100)).collect();
        assert!(draws.iter().all(|ns| *ns <= 100 * MS));
        let beyond = draws.iter().filter(|ns| **ns > 80 * MS).count();
        (draws.iter().sum::<u64>() / 4000 / MS, beyond)
    });
    let [(uniform, _), (normal, rare), (pareto, few)] = means;
    assert!((48..52).contains(&uniform) && (48..52).contains(&normal), "{means:?}");
    assert!((9..14).contains(&pareto) && few > 0 && few < 200 && rare < 200, "{means:?}");
}

#[test]
fn what_is_behind_a_lost_packet_of_tcp_waits_until_it_is_sent_again() {
    let lossy = Way { delay_ms: 100, loss: 0.02, ..Way::default() };
    let mut plan = plan(Conditions::both(lossy));
    let reads: Vec<_> = (0..3000).map(|i| (1000 + i * 50, PACKET)).collect();
    let seen = fed(&mut plan, &reads);
    let late: Vec<_> = seen.iter().filter(|(_, _, fate)| *fate == Fate::Late).collect();
    assert!((35..90).contains(&late.len()), "{}", late.len());
    let (mut once, mut stalled) = (0, 0);
    for (end, due, _) in late {
        let came = (1000 + (end / PACKET - 1) * 50) * MS;
        // A round trip of 200 ms is the time of a retransmission.
        assert!(*due >= came + 300 * MS);
        once += usize::from(*due == came + 300 * MS);
        stalled += seen.iter().filter(|(other, time, _)| other > end && time == due).count();
    }
    assert!(once > 25 && stalled > 25, "{once} {stalled}");
}

#[test]
fn losses_come_in_bursts_where_they_are_said_to() {
    let mut runs = Vec::new();
    for burst in [1.0, 8.0] {
        let way = Way { loss: 0.1, burst, ..Way::default() };
        let mut plan = plan(Conditions::both(way));
        let (mut lost, mut bursts, mut before) = (0.0, 0.0, false);
        for ms in 0..40_000 {
            let pieces = plan.step(at(ms), &Step::Packet(PLACE, Direction::Down, 100));
            let now = pieces[0].fate == Fate::Lost;
            lost += f64::from(u8::from(now));
            bursts += f64::from(u8::from(now && !before));
            before = now;
        }
        assert!((0.08..0.12).contains(&(lost / 40_000.0)), "{lost}");
        runs.push(lost / bursts);
    }
    assert!((0.9..1.2).contains(&runs[0]) && (6.5..9.5).contains(&runs[1]), "{runs:?}");
}

#[test]
fn packets_are_lost_doubled_overtaken_and_dropped_when_too_many_wait() {
    let way = Way { delay_ms: 20, loss: 0.1, duplicate: 0.1, reorder: 0.1, ..Way::default() };
    let mut plan = plan(Conditions::both(way));
    let pieces: Vec<_> = (0..4000)
        .flat_map(|ms| plan.step(at(ms), &Step::Packet(PLACE, Direction::Up, 500)))
        .collect();
    for fate in [Fate::Lost, Fate::Copy, Fate::Overtaken] {
        let count = pieces.iter().filter(|piece| piece.fate == fate).count();
        assert!((250..550).contains(&count), "{fate:?} {count}");
    }
    let overtaken =
        pieces.windows(2).filter(|pair| pair[0].due > pair[1].due && pair[1].fate == Fate::Pass);
    assert!(overtaken.count() > 200);
    let slow = Way { rate_kbit: 80, queue_ms: 100, ..Way::default() };
    plan.step(at(9000), &Step::Set(Conditions::both(slow)));
    let fates: Vec<_> = (0..4)
        .map(|_| plan.step(at(9000), &Step::Packet(PLACE, Direction::Up, 1000))[0].fate)
        .collect();
    assert_eq!(fates, [Fate::Pass, Fate::Pass, Fate::Overflow, Fate::Overflow]);
}

#[test]
fn a_connection_ends_where_it_is_reset_or_forgotten() {
    for (way, fate) in [
        (Way { reset: 1.0, ..Way::default() }, Fate::Reset),
        (Way { half_open: 1.0, ..Way::default() }, Fate::HalfOpen),
    ] {
        let mut plan = plan(Conditions::both(way));
        assert_eq!(fed(&mut plan, &[(1, 100), (2, 5000)]), [(100, MS, fate)]);
    }
    let rare = Way { reset: 0.01, ..Way::default() };
    let mut plan = plan(Conditions::both(rare));
    let seen = fed(&mut plan, &[(1, 2000 * PACKET)]);
    let (end, _, fate) = seen[seen.len() - 1];
    assert!(fate == Fate::Reset && end < 1000 * PACKET && end % PACKET == 0, "{end}");
}

#[test]
fn outages_count_from_the_moment_at_which_they_were_set() {
    let mut plan = plan(Conditions::default());
    assert_eq!(plan.outage(at(5)), (None, None));
    let outages =
        vec!["at=5s,for=2s".parse().unwrap(), "every=6s,for=3s,how=reset".parse().unwrap()];
    plan.step(at(1000), &Step::Set(Conditions { outages, ..Conditions::default() }));
    assert_eq!(plan.outage(at(5999)), (None, Some(at(6000))));
    assert_eq!(plan.outage(at(6000)), (Some(Cut::Hold), Some(at(7000))));
    assert_eq!(plan.outage(at(8500)), (Some(Cut::Reset), Some(at(10_000))));
    assert_eq!(plan.outage(at(10_000)), (None, Some(at(13_000))));
}

#[test]
fn a_healed_line_goes_on_at_the_next_try_of_tcp() {
    // Tries at 0, 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4 and 51 s.
    for (healed, resumes) in [(0, 0), (100, 200), (1000, 1400), (10_000, 12_600), (30_000, 51_000)]
    {
        assert_eq!(resumed(at(0), at(healed), at(200)), at(resumes));
    }
    let late = resumed(at(0), at(3_600_000), at(200));
    assert!(late >= at(3_600_000) && late < at(3_720_000));
}

#[test]
fn packets_behind_a_refused_one_are_decided_as_if_it_had_gone_on() {
    let way = Way { loss: 0.3, burst: 2.0, duplicate: 0.3, reorder: 0.3, ..Way::default() };
    let packet = Step::Packet(PLACE, Direction::Up, 100);
    let fates = |refused: &[u64]| -> Vec<Vec<Fate>> {
        let mut plan = plan(Conditions::both(way.clone()));
        let decided = (0..200).map(|ms| {
            let why = if ms % 2 == 0 { Refusal::Cut } else { Refusal::Full };
            let step = match refused.contains(&ms) {
                true => Step::Refused(PLACE, Direction::Up, 100, why),
                false => packet.clone(),
            };
            plan.step(at(ms), &step).iter().map(|piece| piece.fate).collect()
        });
        decided.collect()
    };
    let (all, some) = (fates(&[]), fates(&[50, 51]));
    assert_eq!((&some[50], &some[51]), (&vec![Fate::Lost], &vec![Fate::Overflow]));
    assert!(all[..50] == some[..50] && all[52..] == some[52..]);
}
