//! The expectations of a run, and what became of each.

use std::time::Duration;

use super::format::Expect;
use super::judge::Judge;
use super::steps::Run;

/// What became of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not decided yet.
    Open,
    /// It was met, at this time.
    Met(Duration),
    /// It was not, for this reason.
    Failed(Duration, String),
}

/// One expectation under way.
pub(super) struct Verdict<'a> {
    pub(super) expect: &'a Expect,
    pub(super) outcome: Outcome,
    /// When it began to be looked at.
    pub(super) since: Option<Duration>,
    judge: Option<Judge>,
    /// Since when it has been so without a break.
    met: Option<Duration>,
    /// What there was instead at the last look.
    instead: String,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(expect: &'a Expect) -> Self {
        let instead = String::new();
        Self { expect, outcome: Outcome::Open, since: None, judge: None, met: None, instead }
    }

    /// Looks, unless it is decided or for the end.
    pub(super) fn look(&mut self, run: &Run<'_>) {
        if self.outcome != Outcome::Open || self.expect.at_end {
            return;
        }
        let now = run.watch.now();
        let Some(since) = self.begin(run, now) else { return };
        let expect = self.expect;
        let patience = expect.within.min(run.patience);
        let is_met = self.is_met(run);
        match (is_met, expect.hold) {
            (true, None) if expect.never => self.fail(run, now, "it was so".into()),
            (true, Some(_)) if expect.never => self.fail(run, now, "it was so".into()),
            (true, None) => self.pass(run, now, since),
            (true, Some(hold)) => {
                let from = *self.met.get_or_insert(now);
                if now.saturating_sub(from) >= hold {
                    self.pass(run, now, since);
                }
            }
            (false, _) if expect.never => {
                if now.saturating_sub(since) >= expect.hold.unwrap_or(patience) {
                    self.outcome = Outcome::Met(now);
                }
            }
            (false, Some(_)) if self.met.is_some() => {
                let held = now.saturating_sub(self.met.unwrap_or(now));
                self.fail(
                    run,
                    now,
                    format!("it was so for {:.1} s, then {}", held.as_secs_f64(), self.instead),
                );
            }
            (false, _) if now.saturating_sub(since) > patience => {
                self.fail(run, now, format!("not within {patience:?}: {}", self.instead));
            }
            (false, _) => {}
        }
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
            self.fail(run, now, why);
        }
    }

    /// Looks for the last time, when all else is done.
    pub(super) fn end(&mut self, run: &Run<'_>) {
        if self.outcome != Outcome::Open {
            return;
        }
        let now = run.watch.now();
        let Some(_) = self.begin(run, now) else {
            let waited = self.expect.after.join(", ");
            return self.fail(run, now, format!("it was not looked at: {waited} did not happen"));
        };
        let is_met = self.is_met(run);
        if is_met == self.expect.never {
            let why = if is_met { "it was so".to_owned() } else { self.instead.clone() };
            return self.fail(run, now, why);
        }
        if self.expect.hold.is_some() && !self.expect.never {
            return self.fail(
                run,
                now,
                "the scenario ended before it was so for long enough".into(),
            );
        }
        self.pass(run, now, now);
    }

    fn begin(&mut self, run: &Run<'_>, now: Duration) -> Option<Duration> {
        if self.since.is_none() {
            self.since = run.events.all(&self.expect.after, run.stage, now).ok();
        }
        self.since
    }

    fn is_met(&mut self, run: &Run<'_>) -> bool {
        let judge = match &mut self.judge {
            Some(judge) => judge,
            None => match run.subject(&self.expect.subject) {
                Ok(subject) => {
                    let from = self.since.unwrap_or_default();
                    self.judge.insert(Judge::new(subject, from))
                }
                Err(why) => {
                    self.instead = why;
                    return false;
                }
            },
        };
        let look = judge.look(run.stage, run.watch);
        self.instead = look.instead;
        look.met
    }

    fn pass(&mut self, run: &Run<'_>, now: Duration, since: Duration) {
        let early = self.expect.not_before.saturating_sub(now.saturating_sub(since));
        if early > Duration::ZERO {
            let after = now.saturating_sub(since).as_secs_f64();
            let not_before = self.expect.not_before;
            return self.fail(
                run,
                now,
                format!("it was so after {after:.1} s already, not before {not_before:?}"),
            );
        }
        if let Some(packet) = self.judge.as_ref().and_then(Judge::last)
            && let Err(why) = run.save(&self.expect.save, packet)
        {
            return self.fail(run, now, why);
        }
        if let Some(id) = &self.expect.id {
            // What comes right behind a packet counts, though it came before the look.
            let at = self.judge.as_ref().and_then(Judge::seen_at);
            run.events.happen(id, at.unwrap_or(now));
        }
        self.outcome = Outcome::Met(now);
    }

    fn fail(&mut self, run: &Run<'_>, now: Duration, why: String) {
        if let Some(id) = &self.expect.id {
            run.events.fail(id);
        }
        self.outcome = Outcome::Failed(now, why);
    }
}
