//! What the cloud has to be told of alarms, in which order, and what of it a later alarm makes unnecessary. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ivt_base::wall_time::WallTime;
use ivt_hal::Trigger;
use tokio::time::Instant;

/// Where an alarm is raised: a channel's number, and what set it off.
pub(crate) type Place = (usize, Trigger);

/// One report that is owed to the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Ascending; the start of an alarm shares its number with the picture.
    pub(super) id: u64,
    pub(super) place: Place,
    /// Whether the alarm begins or ends.
    pub(super) begins: bool,
    /// The camera's own words when the alarm began; may be empty.
    pub(super) what: String,
    /// When it happened, as a clock beside the camera shows it.
    pub(super) shown: WallTime,
    pub(super) happened: Instant,
    /// It is not sent before.
    pub(super) not_before: Option<Instant>,
    /// How often the connection was lost before the answer came.
    pub(super) losses: usize,
    /// How often the cloud answered with an error.
    pub(super) refusals: usize,
}

/// The reports of all channels: at most four for each trigger of a channel.
#[derive(Default)]
pub(super) struct Outbox {
    lines: BTreeMap<Place, Line>,
    /// The report that is on its way to the cloud.
    sent: Option<u64>,
    last: u64,
    /// How many reports in a row have lost their connection.
    losses: usize,
    /// Nothing is sent before.
    rests_until: Option<Instant>,
}

/// The alarms of one trigger.
#[derive(Default)]
struct Line {
    raised: bool,
    what: String,
    owed: VecDeque<Report>,
}

impl Outbox {
    /// An alarm begins. Returns the number of its report, and that of the alarm that nobody will hear of since this one
    /// is newer: it began and ended while the cloud was away.
    pub(super) fn begin(
        &mut self,
        place: Place,
        what: &str,
        shown: WallTime,
        now: Instant,
    ) -> (u64, Option<u64>) {
        let sent = self.sent;
        let line = self.lines.entry(place).or_default();
        let waits = |report: Option<&Report>, begins| {
            report.is_some_and(|report| report.begins == begins && Some(report.id) != sent)
        };
        let before = line.owed.len().checked_sub(2).and_then(|at| line.owed.get(at));
        let passed = (waits(before, true) && waits(line.owed.back(), false)).then(|| {
            line.owed.pop_back();
            line.owed.pop_back()
        });
        line.raised = true;
        what.clone_into(&mut line.what);
        let id = self.add(place, true, shown, now);
        (id, passed.flatten().map(|report| report.id))
    }

    /// The alarm of this place ends. Returns the number of its report.
    pub(super) fn end(&mut self, place: Place, shown: WallTime, now: Instant) -> u64 {
        if let Some(line) = self.lines.get_mut(&place) {
            line.raised = false;
        }
        self.add(place, false, shown, now)
    }

    /// Nothing more is reported of this place. Returns the numbers of what was owed.
    pub(super) fn withdraw(&mut self, place: Place) -> Vec<u64> {
        let line = self.lines.remove(&place).unwrap_or_default();
        line.owed.into_iter().map(|report| report.id).collect()
    }

    /// Whether the place is in alarm as far as the cloud is concerned: the alarm is on, or its end was not reported.
    pub(super) fn is_raised(&self, place: Place) -> bool {
        self.lines.get(&place).is_some_and(|line| line.raised || !line.owed.is_empty())
    }

    /// Takes the oldest report that is due for its way to the cloud; the others of its place wait for its end there.
    pub(super) fn send(&mut self, now: Instant) -> Option<Report> {
        if self.sent.is_some() || self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        let first = self.lines.values().filter_map(|line| line.owed.front());
        let due = first.filter(|report| report.not_before.is_none_or(|at| at <= now));
        let report = due.min_by_key(|report| report.id)?.clone();
        self.sent = Some(report.id);
        Some(report)
    }

    /// When a report is due next, `now` for one that waits for the cloud alone; `None` while nothing is owed.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let first = self.lines.values().filter_map(|line| line.owed.front());
        let first = first.map(|report| report.not_before.unwrap_or(now).max(now)).min();
        first.max(first.and(self.rests_until))
    }

    /// A report has lost its connection. From the `most`th in a row on, each lets all rest for a time.
    pub(super) fn lost(&mut self, most: usize, rest: Duration, now: Instant) {
        self.losses = self.losses.saturating_add(1);
        if self.losses >= most {
            self.rests_until = now.checked_add(rest);
        }
    }

    /// A report was answered.
    pub(super) fn answered(&mut self) {
        (self.losses, self.rests_until) = (0, None);
    }

    /// The report that was on its way has arrived, or nobody wants it. Returns whether it is still owed: it may have been
    /// withdrawn.
    pub(super) fn done(&mut self) -> bool {
        let Some(line) = self.sent_line() else { return false };
        line.owed.pop_front();
        true
    }

    /// The report that was on its way has not arrived: `change` says when it goes again.
    pub(super) fn again(&mut self, change: impl FnOnce(&mut Report)) {
        if let Some(report) = self.sent_line().and_then(|line| line.owed.front_mut()) {
            change(report);
        }
    }

    /// The place of the report that was on its way, which is no longer.
    fn sent_line(&mut self) -> Option<&mut Line> {
        let id = self.sent.take()?;
        self.lines.values_mut().find(|line| line.owed.front().is_some_and(|first| first.id == id))
    }

    fn add(&mut self, place: Place, begins: bool, shown: WallTime, happened: Instant) -> u64 {
        self.last += 1;
        let id = self.last;
        let line = self.lines.entry(place).or_default();
        let what = line.what.clone();
        line.owed.push_back(Report {
            id,
            place,
            begins,
            what,
            shown,
            happened,
            not_before: None,
            losses: 0,
            refusals: 0,
        });
        id
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GATE: Place = (3, Trigger::Input);

    fn noon() -> WallTime {
        "2026-11-30T12:00:00".parse().unwrap()
    }

    /// The order in which reports go while the cloud answers each.
    fn told(outbox: &mut Outbox) -> Vec<(Place, bool, String)> {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut told = Vec::new();
        while let Some(report) = outbox.send(now) {
            told.push((report.place, report.begins, report.what));
            assert!(outbox.done());
        }
        told
    }

    #[test]
    fn an_alarm_that_came_and_went_during_an_outage_is_told_start_before_end() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.begin(GATE, "gate", noon(), now);
        outbox.begin((0, Trigger::Motion), "yard", noon(), now);
        outbox.end(GATE, noon(), now);
        assert!(outbox.is_raised(GATE), "until the end is told");
        let row = |place, begins, what: &str| (place, begins, what.to_owned());
        assert_eq!(
            told(&mut outbox),
            [
                row(GATE, true, "gate"),
                row((0, Trigger::Motion), true, "yard"),
                row(GATE, false, "gate")
            ]
        );
        assert!(!outbox.is_raised(GATE) && outbox.is_raised((0, Trigger::Motion)));
        assert_eq!(outbox.due(now), None);
    }

    #[test]
    fn of_many_alarms_during_an_outage_the_newest_is_told() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.begin(GATE, "first", noon(), now);
        assert_eq!(told(&mut outbox).len(), 1);
        outbox.end(GATE, noon(), now);
        let mut passed = Vec::new();
        for number in 0..1000 {
            passed.extend(outbox.begin(GATE, &number.to_string(), noon(), now).1);
            outbox.end(GATE, noon(), now);
        }
        assert_eq!(passed.len(), 999);
        let row = |begins, what: &str| (GATE, begins, what.to_owned());
        assert_eq!(
            told(&mut outbox),
            [row(false, "first"), row(true, "999"), row(false, "999")],
            "the end of what was told, and the newest"
        );
    }

    #[test]
    fn one_is_on_its_way_at_a_time_and_goes_again_when_it_was_lost() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.begin(GATE, "gate", noon(), now);
        let first = outbox.send(now).unwrap();
        assert_eq!(outbox.send(now), None);
        outbox.end(GATE, noon(), now);
        assert_eq!(
            outbox.begin(GATE, "newer", noon(), now).1,
            None,
            "the cloud may know the first"
        );
        let later = now + Duration::from_secs(5);
        outbox.again(|report| report.not_before = Some(later));
        assert_eq!((outbox.send(now), outbox.due(now)), (None, Some(later)));
        assert_eq!(outbox.send(later).map(|report| report.id), Some(first.id));
        assert!(outbox.done());
        assert_eq!(told(&mut outbox).len(), 2);
    }

    #[test]
    fn what_is_withdrawn_is_not_told_although_it_was_on_its_way() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        let (id, _) = outbox.begin(GATE, "gate", noon(), now);
        outbox.send(now).unwrap();
        outbox.end(GATE, noon(), now);
        assert_eq!(outbox.withdraw(GATE).len(), 2);
        assert!(!outbox.is_raised(GATE) && !outbox.done());
        assert_eq!(told(&mut outbox), []);
        assert!(outbox.begin(GATE, "gate", noon(), now).0 > id);
    }

    proptest! {
        #[test]
        fn no_line_grows_and_starts_and_ends_alternate(
            steps in proptest::collection::vec((0u8..4, 0usize..2), 0..300),
        ) {
            let (mut outbox, now) = (Outbox::default(), Instant::now());
            let mut raised = [false; 2];
            let mut heard: [Vec<bool>; 2] = Default::default();
            let mut sent: Option<Report> = None;
            let mut deliver = |outbox: &mut Outbox, sent: &mut Option<Report>| {
                if let Some(report) = sent.take() {
                    prop_assert!(outbox.done());
                    heard[report.place.0].push(report.begins);
                }
                Ok(())
            };
            for (step, channel) in steps {
                let place = (channel, Trigger::Line);
                match step {
                    0 if !raised[channel] => drop(outbox.begin(place, "", noon(), now)),
                    0 => drop(outbox.end(place, noon(), now)),
                    1 if sent.is_none() => sent = outbox.send(now),
                    2 => deliver(&mut outbox, &mut sent)?,
                    _ => {
                        sent = None;
                        outbox.again(|report| report.losses += 1);
                    }
                }
                raised[channel] ^= step == 0;
                for line in outbox.lines.values() {
                    prop_assert!(line.owed.len() <= 4, "{:?}", line.owed);
                }
            }
            loop {
                deliver(&mut outbox, &mut sent)?;
                sent = outbox.send(now);
                if sent.is_none() {
                    break;
                }
            }
            for (channel, heard) in heard.iter().enumerate() {
                for (number, begins) in heard.iter().enumerate() {
                    prop_assert_eq!(*begins, number % 2 == 0, "channel {}", channel);
                }
                prop_assert_eq!(heard.len() % 2 == 1, raised[channel], "the cloud knows the newest state");
            }
        }
    }
}
