//! How an expectation goes on from look to look, and when it is decided.

use std::time::Duration;

use super::format::Expect;
use super::judge::Look;

/// Most looks that are kept of an expectation that comes and goes.
const MAX_LOOKS: usize = 1000;

/// What became of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not decided yet.
    Open,
    /// It was met, at this time.
    Met(Duration),
    /// It was not, for this reason.
    Failed(Duration, String),
}

/// How an expectation goes on from look to look, judged by its times alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// Since when it has been so without a break.
    met: Option<Duration>,
    /// What there was instead at the last look.
    instead: String,
}

/// The looks at one expectation: of those that came to the same one after the other, the first and the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks(Vec<(Duration, Look)>);

impl Course {
    /// What is decided by a look at this time; `patience` is how long it may take.
    pub(super) fn go_on(
        &mut self,
        expect: &Expect,
        patience: Duration,
        since: Duration,
        now: Duration,
        look: &Look,
    ) -> Outcome {
        let passed = now.saturating_sub(since);
        if !look.met {
            self.instead.clone_from(&look.instead);
        }
        match (look.met, expect.hold) {
            (true, _) if expect.never => Outcome::Failed(now, "it was so".into()),
            (true, None) => met(expect, since, now),
            (true, Some(hold)) => {
                let from = *self.met.get_or_insert(now);
                if now.saturating_sub(from) >= hold {
                    met(expect, since, now)
                } else {
                    Outcome::Open
                }
            }
            (false, hold) if expect.never => {
                if passed < hold.unwrap_or(patience) {
                    Outcome::Open
                } else if look.unknown {
                    Outcome::Failed(now, look.instead.clone())
                } else {
                    Outcome::Met(now)
                }
            }
            (false, Some(_)) if self.met.is_some() => {
                let held = now.saturating_sub(self.met.unwrap_or(now)).as_secs_f64();
                Outcome::Failed(now, format!("it was so for {held:.1} s, then {}", self.instead))
            }
            (false, _) if passed > patience => {
                Outcome::Failed(now, format!("not within {patience:?}: {}", self.instead))
            }
            (false, _) => Outcome::Open,
        }
    }
}

/// What the last look of all decides.
pub(super) fn end(expect: &Expect, since: Duration, now: Duration, look: &Look) -> Outcome {
    if look.met == expect.never || expect.never && look.unknown {
        let why = if look.met { "it was so".to_owned() } else { look.instead.clone() };
        return Outcome::Failed(now, why);
    }
    if expect.never {
        return Outcome::Met(now);
    }
    if expect.hold.is_some() {
        let why = "the scenario ended before it was so for long enough";
        return Outcome::Failed(now, why.into());
    }
    met(expect, since, now)
}

impl Looks {
    /// Notes a look.
    pub(super) fn add(&mut self, at: Duration, look: Look) {
        let same = |before: &(Duration, Look)| before.1.met == look.met;
        if self.0.iter().rev().take(2).filter(|before| same(before)).count() == 2 {
            self.0.pop();
        }
        if self.0.len() < MAX_LOOKS {
            self.0.push((at, look));
        }
    }

    /// The looks with their times since the start.
    pub(super) fn all(&self) -> &[(Duration, Look)] {
        &self.0
    }
}

/// It is so, unless it came too soon.
fn met(expect: &Expect, since: Duration, now: Duration) -> Outcome {
    let (after, not_before) = (now.saturating_sub(since), expect.not_before);
    if after < not_before {
        let after = after.as_secs_f64();
        let why = format!("it was so after {after:.1} s already, not before {not_before:?}");
        return Outcome::Failed(now, why);
    }
    Outcome::Met(now)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::parse;

    /// An expectation with these keys.
    fn expect(keys: &str) -> Expect {
        let text =
            format!("name = 'x'\n[[expect]]\nname = 'x'\ndevice = {{ online = true }}\n{keys}");
        let scenario = parse(Path::new("x.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        scenario.expects.into_iter().next().unwrap()
    }

    /// What comes of looks at these tenths of a second, the end being one of them.
    fn outcome(keys: &str, looks: &[(u64, bool)]) -> Outcome {
        let (expect, mut course) = (expect(keys), Course::default());
        let time = |tenths: u64| Duration::from_millis(tenths * 100);
        let instead = |met: bool| if met { "" } else { "it rained" }.to_owned();
        let look = |met: bool| Look { met, unknown: false, instead: instead(met) };
        if !expect.at_end {
            for (at, met) in looks {
                let outcome =
                    course.go_on(&expect, expect.within, time(10), time(*at), &look(*met));
                if outcome != Outcome::Open {
                    return outcome;
                }
            }
        }
        let (at, met) = looks.last().unwrap();
        end(&expect, time(10), time(*at), &look(*met))
    }

    #[test]
    fn the_times_of_an_expectation_decide() {
        for (keys, looks, wants) in [
            ("", &[(10, false), (20, true)][..], None),
            (
                "within = '1s'",
                &[(10, false), (20, false), (21, false)],
                Some("not within 1s: it rained"),
            ),
            ("not_before = '2s'", &[(10, false), (29, true)], Some("after 1.9 s already")),
            ("not_before = '2s'", &[(10, false), (30, true)], None),
            ("for = '1s'", &[(15, true), (25, true)], None),
            ("for = '1s'", &[(15, true), (24, false)], Some("so for 0.9 s, then it rained")),
            ("for = '1s'", &[(15, true), (24, true)], Some("ended before")),
            ("never = true\nwithin = '1s'", &[(10, false), (20, false)], None),
            ("never = true\nwithin = '1s'", &[(10, false), (19, true)], Some("it was so")),
            (
                "never = true\nfor = '3s'\nwithin = '1s'",
                &[(20, false), (39, true)],
                Some("it was so"),
            ),
            ("never = true\nfor = '3s'", &[(20, false), (40, false)], None),
            ("at = 'end'", &[(10, true), (90, false)], Some("it rained")),
            ("at = 'end'", &[(10, false), (90, true)], None),
            ("at = 'end'\nnever = true", &[(90, true)], Some("it was so")),
            ("at = 'end'\nnever = true", &[(90, false)], None),
        ] {
            match (outcome(keys, looks), wants) {
                (Outcome::Met(_), None) => {}
                (Outcome::Failed(_, why), Some(wants)) if why.contains(wants) => {}
                (outcome, _) => panic!("{keys} {looks:?}: expected {wants:?}, got {outcome:?}"),
            }
        }
    }

    #[test]
    fn what_must_not_be_fails_where_it_cannot_be_told() {
        let second = Duration::from_secs;
        let lost = Look { met: false, unknown: true, instead: "1 more came".into() };
        let failed = Outcome::Failed(second(3), "1 more came".into());
        for keys in ["never = true\nwithin = '2s'", "never = true\nfor = '2s'"] {
            let (expect, mut course) = (expect(keys), Course::default());
            let mut at = |now| course.go_on(&expect, expect.within, second(1), second(now), &lost);
            assert_eq!((at(2), at(3)), (Outcome::Open, failed.clone()), "{keys}");
        }
        let at_end = expect("never = true\nat = 'end'");
        assert_eq!(end(&at_end, second(1), second(3), &lost), failed);
    }

    #[test]
    fn of_looks_that_are_the_same_the_first_and_the_last_are_kept() {
        let mut looks = Looks::default();
        let look = |met| Look { met, unknown: false, instead: String::new() };
        for (at, met) in
            [(1, false), (2, false), (3, false), (4, true), (5, false), (6, true), (7, true)]
        {
            looks.add(Duration::from_secs(at), look(met));
        }
        let kept: Vec<_> = looks.all().iter().map(|(at, look)| (at.as_secs(), look.met)).collect();
        assert_eq!(kept, [(1, false), (3, false), (4, true), (5, false), (6, true), (7, true)]);
        for at in 0..4 * MAX_LOOKS as u64 {
            looks.add(Duration::from_secs(at), look(at % 2 == 0));
        }
        assert_eq!(looks.all().len(), MAX_LOOKS);
    }
}
