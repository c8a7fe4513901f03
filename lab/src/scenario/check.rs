//! Checks what can only be seen in the whole of a scenario.

use std::collections::HashSet;
use std::time::Duration;

use ivt_sim::camera::Fault;
use serde_json::Value;

use super::fields::Source;
use super::format::{Action, Countable, Scenario, Step, Subject, Thing, Wanted};
use super::order;
use super::pattern::Pattern;
use super::values::{BUILT_IN, mistakes, names};
use crate::slip::{did_you_mean, nearest};

/// Events that every scenario has.
const EVENTS: [&str; 3] = ["start", "online", "offline"];

/// Notes what is wrong with ids, values and times, and whether anything is expected.
pub(super) fn check(scenario: &Scenario, source: &Source<'_>, text: &str) {
    let offset = |line: usize| {
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>()
    };
    let wrong = |line: usize, what: String| source.wrong(offset(line), what);
    let mut ids: HashSet<&str> = EVENTS.into();
    let of_steps = scenario.steps.iter().filter_map(|step| Some((step.line, step.id.as_deref()?)));
    let of_expects = scenario.expects.iter().filter_map(|e| Some((e.line, e.id.as_deref()?)));
    for (line, id) in of_steps.chain(of_expects) {
        if !ids.insert(id) {
            wrong(line, format!("id {id:?} is taken"));
        }
    }
    let waits = scenario.steps.iter().map(|step| (step.line, &step.after));
    for (line, after) in waits.chain(scenario.expects.iter().map(|e| (e.line, &e.after))) {
        for event in after.iter().filter(|event| !ids.contains(event.as_str())) {
            let near = did_you_mean(nearest(event, ids.iter().copied()));
            wrong(line, format!("after: nothing has the id {event:?}{near}"));
        }
    }
    order::circles(scenario).into_iter().for_each(|(line, what)| wrong(line, what));
    values(scenario, &wrong);
    times(scenario, &wrong);
    let answers = scenario.steps.iter().any(|step| matches!(step.action, Action::Call { .. }));
    if scenario.expects.is_empty() && !answers {
        wrong(1, "nothing is expected: write at least one [[expect]]".into());
    }
    for step in &scenario.steps {
        if let Action::Network { line, .. } = step.action
            && !scenario.network.reaches(line)
        {
            let name = line.name();
            wrong(
                step.line,
                format!("there is no such network: write {name}.profile = \"clean\" in [network]"),
            );
        }
    }
}

/// What is wrong with the values that texts name.
fn values(scenario: &Scenario, wrong: &dyn Fn(usize, String)) {
    let saved = scenario.steps.iter().flat_map(|step| match &step.action {
        Action::Call { save, .. } => save.as_slice(),
        _ => &[],
    });
    let saved = saved.chain(scenario.expects.iter().flat_map(|expect| &expect.save));
    let known: HashSet<&str> = saved.map(|(name, _)| name.as_str()).chain(BUILT_IN).collect();
    let of_steps = scenario.steps.iter().map(|step| (step.line, texts(step)));
    let of_expects =
        scenario.expects.iter().map(|e| (e.line, Vec::from_iter(of_subject(&e.subject))));
    for (line, texts) in of_steps.chain(of_expects) {
        for name in texts.iter().flat_map(names).filter(|name| !known.contains(name.as_str())) {
            let near = did_you_mean(nearest(&name, known.iter().copied()));
            wrong(line, format!("nothing saves a value ${{{name}}}{near}"));
        }
        texts.iter().flat_map(mistakes).for_each(|what| wrong(line, what));
        if scenario.cameras.is_empty() && texts.iter().flat_map(names).any(|name| name == "camera")
        {
            wrong(line, "${camera}: there is none: write [[camera]]".into());
        }
    }
    for (number, step) in scenario.steps.iter().enumerate() {
        for name in texts(step).iter().flat_map(names) {
            let first = order::first_saved(scenario, &name);
            if known.contains(name.as_str()) && first.is_some_and(|first| first > number) {
                wrong(step.line, format!("${{{name}}} has no value before a later step"));
            }
        }
    }
}

/// What is wrong with the times.
fn times(scenario: &Scenario, wrong: &dyn Fn(usize, String)) {
    let limit = scenario.time_limit;
    if limit.is_zero() {
        wrong(1, "time_limit: nothing can be done in no time".into());
        return;
    }
    let mut earliest = Duration::ZERO;
    for step in &scenario.steps {
        let before = earliest;
        earliest = earliest.max(step.at.unwrap_or_default()) + step.wait;
        if before <= limit && earliest > limit {
            let what = "cannot begin within the time_limit of the scenario";
            wrong(step.line, format!("{what}, {limit:?}"));
        }
        if matches!(step.action, Action::Camera { fault: Fault::Reboot(away), .. } if away > limit)
        {
            wrong(step.line, "the camera is away for longer than the time_limit".into());
        }
    }
}

/// The texts of a step that may name values.
fn texts(step: &Step) -> Vec<Value> {
    let mut found = match &step.action {
        Action::Call { params, outcome, .. } => {
            let pattern = match outcome {
                Wanted::Answer(Some(Pattern(pattern))) | Wanted::Error(Pattern(pattern)) => {
                    Some(pattern.clone())
                }
                Wanted::Answer(None) => None,
            };
            params.clone().into_iter().chain(pattern).collect()
        }
        Action::Notify { params, .. } => params.clone().into_iter().collect(),
        Action::Raw { text, .. } => vec![Value::String(text.clone())],
        _ => Vec::new(),
    };
    found.extend(step.when.iter().flat_map(of_subject));
    found
}

fn of_subject(subject: &Subject) -> Option<Value> {
    let text = |text: &String| Some(Value::String(text.clone()));
    match subject {
        Subject::Facts { of: Thing::Stream(name) | Thing::Recording(name), .. } => text(name),
        Subject::Facts { .. } => None,
        Subject::Count(count) => match &count.of {
            Countable::FromDevice(pattern)
            | Countable::ToDevice(pattern)
            | Countable::Alarm(pattern) => Some(pattern.0.clone()),
            Countable::Note(like) | Countable::Log(like) => text(like),
            Countable::Order { like, .. } => text(like),
        },
    }
}
