//! What ONVIF cameras of the field do against the specification, on request. They can be switched while the
//! camera runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::camera::switches;

/// Usual time of [`Quirk::Forgets`].
const FORGETS: Duration = Duration::from_secs(5);

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
    /// The zone of the clock is CST-8, eight hours ahead of UTC.
    ZoneAhead,
    /// The address of a subscription has another port.
    EventPort,
    /// The address of a subscription has no query.
    SubscriptionPath,
    /// The address of a subscription names a host that nobody can reach.
    SubscriptionHost,
    /// The address of a subscription names its port twice.
    DoubledPort,
    /// Subscriptions share an address and are told apart by reference parameters.
    Reference,
    /// A time of termination has to be absolute.
    AbsoluteOnly,
    /// A time of termination has to be a duration.
    RelativeOnly,
    /// Renew is a fault.
    RenewFaults,
    /// Renew does not move the end.
    RenewStays,
    /// PullMessages extends a subscription, too.
    PullExtends,
    /// The connection is closed where there is nothing to tell.
    PullCloses,
    /// PullMessages does not wait.
    PullReturns,
    /// Changes are told as Initialized, too.
    OnlyInitialized,
    /// Messages have no PropertyOperation.
    NoOperation,
    /// Truth is told as 1 and 0.
    Ones,
    /// The end of motion is not told.
    NoEnd,
    /// A slash stands behind topics.
    TopicSlash,
    /// `//.` stands behind topics.
    TopicDots,
    /// The topic of inputs is malformed.
    ImouInput,
    /// The topic of inputs is Hikvision's.
    HikInput,
    /// The topic of motion is that of a video source.
    MotionAlarm,
    /// The topic of motion is that of a region.
    MotionRegion,
    /// Motion has two topics at once.
    MotionBoth,
    /// Objects inside an area are told of in the place of a line.
    Field,
    /// Pull points are said to be missing.
    PullHidden,
    /// The topics are Tapo's.
    Tapo,
    /// The topics are Reolink's.
    Reolink,
    /// The topics are those of Axis, with reference parameters.
    Axis,
    /// A line that nobody crossed is told at the subscription.
    LineInitialized,
    /// The data of messages have more items.
    SeveralItems,
    /// Malformed messages come before each right one.
    MalformedMessage,
    /// The time of messages is none.
    OddTimes,
    /// A third subscription is refused.
    FewSubscriptions,
    /// A third subscription is never told anything.
    SilentLimit,
    /// Unsubscribe ends every subscription.
    UnsubscribeAll,
    /// SetSynchronizationPoint is a fault.
    SyncFaults,
    /// Calls of events need headers of WS-Addressing.
    NeedsAddressing,
    /// A subscription is forgotten after this time, whether or not it is renewed.
    Forgets(Duration),
}

/// The error for a name that no quirk has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no ONVIF quirk `{0}`: --onvif-quirks lists them")]
pub struct UnknownQuirk(String);

impl Quirk {
    /// All quirks.
    pub const ALL: [Self; 62] = [
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
        Self::ZoneAhead,
        Self::EventPort,
        Self::SubscriptionPath,
        Self::SubscriptionHost,
        Self::DoubledPort,
        Self::Reference,
        Self::AbsoluteOnly,
        Self::RelativeOnly,
        Self::RenewFaults,
        Self::RenewStays,
        Self::PullExtends,
        Self::PullCloses,
        Self::PullReturns,
        Self::OnlyInitialized,
        Self::NoOperation,
        Self::Ones,
        Self::NoEnd,
        Self::TopicSlash,
        Self::TopicDots,
        Self::ImouInput,
        Self::HikInput,
        Self::MotionAlarm,
        Self::MotionRegion,
        Self::MotionBoth,
        Self::Field,
        Self::PullHidden,
        Self::Tapo,
        Self::Reolink,
        Self::Axis,
        Self::LineInitialized,
        Self::SeveralItems,
        Self::MalformedMessage,
        Self::OddTimes,
        Self::FewSubscriptions,
        Self::SilentLimit,
        Self::UnsubscribeAll,
        Self::SyncFaults,
        Self::NeedsAddressing,
        Self::Forgets(FORGETS),
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
            Self::ZoneAhead => (
                "zone_ahead",
                "variant of local_time",
                "the zone is CST-8: UTC is told eight hours behind the clock",
            ),
            Self::EventPort => (
                "event_port",
                "home-assistant/core#92603",
                "subscriptions are on another port than the services",
            ),
            Self::SubscriptionPath => (
                "subscription_path",
                "openvideolibs/onvif-parsers, Tapo",
                "the address of a subscription is a path, event-1_80, without a query",
            ),
            Self::SubscriptionHost => (
                "subscription_host",
                "home-assistant/core#109198",
                "the address of a subscription names a host that nobody can reach (192.0.2.1)",
            ),
            Self::DoubledPort => (
                "doubled_port",
                "openvideolibs/python-onvif-zeep-async util.py",
                "the address of a subscription names its port twice: http://HOST:80:80/",
            ),
            Self::Reference => (
                "reference",
                "agsh/onvif events.ts, Axis",
                "subscriptions share an address, and are told apart by reference parameters in the header",
            ),
            Self::AbsoluteOnly => (
                "absolute_only",
                "home-assistant/core#42651",
                "a time of termination that is a duration is refused",
            ),
            Self::RelativeOnly => (
                "relative_only",
                "variant of absolute_only",
                "a time of termination that is a date is refused",
            ),
            Self::RenewFaults => {
                ("renew_faults", "home-assistant/core#90916", "Renew is answered by a fault")
            }
            Self::RenewStays => (
                "renew_stays",
                "starkillerOG/reolink_aio api.py",
                "Renew answers the first time of termination, and the end stays",
            ),
            Self::PullExtends => (
                "pull_extends",
                "roleoroleo/onvif_simple_server",
                "PullMessages, too, extends a subscription",
            ),
            Self::PullCloses => (
                "pull_closes",
                "home-assistant/core onvif event.py",
                "the connection is closed where there is nothing to tell",
            ),
            Self::PullReturns => ("pull_returns", "onvif2mqtt#44", "PullMessages does not wait"),
            Self::OnlyInitialized => (
                "only_initialized",
                "home-assistant/core#127991",
                "changes are told as Initialized, too",
            ),
            Self::NoOperation => (
                "no_operation",
                "openvideolibs/onvif-parsers samples",
                "messages have no PropertyOperation",
            ),
            Self::Ones => ("ones", "Kane610/axis event_fixtures.py", "truth is told as 1 and 0"),
            Self::NoEnd => {
                ("no_end", "koush/scrypted onvif-events.ts", "the end of motion is not told")
            }
            Self::TopicSlash => {
                ("topic_slash", "openvideolibs/onvif-parsers", "a slash stands behind topics")
            }
            Self::TopicDots => {
                ("topic_dots", "openvideolibs/onvif-parsers", "`//.` stands behind topics")
            }
            Self::ImouInput => (
                "imou_input",
                "home-assistant/core#140575",
                "the topic of inputs is tns1:VideoSource/tns1:Device/Trigger/DigitalInput",
            ),
            Self::HikInput => (
                "hik_input",
                "openvideolibs/onvif-parsers",
                "the topic of inputs is tns1:Device/Trigger/tnshik:AlarmIn",
            ),
            Self::MotionAlarm => (
                "motion_alarm",
                "starkillerOG/reolink_aio",
                "the topic of motion is tns1:VideoSource/MotionAlarm",
            ),
            Self::MotionRegion => (
                "motion_region",
                "openvideolibs/onvif-parsers",
                "the topic of motion is tns1:RuleEngine/MotionRegionDetector/Motion",
            ),
            Self::MotionBoth => (
                "motion_both",
                "openvideolibs/onvif-parsers",
                "motion is told twice: by CellMotionDetector/Motion and by VideoSource/MotionAlarm",
            ),
            Self::Field => (
                "field",
                "Edge-ONVIF-Driver#2",
                "a line is told as tns1:RuleEngine/FieldDetector/ObjectsInside, with an end",
            ),
            Self::PullHidden => (
                "pull_hidden",
                "home-assistant/core#91089",
                "GetCapabilities says that there are no pull points",
            ),
            Self::Tapo => (
                "tapo",
                "home-assistant/core#127991",
                "Tapo's topics: People beside Motion, CellMotionDetector/LineCross for a line",
            ),
            Self::Reolink => (
                "reolink",
                "starkillerOG/reolink_aio",
                "Reolink's topics: MotionAlarm and MyRuleDetector/PeopleDetect",
            ),
            Self::Axis => (
                "axis",
                "Kane610/axis event_fixtures.py",
                "Axis' topics, with reference parameters",
            ),
            Self::LineInitialized => (
                "line_initialized",
                "openvideolibs/onvif-parsers test_generic.py",
                "a line that nobody crossed is told at the subscription, with ObjectId 0",
            ),
            Self::SeveralItems => (
                "several_items",
                "Kane610/axis event_fixtures.py",
                "the data of messages have more items, also before the one that counts",
            ),
            Self::MalformedMessage => (
                "malformed_message",
                "variant",
                "three malformed messages come before each right one",
            ),
            Self::OddTimes => (
                "odd_times",
                "home-assistant/core onvif event.py",
                "the time of messages is 0000-00-00T00:00:00Z",
            ),
            Self::FewSubscriptions => (
                "few_subscriptions",
                "roleoroleo/onvif_simple_server utils.h",
                "a third subscription is refused",
            ),
            Self::SilentLimit => (
                "silent_limit",
                "variant of few_subscriptions",
                "a third subscription is made and never told anything",
            ),
            Self::UnsubscribeAll => (
                "unsubscribe_all",
                "home-assistant/core PR 92627",
                "Unsubscribe ends every subscription",
            ),
            Self::SyncFaults => (
                "sync_faults",
                "openvideolibs/python-onvif-zeep-async client.py",
                "SetSynchronizationPoint is a fault",
            ),
            Self::NeedsAddressing => (
                "needs_addressing",
                "openvideolibs/python-onvif-zeep-async wsa.py",
                "calls of events without headers of WS-Addressing are refused",
            ),
            Self::Forgets(_) => (
                "forgets",
                "roleoroleo/onvif_simple_server",
                "subscriptions are forgotten after 5 s, or after forgets=SECONDS, renewed or not",
            ),
        }
    }
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownQuirk> {
        let unknown = || UnknownQuirk(name.to_owned());
        let (name, time) =
            name.split_once('=').map_or((name, None), |(name, time)| (name, Some(time)));
        let quirk = Self::ALL.into_iter().find(|quirk| quirk.name() == name);
        let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        match (quirk.ok_or_else(unknown)?, time) {
            (Self::Forgets(_), Some(time)) => seconds(time).map(Self::Forgets).ok_or_else(unknown),
            (_, Some(_)) => Err(unknown()),
            (quirk, None) => Ok(quirk),
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forgets(after) => write!(f, "{}={}", self.name(), after.as_secs_f64()),
            _ => f.write_str(self.name()),
        }
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
        let forgets = Quirk::Forgets(Duration::from_millis(2500));
        assert_eq!(
            ("forgets=2.5".parse(), forgets.to_string().parse()),
            (Ok(forgets), Ok(forgets))
        );
        for wrong in ["forgets=", "forgets=-1", "forgets=soon", "forgets=1e30", "bare=1"] {
            assert!(wrong.parse::<Quirk>().is_err(), "{wrong}");
        }
        assert_eq!(listing().lines().count(), Quirk::ALL.len());
    }
}
