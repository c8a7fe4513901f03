//! What a line does to what goes over it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outage::Outage;

/// Longest delay, jitter or queue, in milliseconds.
const MOST_MS: u32 = 60_000;
/// Highest rate, in kbit/s.
const MOST_KBIT: u32 = 10_000_000;
/// Largest share of lost packets: with all of them lost a line is cut.
const MOST_LOST: f64 = 0.9;
/// Longest mean burst of lost packets.
const MOST_BURST: f64 = 1000.0;
/// Most outages of a line.
const MOST_OUTAGES: usize = 32;
/// Shortest time after which TCP sends again, as Linux has it; RFC 6298 asks for a second.
const LEAST_RETRY: Duration = Duration::from_millis(200);

/// What a line does to what goes over it. The default is a perfect line. Also the JSON of the API and the TOML of
/// scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Conditions {
    /// From the side that calls to the side that is called.
    pub up: Way,
    /// Back.
    pub down: Way,
    /// What becomes of new connections.
    pub connect: Connect,
    /// When the line is cut.
    pub outages: Vec<Outage>,
}

/// One direction of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Way {
    /// Milliseconds that everything takes.
    pub delay_ms: u32,
    /// Milliseconds that something may take beyond that.
    pub jitter_ms: u32,
    /// How the jitter is distributed.
    pub jitter: Shape,
    /// Thousands of bits per second; 0 is no limit.
    pub rate_kbit: u32,
    /// Lowest rate: each second has its own between this and `rate_kbit`. 0 for a steady rate.
    pub rate_low_kbit: u32,
    /// Milliseconds that bytes may wait for their turn at the rate. A TCP sender is slowed down beyond that; packets of
    /// UDP are lost.
    pub queue_ms: u32,
    /// Share of lost packets, from 0 to 0.9. What comes behind a lost packet of TCP waits until it is sent again.
    pub loss: f64,
    /// Mean number of packets that are lost one after the other, at least 1.
    pub burst: f64,
    /// Share of packets at which a TCP connection is reset.
    pub reset: f64,
    /// Share of packets at which a TCP connection is forgotten, without FIN and RST.
    pub half_open: f64,
    /// Share of UDP packets that come twice.
    pub duplicate: f64,
    /// Share of UDP packets that are overtaken by others.
    pub reorder: f64,
}

/// How jitter is distributed, from 0 to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// All times are as likely.
    #[default]
    Uniform,
    /// Most times are about the middle.
    Normal,
    /// Most times are short, and few are long.
    Pareto,
}

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connect {
    /// They are accepted.
    #[default]
    Accept,
    /// They are refused at once.
    Refuse,
    /// They hang: nothing answers.
    BlackHole,
}

/// The error for conditions that no line can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: expected {expected}")]
pub struct WrongConditions {
    field: String,
    value: String,
    expected: String,
}

impl WrongConditions {
    /// The key: `up.loss`.
    pub(super) fn field(&self) -> &str {
        &self.field
    }
}

impl Default for Way {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            jitter_ms: 0,
            jitter: Shape::Uniform,
            rate_kbit: 0,
            rate_low_kbit: 0,
            queue_ms: 300,
            loss: 0.0,
            burst: 1.0,
            reset: 0.0,
            half_open: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
        }
    }
}

impl Conditions {
    /// The same for both directions.
    pub fn both(way: Way) -> Self {
        Self { up: way.clone(), down: way, ..Self::default() }
    }

    /// Checks that a line can be so.
    ///
    /// # Errors
    /// When a number is out of its range; the error names it.
    pub fn check(&self) -> Result<(), WrongConditions> {
        self.up.check("up")?;
        self.down.check("down")?;
        if self.outages.len() > MOST_OUTAGES {
            let expected = format!("{MOST_OUTAGES} outages at most");
            return Err(wrong("outages", &self.outages.len(), expected));
        }
        Ok(())
    }

    /// Time from a packet to its answer.
    pub(super) fn round_trip(&self) -> Duration {
        self.up.delay() + self.down.delay()
    }

    /// Time after which TCP sends a packet again that was not acknowledged: the round trip and four times its
    /// variation, as in RFC 6298.
    pub(super) fn retry(&self) -> Duration {
        let jitter = Duration::from_millis((self.up.jitter_ms + self.down.jitter_ms).into());
        // The mean deviation of a uniform jitter is a quarter of its range, so that four of them are all of it.
        (self.round_trip() + jitter).max(LEAST_RETRY)
    }
}

impl Way {
    /// The delay that everything has.
    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.into())
    }

    /// The longest time in the queue.
    pub(super) fn queue(&self) -> Duration {
        Duration::from_millis(self.queue_ms.into())
    }

    fn check(&self, way: &str) -> Result<(), WrongConditions> {
        let field = |name: &str| format!("{way}.{name}");
        for (name, ms) in [
            ("delay_ms", self.delay_ms),
            ("jitter_ms", self.jitter_ms),
            ("queue_ms", self.queue_ms),
        ] {
            if ms > MOST_MS {
                return Err(wrong(&field(name), &ms, format!("{MOST_MS} at most")));
            }
        }
        if self.rate_kbit > MOST_KBIT {
            return Err(wrong(
                &field("rate_kbit"),
                &self.rate_kbit,
                format!("{MOST_KBIT} at most, or 0 for no limit"),
            ));
        }
        if self.rate_low_kbit > self.rate_kbit {
            let expected = format!("rate_kbit at most, which is {}", self.rate_kbit);
            return Err(wrong(&field("rate_low_kbit"), &self.rate_low_kbit, expected));
        }
        let shares = [
            ("loss", self.loss, 0.0, MOST_LOST),
            ("burst", self.burst, 1.0, MOST_BURST),
            ("reset", self.reset, 0.0, 1.0),
            ("half_open", self.half_open, 0.0, 1.0),
            ("duplicate", self.duplicate, 0.0, 1.0),
            ("reorder", self.reorder, 0.0, 1.0),
        ];
        for (name, number, least, most) in shares {
            if !(least..=most).contains(&number) {
                return Err(wrong(
                    &field(name),
                    &number,
                    format!("a number from {least} to {most}"),
                ));
            }
        }
        Ok(())
    }
}

fn wrong(field: &str, value: &dyn ToString, expected: String) -> WrongConditions {
    WrongConditions { field: field.to_owned(), value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_json_with_every_field_left_out_as_one_likes() {
        assert_eq!(serde_json::from_str::<Conditions>("{}").unwrap(), Conditions::default());
        let text =
            r#"{"up":{"rate_kbit":512},"connect":"black_hole","outages":["every=10m,for=30s"]}"#;
        let some: Conditions = serde_json::from_str(text).unwrap();
        assert_eq!(
            (some.up.rate_kbit, some.up.queue_ms, some.connect),
            (512, 300, Connect::BlackHole)
        );
        let again = serde_json::to_string(&some).unwrap();
        assert_eq!(serde_json::from_str::<Conditions>(&again).unwrap(), some);
        for wrong in [r#"{"left":{}}"#, r#"{"up":{"rate":5}}"#, r#"{"outages":["sometimes"]}"#] {
            assert!(serde_json::from_str::<Conditions>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (way, named) in [
            (r#"{"delay_ms":60001}"#, "up.delay_ms is 60001: expected 60000 at most"),
            (r#"{"jitter_ms":4000000000}"#, "up.jitter_ms"),
            (r#"{"queue_ms":60001}"#, "up.queue_ms"),
            (r#"{"rate_kbit":10000001}"#, "up.rate_kbit"),
            (r#"{"rate_kbit":5,"rate_low_kbit":6}"#, "rate_kbit at most, which is 5"),
            (r#"{"loss":0.91}"#, "up.loss is 0.91: expected a number from 0 to 0.9"),
            (r#"{"loss":-0.1}"#, "up.loss"),
            (r#"{"burst":0.5}"#, "up.burst"),
            (r#"{"reset":1.5}"#, "up.reset"),
            (r#"{"half_open":2}"#, "up.half_open"),
            (r#"{"duplicate":2}"#, "up.duplicate"),
            (r#"{"reorder":2}"#, "up.reorder"),
        ] {
            let up: Way = serde_json::from_str(way).unwrap();
            let error = Conditions { up, ..Conditions::default() }.check().unwrap_err().to_string();
            assert!(error.contains(named), "{way}: {error}");
        }
        let nan = Way { loss: f64::NAN, ..Way::default() };
        assert!(Conditions { down: nan, ..Conditions::default() }.check().is_err());
        let outages = vec!["at=1s,for=1s".parse().unwrap(); MOST_OUTAGES + 1];
        assert!(Conditions { outages, ..Conditions::default() }.check().is_err());
        assert_eq!(Conditions::default().check(), Ok(()));
    }
}
