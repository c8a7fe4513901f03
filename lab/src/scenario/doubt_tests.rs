//! Every expectation of every scenario that ships can fail: facts are made up that fulfil it, and each change of it is
//! told as not fulfilled, with what was expected and seen.

use std::sync::Arc;

use ivt_sim::cloud::{Direction, Packet};

use super::super::facts::Fact;
use super::super::format::{Action, Scenario, Step};
use super::super::judge::{Gathered, Look};
use super::super::pattern::like;
use super::super::read::read;
use super::super::watch::Seen;
use super::*;

fn shipped() -> Vec<Scenario> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| read(&file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// The first number that holds, and for a bound from above the last whole one.
fn number(bound: Bound) -> f64 {
    let held = |n: &f64| bound.holds(*n);
    let first = (0..400_000).map(|n| f64::from(n) / 2.0).find(held).unwrap();
    if bound.is_upper() { (0..10).rev().map(f64::from).find(held).unwrap_or(first) } else { first }
}

fn text(pattern: &str) -> String {
    pattern.replace('*', "x")
}

/// A value that the pattern fits; `None` for one that must not be there.
fn example(pattern: &Value) -> Option<Value> {
    Some(match pattern {
        Value::String(text) if text == "!*" => return None,
        Value::String(text) if text.starts_with('!') => json!("another"),
        Value::String(text) => match text.parse::<Bound>() {
            Ok(bound) => json!(number(bound)),
            Err(_) => json!(self::text(text)),
        },
        Value::Object(members) => members
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), example(member)?)))
            .collect(),
        Value::Array(items) => items.iter().filter_map(example).collect(),
        other => other.clone(),
    })
}

fn seen(at: Duration, direction: Direction, text: String) -> Seen {
    let json = serde_json::from_str(&text).ok().map(Arc::new);
    let packet = Arc::new(Packet { number: 1, time_ms: 0, direction, text });
    Seen { at, packet, json }
}

/// Facts that fulfil the subject, and things beside them that have nothing to do with it.
fn fulfilling(subject: &Subject) -> Gathered {
    let count = match subject {
        Subject::Facts { clauses, .. } => {
            let facts = clauses.iter().map(|clause| {
                let fact = match &clause.wanted {
                    Is::Number(bound) => Fact::Number(number(*bound)),
                    Is::Text(pattern) => Fact::Text(text(pattern)),
                    Is::Flag(flag) => Fact::Flag(*flag),
                };
                (clause.name, Some(fact))
            });
            return Gathered::Facts(facts.collect());
        }
        Subject::Count(count) => count,
    };
    let (many, spacing) = (number(count.count) as usize, count.spacing.map_or(1.0, number));
    // Order and distance are those of two at least.
    let many = if count.rising.is_some() || count.spacing.is_some() { many.max(2) } else { many };
    let at = |n: usize| Duration::from_secs_f64(n as f64 * spacing);
    let packets = |pattern: &Pattern, direction| {
        let each = (1..=many).map(|n| {
            let mut packet = example(&pattern.0).unwrap();
            if let Some(place) = &count.rising {
                packet[place.trim_start_matches('/')] = json!(n);
            }
            seen(at(n), direction, packet.to_string())
        });
        let stranger = |direction| seen(at(0), direction, "{\"stranger\": 1}".into());
        let strangers = [Direction::FromDevice, Direction::ToDevice].map(stranger);
        Gathered::Packets(strangers.into_iter().chain(each).collect(), 0)
    };
    let lines = |pattern: &str| -> Vec<_> {
        let each = (1..=many).map(|n| (at(n), text(pattern)));
        std::iter::once((at(0), "a stranger".to_owned())).chain(each).collect()
    };
    match &count.of {
        Countable::FromDevice(pattern) => packets(pattern, Direction::FromDevice),
        Countable::ToDevice(pattern) => packets(pattern, Direction::ToDevice),
        Countable::Note(pattern) => {
            let notes =
                lines(pattern).into_iter().map(|(at, line)| seen(at, Direction::Note, line));
            Gathered::Packets(notes.collect(), 0)
        }
        Countable::Alarm(pattern) => {
            let each = (1..=many).map(|n| (at(n), example(&pattern.0).unwrap()));
            let stranger = std::iter::once((at(0), json!({ "stranger": 1 })));
            Gathered::Alarms(stranger.chain(each).collect(), 0)
        }
        Countable::Order { like, .. } => Gathered::Orders(lines(like), 0),
        Countable::Log(like) => Gathered::Log(lines(like), 0),
    }
}

fn look(subject: &Subject, facts: &Gathered) -> (Look, usize) {
    let mut judge = Judge::new(subject.clone(), Duration::ZERO);
    let look = judge.weigh(facts);
    let seen = match subject {
        Subject::Count(count) => judge.number(&count.of, facts),
        Subject::Facts { .. } => 0,
    };
    (look, seen)
}

/// What is claimed in so many words: a clause, a bound, a leaf of a pattern.
fn claims(subject: &Subject) -> usize {
    fn leaves(value: &Value) -> usize {
        match value {
            Value::Object(members) if !members.is_empty() => members.values().map(leaves).sum(),
            Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
            _ => 1,
        }
    }
    match subject {
        Subject::Facts { clauses, .. } => clauses.len(),
        Subject::Count(count) => {
            let pattern = match &count.of {
                Countable::FromDevice(pattern)
                | Countable::ToDevice(pattern)
                | Countable::Alarm(pattern) => leaves(&pattern.0),
                _ => 1,
            };
            // A pattern of nothing is changed as a whole.
            let pattern =
                if count.count.holds(0.0) && !count.count.holds(1.0) { 1 } else { pattern };
            1 + pattern + usize::from(count.rising.is_some()) + usize::from(count.spacing.is_some())
        }
    }
}

/// Every subject of an expectation or of what a step waits for, with its place.
fn subjects(scenario: &Scenario) -> Vec<(String, Subject)> {
    let place = |line: usize| format!("{}:{line}", scenario.id());
    let expects = scenario.expects.iter().map(|e| (place(e.line), e.subject.clone()));
    let waits = |step: &Step| Some((place(step.line), step.when.clone()?));
    expects.chain(scenario.steps.iter().filter_map(waits)).collect()
}

#[test]
fn each_claim_of_each_scenario_that_ships_can_fail() {
    let mut tried = 0;
    for scenario in shipped() {
        for (place, subject) in subjects(&scenario) {
            let facts = fulfilling(&subject);
            let (met, seen) = look(&subject, &facts);
            assert!(met.met, "{place}: made-up facts do not fulfil it: {}", met.instead);
            let changes = changes(&subject, seen);
            assert_eq!(changes.len(), claims(&subject), "{place}: {changes:?}");
            for (change, changed) in changes {
                let (look, _) = look(&changed, &facts);
                assert!(!look.met, "{place}: it passes with {change} as well");
                let told = &look.instead;
                let tells = ["expected", " after ", "from one to the next"];
                assert!(tells.iter().any(|word| told.contains(word)), "{place}: {change}: {told}");
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried} changes were tried");
}

#[test]
fn each_time_of_each_scenario_that_ships_can_fail() {
    for scenario in shipped() {
        for expect in &scenario.expects {
            let (mut looks, since) = (Looks::default(), Duration::from_secs(100));
            let unmet = || Look { met: false, unknown: false, instead: "something else".into() };
            let met = || Look { met: true, unknown: false, instead: String::new() };
            // Later than it has to stay so: "not for 5 s" is true of the time before.
            let hold = expect.hold.map_or(Duration::ZERO, |hold| hold + Duration::from_secs(1));
            let soon = expect.not_before.max(hold).max(Duration::from_millis(500));
            for (at, look) in [
                (Duration::ZERO, unmet()),
                (soon / 2, unmet()),
                (soon, met()),
                (soon + expect.hold.unwrap_or_default(), met()),
            ] {
                looks.add(since + at, look);
            }
            let place = format!("{}:{}", scenario.id(), expect.line);
            assert!(matches!(again(expect, since, &looks), Outcome::Met(_)), "{place}");
            let doubts = of_times(expect, since, &looks);
            let wants = match expect.at_end {
                true => 1,
                false => {
                    let not_before = usize::from(!expect.not_before.is_zero());
                    2 + not_before + usize::from(expect.hold.is_some())
                }
            };
            assert_eq!(doubts.len(), wants, "{place}: {doubts:?}");
            for doubt in doubts {
                let told = doubt.told.unwrap_or_default();
                let tells = ["it was so", "not within", "not before", "long enough"];
                assert!(
                    tells.iter().any(|word| told.contains(word)),
                    "{place}: {}: {told}",
                    doubt.change
                );
            }
        }
    }
}

#[test]
fn each_answer_that_a_scenario_wants_can_fail() {
    let mut tried = 0;
    for scenario in shipped() {
        for step in &scenario.steps {
            let Action::Call { outcome, method, .. } = &step.action else { continue };
            let answer = match outcome {
                Wanted::Answer(None) => Ok(json!({})),
                Wanted::Answer(Some(pattern)) => Ok(example(&pattern.0).unwrap()),
                Wanted::Error(pattern) => {
                    let whole = pattern.0.is_object().then(|| example(&pattern.0).unwrap());
                    let code = whole.as_ref().map_or(&pattern.0, |whole| &whole["code"]);
                    let msg = whole.as_ref().and_then(|whole| whole["msg"].as_str());
                    Err(RpcError::new(code.as_i64().unwrap_or(1), msg.unwrap_or("so")))
                }
            };
            assert!(judged(outcome, &answer).is_ok(), "{}:{}", scenario.id(), step.line);
            for doubt in of_outcome((step.line, method), outcome, &answer) {
                let told = doubt.told.unwrap_or_default();
                assert!(told.contains("expected"), "{}:{}: {told}", scenario.id(), step.line);
                tried += 1;
            }
        }
    }
    assert!(tried > 30, "{tried} changes were tried");
}

#[test]
fn a_change_that_is_not_noticed_is_told() {
    let count = |of, count: &str, rising: Option<&str>| {
        let rising = rising.map(str::to_owned);
        Subject::Count(Count { of, count: count.parse().unwrap(), rising, spacing: None })
    };
    let packets = |texts: &[&str]| {
        let seen = |text: &&str| seen(Duration::ZERO, Direction::FromDevice, (*text).to_owned());
        Gathered::Packets(texts.iter().map(seen).collect(), 0)
    };
    let pattern = || Countable::FromDevice(Pattern(json!({ "req": "Keepalive" })));
    let silent = |subject: &Subject, facts: &Gathered| -> Vec<String> {
        let (met, seen) = look(subject, facts);
        assert!(met.met, "{}", met.instead);
        let changes = changes(subject, seen).into_iter();
        changes.filter(|(_, changed)| look(changed, facts).0.met).map(|(what, _)| what).collect()
    };
    // The order of one thing says nothing.
    let one = packets(&["{\"req\":\"Keepalive\",\"seq\":1}"]);
    let rising = silent(&count(pattern(), ">= 1", Some("/seq")), &one);
    assert_eq!(rising, [format!("rising = \"/{NOWHERE}\"")]);
    // A slip in a pattern that must not be seen often is noticed by that nothing was seen.
    let few = count(Countable::FromDevice(Pattern(json!({ "req": "Kepalive" }))), "<= 4", None);
    assert_eq!(silent(&few, &one), ["any pattern"]);
    assert!(silent(&count(pattern(), "<= 4", None), &one).is_empty());
    assert!(!like(NOWHERE, "Keepalive"));
}
