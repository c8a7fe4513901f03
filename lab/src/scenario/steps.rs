//! Carries out the steps of a scenario, one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ivt_proto::rpc::RpcError;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error as SocketError;

use super::agent::Agent;
use super::answer::{filled, judged};
use super::doubt::{self, Doubt};
use super::events::Events;
use super::format::{Action, AgentOrder, Countable, Scenario, Step, Subject, Thing};
use super::judge::Judge;
use super::pattern::Pattern;
use super::stage::Stage;
use super::values::Values;
use super::watch::Watch;

/// Pause between two looks at what a step waits for.
const LOOK: Duration = Duration::from_millis(20);
/// Longest time for a connection to begin or to end.
const CONNECT: Duration = Duration::from_secs(10);

/// What a run shares between its steps and its expectations.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) stage: &'a Stage,
    pub(super) watch: &'a Watch,
    pub(super) events: Events,
    pub(super) values: Mutex<Values>,
    /// What was done, for the report.
    pub(super) deeds: Mutex<Vec<Deed>>,
    /// What everything is waited for at most.
    pub(super) patience: Duration,
    /// What became of changes of what steps wait for and are answered; `None` where nobody asks.
    pub(super) doubts: Option<Mutex<Vec<Doubt>>>,
}

/// A step that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) at: Duration,
    pub(super) until: Duration,
    pub(super) what: String,
    /// Why it failed.
    pub(super) failed: Option<String>,
}

impl Run<'_> {
    /// The subject with its values, as they are known at this moment.
    ///
    /// # Errors
    /// The name that has no value yet.
    pub(super) fn subject(&self, subject: &Subject) -> Result<Subject, String> {
        let text = |text: &str| match self.fill(&Value::String(text.to_owned()))? {
            Value::String(text) => Ok::<_, String>(text),
            other => Ok(other.to_string()),
        };
        let pattern = |pattern: &Pattern| self.fill(&pattern.0).map(Pattern);
        let mut filled = subject.clone();
        match &mut filled {
            Subject::Facts { of: Thing::Stream(name) | Thing::Recording(name), .. } => {
                *name = text(name)?;
            }
            Subject::Facts { .. } => {}
            Subject::Count(count) => match &mut count.of {
                Countable::FromDevice(of) | Countable::ToDevice(of) | Countable::Alarm(of) => {
                    *of = pattern(of)?;
                }
                Countable::Note(like) | Countable::Log(like) | Countable::Order { like, .. } => {
                    *like = text(like)?;
                }
            },
        }
        Ok(filled)
    }

    /// Keeps the parts of an answer or a packet that are to be carried on.
    ///
    /// # Errors
    /// The place where there is nothing.
    pub(super) fn save(&self, places: &[(String, String)], from: &Value) -> Result<(), String> {
        for (name, place) in places {
            let value = from.pointer(place);
            let value =
                value.ok_or_else(|| format!("there is nothing at {place} for ${{{name}}}"))?;
            self.values.lock().unwrap_or_else(PoisonError::into_inner).save(name, value.clone());
        }
        Ok(())
    }

    fn fill(&self, value: &Value) -> Result<Value, String> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.fill(value, &|name, argument| self.stage.built_in(name, argument))
    }

    fn doubt(&self, more: impl FnOnce() -> Vec<Doubt>) {
        if let Some(doubts) = &self.doubts {
            doubts.lock().unwrap_or_else(PoisonError::into_inner).extend(more());
        }
    }

    fn note(&self, deed: Deed) {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }
}

/// Carries out all steps. `begun` is told of each.
///
/// # Errors
/// The first step that fails, with its line; those behind it are left out.
pub(super) async fn carry_out(
    run: &Run<'_>,
    agent: &mut Option<Agent>,
    mut begun: impl FnMut(&str),
) -> Result<(), String> {
    let mut second = JoinSet::new();
    let mut before = Duration::ZERO;
    for step in &run.scenario.steps {
        let what = describe(&step.action);
        let outcome = match wait(run, step, before).await {
            Ok(()) => {
                before = run.watch.now();
                begun(&what);
                if let Some(id) = &step.id {
                    run.events.happen(id, before);
                }
                act(run, step, agent, &mut second).await
            }
            Err(why) => {
                before = run.watch.now();
                Err(why)
            }
        };
        let (until, failed) = (run.watch.now(), outcome.err());
        run.note(Deed { at: before, until, what: what.clone(), failed: failed.clone() });
        if let Some(why) = failed {
            return Err(format!("line {}: {what}: {why}", step.line));
        }
    }
    // The connections of second devices end at their own time.
    while second.join_next().await.is_some() {}
    Ok(())
}

/// Waits for the time and the events of a step.
async fn wait(run: &Run<'_>, step: &Step, before: Duration) -> Result<(), String> {
    if let Some(at) = step.at {
        sleep(at.saturating_sub(run.watch.now())).await;
    }
    let patience = step.within.min(run.patience);
    let until = run.watch.now() + patience;
    let within = |missing: String| format!("not within {patience:?}: {missing}");
    happened(run, step, until).await.map_err(within)?;
    if let Some(when) = &step.when {
        let mut judge = Judge::new(run.subject(when)?, before);
        loop {
            let look = judge.look(run.stage, run.watch);
            if look.met {
                let what = format!("{} waits", describe(&step.action));
                run.doubt(|| doubt::of_subject((step.line, &what), &judge, run.watch));
                break;
            }
            if run.watch.now() > until {
                return Err(within(look.instead));
            }
            sleep(LOOK).await;
        }
    }
    sleep(step.wait).await;
    // The device may have come or gone during the pause.
    happened(run, step, until + step.wait).await.map_err(within)
}

/// Waits until all events of a step have happened.
async fn happened(run: &Run<'_>, step: &Step, until: Duration) -> Result<(), String> {
    while let Err(missing) = run.events.all(&step.after, run.stage, run.watch.now()) {
        if missing.never || run.watch.now() > until {
            return Err(format!("\"{}\" has not happened", missing.id));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

async fn act(
    run: &Run<'_>,
    step: &Step,
    agent: &mut Option<Agent>,
    second: &mut JoinSet<()>,
) -> Result<(), String> {
    let stage = run.stage;
    let said = |error: RpcError| error.msg;
    match &step.action {
        Action::Call { method, params, outcome, save } => {
            let params = params.as_ref().map(|params| run.fill(params)).transpose()?;
            let answer = stage.device.call(method, params).await;
            let wanted = filled(outcome, |value| run.fill(value))?;
            let answered = judged(&wanted, &answer)?;
            run.doubt(|| doubt::of_outcome((step.line, method), &wanted, &answer));
            run.save(save, &answered)
        }
        Action::Notify { event, params } => {
            let params = params.as_ref().map(|params| run.fill(params)).transpose()?;
            stage.device.notify(event, params).await.map_err(said)
        }
        Action::Raw { text, times, bytes } => {
            for n in 1..=*times {
                run.values.lock().unwrap_or_else(PoisonError::into_inner).save("n", json!(n));
                let mut text = match run.fill(&Value::String(text.clone()))? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                text.extend(std::iter::repeat_n(' ', bytes.saturating_sub(text.len())));
                stage.device.send_raw(text).await.map_err(said)?;
            }
            Ok(())
        }
        Action::HangUp => {
            stage.device.hang_up().await.map_err(said)?;
            let gone = timeout(CONNECT, stage.device.wait_offline()).await;
            gone.map_err(|_| "the connection did not end".to_owned())
        }
        Action::Faults(faults) => {
            stage.cloud.set_faults((**faults).clone());
            Ok(())
        }
        Action::Answers(answers) => {
            stage.cloud.set_answers((**answers).clone());
            Ok(())
        }
        Action::Camera { number, channel, fault } => {
            let camera = stage.cameras.get(*number).ok_or("there is no such camera")?;
            camera.inject(*channel, *fault).map_err(|error| error.to_string())
        }
        Action::Alarm { number, channel, trigger, active } => {
            let unit = stage.cameras.get(*number).and_then(|camera| camera.unit(*channel));
            unit.ok_or("there is no such camera")?.emulator.world.trigger(*trigger, *active);
            Ok(())
        }
        Action::Network { line, order } => stage.network()?.change(*line, order),
        Action::Agent(order) => {
            let agent = agent.as_mut().ok_or("somebody else's device cannot be restarted")?;
            match order {
                AgentOrder::Start => agent.start(),
                AgentOrder::Stop => agent.stop().await,
                AgentOrder::Kill => {
                    agent.kill();
                    Ok(())
                }
                AgentOrder::Restart => {
                    agent.stop().await?;
                    agent.start()
                }
                AgentOrder::Crash => {
                    agent.kill();
                    agent.start()
                }
            }
        }
        Action::Login { code, password, stay, status } => {
            let code = if code.is_empty() { stage.device.code() } else { code };
            let password = if password.is_empty() { &stage.password } else { password };
            let got = log_in(stage, code, password, *stay, second).await?;
            let judge = |wanted: u16| {
                (got != wanted).then(|| format!("the login was answered {got}, expected {wanted}"))
            };
            run.doubt(|| {
                let other = if *status == 101 { 401 } else { 101 };
                let change = format!("status = {other}");
                vec![Doubt::new((step.line, "login"), change, judge(other))]
            });
            judge(*status).map_or(Ok(()), Err)
        }
        Action::Pause => Ok(()),
    }
}

/// Logs in as a second device, and stays for a while; the status of the answer.
async fn log_in(
    stage: &Stage,
    code: &str,
    password: &str,
    stay: Duration,
    second: &mut JoinSet<()>,
) -> Result<u16, String> {
    let url = stage.cloud.login_url(code, password);
    let connecting = tokio_tungstenite::connect_async(url.as_str());
    let connected = timeout(CONNECT, connecting).await;
    match connected.map_err(|_| "the cloud did not answer the login")? {
        Ok((socket, response)) => {
            second.spawn(async move {
                sleep(stay).await;
                drop(socket);
            });
            Ok(response.status().as_u16())
        }
        Err(SocketError::Http(response)) => Ok(response.status().as_u16()),
        Err(error) => Err(format!("no login: {error}")),
    }
}

/// The action in a few words.
fn describe(action: &Action) -> String {
    match action {
        Action::Call { method, .. } => format!("call {method}"),
        Action::Notify { event, .. } => format!("notify {event}"),
        Action::Raw { text, times: 1, .. } => {
            let short: String = text.chars().take(60).collect();
            format!("send {short}")
        }
        Action::Raw { times, .. } => format!("send {times} texts"),
        Action::HangUp => "hang up".into(),
        Action::Faults(faults) if **faults == Default::default() => "no faults".into(),
        Action::Faults(_) => "other faults".into(),
        Action::Answers(_) => "other answers".into(),
        Action::Camera { fault, .. } => format!("camera: {fault:?}"),
        Action::Alarm { trigger, active, .. } => {
            format!("camera: {trigger:?} {}", if *active { "begins" } else { "ends" })
        }
        Action::Network { line, order } => {
            let order = match order {
                super::format::NetworkOrder::Cut(cut) => format!("cut ({})", cut.name()),
                super::format::NetworkOrder::Heal => "healed".into(),
                super::format::NetworkOrder::Conditions(_) => "other conditions".into(),
            };
            format!("network {}: {order}", line.name())
        }
        Action::Agent(order) => format!("agent: {order:?}").to_lowercase(),
        Action::Login { status: 101, .. } => "a second device logs in".into(),
        Action::Login { .. } => "a second device tries to log in".into(),
        Action::Pause => "pause".into(),
    }
}
