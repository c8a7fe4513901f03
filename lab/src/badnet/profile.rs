//! Lines as they are met in the field. The figures and where they come from are told in `docs/badnet.md`.

use std::fmt;
use std::str::FromStr;

use super::conditions::{Conditions, Shape, Way};
use crate::slip::{did_you_mean, nearest};

/// A line as it is met in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// No fault at all.
    Clean,
    /// A modem in a vehicle: a rate that sways, handovers, and now and then no coverage.
    Moving4g,
    /// A slow line: 512 kbit/s up, with a modem that queues for more than a second.
    Adsl512,
    /// A satellite far away: a round trip of 600 ms.
    Satellite,
    /// The last corner that the wireless network reaches: packets lost in bursts, a rate that collapses.
    WifiEdge,
    /// Somebody pulls the cable every ten minutes, for half a minute.
    CablePulled,
}

/// The error for a name that no profile has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile `{0}`: {list} are{1}", list = Profile::names().join(", "))]
pub struct UnknownProfile(String, String);

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Clean,
        Self::Moving4g,
        Self::Adsl512,
        Self::Satellite,
        Self::WifiEdge,
        Self::CablePulled,
    ];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Moving4g => "4g-moving",
            Self::Adsl512 => "adsl-512",
            Self::Satellite => "satellite",
            Self::WifiEdge => "wifi-edge",
            Self::CablePulled => "cable-pulled",
        }
    }

    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::name).collect()
    }

    /// What it is, in a line.
    pub fn what(self) -> &'static str {
        match self {
            Self::Clean => "no fault",
            Self::Moving4g => "4G in a vehicle: swaying rate, handovers, gaps in coverage",
            Self::Adsl512 => "ADSL, 512 kbit/s up, a queue of 1.2 s",
            Self::Satellite => "geostationary satellite, round trip 600 ms",
            Self::WifiEdge => "Wi-Fi at the edge: losses in bursts, rate that collapses",
            Self::CablePulled => "cable pulled for 30 s every 10 min",
        }
    }

    /// Its conditions.
    pub fn conditions(self) -> Conditions {
        let outage =
            |text: &str| text.parse().expect("the outage of a profile, which a test reads");
        match self {
            Self::Clean => Conditions::default(),
            Self::Moving4g => Conditions {
                up: Way {
                    delay_ms: 35,
                    jitter_ms: 100,
                    jitter: Shape::Pareto,
                    rate_kbit: 4000,
                    rate_low_kbit: 150,
                    queue_ms: 800,
                    loss: 0.001,
                    burst: 2.0,
                    ..Way::default()
                },
                down: Way {
                    delay_ms: 35,
                    jitter_ms: 60,
                    jitter: Shape::Pareto,
                    rate_kbit: 20_000,
                    rate_low_kbit: 1000,
                    queue_ms: 500,
                    loss: 0.001,
                    burst: 2.0,
                    ..Way::default()
                },
                outages: vec![outage("every=20s,for=30ms..300ms"), outage("every=2m,for=2s..12s")],
                ..Conditions::default()
            },
            Self::Adsl512 => Conditions {
                up: Way {
                    delay_ms: 20,
                    jitter_ms: 5,
                    rate_kbit: 512,
                    queue_ms: 1200,
                    ..Way::default()
                },
                down: Way {
                    delay_ms: 20,
                    jitter_ms: 5,
                    rate_kbit: 8000,
                    queue_ms: 200,
                    ..Way::default()
                },
                ..Conditions::default()
            },
            Self::Satellite => Conditions {
                up: Way {
                    delay_ms: 300,
                    jitter_ms: 40,
                    jitter: Shape::Normal,
                    rate_kbit: 3000,
                    queue_ms: 600,
                    loss: 0.0005,
                    ..Way::default()
                },
                down: Way {
                    delay_ms: 300,
                    jitter_ms: 40,
                    jitter: Shape::Normal,
                    rate_kbit: 20_000,
                    queue_ms: 600,
                    loss: 0.0005,
                    ..Way::default()
                },
                ..Conditions::default()
            },
            Self::WifiEdge => {
                let way = Way {
                    delay_ms: 3,
                    jitter_ms: 120,
                    jitter: Shape::Pareto,
                    rate_kbit: 6000,
                    rate_low_kbit: 300,
                    queue_ms: 400,
                    loss: 0.02,
                    burst: 5.0,
                    duplicate: 0.001,
                    reorder: 0.002,
                    ..Way::default()
                };
                Conditions {
                    outages: vec![outage("every=1m,for=200ms..3s")],
                    ..Conditions::both(way)
                }
            }
            Self::CablePulled => Conditions {
                outages: vec![outage("every=10m,for=30s")],
                ..Conditions::both(Way { delay_ms: 5, ..Way::default() })
            },
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == text);
        found.ok_or_else(|| {
            let near = did_you_mean(nearest(text, Self::names()));
            UnknownProfile(text.to_owned(), near)
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_a_line_and_is_found_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(profile.conditions().check(), Ok(()), "{profile}");
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        let error = "adls-512".parse::<Profile>().unwrap_err().to_string();
        assert!(
            error.contains("did you mean `adsl-512`?") && error.contains("satellite"),
            "{error}"
        );
        assert!(!"carrier pigeon".parse::<Profile>().unwrap_err().to_string().contains("mean"));
    }
}
