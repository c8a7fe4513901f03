//! One run: the chosen rules in their order, and what each found.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt as _;
use ivt_base::date::Utc;
use ivt_sim::cloud::{CloudSim, Faults, Login};
use tokio::sync::watch;
use tokio::time::timeout;

use super::bench::Bench;
use super::finding::{Finding, Outcome};
use super::limits::Limits;
use super::rule::Rule;
use super::switch::Switch;
use crate::conformance::choice::Choice;
use crate::report::{Case, Report, Verdict};

/// The first and the last case, which are in every report: whether the device comes, and whether the run came to its end.
pub const ALWAYS: [(&str, &str); 2] = [
    ("login.comes", "The device logs in"),
    ("run.end", "The device lets itself be tried to the end"),
];
/// Cases of the last eight in which the device ended its connection, after which it is given up.
const MOST_LEFT: u32 = 5;

/// Cases in which the device logs in anew, so that a login that is taken over is no sign of a second device.
const RELOGIN: [&str; 3] = ["login.again", "login.refused", "login.duplicate"];

/// What a run is told.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The login code of the device.
    pub code: String,
    /// The name by which the device reaches the cloud; empty where the address is found out.
    pub host: String,
    /// The cases.
    pub choice: Choice,
    /// The limits.
    pub limits: Limits,
    /// The login of the device, where a password is demanded.
    pub login: Option<Login>,
    /// Takes the camera away from the device.
    pub camera: Option<Switch>,
    /// Turns true when the run is to end before its time: the device is left as it was, and the report is complete.
    pub stop: Option<watch::Receiver<bool>>,
}

/// Tries the device of the plan in this cloud; `told` hears of each case when it is done.
pub async fn run(
    cloud: Arc<CloudSim>,
    plan: &Plan,
    rules: &[Rule],
    mut told: impl FnMut(&Case),
) -> Report {
    let (begin, clock) = (Instant::now(), Utc::from(SystemTime::now()));
    let Utc { year, month, day, hour, minute, second } = clock;
    let mut report = Report {
        title: "IVR RPC conformance".into(),
        subject: format!("device {}", plan.code),
        started: format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        ..Report::default()
    };
    let mut add = |cases: &mut Vec<Case>, case: Case| {
        told(&case);
        cases.push(case);
    };
    let mut answers = cloud.answers();
    answers.previews = true;
    cloud.set_answers(answers);
    let mut bench = Bench::new(cloud, &plan.code, plan.limits);
    bench.camera.clone_from(&plan.camera);
    if let Some(stop) = &plan.stop {
        bench.stop_by(stop.clone());
    }
    if let Some(login) = &plan.login {
        bench.password.clone_from(&login.password);
    }
    if !plan.host.is_empty() {
        bench.reach_by(&plan.host);
    }
    let [(login, name), (end_id, end_name)] = ALWAYS;
    let login =
        Rule::new(login, "最小实现 (least implementation), 1", name, |b| Box::pin(logs_in(b)));
    let mut over = None;
    let mut left = 0_usize;
    let mut stay = Stay::default();
    for rule in std::iter::once(&login).chain(rules) {
        if rule.id != login.id && !plan.choice.takes(&rule.id, rule.changes) {
            continue;
        }
        if over.is_some() {
            left += 1;
            continue;
        }
        let (case, finding) = case(&mut bench, rule, begin).await;
        add(&mut report.cases, case);
        let stopped = plan.stop.as_ref().is_some_and(|stop| *stop.borrow());
        over = match finding {
            _ if stopped => Some("the run was stopped by hand".into()),
            Some(Finding::Over(why)) => Some(why),
            _ => stay.after(rule, bench.take_left()),
        };
        if rule.id == login.id {
            let models = bench.device.info().models;
            report.subject = format!(
                "device {}, hardware {:?}, firmware {:?}",
                plan.code, models.hardware_model, models.firmware_model
            );
        }
    }
    let end = Case {
        id: end_id.into(),
        name: end_name.into(),
        section: String::new(),
        verdict: if over.is_some() { Verdict::Fail } else { Verdict::Pass },
        reason: over.map_or_else(String::new, |why| format!("{why}; {left} cases were not run")),
        took: begin.elapsed(),
        evidence: Vec::new(),
        timeline: Vec::new(),
        seed: None,
    };
    add(&mut report.cases, end);
    report
}

/// Whether the device stays connected. One that never does would be waited for in every case.
#[derive(Default)]
struct Stay {
    /// The last eight cases, the newest lowest: a bit is set where the device ended its connection. Some cases ask nothing, and
    /// are survived by whoever leaves at a question.
    left: u8,
}

impl Stay {
    /// Counts a case, in which the device ended its connection for this reason. Why the run is over, if it is.
    fn after(&mut self, rule: &Rule, why: Option<String>) -> Option<String> {
        if rule.id.starts_with("close.") || rule.id.starts_with("login.") {
            return None;
        }
        self.left = self.left << 1 | u8::from(why.is_some());
        let why = why.filter(|_| self.left.count_ones() >= MOST_LEFT)?;
        Some(format!(
            "the device does not stay: {MOST_LEFT} of the last eight cases ended its connection, this one with {why:?}; if it \
             stands other cases, leave these out by --skip"
        ))
    }
}

async fn logs_in(b: &mut Bench) -> Outcome {
    let (device, limit) = (Arc::clone(&b.device), b.limits.login);
    match b.during(limit, device.wait_online()).await? {
        Some(()) => b.wait(Duration::ZERO).await,
        None => {
            let others = b.cloud.devices().into_iter().filter(|other| other.online);
            let codes: Vec<String> = others.map(|other| other.login_code).collect();
            let more =
                if codes.is_empty() { String::new() } else { format!("; there are {codes:?}") };
            Err(Finding::Over(format!(
                "no device logged in as {} within {limit:?}{more}",
                b.device.code()
            )))
        }
    }
}

/// Tries one rule.
async fn case(bench: &mut Bench, rule: &Rule, run: Instant) -> (Case, Option<Finding>) {
    let began = Instant::now();
    let limit = bench.limits.case();
    bench.relogs = RELOGIN.contains(&rule.id.as_str());
    let checked = timeout(limit, AssertUnwindSafe(tried(bench, rule)).catch_unwind()).await;
    let outcome = match checked {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            Err(Finding::Fail("the check itself failed: this is a fault of the program".into()))
        }
        Err(_) => Err(Finding::Fail(format!("not finished within {limit:?}"))),
    };
    bench.cloud.set_faults(Faults::default());
    let finding = outcome.err();
    let (verdict, reason) = match &finding {
        None => (Verdict::Pass, String::new()),
        Some(Finding::Fail(why) | Finding::Over(why)) => (Verdict::Fail, why.clone()),
        Some(Finding::Deviation(why)) => (Verdict::Deviation, why.clone()),
        Some(Finding::NotSupported(why)) => (Verdict::NotSupported, why.clone()),
    };
    log::debug!(target: "lab", "{} after {:.1?}: {}", rule.id, run.elapsed(), verdict.word());
    let case = Case {
        id: rule.id.clone(),
        name: rule.name.clone(),
        section: rule.section.clone(),
        verdict,
        reason: reason.chars().take(1_000).collect(),
        took: began.elapsed(),
        evidence: bench.tape.take(),
        timeline: Vec::new(),
        seed: None,
    };
    (case, finding)
}

async fn tried(bench: &mut Bench, rule: &Rule) -> Outcome {
    if rule.id != ALWAYS[0].0 {
        bench.online().await?;
    }
    rule.check(bench).await
}
