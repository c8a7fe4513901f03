use proptest::prelude::*;

use super::*;

const DELAY: Duration = Duration::from_secs(10);
const ALWAYS: Terms = Terms { enable: true, armed: Armed::ALWAYS, delay: DELAY };

/// A rule in virtual time that begins at a second of the day.
struct Day {
    rule: Rule,
    began: Instant,
    midnight: u32,
    passed: Duration,
    /// What became of the alarm, and after how many milliseconds.
    edges: Vec<(u128, Edge)>,
}

impl Day {
    /// Motion.
    fn new(terms: Terms, second: u32) -> Self {
        Self::of(Trigger::Motion, terms, second)
    }

    fn of(trigger: Trigger, terms: Terms, second: u32) -> Self {
        let (rule, began) = (Rule::new(trigger, terms), Instant::now());
        Self { rule, began, midnight: second, passed: Duration::ZERO, edges: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.began + self.passed
    }

    fn second(&self) -> u32 {
        (self.midnight + u32::try_from(self.passed.as_secs()).unwrap()) % DAY
    }

    fn judge(&mut self) {
        let second = self.second();
        while let Some(edge) = self.rule.judge(self.now(), &|| second) {
            self.edges.push((self.passed.as_millis(), edge));
        }
    }

    /// Lets time pass, and judges whenever that is due.
    fn pass(&mut self, time: Duration) {
        let end = self.passed + time;
        loop {
            self.judge();
            let second = self.second();
            match self.rule.due(self.now(), &|| second) {
                Some(due) if due < self.began + end => {
                    assert!(due > self.now(), "what is due now was judged");
                    self.passed = due - self.began;
                }
                _ => break,
            }
        }
        self.passed = end;
        self.judge();
    }

    fn hear(&mut self, signal: Signal) {
        self.judge();
        self.rule.hear(signal, self.now());
        self.judge();
    }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn an_alarm_ends_when_nothing_was_detected_for_the_delay() {
    let mut day = Day::new(ALWAYS, 0);
    day.hear(Signal::Detected);
    for _ in 0..5 {
        day.pass(secs(9));
        day.hear(Signal::Detected);
    }
    day.pass(secs(100));
    assert_eq!(day.edges, [(0, Edge::Begins), (55_000, Edge::Ends)]);
}

#[test]
fn an_alarm_that_is_held_ends_the_delay_after_its_end_was_told() {
    let mut day = Day::of(Trigger::Input, ALWAYS, 0);
    day.hear(Signal::Begins);
    day.pass(secs(3000));
    day.hear(Signal::Ends);
    day.pass(secs(9));
    // It was not over.
    day.hear(Signal::Begins);
    day.pass(secs(1));
    day.hear(Signal::Ends);
    day.pass(secs(100));
    assert_eq!(day.edges, [(0, Edge::Begins), (3_020_000, Edge::Ends)]);
}

#[test]
fn an_end_without_a_beginning_is_nothing() {
    let mut day = Day::new(ALWAYS, 0);
    day.hear(Signal::Ends);
    day.pass(secs(5));
    day.hear(Signal::Detected);
    for _ in 0..20 {
        day.pass(secs(1));
        day.hear(Signal::Ends);
    }
    assert_eq!(day.edges, [(5_000, Edge::Begins), (15_000, Edge::Ends)]);
}

#[test]
fn what_was_held_before_the_connection_was_lost_ends_unless_it_is_told_again() {
    let mut day = Day::of(Trigger::Input, ALWAYS, 0);
    day.hear(Signal::Begins);
    day.pass(secs(100));
    day.rule.doubt(day.now());
    day.pass(secs(5));
    day.hear(Signal::Begins);
    day.pass(secs(100));
    day.rule.doubt(day.now());
    day.pass(secs(100));
    day.rule.doubt(day.now());
    day.pass(secs(100));
    assert_eq!(day.edges, [(0, Edge::Begins), (215_000, Edge::Ends)]);
}

#[test]
fn motion_and_lines_whose_end_is_never_told_end_after_a_minute() {
    for trigger in [Trigger::Motion, Trigger::Line] {
        let mut day = Day::of(trigger, ALWAYS, 0);
        day.hear(Signal::Begins);
        day.pass(secs(50));
        day.hear(Signal::Begins);
        day.pass(secs(890));
        assert_eq!(day.edges, [(0, Edge::Begins), (110_000, Edge::Ends)]);
        // It moves again, and the end is never told.
        day.hear(Signal::Begins);
        day.pass(secs(500));
        assert_eq!(day.edges[2..], [(940_000, Edge::Begins), (1_000_000, Edge::Ends)]);
    }
    // A longer delay counts.
    let mut day = Day::new(Terms { delay: secs(300), ..ALWAYS }, 0);
    day.hear(Signal::Begins);
    day.pass(secs(1000));
    assert_eq!(day.edges, [(0, Edge::Begins), (300_000, Edge::Ends)]);
}

#[test]
fn long_motion_of_a_camera_that_tells_the_end_is_one_alarm() {
    // The end of the first one teaches it, also where that comes late.
    for first in [5, 300] {
        let mut day = Day::new(ALWAYS, 0);
        day.hear(Signal::Begins);
        day.pass(secs(first));
        day.hear(Signal::Ends);
        day.pass(secs(100));
        assert_eq!(day.edges.len(), 2, "no flapping: {:?}", day.edges);
        for _ in 0..3 {
            day.edges.clear();
            let began = day.passed.as_millis();
            day.hear(Signal::Begins);
            day.pass(secs(1800));
            day.hear(Signal::Ends);
            day.pass(secs(100));
            assert_eq!(day.edges, [(began, Edge::Begins), (began + 1_810_000, Edge::Ends)]);
        }
        // It forgets one, and is not believed any longer.
        day.edges.clear();
        let began = day.passed.as_millis();
        day.hear(Signal::Begins);
        day.pass(secs(4000));
        assert_eq!(day.edges, [(began, Edge::Begins), (began + 3_600_000, Edge::Ends)]);
        day.hear(Signal::Begins);
        day.pass(secs(100));
        assert_eq!(day.edges[3], (began + 4_060_000, Edge::Ends));
    }
}

#[test]
fn an_input_is_closed_until_the_camera_tells_the_end() {
    let mut day = Day::of(Trigger::Input, ALWAYS, 0);
    day.hear(Signal::Begins);
    day.pass(secs(3 * 86_400));
    assert_eq!(day.edges, [(0, Edge::Begins)]);
    day.hear(Signal::Ends);
    day.pass(secs(10));
    assert_eq!(day.edges[1..], [(3 * 86_400_000 + 10_000, Edge::Ends)]);
}

#[test]
fn alarms_count_within_the_arming_window() {
    let night = Armed { start: 79_200, end: 21_600 };
    let mut day = Day::of(Trigger::Input, Terms { armed: night, ..ALWAYS }, 79_100);
    day.hear(Signal::Detected);
    day.hear(Signal::Begins);
    assert_eq!(day.edges, [], "not before the window opens");
    day.pass(secs(1_000));
    assert_eq!(day.edges, [(100_000, Edge::Begins)], "what is held begins when it opens");
    // Across midnight.
    for _ in 0..12 {
        day.pass(secs(2_500));
        day.hear(Signal::Begins);
    }
    assert_eq!(day.edges[1..], [(28_900_000, Edge::Disarmed)], "and ends when it closes");
    day.hear(Signal::Ends);
    day.hear(Signal::Detected);
    day.pass(secs(u64::from(DAY)));
    assert_eq!(day.edges.len(), 2, "nothing was detected in the next night");
}

#[test]
fn what_was_detected_shortly_before_the_window_opens_raises_nothing() {
    let mut day = Day::new(Terms { armed: Armed { start: 100, end: 200 }, ..ALWAYS }, 95);
    day.hear(Signal::Detected);
    day.pass(secs(300));
    assert_eq!(day.edges, []);
}

#[test]
fn a_clock_that_is_set_closes_the_window_within_a_minute() {
    let mut day =
        Day::of(Trigger::Input, Terms { armed: Armed { start: 0, end: 50_000 }, ..ALWAYS }, 10);
    day.hear(Signal::Begins);
    day.pass(secs(120));
    day.midnight = 60_000;
    day.pass(secs(61));
    assert_eq!(day.edges[1].1, Edge::Disarmed);
}

#[test]
fn a_trigger_that_is_switched_off_reports_nothing_and_goes_on_when_it_is_switched_on() {
    let off = Terms { enable: false, ..ALWAYS };
    let mut day = Day::new(off, 0);
    day.hear(Signal::Begins);
    day.pass(secs(20));
    assert_eq!(day.edges, []);
    day.rule.set(ALWAYS);
    day.pass(secs(20));
    day.rule.set(off);
    day.pass(secs(20));
    assert_eq!(day.edges, [(20_000, Edge::Begins), (40_000, Edge::Withdrawn)]);
    day.hear(Signal::Ends);
    day.rule.set(ALWAYS);
    day.pass(secs(20));
    assert_eq!(day.edges.len(), 2);
}

#[test]
fn a_camera_that_flaps_costs_one_alarm_also_without_a_delay() {
    for delay in [Duration::ZERO, secs(1), secs(10)] {
        let mut day = Day::new(Terms { delay, ..ALWAYS }, 0);
        for turn in 0..2_000 {
            day.hear(if turn % 2 == 0 { Signal::Begins } else { Signal::Ends });
            day.pass(Duration::from_millis(10));
        }
        day.pass(secs(100));
        let end = 19_990 + delay.max(SHORTEST_DELAY).as_millis();
        assert_eq!(day.edges, [(0, Edge::Begins), (end, Edge::Ends)], "{delay:?}");
    }
    // The costliest rhythm: it is quiet for just the delay.
    let mut day = Day::new(Terms { delay: Duration::ZERO, ..ALWAYS }, 0);
    for _ in 0..100 {
        day.hear(Signal::Begins);
        day.hear(Signal::Ends);
        day.pass(secs(1));
    }
    assert_eq!(day.edges.len(), 200, "one alarm, a start and an end, per second");
}

proptest! {
    #[test]
    fn between_two_beginnings_passes_the_delay_whatever_the_camera_tells(
        delay in 0u64..20,
        told in proptest::collection::vec((0u8..4, 0u64..15_000), 1..200),
    ) {
        let mut day = Day::new(Terms { delay: secs(delay), ..ALWAYS }, 0);
        for (what, pause) in told {
            match what {
                0 => day.hear(Signal::Begins),
                1 => day.hear(Signal::Ends),
                2 => day.hear(Signal::Detected),
                _ => day.rule.doubt(day.now()),
            }
            day.pass(Duration::from_millis(pause));
        }
        day.pass(LONGEST_SILENCE + secs(40));
        for (number, (_, edge)) in day.edges.iter().enumerate() {
            prop_assert_eq!(*edge, if number % 2 == 0 { Edge::Begins } else { Edge::Ends });
        }
        prop_assert_eq!(day.edges.len() % 2, 0, "every alarm ends");
        let least = u128::from(delay.max(1)) * 1000;
        for pair in day.edges.chunks(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= least, "{:?}", day.edges);
        }
    }

    #[test]
    fn alarms_are_on_only_within_the_window(
        start in 0u32..=86_400,
        end in 0u32..=86_400,
        told in proptest::collection::vec((0u8..3, 0u64..9_000), 1..60),
    ) {
        let armed = Armed { start, end };
        let mut day = Day::new(Terms { armed, ..ALWAYS }, 40_000);
        for (what, pause) in told {
            day.hear([Signal::Begins, Signal::Ends, Signal::Detected][usize::from(what)]);
            day.pass(secs(pause));
            let open = armed.windows().iter().any(|(a, b)| (*a..*b).contains(&day.second()));
            let raised = day.edges.last().is_some_and(|(_, edge)| *edge == Edge::Begins);
            prop_assert!(open || !raised);
            prop_assert!(!open || raised || day.rule.held.is_none(), "what is held is on while the window is open");
        }
    }
}
