//! Runs one scenario from start to verdict.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::account::Account;
use super::agent::Agent;
use super::course::Outcome;
use super::doubt::Doubt;
use super::events::Events;
use super::format::{Action, Scenario};
use super::pulse::Pulse;
use super::stage::{Setting, Stage};
use super::steps::{Run, carry_out};
use super::values::Values;
use super::verdicts::Verdict;
use super::watch::Watch;
use crate::report::{Case, Verdict as Says};

/// Pause between two looks at the expectations.
const LOOK: Duration = Duration::from_millis(50);
/// Longest patience where nobody has said less.
const PATIENCE: Duration = super::fields::MAX_TIME;

/// Runs a scenario. `since` is the begin of the whole run, by which the report tells times; `begun` is told of each step.
/// A scenario that is under way when `stop` is over fails, and all that it started is ended.
pub async fn run(
    scenario: &Scenario,
    setting: &Setting,
    since: Instant,
    begun: impl FnMut(&str),
    stop: impl Future<Output = ()>,
) -> Case {
    let offset = since.elapsed();
    let case = case(scenario);
    if setting.login.is_some()
        && let Some(why) = not_for_others(scenario)
    {
        return Case { verdict: Says::NotSupported, reason: why, ..case };
    }
    let began = Instant::now();
    let started = Stage::start(scenario, setting).await;
    let (stage, mut agent) = match started {
        Ok(started) => started,
        Err(reason) => return Case { reason, took: began.elapsed(), ..case },
    };
    let watch = Watch::new(stage.began);
    let run = Run {
        scenario,
        stage: &stage,
        watch: &watch,
        events: Events::default(),
        values: Mutex::new(Values::default()),
        deeds: Mutex::default(),
        patience: setting.patience.unwrap_or(PATIENCE),
        doubts: setting.doubt.then(Mutex::default),
    };
    let mut verdicts: Vec<_> = scenario.expects.iter().map(Verdict::new).collect();
    let mut wrong = Vec::new();
    let device = stage.device.clone();
    let mut pulse = agent.as_ref().map(Agent::pulse);
    tokio::select! {
        // It keeps packets from before the first login on.
        biased;
        () = watch.follow(&device) => {}
        outcome = async {
            if let Some(agent) = &mut agent {
                agent.start()?;
            }
            let steps = carry_out(&run, &mut agent, begun).fuse();
            tokio::pin!(steps);
            let mut tick = interval(LOOK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let limit = sleep(scenario.time_limit);
            tokio::pin!(limit, stop);
            let mut done = None;
            loop {
                tokio::select! {
                    outcome = &mut steps, if done.is_none() => done = Some((watch.now(), outcome)),
                    _ = tick.tick() => {
                        if let Some(ended) = pulse.as_mut().and_then(Pulse::ended) {
                            return Err(ended.told(&scenario.file, &scenario.device.lines));
                        }
                    }
                    () = &mut limit => {
                        return Err(format!("not over within its time_limit of {:?}", scenario.time_limit));
                    }
                    () = &mut stop => return Err("it was stopped by hand before it was over".into()),
                }
                watch.sample(&stage.cloud, &stage.cameras);
                verdicts.iter_mut().for_each(|verdict| verdict.look(&run));
                let since = done.as_ref().map(|(at, _)| *at);
                verdicts.iter_mut().for_each(|verdict| verdict.give_up(&run, since));
                match &done {
                    Some((_, Err(_))) => break,
                    Some((_, Ok(()))) if !verdicts.iter().any(is_awaited) => break,
                    _ => {}
                }
            }
            done.map_or(Ok(()), |(_, outcome)| outcome)
        } => wrong.extend(outcome.err()),
    }
    let stopped_early = !wrong.is_empty();
    for verdict in &mut verdicts {
        if !stopped_early {
            verdict.end(&run);
        }
        if let Outcome::Failed(_, why) = &verdict.outcome {
            wrong.push(format!("line {}: {}: {why}", verdict.expect.line, verdict.expect.name));
        }
    }
    let doubts = if wrong.is_empty() { all_doubts(&run, &verdicts) } else { Vec::new() };
    for doubt in doubts.iter().filter(|doubt| doubt.told.is_none()) {
        let Doubt { line, name, change, .. } = doubt;
        wrong.push(format!("line {line}: {name}: it passes with {change} as well, so that it says less than it seems to"));
    }
    let verdict = if wrong.is_empty() { Says::Pass } else { Says::Fail };
    let failed = verdict == Says::Fail;
    let account = Account { run: &run, verdicts: &verdicts, doubts: &doubts, offset, failed };
    let (evidence, timeline) = (account.evidence().await, account.timeline());
    let case = Case {
        verdict,
        reason: wrong.join("; "),
        took: began.elapsed(),
        evidence,
        timeline,
        seed: account.seed(),
        ..case
    };
    if let Some(agent) = &mut agent {
        // An agent that does not end is killed; scenarios that are about its end stop it themselves.
        let _ = agent.stop().await;
    }
    drop(run);
    stage.stop().await;
    case
}

/// What became of each change of what the scenario expects, where anybody asks.
fn all_doubts(run: &Run<'_>, verdicts: &[Verdict<'_>]) -> Vec<Doubt> {
    let Some(of_steps) = &run.doubts else { return Vec::new() };
    let mut doubts = of_steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    doubts.extend(verdicts.iter().flat_map(|verdict| verdict.doubts(run)));
    doubts.sort_by_key(|doubt| doubt.line);
    doubts
}

fn is_awaited(verdict: &Verdict<'_>) -> bool {
    verdict.outcome == Outcome::Open && !verdict.expect.at_end
}

/// The case of a scenario, of which nothing is known yet.
pub(super) fn case(scenario: &Scenario) -> Case {
    Case {
        id: scenario.id(),
        name: scenario.name.clone(),
        section: scenario.section.clone(),
        verdict: Says::Fail,
        reason: String::new(),
        took: Duration::ZERO,
        evidence: Vec::new(),
        timeline: Vec::new(),
        seed: None,
    }
}

/// Why a scenario cannot be run with somebody else's device.
fn not_for_others(scenario: &Scenario) -> Option<String> {
    let restarts = scenario.steps.iter().any(|step| matches!(step.action, Action::Agent(_)));
    let reason = if restarts {
        "it restarts the device"
    } else if !scenario.cameras.is_empty() {
        "it needs emulated cameras"
    } else if !scenario.device.settings.is_empty() || !scenario.device.channel.is_empty() {
        "it sets up the device"
    } else if !scenario.network.lines.is_empty() {
        "it needs a network of its own"
    } else {
        return None;
    };
    Some(format!("{reason}, which the runner can do with the agent only"))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::SocketAddr;
    use std::path::Path;

    use super::*;
    use crate::scenario::parse;

    /// What comes of a scenario for a device that nobody starts.
    async fn outcome(text: &str, stop: impl Future<Output = ()>) -> Case {
        let scenario = parse(Path::new("x.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        run(&scenario, &setting(), Instant::now(), |_| {}, stop).await
    }

    fn setting() -> Setting {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Setting {
            agent: "/nowhere".into(),
            http: loopback,
            rtmp: loopback,
            login: Some("nobody".into()),
            password: None,
            patience: None,
            doubt: true,
        }
    }

    #[tokio::test]
    async fn what_must_not_be_is_an_event_once_it_is_decided() {
        let text = "name = 'x'\n[[step]]\nafter = 'alone'\nwithin = '20s'\npause = true\n[[expect]]\nid = 'alone'\n\
                    name = 'nobody comes'\nnever = true\nwithin = '200ms'\ndevice = { online = true }";
        let case = outcome(text, pending()).await;
        assert_eq!((case.verdict, case.reason.as_str()), (Says::Pass, ""));
        let evidence = format!("{:?}", case.evidence);
        let doubted = "nobody comes: with never = false: online is false, expected true";
        assert!(evidence.contains(doubted), "{evidence}");
    }

    #[tokio::test]
    async fn the_device_of_somebody_else_needs_the_password_that_is_told() {
        let text = "name = 'x'\n[[step]]\nlogin = { stay = '1ms' }\n[[step]]\n\
                    login = { password = 'another', status = 401 }\n[[expect]]\nname = 'it logs in'\n\
                    device = { logins = 1 }";
        let scenario = parse(Path::new("x.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        let setting = Setting { password: Some("tr1cky".into()), doubt: false, ..setting() };
        let case = run(&scenario, &setting, Instant::now(), |_| {}, pending()).await;
        assert_eq!((case.verdict, case.reason.as_str()), (Says::Pass, ""));
    }

    #[tokio::test]
    async fn an_agent_that_ends_by_itself_fails_the_scenario_at_once() {
        let text = "name = 'x'\n[[step]]\nafter = 'online'\ncall = 'x'";
        let scenario = parse(Path::new("x.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        let setting = Setting { agent: "/bin/echo".into(), login: None, ..setting() };
        let case = run(&scenario, &setting, Instant::now(), |_| {}, pending()).await;
        assert_eq!(case.verdict, Says::Fail);
        let ended = "the agent ended by itself (exit status: 0): --config ";
        assert!(case.reason.starts_with(ended), "{}", case.reason);
        assert!(case.took < Duration::from_secs(30), "{:?}", case.took);
    }

    #[tokio::test]
    async fn a_seed_that_was_drawn_is_told_and_one_that_is_given_is_kept() {
        for (seed, given) in [("", None), ("seed = 77", Some(77))] {
            let text = format!(
                "name = 'x'\n[device]\nstart = false\n[network]\n{seed}\ncloud.profile = 'clean'\n[[expect]]\nname = 'nobody comes'\n\
                 never = true\nwithin = '100ms'\ndevice.online = true"
            );
            let scenario =
                parse(Path::new("x.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
            let setting = Setting { agent: "/nowhere".into(), login: None, ..setting() };
            let case = run(&scenario, &setting, Instant::now(), |_| {}, pending()).await;
            assert_eq!((case.verdict, case.reason.as_str()), (Says::Pass, ""));
            assert!(case.seed.is_some() && given.is_none_or(|seed| case.seed == Some(seed)));
        }
    }

    #[tokio::test]
    async fn a_run_that_is_stopped_says_so_and_keeps_what_was_seen() {
        let text = "name = 'x'\n[[step]]\nafter = 'online'\ncall = 'x'";
        let case = outcome(text, ready(())).await;
        assert_eq!(case.verdict, Says::Fail);
        assert!(case.reason.contains("stopped by hand"), "{}", case.reason);
    }
}
