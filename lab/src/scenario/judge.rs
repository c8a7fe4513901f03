//! Judges one thing that is looked at: whether it is so by now.

use std::time::Duration;

use ivt_sim::cloud::{AlarmInfo, Direction};
use serde_json::{Value, json};

use super::facts::{Facts, known, missing};
use super::format::{Count, Countable, Subject};
use super::pattern::{Pattern, like};
use super::stage::Stage;
use super::watch::{Seen, Watch};

/// Most things that are remembered one by one.
const MOST: usize = 100_000;

/// The outcome of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) met: bool,
    /// Whether it cannot be told, since not all that came was kept: what was not met may have been.
    pub(super) unknown: bool,
    /// What there is in the place of what is expected; empty when it is met.
    pub(super) instead: String,
}

/// What is judged, as it was gathered at one look.
#[derive(Clone, Debug)]
pub(super) enum Gathered {
    Facts(Facts),
    /// The packets that were not looked at before, and how many were not kept.
    Packets(Vec<Seen>, u64),
    /// Alarms, and how many older ones were not kept.
    Alarms(Vec<(Duration, Value)>, u64),
    /// Orders of a camera, and how many were not kept.
    Orders(Vec<(Duration, String)>, u64),
    /// Lines of the log, and how many older ones were not kept.
    Log(Vec<(Duration, String)>, u64),
}

/// Looks at one subject again and again. Packets are looked at once each.
pub(super) struct Judge {
    subject: Subject,
    /// From when on things count, since the start.
    from: Duration,
    next: usize,
    found: Vec<Found>,
    /// The last packet that was like the pattern.
    last: Option<Value>,
    gathered: Option<Gathered>,
}

#[derive(Clone, Debug)]
struct Found {
    at: Duration,
    rising: Option<f64>,
}

impl Judge {
    /// Counts what comes from `from` on. The subject has no `${NAME}` any more.
    pub(super) fn new(subject: Subject, from: Duration) -> Self {
        Self { subject, from, next: 0, found: Vec::new(), last: None, gathered: None }
    }

    /// Looks once.
    pub(super) fn look(&mut self, stage: &Stage, watch: &Watch) -> Look {
        let gathered = gather(&self.subject, self.next, stage, watch);
        let look = self.weigh(&gathered);
        self.gathered = Some(gathered);
        look
    }

    /// Judges what was gathered.
    pub(super) fn weigh(&mut self, gathered: &Gathered) -> Look {
        let (instead, unknown) = match (&self.subject, gathered) {
            (Subject::Facts { clauses, .. }, Gathered::Facts(facts)) => {
                (missing(clauses, facts), false)
            }
            (Subject::Count(count), gathered) => {
                let count = count.clone();
                self.count(&count, gathered)
            }
            (Subject::Facts { .. }, _) => (vec!["no facts are known".to_owned()], true),
        };
        Look { met: instead.is_empty(), unknown, instead: instead.join("; ") }
    }

    /// What it judges by now.
    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// All that it had before it at its last look.
    pub(super) fn whole(&self, watch: &Watch) -> Option<Gathered> {
        match self.gathered.as_ref()? {
            Gathered::Packets(_, lost) => {
                let mut seen = watch.packets_from(0);
                seen.truncate(self.next);
                Some(Gathered::Packets(seen, *lost))
            }
            other => Some(other.clone()),
        }
    }

    /// From when on things count, since the start.
    pub(super) fn from(&self) -> Duration {
        self.from
    }

    /// The last packet that was counted.
    pub(super) fn last(&self) -> Option<&Value> {
        self.last.as_ref()
    }

    /// When the last packet or remark came that was counted.
    pub(super) fn seen_at(&self) -> Option<Duration> {
        self.found.last().map(|found| found.at)
    }

    /// How many there are of what is counted.
    pub(super) fn number(&self, of: &Countable, gathered: &Gathered) -> usize {
        match (of, gathered) {
            (Countable::Alarm(pattern), Gathered::Alarms(alarms, _)) => {
                let alarms = alarms.iter().filter(|(at, _)| *at >= self.from);
                alarms.filter(|(_, alarm)| pattern.fits(alarm)).count()
            }
            (Countable::Order { like: pattern, .. }, Gathered::Orders(lines, _))
            | (Countable::Log(pattern), Gathered::Log(lines, _)) => {
                lines.iter().filter(|(at, line)| *at >= self.from && like(pattern, line)).count()
            }
            _ => self.found.len(),
        }
    }

    /// What is wrong with what is counted, and whether that cannot be told for what was not kept.
    fn count(&mut self, count: &Count, gathered: &Gathered) -> (Vec<String>, bool) {
        if let Gathered::Packets(seen, _) = gathered {
            self.take(count, seen);
        }
        let lost = self.lost(gathered);
        let number = self.number(&count.of, gathered);
        let mut wrong = self.order(count);
        if !count.count.holds(number as f64) {
            wrong.push(format!("{number} were seen, expected {}", count.count));
        }
        // Whatever else came, it takes nothing away from a number that only has to be reached.
        let only_grows =
            !count.count.is_upper() && count.rising.is_none() && count.spacing.is_none();
        let unknown = lost > 0 && !(only_grows && wrong.is_empty());
        if unknown {
            wrong.push(format!("it cannot be told: {lost} more came than are kept"));
        }
        (wrong, unknown)
    }

    /// Number of things that may have counted and were not kept.
    fn lost(&self, gathered: &Gathered) -> u64 {
        // Of alarms and lines the oldest go first, so that one from before is a sign that none is missing.
        let since = |first: Option<Duration>| first.is_none_or(|first| first >= self.from);
        match gathered {
            Gathered::Facts(_) => 0,
            Gathered::Packets(_, lost) | Gathered::Orders(_, lost) => *lost,
            Gathered::Alarms(kept, lost) if since(kept.first().map(|(at, _)| *at)) => *lost,
            Gathered::Log(kept, lost) if since(kept.first().map(|(at, _)| *at)) => *lost,
            Gathered::Alarms(..) | Gathered::Log(..) => 0,
        }
    }

    /// Looks at packets that were not looked at yet.
    fn take(&mut self, count: &Count, seen: &[Seen]) {
        self.next += seen.len();
        for seen in seen.iter().filter(|seen| seen.at >= self.from) {
            let fits = |pattern: &Pattern, direction| {
                seen.packet.direction == direction
                    && seen.json.as_ref().is_some_and(|json| pattern.fits(json))
            };
            let fit = match &count.of {
                Countable::FromDevice(pattern) => fits(pattern, Direction::FromDevice),
                Countable::ToDevice(pattern) => fits(pattern, Direction::ToDevice),
                Countable::Note(pattern) => {
                    seen.packet.direction == Direction::Note && like(pattern, &seen.packet.text)
                }
                _ => false,
            };
            if !fit || self.found.len() >= MOST {
                continue;
            }
            let json = seen.json.as_deref();
            let place = count.rising.as_ref().zip(json);
            let rising = place.and_then(|(place, json)| json.pointer(place)?.as_f64());
            self.last = json.cloned();
            self.found.push(Found { at: seen.at, rising });
        }
    }

    /// What is wrong with the order and the distances of what was found.
    fn order(&self, count: &Count) -> Vec<String> {
        let mut wrong = Vec::new();
        for pair in self.found.windows(2) {
            if let (Some(place), [before, after]) = (&count.rising, pair)
                && before.rising.zip(after.rising).is_none_or(|(before, after)| before >= after)
            {
                let shown = |found: &Found| {
                    found.rising.map_or("nothing".to_owned(), |number| number.to_string())
                };
                wrong.push(format!("{place} is {} after {}", shown(after), shown(before)));
            }
            if let (Some(spacing), [before, after]) = (count.spacing, pair) {
                let seconds = (after.at - before.at).as_secs_f64();
                if !spacing.holds(seconds) {
                    wrong.push(format!("{seconds:.1} s from one to the next, expected {spacing}"));
                }
            }
        }
        wrong.truncate(3);
        wrong
    }
}

/// Gathers what a subject is judged by; of packets those from the number `next` on.
fn gather(subject: &Subject, next: usize, stage: &Stage, watch: &Watch) -> Gathered {
    let count = match subject {
        Subject::Facts { of, clauses } => {
            return Gathered::Facts(known(of, clauses, stage, watch));
        }
        Subject::Count(count) => count,
    };
    match &count.of {
        Countable::FromDevice(_) | Countable::ToDevice(_) | Countable::Note(_) => {
            Gathered::Packets(watch.packets_from(next), watch.lost())
        }
        Countable::Alarm(_) => {
            let since = |alarm: &AlarmInfo| alarm.at.saturating_duration_since(stage.began);
            let alarms = stage.device.alarms();
            // They are numbered from 1.
            let lost = alarms.first().map_or(0, |alarm| alarm.number.saturating_sub(1));
            let alarms = alarms.iter().map(|alarm| (since(alarm), told(alarm))).collect();
            Gathered::Alarms(alarms, lost)
        }
        Countable::Order { number, .. } => {
            let (orders, not_kept) = watch.orders(*number);
            Gathered::Orders(orders, not_kept)
        }
        Countable::Log(_) => {
            let (lines, dropped) = stage.log.all();
            Gathered::Log(lines, dropped as u64)
        }
    }
}

/// An alarm with the word for its type in the place of the number.
fn told(alarm: &AlarmInfo) -> Value {
    let mut told = json!(alarm);
    told["type"] = format!("{:?}", alarm.kind).to_lowercase().into();
    told
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ivt_sim::cloud::Packet;

    use super::super::pattern::Bound;
    use super::*;

    fn seen(seconds: u64, direction: Direction, text: &str) -> Seen {
        let packet = Packet { number: 1, time_ms: 0, direction, text: text.into() };
        let json = serde_json::from_str(text).ok().map(Arc::new);
        Seen { at: Duration::from_secs(seconds), packet: Arc::new(packet), json }
    }

    fn judge(of: Countable, rising: Option<&str>, spacing: Option<&str>) -> (Judge, Count) {
        let rising = rising.map(str::to_owned);
        let spacing = spacing.map(|text| text.parse().unwrap());
        let count = Count { of, count: Bound::at_least(1.0), rising, spacing };
        (Judge::new(Subject::Count(count.clone()), Duration::from_secs(1)), count)
    }

    #[test]
    fn packets_count_by_pattern_direction_and_time() {
        let packets = || {
            vec![
                seen(0, Direction::FromDevice, r#"{"req":"Keepalive","seq":1}"#),
                seen(2, Direction::FromDevice, r#"{"req":"Keepalive","seq":2}"#),
                seen(3, Direction::ToDevice, r#"{"req":"Keepalive","seq":3}"#),
                seen(4, Direction::FromDevice, "no packet"),
                seen(5, Direction::Note, "connection ended: hung up"),
            ]
        };
        let keepalive = || Pattern(json!({ "req": "Keepalive" }));
        for (of, count) in [
            (Countable::FromDevice(keepalive()), 1),
            (Countable::ToDevice(keepalive()), 1),
            (Countable::FromDevice(Pattern(json!({ "req": "Other" }))), 0),
            (Countable::Note("connection ended*".into()), 1),
            (Countable::Note("logged in*".into()), 0),
        ] {
            let (mut judge, wanted) = judge(of, None, None);
            judge.take(&wanted, &packets());
            assert_eq!(judge.found.len(), count, "{:?}", wanted.of);
        }
    }

    #[test]
    fn what_came_before_the_event_does_not_count() {
        let lines = || [0, 2, 3].map(|at| (Duration::from_secs(at), "Stop".to_owned())).to_vec();
        let order = Countable::Order { number: 0, like: "Stop".into() };
        let log = Countable::Log("St*".into());
        for (of, gathered) in
            [(order, Gathered::Orders(lines(), 0)), (log, Gathered::Log(lines(), 0))]
        {
            let (mut judge, count) = judge(of, None, None);
            assert!(judge.weigh(&gathered).met);
            assert_eq!(judge.number(&count.of, &gathered), 2);
        }
    }

    #[test]
    fn what_was_not_kept_leaves_open_whatever_it_could_change() {
        let keepalive = || Countable::FromDevice(Pattern(json!({ "req": "Keepalive" })));
        let packets = |lost| {
            let packet = r#"{"req":"Keepalive","seq":1}"#;
            Gathered::Packets(vec![seen(2, Direction::FromDevice, packet)], lost)
        };
        for (bound, lost, met, unknown) in [
            (">= 1", 0, true, false),
            (">= 1", 1, true, false),
            (">= 2", 0, false, false),
            (">= 2", 1, false, true),
            ("<= 1", 0, true, false),
            ("<= 1", 1, false, true),
        ] {
            let (_, count) = judge(keepalive(), None, None);
            let count = Count { count: bound.parse().unwrap(), ..count };
            let look = Judge::new(Subject::Count(count), Duration::ZERO).weigh(&packets(lost));
            assert_eq!((look.met, look.unknown), (met, unknown), "{bound} {lost}: {look:?}");
        }
        let (mut rising, _) = judge(keepalive(), Some("/seq"), None);
        assert!(rising.weigh(&packets(1)).unknown, "those between are not known");
        // Of what is kept from the newest on, only what is as new as the event counts.
        let line = |at: u64| vec![(Duration::from_secs(at), "a line".to_owned())];
        let alarm = |at: u64| vec![(Duration::from_secs(at), json!({}))];
        for (at, unknown) in [(0, false), (1, true), (2, true)] {
            let (mut log, _) = judge(Countable::Log("fatal*".into()), None, None);
            assert_eq!(log.weigh(&Gathered::Log(line(at), 1)).unknown, unknown, "log {at}");
            let pattern = Pattern(json!({ "type": "motion" }));
            let (mut alarms, _) = judge(Countable::Alarm(pattern), None, None);
            assert_eq!(alarms.weigh(&Gathered::Alarms(alarm(at), 1)).unknown, unknown, "{at}");
        }
        let (mut note, _) = judge(Countable::Note("login refused*".into()), None, None);
        assert!(note.weigh(&packets(1)).unknown, "remarks are among the packets");
    }

    #[test]
    fn order_and_distances_can_be_wrong() {
        let answer = || Countable::FromDevice(Pattern(json!({ "seq": "*" })));
        let packets = |seqs: &[u64]| -> Vec<Seen> {
            let each = seqs.iter().zip(1..);
            each.map(|(seq, at)| seen(at, Direction::FromDevice, &format!("{{\"seq\":{seq}}}")))
                .collect()
        };
        for (seqs, wrong) in [(&[1, 2, 9][..], 0), (&[1, 3, 2], 1), (&[1, 1], 1)] {
            let (mut judge, count) = judge(answer(), Some("/seq"), None);
            judge.take(&count, &packets(seqs));
            assert_eq!(judge.order(&count).len(), wrong, "{seqs:?}");
        }
        for (spacing, wrong) in [("0.5..1.5", 0), ("2..3", 2), ("< 1", 2)] {
            let (mut judge, count) = judge(answer(), None, Some(spacing));
            judge.take(&count, &packets(&[1, 2, 3]));
            assert_eq!(judge.order(&count).len(), wrong, "{spacing}");
        }
        let (mut judge, count) = judge(answer(), Some("/params/none"), None);
        judge.take(&count, &packets(&[1, 2]));
        assert_eq!(judge.order(&count).len(), 1, "what is not there does not rise");
        assert_eq!(judge.last(), Some(&json!({ "seq": 2 })));
    }
}
