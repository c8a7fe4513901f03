//! Finds what can never come because of the order in which a scenario goes on.

use std::collections::HashSet;

use super::format::{Action, Scenario};
use super::values::BUILT_IN;

/// What waits for itself, each circle once: the line of one that is in it, and what it says.
pub(super) fn circles(scenario: &Scenario) -> Vec<(usize, String)> {
    let parts = parts(scenario);
    let mut possible = HashSet::new();
    loop {
        let before = possible.len();
        for (at, part) in parts.iter().enumerate() {
            if part.needs.iter().all(|need| possible.contains(need)) {
                possible.insert(at);
            }
        }
        if possible.len() == before {
            break;
        }
    }
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for start in (0..parts.len()).filter(|at| !possible.contains(at)) {
        let (mut at, mut way) = (start, Vec::new());
        while seen.insert(at) {
            way.push(at);
            // Something that is not possible needs something else that is not.
            let Some(next) = parts[at].needs.iter().find(|need| !possible.contains(need)) else {
                break;
            };
            at = *next;
        }
        if let Some(begin) = way.iter().position(|one| *one == at) {
            found.push(told(&parts, &way[begin..]));
        }
    }
    found
}

/// The number of the first step that may use a value that something saves; `None` for one that all may use.
pub(super) fn first_saved(scenario: &Scenario, name: &str) -> Option<usize> {
    let saves = |places: &[(String, String)]| places.iter().any(|(saved, _)| saved == name);
    if scenario.expects.iter().any(|expect| saves(&expect.save)) {
        return None;
    }
    // Every text of a raw step has its number, and all else is there from the begin.
    if name != "n" && BUILT_IN.contains(&name) {
        return None;
    }
    let first = scenario.steps.iter().position(|step| match &step.action {
        Action::Call { save, .. } => saves(save),
        Action::Raw { .. } => name == "n",
        _ => false,
    });
    match first {
        // A text knows its own number.
        Some(first) if name == "n" => Some(first),
        Some(first) => Some(first + 1),
        None => (name == "n").then_some(usize::MAX),
    }
}

/// A step or an expectation.
struct Part<'a> {
    line: usize,
    after: &'a [String],
    /// The numbers of those that come before it.
    needs: Vec<usize>,
}

/// All steps, then all expectations.
fn parts<'a>(scenario: &'a Scenario) -> Vec<Part<'a>> {
    let steps = scenario.steps.iter().map(|step| (step.line, &step.id, &step.after));
    let expects = scenario.expects.iter().map(|e| (e.line, &e.id, &e.after));
    let all: Vec<_> = steps.chain(expects).collect();
    let number = |event: &String| all.iter().position(|(_, id, _)| id.as_ref() == Some(event));
    let steps = scenario.steps.len();
    let at_end = |at: usize| at.checked_sub(steps).is_some_and(|at| scenario.expects[at].at_end);
    let part = |(at, (line, _, after)): (usize, &(usize, _, &'a Vec<String>))| {
        let before = at.checked_sub(1).filter(|_| at < steps);
        let needs = if at_end(at) {
            (0..all.len()).filter(|other| !at_end(*other)).collect()
        } else {
            after.iter().filter_map(number).chain(before).collect()
        };
        Part { line: *line, after, needs }
    };
    all.iter().enumerate().map(part).collect()
}

/// A circle, by the first of its lines that says what it comes after.
fn told(parts: &[Part<'_>], circle: &[usize]) -> (usize, String) {
    let says = |at: &&usize| !parts[**at].after.is_empty();
    let line = circle.iter().filter(says).map(|at| parts[*at].line).min().unwrap_or(1);
    let mut others: Vec<_> = circle.iter().map(|at| parts[*at].line).collect();
    others.sort_unstable();
    others.retain(|other| *other != line);
    let others: Vec<_> = others.iter().map(usize::to_string).collect();
    let what = "after: it waits for itself, and so it never happens";
    match others.is_empty() {
        true => (line, what.to_owned()),
        false => (line, format!("{what}: see line {}", others.join(", "))),
    }
}
