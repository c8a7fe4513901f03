//! The expectations of a run, and what became of each.

use std::time::Duration;

use super::course::{self, Course, Looks, Outcome};
use super::doubt::{self, Doubt};
use super::format::Expect;
use super::judge::{Judge, Look};
use super::steps::Run;

/// One expectation under way.
pub(super) struct Verdict<'a> {
    pub(super) expect: &'a Expect,
    pub(super) outcome: Outcome,
    /// When it began to be looked at.
    pub(super) since: Option<Duration>,
    judge: Option<Judge>,
    course: Course,
    looks: Looks,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(expect: &'a Expect) -> Self {
        let (course, looks) = (Course::default(), Looks::default());
        Self { expect, outcome: Outcome::Open, since: None, judge: None, course, looks }
    }

    /// Looks, unless it is decided or for the end.
    pub(super) fn look(&mut self, run: &Run<'_>) {
        if self.outcome != Outcome::Open || self.expect.at_end {
            return;
        }
        let now = run.watch.now();
        let Some(since) = self.begin(run, now) else { return };
        let look = self.look_once(run, now);
        let patience = self.expect.within.min(run.patience);
        let outcome = self.course.go_on(self.expect, patience, since, now, &look);
        self.decide(run, outcome);
    }

    /// Fails where it waits for what will not happen any more, or for anything once the steps have been done for longer
    /// than it has patience.
    pub(super) fn give_up(&mut self, run: &Run<'_>, done: Option<Duration>) {
        if self.outcome != Outcome::Open || self.since.is_some() || self.expect.at_end {
            return;
        }
        let now = run.watch.now();
        let patience = self.expect.within.min(run.patience);
        let waited = done.is_some_and(|done| now.saturating_sub(done) > patience);
        if let Err(missing) = run.events.all(&self.expect.after, run.stage, now)
            && (missing.never || waited)
        {
            let why = format!("it was not looked at: \"{}\" did not happen", missing.id);
            self.decide(run, Outcome::Failed(now, why));
        }
    }

    /// Looks for the last time, when all else is done.
    pub(super) fn end(&mut self, run: &Run<'_>) {
        if self.outcome != Outcome::Open {
            return;
        }
        let now = run.watch.now();
        let Some(since) = self.begin(run, now) else {
            let waited = self.expect.after.join(", ");
            let why = format!("it was not looked at: {waited} did not happen");
            return self.decide(run, Outcome::Failed(now, why));
        };
        let look = self.look_once(run, now);
        let outcome = course::end(self.expect, since, now, &look);
        self.decide(run, outcome);
    }

    /// What became of each change of what it says, where it was met.
    pub(super) fn doubts(&self, run: &Run<'_>) -> Vec<Doubt> {
        let (Outcome::Met(_), Some(since), Some(judge)) = (&self.outcome, self.since, &self.judge)
        else {
            return Vec::new();
        };
        let mut doubts = doubt::of_times(self.expect, since, &self.looks);
        if !self.expect.never {
            let place = (self.expect.line, self.expect.name.as_str());
            doubts.extend(doubt::of_subject(place, judge, run.watch));
        }
        doubts
    }

    fn begin(&mut self, run: &Run<'_>, now: Duration) -> Option<Duration> {
        if self.since.is_none() {
            self.since = run.events.all(&self.expect.after, run.stage, now).ok();
        }
        self.since
    }

    fn look_once(&mut self, run: &Run<'_>, now: Duration) -> Look {
        let judge = match &mut self.judge {
            Some(judge) => judge,
            None => match run.subject(&self.expect.subject) {
                Ok(subject) => {
                    let from = self.since.unwrap_or_default();
                    self.judge.insert(Judge::new(subject, from))
                }
                Err(instead) => return Look { met: false, unknown: true, instead },
            },
        };
        let look = judge.look(run.stage, run.watch);
        self.looks.add(now, look.clone());
        look
    }

    fn decide(&mut self, run: &Run<'_>, outcome: Outcome) {
        // What must not be seen has nothing to save, and no time at which it was seen.
        let judge = self.judge.as_ref().filter(|_| !self.expect.never);
        self.outcome = match (outcome, judge.and_then(Judge::last)) {
            (Outcome::Met(now), Some(packet)) => match run.save(&self.expect.save, packet) {
                Ok(()) => Outcome::Met(now),
                Err(why) => Outcome::Failed(now, why),
            },
            (outcome, _) => outcome,
        };
        let Some(id) = &self.expect.id else { return };
        match self.outcome {
            Outcome::Open => {}
            Outcome::Failed(..) => run.events.fail(id),
            Outcome::Met(now) => {
                // What comes right behind a packet counts, though it came before the look.
                run.events.happen(id, judge.and_then(Judge::seen_at).unwrap_or(now));
            }
        }
    }
}
