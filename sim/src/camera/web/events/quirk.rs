//! What the event streams of cameras of the field do against their own texts, on request.

use std::str::FromStr;

/// One way in which an event stream is odd. A stream keeps the quirks that were on when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmQuirk {
    /// The header names another boundary than the parts have.
    Boundary,
    /// `Content-Length` is ten bytes too short.
    LengthShort,
    /// `Content-Length` is ten bytes too long.
    LengthLong,
    /// The first right login is answered 401 with another nonce.
    LoginTwice,
    /// No heartbeat comes.
    NoHeartbeat,
    /// One heartbeat comes at the start, and then none.
    OneHeartbeat,
    /// The stream ends after the first alarm.
    HangsUp,
    /// The stream stays open and says nothing any more after the first alarm.
    GoesSilent,
    /// The body comes in chunks of seven bytes.
    Split,
    /// The area of a detection is told of in the place of a line.
    Region,
    /// Hikvision: before each event its copy with an empty `activePostCount`.
    EmptyCount,
    /// Hikvision: before each event its copy without the number of the channel.
    NoChannel,
    /// Hikvision: before each event its copy with a lone `&`.
    LoneAmp,
    /// Hikvision: the channel's name in every event has a lone `&`.
    AmpName,
    /// Hikvision: the end of motion is told.
    MotionEnd,
    /// Hikvision: the end of a line crossing is told.
    LineEnd,
    /// Hikvision: a picture comes after each line crossing.
    PicturePart,
    /// Hikvision: a part of JSON comes before each event.
    JsonPart,
    /// Hikvision: the stream is only at the old path, without `/ISAPI`.
    OldPath,
    /// Hikvision: a recorder tells the input as `dynChannelID` from 1.
    DynIds,
    /// Hikvision: a recorder tells the input as `channelID` from 1.
    PlainIds,
    /// Hikvision: motion is `VMDHumanVehicle`.
    Human,
    /// Hikvision: `duration` wraps the type of the event.
    Duration,
    /// Dahua: the blank line before the body of a part is missing.
    NoBlank,
    /// Dahua: a blank stands in the boundary, `-- myboundary`.
    SpacedBoundary,
    /// Dahua: the head of an answer comes before each event.
    EmbeddedHead,
    /// Dahua: the names in the data hold `;` and `=`.
    OddData,
    /// Dahua: a line crossing is `Pulse` in the place of `Start` and `Stop`.
    Pulse,
    /// Dahua: no event is stopped.
    NoStop,
    /// Dahua: the input of a recorder's camera is `AlarmIPC`.
    AlarmIpc,
}

/// The error for a name that no quirk has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no quirk of alarms `{0}`: --alarm-quirks lists them")]
pub struct UnknownAlarmQuirk(String);

impl AlarmQuirk {
    /// All quirks.
    pub const ALL: [Self; 30] = [
        Self::Boundary,
        Self::LengthShort,
        Self::LengthLong,
        Self::LoginTwice,
        Self::NoHeartbeat,
        Self::OneHeartbeat,
        Self::HangsUp,
        Self::GoesSilent,
        Self::Split,
        Self::Region,
        Self::EmptyCount,
        Self::NoChannel,
        Self::LoneAmp,
        Self::AmpName,
        Self::MotionEnd,
        Self::LineEnd,
        Self::PicturePart,
        Self::JsonPart,
        Self::OldPath,
        Self::DynIds,
        Self::PlainIds,
        Self::Human,
        Self::Duration,
        Self::NoBlank,
        Self::SpacedBoundary,
        Self::EmbeddedHead,
        Self::OddData,
        Self::Pulse,
        Self::NoStop,
        Self::AlarmIpc,
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
            Self::Boundary => (
                "boundary",
                "mezz64/pyHik#14",
                "the header names another boundary than the parts have",
            ),
            Self::LengthShort => {
                ("length_short", "mezz64/pyHik#14", "Content-Length is ten bytes too short")
            }
            Self::LengthLong => {
                ("length_long", "variant of length_short", "Content-Length is ten bytes too long")
            }
            Self::LoginTwice => (
                "login_twice",
                "rroller/dahua digest.py",
                "the first right login is answered 401 with another nonce",
            ),
            Self::NoHeartbeat => ("no_heartbeat", "toxuin/alarmserver#31", "no heartbeat comes"),
            Self::OneHeartbeat => (
                "one_heartbeat",
                "home-assistant/core#82767",
                "one heartbeat comes at the start, and then none",
            ),
            Self::HangsUp => {
                ("hangs_up", "variant of goes_silent", "the stream ends after the first alarm")
            }
            Self::GoesSilent => (
                "goes_silent",
                "rroller/dahua#510",
                "the stream stays open and says nothing any more after the first alarm",
            ),
            Self::Split => {
                ("split", "rroller/dahua#504", "the body comes in chunks of seven bytes")
            }
            Self::Region => (
                "region",
                "koush/scrypted amcrest-api.ts",
                "fielddetection or CrossRegionDetection in the place of the line",
            ),
            Self::EmptyCount => (
                "empty_count",
                "home-assistant/core#173174",
                "Hikvision: before each event its copy with an empty activePostCount",
            ),
            Self::NoChannel => (
                "no_channel",
                "mezz64/pyHik#45",
                "Hikvision: before each event its copy without the number of the channel",
            ),
            Self::LoneAmp => (
                "lone_amp",
                "hikvision_isapi#5",
                "Hikvision: before each event its copy with a lone &",
            ),
            Self::AmpName => (
                "amp_name",
                "variant of lone_amp",
                "Hikvision: the channel's name in every event has a lone &",
            ),
            Self::MotionEnd => {
                ("motion_end", "variant", "Hikvision: the end of motion is told (inactive)")
            }
            Self::LineEnd => (
                "line_end",
                "koush/scrypted hikvision/src/main.ts",
                "Hikvision: the end of a line crossing is told (inactive)",
            ),
            Self::PicturePart => (
                "picture_part",
                "koush/scrypted hikvision/src/main.ts",
                "Hikvision: a picture comes after each line crossing",
            ),
            Self::JsonPart => (
                "json_part",
                "koush/scrypted hikvision/src/main.ts",
                "Hikvision: a part of JSON comes before each event",
            ),
            Self::OldPath => (
                "old_path",
                "mezz64/pyHik hikvision.py",
                "Hikvision: the stream is only at /Event/notification/alertStream",
            ),
            Self::DynIds => (
                "dyn_ids",
                "maciej-or/hikvision_next fixtures",
                "Hikvision: a recorder tells the input as dynChannelID from 1",
            ),
            Self::PlainIds => (
                "plain_ids",
                "variant of dyn_ids",
                "Hikvision: a recorder tells the input as channelID from 1",
            ),
            Self::Human => {
                ("human", "mezz64/pyHik constants.py", "Hikvision: motion is VMDHumanVehicle")
            }
            Self::Duration => (
                "duration",
                "maciej-or/hikvision_next",
                "Hikvision: duration wraps the type of the event",
            ),
            Self::NoBlank => (
                "no_blank",
                "rroller/dahua#166",
                "Dahua: the blank line before the body of a part is missing",
            ),
            Self::SpacedBoundary => (
                "spaced_boundary",
                "koush/scrypted amcrest-api.ts",
                "Dahua: a blank stands in the boundary, `-- myboundary`",
            ),
            Self::EmbeddedHead => (
                "embedded_head",
                "rroller/dahua#477",
                "Dahua: the head of an answer comes before each event",
            ),
            Self::OddData => (
                "odd_data",
                "rroller/dahua dahua_utils.py",
                "Dahua: names in the data hold ; and =",
            ),
            Self::Pulse => (
                "pulse",
                "rroller/dahua __init__.py",
                "Dahua: a line crossing is Pulse in the place of Start and Stop",
            ),
            Self::NoStop => ("no_stop", "rroller/dahua __init__.py", "Dahua: no event is stopped"),
            Self::AlarmIpc => (
                "alarm_ipc",
                "rroller/dahua",
                "Dahua: the input of a recorder's camera is AlarmIPC",
            ),
        }
    }
}

impl FromStr for AlarmQuirk {
    type Err = UnknownAlarmQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownAlarmQuirk> {
        let quirk = Self::ALL.into_iter().find(|quirk| quirk.name() == name);
        quirk.ok_or_else(|| UnknownAlarmQuirk(name.to_owned()))
    }
}

/// The list of all quirks for a person: one line each.
pub fn listing() -> String {
    let line = |quirk: AlarmQuirk| {
        format!("  {:18} {} [{}]\n", quirk.name(), quirk.what(), quirk.report())
    };
    AlarmQuirk::ALL.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_quirk() {
        for quirk in AlarmQuirk::ALL {
            assert_eq!(quirk.name().parse(), Ok(quirk));
            assert!(!quirk.what().is_empty() && !quirk.report().is_empty());
        }
        assert!("ok".parse::<AlarmQuirk>().is_err());
        assert_eq!(listing().lines().count(), AlarmQuirk::ALL.len());
    }
}
