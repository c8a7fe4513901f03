//! Times at which a line is cut.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dice::{share, stream};
use super::time::{Shown, WrongTime, parse_time};

/// Shortest period of an outage.
const LEAST_PERIOD: Duration = Duration::from_millis(100);

/// How a line is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// As a cable that is pulled: nothing goes through, connections stay, and go on once the line is healed, when TCP
    /// tries again. New connections hang.
    #[default]
    Hold,
    /// Connections are reset, and new ones are refused.
    Reset,
    /// Connections are forgotten: what either side sends is swallowed for ever, without FIN and RST. New ones hang.
    HalfOpen,
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Reset, Self::HalfOpen];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Reset => "reset",
            Self::HalfOpen => "half_open",
        }
    }
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|cut| cut.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is no way to cut a line: hold, reset and half_open are")
        })
    }
}

/// An outage, once or again and again. Times count from the moment at which the conditions were set. Written
/// `at=5s,for=2s` or `every=10m,for=30s,how=reset`; with `for=100ms..2s` each lasts another time, and begins at
/// another moment of its period, both drawn from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Outage {
    when: When,
    shortest: Duration,
    longest: Duration,
    how: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(Duration),
    Every(Duration),
}

/// The error for text that is no [`Outage`]; it names the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongOutage {
    /// A part that is not known, or is there twice.
    #[error(
        "`{0}`: expected every=TIME or at=TIME, for=TIME or for=TIME..TIME, and how=hold, reset or half_open, each once"
    )]
    Part(String),
    /// A time that cannot be read.
    #[error(transparent)]
    Time(#[from] WrongTime),
    /// A part that is needed and not there, or does not go with another.
    #[error("{0}")]
    Whole(&'static str),
}

impl Outage {
    /// One outage.
    pub fn once(at: Duration, lasts: Duration, how: Cut) -> Self {
        Self { when: When::At(at), shortest: lasts, longest: lasts, how }
    }

    /// How the line is cut at this moment, and when that changes next. `key` stands for the line and the number of
    /// this outage among its others.
    pub(super) fn at(
        &self,
        seed: u64,
        key: [u64; 2],
        now: Duration,
    ) -> (Option<Cut>, Option<Duration>) {
        let number = match self.when {
            When::At(_) => 0,
            When::Every(period) => now.as_nanos() / period.as_nanos().max(1),
        };
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        for number in [number, number.saturating_add(1)] {
            let Some((begin, end)) = self.occurrence(seed, key, number) else { continue };
            if now < begin {
                return (None, Some(begin));
            }
            if now < end {
                return (Some(self.how), Some(end));
            }
        }
        (None, None)
    }

    /// Begin and end of the outage with this number; `None` if there is none.
    fn occurrence(
        &self,
        seed: u64,
        [line, outage]: [u64; 2],
        number: u64,
    ) -> Option<(Duration, Duration)> {
        let mut dice = stream(seed, &[line, outage, number]);
        let lasts = self.shortest + (self.longest - self.shortest).mul_f64(share(&mut dice));
        let begin = match self.when {
            When::At(at) => (number == 0).then_some(at)?,
            When::Every(period) => {
                let begin = period.checked_mul(u32::try_from(number).ok()?)?;
                match self.shortest == self.longest {
                    true => (number > 0).then_some(begin)?,
                    false => begin + (period - lasts).mul_f64(share(&mut dice)),
                }
            }
        };
        Some((begin, begin + lasts))
    }
}

impl FromStr for Outage {
    type Err = WrongOutage;

    fn from_str(text: &str) -> Result<Self, WrongOutage> {
        let (mut when, mut lasts, mut how) = (None, None, None);
        for part in text.split(',') {
            let wrong = || WrongOutage::Part(part.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(wrong)?;
            match key {
                "at" if when.is_none() => when = Some(When::At(parse_time(value)?)),
                "every" if when.is_none() => when = Some(When::Every(parse_time(value)?)),
                "for" if lasts.is_none() => {
                    let (least, most) = value.split_once("..").unwrap_or((value, value));
                    lasts = Some((parse_time(least)?, parse_time(most)?));
                }
                "how" if how.is_none() => how = Some(value.parse().map_err(|_| wrong())?),
                _ => return Err(wrong()),
            }
        }
        let when = when.ok_or(WrongOutage::Whole("an outage needs at=TIME or every=TIME"))?;
        let (shortest, longest) = lasts.ok_or(WrongOutage::Whole("an outage needs for=TIME"))?;
        if longest < shortest || longest.is_zero() {
            return Err(WrongOutage::Whole(
                "for=TIME..TIME takes the shorter time first, and more than nothing",
            ));
        }
        if let When::Every(period) = when
            && (period < LEAST_PERIOD || period <= longest)
        {
            return Err(WrongOutage::Whole(
                "every=TIME is at least 100ms, and longer than for=TIME",
            ));
        }
        Ok(Self { when, shortest, longest, how: how.unwrap_or_default() })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::At(time) => write!(f, "at={}", Shown(time))?,
            When::Every(time) => write!(f, "every={}", Shown(time))?,
        }
        write!(f, ",for={}", Shown(self.shortest))?;
        if self.longest > self.shortest {
            write!(f, "..{}", Shown(self.longest))?;
        }
        if self.how != Cut::Hold {
            write!(f, ",how={}", self.how.name())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Outage {
    type Error = WrongOutage;

    fn try_from(text: String) -> Result<Self, WrongOutage> {
        text.parse()
    }
}

impl From<Outage> for String {
    fn from(outage: Outage) -> Self {
        outage.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u64; 2] = [1, 0];

    fn outage(text: &str) -> Outage {
        text.parse().unwrap()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn outages_are_written_as_they_are_read() {
        for text in [
            "at=5s,for=2s",
            "every=10m,for=30s",
            "every=1500ms,for=100ms..1s,how=half_open",
            "at=0ms,for=1h,how=reset",
        ] {
            assert_eq!(outage(text).to_string(), text);
        }
    }

    #[test]
    fn mistakes_name_their_part() {
        for (text, named) in [
            ("", "``"),
            ("every=10m", "for=TIME"),
            ("for=3s", "every=TIME"),
            ("every=1s,at=1s,for=1ms", "`at=1s`"),
            ("every=10,for=1s", "`10`"),
            ("every=10m,for=1s,how=explode", "`how=explode`"),
            ("every=1s,for=2s", "longer"),
            ("every=1ms,for=0.1ms", "0.1ms"),
            ("at=1s,for=2s..1s", "shorter"),
            ("at=1s,for=0s", "nothing"),
        ] {
            let error = text.parse::<Outage>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_fixed_outage_comes_at_its_times() {
        let every = outage("every=10m,for=30s");
        for (at, expected) in [
            (0, (None, Some(600))),
            (599, (None, Some(600))),
            (600, (Some(Cut::Hold), Some(630))),
            (630, (None, Some(1200))),
            (1229, (Some(Cut::Hold), Some(1230))),
        ] {
            let (cut, next) = every.at(42, KEY, seconds(at));
            assert_eq!((cut, next.map(|next| next.as_secs())), expected, "{at}");
        }
        let once = outage("at=5s,for=2s,how=reset");
        assert_eq!(once.at(1, KEY, seconds(6)), (Some(Cut::Reset), Some(seconds(7))));
        assert_eq!(once.at(1, KEY, seconds(7)), (None, None));
    }

    #[test]
    fn drawn_outages_stay_in_their_period_and_differ_by_seed() {
        let drawn = outage("every=40s,for=100ms..5s");
        let mut seen = Vec::new();
        for number in 0..50 {
            let (begin, end) = drawn.occurrence(42, KEY, number).unwrap();
            assert!(begin >= seconds(40 * number) && end <= seconds(40 * (number + 1)));
            assert!((100..=5000).contains(&(end - begin).as_millis()));
            assert_eq!(drawn.at(42, KEY, begin), (Some(Cut::Hold), Some(end)));
            assert_eq!(drawn.occurrence(42, KEY, number), Some((begin, end)));
            seen.push(begin - seconds(40 * number));
        }
        seen.sort();
        assert!(seen[45] - seen[5] > seconds(20), "{seen:?}");
        assert_ne!(drawn.occurrence(42, KEY, 3), drawn.occurrence(43, KEY, 3));
    }
}
