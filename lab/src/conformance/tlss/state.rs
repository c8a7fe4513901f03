//! What is known of a device in a run, what is left to try, and what each case has found.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::check::{Check, Stage};
use super::facts::{Facts, Finding};
use super::timing::Timing;
use crate::conformance::choice::Choice;
use crate::report::{Case, Evidence, Report, Seen};

/// Calls of one device that many within [`HAMMER_WITHIN`] are hammering.
const HAMMER: usize = 10;
const HAMMER_WITHIN: Duration = Duration::from_secs(5);
/// Longest time from the end of a session that the device gave up to its next call.
const AGAIN_WITHIN: Duration = Duration::from_secs(61);

/// Part of its update interval by which a device may be off: many are spread on purpose.
const NEAR: f32 = 0.15;

/// What became of a case.
pub(super) struct Row {
    pub(super) finding: Finding,
    pub(super) evidence: Vec<Evidence>,
    pub(super) took: Duration,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server said `done`.
    Done,
    /// The device has given the session up.
    Device,
    /// The server closed the connection.
    Server,
}

/// The part of the cases that one call is given.
pub(super) struct Plan {
    pub(super) commands: Vec<Check>,
    pub(super) end: Option<Check>,
}

pub(super) struct Progress {
    commands: VecDeque<Check>,
    ends: VecDeque<Check>,
    rows: BTreeMap<Check, Row>,
    /// How the last session of each device ended, and when.
    left: HashMap<String, (Instant, End)>,
    /// When each device called lately.
    calls: HashMap<String, VecDeque<Instant>>,
    devices: BTreeSet<String>,
    /// Number of calls in a row whose commands were not answered.
    pub(super) silent: u32,
    /// Number of calls whose identity could not be read, before the first of the device that is meant.
    pub(super) unreadable: u32,
    /// Who called last without a readable identity, and what was wrong.
    pub(super) unread: Option<String>,
    /// Number of calls of the device that is meant that are served now, and when the last one ended.
    pub(super) serving: u32,
    pub(super) last: Instant,
    /// Whether a person has stopped the run.
    stopped: bool,
    /// Why the run is over before its cases are.
    given_up: Option<String>,
}

/// What is known of the device, and what is left to try.
pub(super) struct State {
    pub(super) timing: Timing,
    mac: Option<String>,
    wanted: Vec<Check>,
    pub(super) facts: Arc<Mutex<Facts>>,
    progress: Mutex<Progress>,
    told: Box<dyn Fn(&Case) + Send + Sync>,
}

impl State {
    pub(super) fn new(
        choice: &Choice,
        mac: Option<&str>,
        timing: Timing,
        told: Box<dyn Fn(&Case) + Send + Sync>,
    ) -> Self {
        let wanted: Vec<_> =
            Check::ALL.into_iter().filter(|check| choice.takes(check.id(), false)).collect();
        let mut needed: BTreeSet<_> = wanted.iter().copied().collect();
        // What is seen meanwhile needs something to be seen at.
        for check in &wanted {
            needed.extend(match check {
                Check::ReplyForm | Check::ReplyLength | Check::ReplyWhole => {
                    Some(Check::CommandParameters)
                }
                Check::CallArrives | Check::IdentityLength | Check::IdentityForm => {
                    Some(Check::DoneFour)
                }
                Check::CallQuiet | Check::Reconnect => Some(Check::TimerReply),
                Check::Interval => Some(Check::DoneFour),
                _ => None,
            });
        }
        let of = |stage| {
            let of = |check: &Check| needed.contains(check) && check.stage() == stage;
            Check::ALL.into_iter().filter(of).collect::<VecDeque<_>>()
        };
        let mut ends = of(Stage::End);
        // The longest goes first; what makes the device wait for its interval goes last.
        let order = |check: &Check| match check {
            Check::TimerReply => 0,
            Check::TimerIdentity => 1,
            Check::DoneFive | Check::DoneFour => 3,
            _ => 2,
        };
        ends.make_contiguous().sort_by_key(order);
        let progress = Progress {
            commands: of(Stage::Command),
            ends,
            rows: BTreeMap::new(),
            left: HashMap::new(),
            calls: HashMap::new(),
            devices: BTreeSet::new(),
            silent: 0,
            unreadable: 0,
            unread: None,
            serving: 0,
            last: Instant::now(),
            stopped: false,
            given_up: None,
        };
        let mac = mac.map(plain);
        let facts = Arc::default();
        Self { timing, mac, wanted, facts, progress: Mutex::new(progress), told }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the device that is meant has not called; `None` while a call of it is served.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let progress = self.lock();
        (progress.serving == 0).then_some(progress.last)
    }

    /// Notes that a person has stopped the run.
    pub(super) fn stopped(&self) {
        let mut progress = self.lock();
        progress.stopped = true;
        progress.given_up.get_or_insert_with(|| "the run was stopped by hand".to_owned());
    }

    /// Whether nothing is left to be seen.
    pub(super) fn is_over(&self, idle: bool) -> bool {
        let progress = self.lock();
        if progress.given_up.is_some() {
            return true;
        }
        let settled = progress.commands.is_empty() && progress.ends.is_empty() && idle;
        drop(progress);
        settled && self.watched().is_none() && !self.awaits_call()
    }

    /// Whether a device is still to call again: one that has given up its session, or one whose interval is measured.
    fn awaits_call(&self) -> bool {
        let awaits = |check, how| {
            self.wanted.contains(&check)
                && !self.facts().has(check)
                && self.lock().left.values().any(|(_, end)| *end == how)
        };
        awaits(Check::Reconnect, End::Device)
            || self.timing.update.is_some() && awaits(Check::Interval, End::Done)
    }

    /// When a device that heard `done` has been quiet for long enough. Notes those for which that time has passed.
    pub(super) fn watched(&self) -> Option<Instant> {
        if !self.wanted.contains(&Check::Interval) || self.timing.update.is_some() {
            return None;
        }
        let done: Vec<_> = {
            let progress = self.lock();
            let done = progress.left.values().filter(|(_, end)| *end == End::Done);
            done.map(|(at, _)| *at + self.timing.interval).collect()
        };
        let now = Instant::now();
        if done.iter().any(|due| *due <= now) {
            let text =
                format!("no call within {:.0} s of done", self.timing.interval.as_secs_f32());
            self.facts().note(Check::Interval, Finding::pass(), Seen::Note { text });
        }
        done.into_iter()
            .filter(|due| *due > now)
            .min()
            .filter(|_| !self.facts().has(Check::Interval))
    }

    /// Whether this is the device that the run is for.
    pub(super) fn is_meant(&self, device: &str) -> bool {
        self.mac.as_deref().is_none_or(|mac| plain(device).contains(mac))
    }

    /// Whether the device that is meant has called.
    pub(super) fn has_called(&self) -> bool {
        !self.lock().devices.is_empty()
    }

    /// Notes that a device has called, and judges whether that was due. False: it is not served.
    pub(super) fn called(&self, device: &str) -> bool {
        let now = Instant::now();
        let mut progress = self.lock();
        progress.devices.insert(device.to_owned());
        let calls = progress.calls.entry(device.to_owned()).or_default();
        calls.push_back(now);
        while calls.front().is_some_and(|call| now - *call > HAMMER_WITHIN) {
            calls.pop_front();
        }
        let hammers = calls.len() > HAMMER;
        let left = progress.left.remove(device);
        if hammers {
            let reason = format!(
                "the device calls more than {HAMMER} times in {} s",
                HAMMER_WITHIN.as_secs()
            );
            progress.given_up.get_or_insert(reason.clone());
            drop(progress);
            let text = reason.clone();
            self.facts().note(Check::Reconnect, Finding::fail(reason), Seen::Note { text });
            return false;
        }
        drop(progress);
        let Some((at, end)) = left else { return true };
        let after = now - at;
        let seconds = after.as_secs_f32();
        let (check, finding) = match end {
            End::Done if after < self.timing.interval => (
                Check::Interval,
                Finding::fail(format!("the device calls again {seconds:.1} s after done")),
            ),
            End::Done if self.timing.update.is_some() => {
                let update = self.timing.update.unwrap_or_default();
                let near = after.abs_diff(update) <= update.mul_f32(NEAR) + self.timing.slack;
                let expected = update.as_secs_f32();
                (
                    Check::Interval,
                    match near {
                        true => Finding::pass(),
                        false => Finding::deviation(format!(
                            "the device calls {seconds:.0} s after done, and its update interval is {expected:.0} s"
                        )),
                    },
                )
            }
            End::Device if after > AGAIN_WITHIN => (
                Check::Reconnect,
                Finding::deviation(format!("the device calls again after {seconds:.0} s only")),
            ),
            End::Device => (Check::Reconnect, Finding::pass()),
            End::Done | End::Server => return true,
        };
        let text = format!("called again {seconds:.1} s after the end of its session ({end:?})");
        self.facts().note(check, finding, Seen::Note { text });
        true
    }

    pub(super) fn plan(&self) -> Plan {
        let mut progress = self.lock();
        let end = progress.ends.pop_front();
        // The identity's timer begins with the identity, so no command may come before it.
        let commands = match end {
            Some(Check::TimerIdentity) => Vec::new(),
            _ => progress.commands.drain(..).collect(),
        };
        Plan { commands, end }
    }

    /// Gives back what a call that has broken did not come to.
    pub(super) fn give_back(&self, commands: &[Check], end: Option<Check>) {
        let mut progress = self.lock();
        for check in commands.iter().rev() {
            progress.commands.push_front(*check);
        }
        if let Some(end) = end {
            progress.ends.push_front(end);
        }
    }

    pub(super) fn record(&self, check: Check, row: Row) {
        if self.wanted.contains(&check) {
            (self.told)(&case(check, &row));
        }
        self.lock().rows.insert(check, row);
    }

    pub(super) fn left(&self, device: String, end: End) {
        self.lock().left.insert(device, (Instant::now(), end));
    }

    /// Gives the device up after too many of the same trouble.
    pub(super) fn count(
        &self,
        trouble: impl Fn(&mut Progress) -> &mut u32,
        most: u32,
        reason: &str,
    ) {
        let mut progress = self.lock();
        let count = trouble(&mut progress);
        *count += 1;
        if *count >= most {
            progress.given_up.get_or_insert_with(|| reason.to_owned());
        }
    }

    pub(super) fn nobody_calls(&self, patience: Duration) {
        let seconds = patience.as_secs_f32();
        let mut progress = self.lock();
        let after = progress.left.values().any(|(_, end)| *end == End::Device);
        let unread = progress.unread.take().filter(|_| progress.devices.is_empty());
        let reason = match unread {
            Some(unread) => format!("{unread}; nobody else called within {seconds:.0} s"),
            None => format!(
                "no call within {seconds:.0} s; set the device's update interval to a minute, and its server to this address"
            ),
        };
        progress.given_up.get_or_insert(reason);
        drop(progress);
        if after && !self.facts().has(Check::Reconnect) {
            let reason = format!("the device has not called again within {seconds:.0} s");
            let text = reason.clone();
            self.facts().note(Check::Reconnect, Finding::fail(reason), Seen::Note { text });
        }
    }

    pub(super) fn report(&self, started: String, took: Duration) -> Report {
        let mut progress = self.lock();
        let given_up = progress.given_up.take();
        let (arrived, stopped) = (!progress.devices.is_empty(), progress.stopped);
        let call = match (&given_up, arrived) {
            (_, true) => Finding::pass(),
            (Some(reason), false) => Finding::fail(reason.clone()),
            (None, false) => Finding::fail("no device has called"),
        };
        let subject = progress.devices.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut row = |check: Check| {
            if let Some(row) = progress.rows.remove(&check) {
                return row;
            }
            let seen = match check {
                Check::CallArrives => Some((call.clone(), Vec::new())),
                _ => self.facts().take(check),
            };
            let reason = given_up.clone().unwrap_or_else(|| "it did not come to that".into());
            let reason = format!("not reached: {reason}");
            let missing = match stopped {
                true => Finding::fail(reason),
                false => Finding::not_supported(reason),
            };
            let (finding, seen) = seen.unwrap_or_else(|| (missing, Vec::new()));
            let evidence = seen.into_iter().map(|what| Evidence { at: took, what }).collect();
            Row { finding, evidence, took: Duration::ZERO }
        };
        let cases = self.wanted.iter().map(|check| case(*check, &row(*check))).collect();
        Report {
            title: "TLSS conformance".into(),
            subject: if subject.is_empty() { "no device".into() } else { subject },
            started,
            seed: None,
            cases,
        }
    }
}

fn case(check: Check, row: &Row) -> Case {
    Case {
        id: check.id().into(),
        name: check.name().into(),
        section: check.section().into(),
        verdict: row.finding.verdict,
        reason: row.finding.reason.clone(),
        took: row.took,
        evidence: row.evidence.clone(),
        timeline: Vec::new(),
        seed: None,
    }
}

/// A MAC address, or a text that has one, without its separators and in upper case.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ':' | '-')).collect::<String>().to_ascii_uppercase()
}
