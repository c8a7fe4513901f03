//! What ONVIF cameras of the field do against the specification, on request. They can be switched while the
//! camera runs.

use std::str::FromStr;

use crate::camera::switches;

/// One way in which ONVIF cameras depart from the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// The clock is 20 years behind.
    OtherYear,
    /// The time that is told as UTC is local time, 8 hours ahead; logins are compared with the right one.
    LocalTime,
    /// Asking for the time needs the login.
    ClockLocked,
    /// Addresses in answers name a host that nobody can reach.
    Unreachable,
    /// All services but that of the device are on another port.
    OtherPort,
    /// GetServices is not supported.
    NoServices,
    /// ContinuousMove with a `Timeout` is refused.
    TimeoutRefused,
    /// The `Timeout` of ContinuousMove is ignored: the camera moves on.
    TimeoutIgnored,
    /// Velocities go from -100 to 100.
    WideVelocity,
    /// The ranges of velocities are told as infinite.
    InfiniteVelocity,
    /// Pan and tilt together with zoom in one move are refused.
    OneAxis,
    /// Stop is not supported.
    StopFaults,
    /// Stop is refused without both flags.
    StopBoth,
    /// Requests that name an action in the header of the envelope, such as `…/Stop`, are refused by the PTZ
    /// service.
    ActionRefused,
    /// Only the profile of the sub stream has PTZ.
    PtzElsewhere,
    /// The camera has no PTZ at all.
    NoPtz,
    /// Faults come with HTTP 200.
    Fault200,
    /// Names have other prefixes than usual.
    Letters,
    /// Names have no prefixes.
    Bare,
    /// Only HTTP Digest is taken as a login.
    DigestOnly,
    /// Only WS-Security is taken as a login; no challenge comes.
    WsseOnly,
    /// The address of the snapshot is empty.
    NoSnapshot,
    /// Asking for the address of the snapshot is a fault.
    SnapshotFaults,
}

/// The error for a name that no quirk has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no ONVIF quirk `{0}`: --onvif-quirks lists them")]
pub struct UnknownQuirk(String);

impl Quirk {
    /// All quirks.
    pub const ALL: [Self; 23] = [
        Self::OtherYear,
        Self::LocalTime,
        Self::ClockLocked,
        Self::Unreachable,
        Self::OtherPort,
        Self::NoServices,
        Self::TimeoutRefused,
        Self::TimeoutIgnored,
        Self::WideVelocity,
        Self::InfiniteVelocity,
        Self::OneAxis,
        Self::StopFaults,
        Self::StopBoth,
        Self::ActionRefused,
        Self::PtzElsewhere,
        Self::NoPtz,
        Self::Fault200,
        Self::Letters,
        Self::Bare,
        Self::DigestOnly,
        Self::WsseOnly,
        Self::NoSnapshot,
        Self::SnapshotFaults,
    ];

    /// Name on the command line and in the API.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The public report of a camera with the quirk, or what it is a variant of.
    pub fn report(self) -> &'static str {
        self.row().1
    }

    /// What the camera does, in one line.
    pub fn what(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::OtherYear => ("other_year", "agsh/onvif#301", "the clock is 20 years behind"),
            Self::LocalTime => (
                "local_time",
                "OpenIPC/majestic-webui#292",
                "local time, 8 h ahead, is told as UTC; logins are compared with the right time",
            ),
            Self::ClockLocked => (
                "clock_locked",
                "agsh/onvif lib/cam.js: Panasonic, Digital Barriers",
                "asking for the time needs the login",
            ),
            Self::Unreachable => (
                "unreachable",
                "AlexxIT/go2rtc pkg/onvif/client.go",
                "addresses in answers name a host that nobody can reach (192.0.2.1)",
            ),
            Self::OtherPort => (
                "other_port",
                "home-assistant/core#92603",
                "media, PTZ and events are on another port than the device service",
            ),
            Self::NoServices => {
                ("no_services", "agsh/onvif lib/cam.js", "GetServices is not supported")
            }
            Self::TimeoutRefused => (
                "timeout_refused",
                "koush/scrypted PR 2124",
                "Bosch: ContinuousMove with a Timeout is refused",
            ),
            Self::TimeoutIgnored => (
                "timeout_ignored",
                "BitKnitting/Onvif.Core#30",
                "the Timeout of ContinuousMove is ignored: the camera moves on",
            ),
            Self::WideVelocity => {
                ("wide_velocity", "variant", "velocities go from -100 to 100 instead of -1 to 1")
            }
            Self::InfiniteVelocity => (
                "infinite_velocity",
                "ONVIF schema, FloatRange",
                "the ranges of velocities are told as -INF to INF",
            ),
            Self::OneAxis => (
                "one_axis",
                "agsh/onvif 0.6.5: Sony, Xiongmai",
                "pan and tilt together with zoom in one move are refused",
            ),
            Self::StopFaults => (
                "stop_faults",
                "home-assistant/core PR 145811",
                "Stop is answered by the fault ActionNotSupported",
            ),
            Self::StopBoth => (
                "stop_both",
                "libonvif#115",
                "Stop is refused unless PanTilt and Zoom are both true",
            ),
            Self::ActionRefused => (
                "action_refused",
                "openvideolibs/python-onvif-zeep-async#155",
                "Stop is refused when the envelope's header names an action",
            ),
            Self::PtzElsewhere => (
                "ptz_elsewhere",
                "blakeblackshear/frigate ptz/onvif.py",
                "only the sub profile has PTZ",
            ),
            Self::NoPtz => ("no_ptz", "fixed cameras", "no PTZ service, and no profile with PTZ"),
            Self::Fault200 => ("fault_200", "agsh/onvif#249", "faults come with HTTP 200"),
            Self::Letters => ("letters", "variant", "prefixes that mean nothing: a, b, c"),
            Self::Bare => ("bare", "variant", "no prefixes: elements declare their namespaces"),
            Self::DigestOnly => {
                ("digest_only", "agsh/onvif lib/cam.js", "only HTTP Digest is taken as a login")
            }
            Self::WsseOnly => (
                "wsse_only",
                "variant of digest_only",
                "only WS-Security is taken as a login; no challenge comes",
            ),
            Self::NoSnapshot => (
                "no_snapshot",
                "openvideolibs/python-onvif-zeep-async",
                "the snapshot's address is empty",
            ),
            Self::SnapshotFaults => {
                ("snapshot_faults", "variant of no_snapshot", "GetSnapshotUri is not supported")
            }
        }
    }
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownQuirk> {
        let quirk = Self::ALL.into_iter().find(|quirk| quirk.name() == name);
        quirk.ok_or_else(|| UnknownQuirk(name.to_owned()))
    }
}

/// The quirks that are switched on.
pub type Switches = switches::Switches<Quirk>;

/// The list of all quirks for a person: one line each.
pub fn listing() -> String {
    let line =
        |quirk: Quirk| format!("  {:18} {} [{}]\n", quirk.name(), quirk.what(), quirk.report());
    Quirk::ALL.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_quirk() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.name().parse(), Ok(quirk));
            assert!(!quirk.what().is_empty() && !quirk.report().is_empty());
        }
        assert!("ok".parse::<Quirk>().is_err());
        assert_eq!(listing().lines().count(), Quirk::ALL.len());
    }
}
