//! A run: takes the calls of a device, and gives each of them its part of the cases. A device that calls under several
//! identities at once is done sooner.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ivt_base::date::Utc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::call::{Broken, Call};
use super::check::Check;
use super::facts::Finding;
use super::state::{End, Plan, Row, State};
use super::timing::Timing;
use super::{commands, ends, refusals};
use crate::conformance::choice::Choice;
use crate::report::{Case, Report, Verdict};

/// Most calls served at a time; more are closed.
const MAX_CALLS: usize = 64;
/// Commands without an answer after which the device is given up.
const MAX_SILENT: u32 = 3;
/// Calls without a readable identity after which the device is given up, before there is one with it.
const MAX_UNREADABLE: u32 = 3;

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
        let (_never, stop) = watch::channel(false);
        self.finish_or_stop(told, stop).await
    }

    /// As [`finish`](Self::finish), until `stop` turns true: what was not seen by then has failed.
    pub async fn finish_or_stop(
        self,
        told: impl Fn(&Case) + Send + Sync + 'static,
        mut stop: watch::Receiver<bool>,
    ) -> Report {
        let begun = Instant::now();
        let started = Utc::from(SystemTime::now()).to_string();
        let Options { choice, mac, timing, .. } = &self.options;
        let state = Arc::new(State::new(choice, mac.as_deref(), *timing, Box::new(told)));
        let mut calls = JoinSet::new();
        let patience = self.options.timing.call;
        loop {
            // Calls of others, which may come all the time, neither keep the run going nor end it.
            let idle = state.idle_since();
            if state.is_over(idle.is_some()) {
                break;
            }
            if idle.is_some_and(|since| since.elapsed() >= patience) {
                state.nobody_calls(patience);
                break;
            }
            let due = match idle {
                Some(since) => state.watched().unwrap_or(since + patience),
                None => Instant::now() + Duration::from_millis(200),
            };
            tokio::select! {
                Ok(_) = stop.wait_for(|stop| *stop) => {
                    state.stopped();
                    break;
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if calls.len() < MAX_CALLS => {
                        calls.spawn(serve(state.clone(), stream, peer));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(target: "lab", "accept: {error}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(_) = calls.join_next() => {}
                () = sleep_until(due) => {}
            }
        }
        calls.shutdown().await;
        state.report(started, begun.elapsed())
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
            // Whatever scans the network calls, too: once the device has, another that says nothing is somebody else.
            if !state.has_called() {
                call.note_identity();
                state.lock().unread =
                    Some(format!("{peer} called, and its identity cannot be read: {broken}"));
                let reason = format!("the identity cannot be read: {broken}");
                state.count(|progress| &mut progress.unreadable, MAX_UNREADABLE, &reason);
            }
            return;
        }
    };
    if !state.is_meant(&device) {
        log::info!(target: "lab", "{peer}: not the device that is meant: {device}");
        return;
    }
    let _served = Served::begin(&state);
    call.note_identity();
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

/// A call of the device that is meant, as long as it lasts.
struct Served<'a>(&'a State);

impl<'a> Served<'a> {
    fn begin(state: &'a State) -> Self {
        state.lock().serving += 1;
        Self(state)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let mut progress = self.0.lock();
        progress.serving -= 1;
        progress.last = Instant::now();
    }
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
        Check::CommandAll => commands::all(call).await,
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
