//! A run: takes the calls of a device, and gives each of them its part of the cases. A device that calls under several
//! identities at once is done sooner.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ivt_base::date::Utc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::call::{Broken, Call};
use super::check::{Check, Stage};
use super::facts::{Facts, Finding};
use super::timing::Timing;
use super::{commands, ends, refusals};
use crate::conformance::choice::Choice;
use crate::report::{Case, Evidence, Report, Seen, Verdict};

/// Most calls served at a time; more are closed.
const MAX_CALLS: usize = 64;
/// Commands without an answer after which the device is given up.
const MAX_SILENT: u32 = 3;
/// Calls without a readable identity after which the device is given up.
const MAX_UNREADABLE: u32 = 3;
/// Calls of one device that many within [`HAMMER_WITHIN`] are hammering.
const HAMMER: usize = 10;
const HAMMER_WITHIN: Duration = Duration::from_secs(5);
/// Longest time from the end of a session that the device gave up to its next call.
const AGAIN_WITHIN: Duration = Duration::from_secs(61);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where devices call; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// The MAC address of the device that is meant; `None` for whoever calls.
    pub mac: Option<String>,
    /// The cases to run.
    pub choice: Choice,
    /// The times of the rules.
    pub timing: Timing,
}

/// A run that listens.
pub struct Run {
    listener: TcpListener,
    options: Options,
}

impl Run {
    /// Listens for calls.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn listen(options: Options) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(options.listen).await?, options })
    }

    /// Where devices call.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves calls until every case has its verdict, or the device is given up. Each case is `told` when it has been run.
    pub async fn finish(self, told: impl Fn(&Case) + Send + Sync + 'static) -> Report {
        let begun = Instant::now();
        let started = Utc::from(SystemTime::now()).to_string();
        let state = Arc::new(State::new(&self.options, Box::new(told)));
        let mut calls = JoinSet::new();
        let mut last = Instant::now();
        loop {
            if state.is_over(calls.is_empty()) {
                break;
            }
            let due = match calls.is_empty() {
                true => state.watched().unwrap_or(last + self.options.timing.call),
                false => Instant::now() + Duration::from_millis(200),
            };
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if calls.len() < MAX_CALLS => {
                        last = Instant::now();
                        calls.spawn(serve(state.clone(), stream, peer));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(target: "lab", "accept: {error}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(_) = calls.join_next() => last = Instant::now(),
                () = sleep_until(due) => {
                    if calls.is_empty() && last.elapsed() >= self.options.timing.call {
                        state.nobody_calls(self.options.timing.call);
                        break;
                    }
                }
            }
        }
        calls.shutdown().await;
        state.report(started, begun.elapsed())
    }
}

/// What became of a case.
struct Row {
    finding: Finding,
    evidence: Vec<Evidence>,
    took: Duration,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server said `done`.
    Done,
    /// The device has given the session up.
    Device,
    /// The server closed the connection.
    Server,
}

/// The part of the cases that one call is given.
struct Plan {
    commands: Vec<Check>,
    end: Option<Check>,
}

struct Progress {
    commands: VecDeque<Check>,
    ends: VecDeque<Check>,
    rows: BTreeMap<Check, Row>,
    /// How the last session of each device ended, and when.
    left: HashMap<String, (Instant, End)>,
    /// When each device called lately.
    calls: HashMap<String, VecDeque<Instant>>,
    devices: BTreeSet<String>,
    silent: u32,
    unreadable: u32,
    /// Why the run is over before its cases are.
    given_up: Option<String>,
}

struct State {
    timing: Timing,
    mac: Option<String>,
    wanted: Vec<Check>,
    facts: Arc<Mutex<Facts>>,
    progress: Mutex<Progress>,
    told: Box<dyn Fn(&Case) + Send + Sync>,
}

impl State {
    fn new(options: &Options, told: Box<dyn Fn(&Case) + Send + Sync>) -> Self {
        let wanted: Vec<_> = Check::ALL
            .into_iter()
            .filter(|check| options.choice.takes(check.id(), false))
            .collect();
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
            given_up: None,
        };
        let mac = options.mac.as_deref().map(plain);
        let facts = Arc::default();
        Self { timing: options.timing, mac, wanted, facts, progress: Mutex::new(progress), told }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is left to be seen.
    fn is_over(&self, idle: bool) -> bool {
        let progress = self.lock();
        if progress.given_up.is_some() {
            return true;
        }
        let settled = progress.commands.is_empty() && progress.ends.is_empty() && idle;
        drop(progress);
        settled && self.watched().is_none() && !self.awaits_call()
    }

    /// Whether a device that has given up its session is still to call again.
    fn awaits_call(&self) -> bool {
        let wanted = self.wanted.contains(&Check::Reconnect);
        wanted
            && !self.facts().has(Check::Reconnect)
            && self.lock().left.values().any(|(_, end)| *end == End::Device)
    }

    /// When a device that heard `done` has been quiet for long enough. Notes those for which that time has passed.
    fn watched(&self) -> Option<Instant> {
        if !self.wanted.contains(&Check::Interval) {
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

    /// Notes that a device has called, and judges whether that was due. False: it is not served.
    fn called(&self, device: &str) -> bool {
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

    fn plan(&self) -> Plan {
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
    fn give_back(&self, commands: &[Check], end: Option<Check>) {
        let mut progress = self.lock();
        for check in commands.iter().rev() {
            progress.commands.push_front(*check);
        }
        if let Some(end) = end {
            progress.ends.push_front(end);
        }
    }

    fn record(&self, check: Check, row: Row) {
        if self.wanted.contains(&check) {
            (self.told)(&case(check, &row));
        }
        self.lock().rows.insert(check, row);
    }

    fn left(&self, device: String, end: End) {
        self.lock().left.insert(device, (Instant::now(), end));
    }

    /// Gives the device up after too many of the same trouble.
    fn count(&self, trouble: impl Fn(&mut Progress) -> &mut u32, most: u32, reason: &str) {
        let mut progress = self.lock();
        let count = trouble(&mut progress);
        *count += 1;
        if *count >= most {
            progress.given_up.get_or_insert_with(|| reason.to_owned());
        }
    }

    fn nobody_calls(&self, patience: Duration) {
        let seconds = patience.as_secs_f32();
        let mut progress = self.lock();
        let after = progress.left.values().any(|(_, end)| *end == End::Device);
        let reason = format!(
            "no call within {seconds:.0} s; set the device's update interval to a minute, and its server to this address"
        );
        progress.given_up.get_or_insert(reason);
        drop(progress);
        if after && !self.facts().has(Check::Reconnect) {
            let reason = format!("the device has not called again within {seconds:.0} s");
            let text = reason.clone();
            self.facts().note(Check::Reconnect, Finding::fail(reason), Seen::Note { text });
        }
    }

    fn report(&self, started: String, took: Duration) -> Report {
        let mut progress = self.lock();
        let given_up = progress.given_up.take();
        let arrived = !progress.devices.is_empty();
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
            let missing = || (Finding::not_supported(format!("not reached: {reason}")), Vec::new());
            let (finding, seen) = seen.unwrap_or_else(missing);
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
    }
}

/// Serves one call to its end.
async fn serve(state: Arc<State>, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!(target: "lab", "{peer}: {error}");
    }
    let mut call = Call::new(stream, state.timing, state.facts.clone());
    let device = match call.identity().await {
        Ok(device) => device,
        Err(broken) => {
            log::info!(target: "lab", "{peer}: no identity: {broken}");
            let reason = format!("the identity cannot be read: {broken}");
            state.count(|progress| &mut progress.unreadable, MAX_UNREADABLE, &reason);
            return;
        }
    };
    if state.mac.as_deref().is_some_and(|mac| !plain(&device).contains(mac)) {
        log::info!(target: "lab", "{peer}: not the device that is meant: {device}");
        return;
    }
    if !state.called(&device) {
        return;
    }
    let Plan { commands, end } = state.plan();
    for (done, check) in commands.iter().enumerate() {
        if !run(&state, &mut call, *check).await.goes_on {
            state.give_back(&commands[done + 1..], end);
            let end = if call.closed { End::Device } else { End::Server };
            return state.left(device, end);
        }
    }
    let how = match end {
        Some(check) => {
            let passed = run(&state, &mut call, check).await.passed;
            match (check, call.closed) {
                (Check::DoneFour | Check::DoneFive, _) if passed => End::Done,
                (_, true) => End::Device,
                (_, false) => End::Server,
            }
        }
        None => {
            // A polite end, whatever becomes of it.
            drop(call.send(&[&ivt_proto::tlss::frame(b"done")]).await);
            call.rest(state.timing.close).await;
            End::Done
        }
    };
    state.left(device, how);
}

/// What a case has left of its call.
struct Ran {
    goes_on: bool,
    passed: bool,
}

/// Runs one case.
async fn run(state: &State, call: &mut Call, check: Check) -> Ran {
    let begun = Instant::now();
    let outcome = match check {
        Check::CommandParameters => commands::parameters(call).await,
        Check::CommandSlashless => commands::slashless(call).await,
        Check::CommandEndings => commands::endings(call).await,
        Check::CommandSplit => commands::split(call).await,
        Check::CommandCoalesced => commands::coalesced(call).await,
        Check::CommandSeveral => commands::several(call).await,
        Check::Picture => commands::picture(call).await,
        Check::ReportCounts => commands::counts(call).await,
        Check::ReportHeat => commands::heat(call).await,
        Check::RefuseUnknown => refusals::unknown(call).await,
        Check::RefusePath => refusals::path(call).await,
        Check::RefuseShell => refusals::shell(call).await,
        Check::RefuseLines => refusals::lines(call).await,
        Check::RefuseUrl => refusals::url(call).await,
        Check::LengthZero => ends::zero(call).await,
        Check::LengthOversize => ends::oversize(call).await,
        Check::LengthUnfinished => ends::unfinished(call).await,
        Check::TimerIdentity => ends::timer(call).await,
        Check::TimerReply => match begins(call).await {
            Ok(()) => ends::timer(call).await,
            Err(broken) => Err(broken),
        },
        Check::DoneFour => ends::done(call, b"done").await,
        Check::DoneFive => ends::done(call, b"done\0").await,
        // The others are seen meanwhile, and are in no plan.
        _ => Ok(Finding::pass()),
    };
    let goes_on = outcome.is_ok() && !call.closed && !call.floods;
    if call.floods {
        state.count(|progress| &mut progress.silent, 1, "the device floods the server");
    }
    match &outcome {
        Err(Broken::Silent(_) | Broken::Closed) if call.replies == 0 => {
            let reason = "the device does not answer commands";
            state.count(|progress| &mut progress.silent, MAX_SILENT, reason);
        }
        Err(_) => {}
        Ok(_) => state.lock().silent = 0,
    }
    let finding = outcome.unwrap_or_else(|broken| Finding::fail(broken.to_string()));
    let finding = match call.floods && finding.verdict == Verdict::Pass {
        true => Finding::fail("the device floods the server"),
        false => finding,
    };
    let passed = finding.verdict == Verdict::Pass;
    state.record(check, Row { finding, evidence: call.tape.take(), took: begun.elapsed() });
    Ran { goes_on, passed }
}

/// Has at least one reply in the session.
async fn begins(call: &mut Call) -> Result<(), Broken> {
    commands::usual(call).await.map(drop)
}

/// A MAC address, or a text that has one, without its separators and in upper case.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ':' | '-')).collect::<String>().to_ascii_uppercase()
}
