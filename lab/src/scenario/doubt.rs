//! Whether an expectation can fail: it is changed in one place, and judged again by what was seen. A change that is not
//! noticed shows an expectation that says less than it seems to.

use std::time::Duration;

use ivt_proto::rpc::RpcError;
use serde_json::{Value, json};

use super::answer::judged;
use super::course::{Course, Looks, Outcome, end};
use super::format::{Count, Countable, Expect, Is, Subject, Wanted};
use super::judge::Judge;
use super::pattern::{Bound, Pattern};
use super::watch::Watch;

/// A text that no device sends.
const NOWHERE: &str = "nowhere to be found";

/// One change, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The line of the expectation or of the step.
    pub(super) line: usize,
    /// What was expected, in words.
    pub(super) name: String,
    /// What was changed.
    pub(super) change: String,
    /// Why the changed one fails; `None` where it does not.
    pub(super) told: Option<String>,
}

impl Doubt {
    pub(super) fn new(place: (usize, &str), change: String, told: Option<String>) -> Self {
        Self { line: place.0, name: place.1.to_owned(), change, told }
    }
}

/// Changes what is looked at, and judges each change by all that the judge had before it.
pub(super) fn of_subject(place: (usize, &str), judge: &Judge, watch: &Watch) -> Vec<Doubt> {
    let Some(whole) = judge.whole(watch) else { return Vec::new() };
    let seen = match judge.subject() {
        Subject::Count(count) => judge.number(&count.of, &whole),
        Subject::Facts { .. } => 0,
    };
    let changes = changes(judge.subject(), seen).into_iter();
    let doubts = changes.map(|(change, subject)| {
        let look = Judge::new(subject, judge.from()).weigh(&whole);
        Doubt::new(place, change, (!look.met).then_some(look.instead))
    });
    doubts.collect()
}

/// Changes the times of an expectation that was met, and goes through its looks again.
pub(super) fn of_times(expect: &Expect, since: Duration, looks: &Looks) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut doubt = |change: String, changed: Expect| {
        let told = match again(&changed, since, looks) {
            Outcome::Failed(_, why) => Some(why),
            Outcome::Met(_) | Outcome::Open => None,
        };
        doubts.push(Doubt::new((expect.line, &expect.name), change, told));
    };
    let never = !expect.never;
    // Whenever it is so, it must not be: no time of the expectation ends that early.
    let turned = Expect { never, hold: None, within: Duration::MAX, ..expect.clone() };
    doubt(format!("never = {never}"), turned);
    let first = looks.all().iter().find(|(_, look)| look.met).map(|(at, _)| *at);
    let (Some(first), Some((last, _))) = (first, looks.all().last()) else { return doubts };
    if expect.at_end || expect.never {
        return doubts;
    }
    let before = looks.all().iter().rfind(|(at, look)| !look.met && *at < first);
    let waited = before.map_or(Duration::ZERO, |(at, _)| at.saturating_sub(since));
    if waited > Duration::ZERO {
        // Whole milliseconds are told.
        let within = Duration::from_millis(u64::try_from(waited.as_millis() / 2).unwrap_or(0));
        doubt(format!("within = {within:.1?}"), Expect { within, ..expect.clone() });
    }
    if expect.not_before > Duration::ZERO {
        let not_before = last.saturating_sub(since) + Duration::from_secs(1);
        doubt(format!("not_before = {not_before:.1?}"), Expect { not_before, ..expect.clone() });
    }
    if expect.hold.is_some() {
        let hold = last.saturating_sub(first) + Duration::from_secs(1);
        doubt(format!("for = {hold:.1?}"), Expect { hold: Some(hold), ..expect.clone() });
    }
    doubts
}

/// Changes what a call has to be answered with, and judges each change by the answer that came.
pub(super) fn of_outcome(
    place: (usize, &str),
    wanted: &Wanted,
    answer: &Result<Value, RpcError>,
) -> Vec<Doubt> {
    let each = |pattern: &Pattern, name: &str, of: fn(Pattern) -> Wanted| {
        let leaves = leaves(&pattern.0).into_iter();
        leaves.map(|(what, to)| (format!("{name}{what}"), of(Pattern(to)))).collect()
    };
    let an_error = ("an error".to_owned(), Wanted::Error(Pattern(json!("*"))));
    let an_answer = ("an answer".to_owned(), Wanted::Answer(None));
    let mut changed: Vec<_> = match wanted {
        Wanted::Answer(None) => Vec::new(),
        Wanted::Answer(Some(pattern)) => {
            each(pattern, "answer", |pattern| Wanted::Answer(Some(pattern)))
        }
        Wanted::Error(pattern) => each(pattern, "error", Wanted::Error),
    };
    changed.push(if matches!(wanted, Wanted::Answer(_)) { an_error } else { an_answer });
    let doubts = changed.into_iter().map(|(change, wanted)| {
        let told = judged(&wanted, answer).err();
        Doubt::new(place, change, told)
    });
    doubts.collect()
}

/// The subject with each of its claims changed, one at a time. `seen` things were counted.
pub(super) fn changes(subject: &Subject, seen: usize) -> Vec<(String, Subject)> {
    let count = match subject {
        Subject::Count(count) => count,
        Subject::Facts { of, clauses } => {
            let changed = clauses.iter().enumerate().map(|(number, clause)| {
                let mut clauses = clauses.clone();
                let is = &mut clauses[number].wanted;
                let change = match is {
                    Is::Number(bound) => {
                        *bound = bound.turned();
                        format!("{} {bound}", clause.name)
                    }
                    Is::Text(text) => {
                        *text = NOWHERE.into();
                        format!("{} = {NOWHERE:?}", clause.name)
                    }
                    Is::Flag(flag) => {
                        *flag = !*flag;
                        format!("{} = {flag}", clause.name)
                    }
                };
                (change, Subject::Facts { of: of.clone(), clauses })
            });
            return changed.collect();
        }
    };
    let turned = Count { count: count.count.turned(), ..count.clone() };
    let mut changed = vec![(format!("count {}", turned.count), turned)];
    // With the number that was seen, a pattern that finds less is noticed whatever the bound is. Where nothing was seen,
    // only a wider pattern can tell that things are looked at.
    let fixed = |of: Countable| Count { of, count: Bound::exactly(seen as f64), ..count.clone() };
    if seen > 0 {
        changed.extend(strangers(&count.of).into_iter().map(|(change, of)| (change, fixed(of))));
    } else {
        let any = Count { of: any(&count.of), ..count.clone() };
        changed.push(("any pattern".to_owned(), any));
    }
    if count.rising.is_some() {
        let rising = Some(format!("/{NOWHERE}"));
        changed.push((format!("rising = \"/{NOWHERE}\""), Count { rising, ..count.clone() }));
    }
    if let Some(spacing) = count.spacing {
        let spacing = spacing.turned();
        let change = format!("spacing_seconds {spacing}");
        changed.push((change, Count { spacing: Some(spacing), ..count.clone() }));
    }
    changed.into_iter().map(|(change, count)| (change, Subject::Count(count))).collect()
}

/// What is counted, with a pattern that nothing is like in each of its places.
fn strangers(of: &Countable) -> Vec<(String, Countable)> {
    let each = |pattern: &Pattern, name: &str, of: fn(Pattern) -> Countable| {
        let leaves = leaves(&pattern.0).into_iter();
        leaves.map(|(what, to)| (format!("{name}{what}"), of(Pattern(to)))).collect()
    };
    let one = |name: &str, of: Countable| vec![(format!("{name} = {NOWHERE:?}"), of)];
    match of {
        Countable::FromDevice(pattern) => each(pattern, "packet", Countable::FromDevice),
        Countable::ToDevice(pattern) => each(pattern, "packet", Countable::ToDevice),
        Countable::Alarm(pattern) => each(pattern, "alarm", Countable::Alarm),
        Countable::Note(_) => one("note", Countable::Note(NOWHERE.into())),
        Countable::Log(_) => one("log", Countable::Log(NOWHERE.into())),
        Countable::Order { number, .. } => {
            one("order", Countable::Order { number: *number, like: NOWHERE.into() })
        }
    }
}

/// What is counted, whatever it is like.
fn any(of: &Countable) -> Countable {
    let all = || Pattern(json!({}));
    match of {
        Countable::FromDevice(_) => Countable::FromDevice(all()),
        Countable::ToDevice(_) => Countable::ToDevice(all()),
        Countable::Alarm(_) => Countable::Alarm(all()),
        Countable::Note(_) => Countable::Note("*".into()),
        Countable::Log(_) => Countable::Log("*".into()),
        Countable::Order { number, .. } => Countable::Order { number: *number, like: "*".into() },
    }
}

/// The value with each of its leaves changed, one at a time, and which one it is.
fn leaves(value: &Value) -> Vec<(String, Value)> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), member)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    if inner.is_empty() {
        return vec![(format!(" = {NOWHERE:?}"), NOWHERE.into())];
    }
    let mut changed = Vec::new();
    for (name, part) in inner {
        for (what, to) in leaves(part) {
            let mut whole = value.clone();
            match &mut whole {
                Value::Array(items) => {
                    let place = name.parse().ok().and_then(|n: usize| items.get_mut(n));
                    place.into_iter().for_each(|place| *place = to.clone());
                }
                other => other[&name] = to,
            }
            changed.push((format!("/{name}{what}"), whole));
        }
    }
    changed
}

/// What becomes of an expectation with other times, by the looks of before.
fn again(expect: &Expect, since: Duration, looks: &Looks) -> Outcome {
    let mut course = Course::default();
    if !expect.at_end {
        for (at, look) in looks.all() {
            let outcome = course.go_on(expect, expect.within, since, *at, look);
            if outcome != Outcome::Open {
                return outcome;
            }
        }
    }
    match looks.all().last() {
        Some((at, look)) => end(expect, since, *at, look),
        None => Outcome::Open,
    }
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
