//! Moving a camera, its alarms, its power.

use serde::{Deserialize, Serialize};

use super::{DaySeconds, Percent, StartStop};

/// RebootChannel: restart a camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootChannel {
    /// Which.
    pub channel: u32,
}

/// GetPTZPresetList: which presets are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPtzPresetList {
    /// Of which camera.
    pub channel: u32,
}

/// A position the camera knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtzPreset {
    /// For people.
    pub name: String,
    /// For GotoPTZPreset.
    pub token: String,
}

/// GetPTZPresetTourList: which tours are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPtzPresetTourList {
    /// Of which camera.
    pub channel: u32,
}

/// A tour of presets the camera knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtzTour {
    /// For people.
    pub name: String,
    /// For CtrlPTZPresetTour.
    pub token: String,
}

/// CtrlPTZ: move, zoom or stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtz {
    /// Which camera.
    pub channel: u32,
    /// What to do.
    pub op: PtzOp,
    /// See [`speed`](Self::speed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
}

impl CtrlPtz {
    /// How fast to move: 100, the fastest, unless `value` says otherwise. Nothing to a stop.
    pub fn speed(&self) -> Percent {
        Percent::clamp(self.value.unwrap_or(100))
    }
}

/// What a CtrlPTZ asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PtzOp {
    /// Tilt up.
    Up,
    /// Tilt down.
    Down,
    /// Pan left.
    Left,
    /// Pan right.
    Right,
    /// Both.
    UpLeft,
    /// Both.
    UpRight,
    /// Both.
    DownLeft,
    /// Both.
    DownRight,
    /// Closer.
    ZoomIn,
    /// Wider.
    ZoomOut,
    /// End any movement.
    Stop,
}

/// GotoPTZPreset: go to a preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GotoPtzPreset {
    /// Which camera.
    pub channel: u32,
    /// From [`PtzPreset`].
    pub token: String,
}

/// CtrlPTZPresetTour: start or stop a tour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtzPresetTour {
    /// Which camera.
    pub channel: u32,
    /// From [`PtzTour`]; nothing to a stop, then it may be empty or absent.
    #[serde(default)]
    pub token: String,
    /// Which of the two.
    pub op: StartStop,
}

/// CtrlPTZPatrol: start or stop the patrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtzPatrol {
    /// Which camera.
    pub channel: u32,
    /// Which of the two.
    pub op: StartStop,
}

/// AlarmMoveDetectConfig: motion detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmMoveDetectConfig {
    /// Which camera.
    pub channel: u32,
    /// Off: no alarm is reported.
    pub enable: bool,
    /// When it is armed each day.
    #[serde(default = "DaySeconds::start")]
    pub start: DaySeconds,
    /// When it is disarmed each day; before `start`: on the day after.
    #[serde(default = "DaySeconds::end")]
    pub end: DaySeconds,
    /// 100 is the most sensitive.
    pub sensitivity: Percent,
    /// How long all must be quiet before the alarm ends, s.
    pub delay: u32,
}

/// AlarmRectIntrusionDetectConfig: the tripwire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRectIntrusionDetectConfig {
    /// Which camera.
    pub channel: u32,
    /// Off: no alarm is reported.
    pub enable: bool,
    /// When it is armed each day.
    #[serde(default = "DaySeconds::start")]
    pub start: DaySeconds,
    /// When it is disarmed each day; before `start`: on the day after.
    #[serde(default = "DaySeconds::end")]
    pub end: DaySeconds,
    /// 100 is the most sensitive.
    pub sensitivity: Percent,
    /// How long all must be quiet before the alarm ends, s.
    pub delay: u32,
    /// Where; none: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<Rect>,
}

/// Four corners, in percent of the picture from its upper left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Upper left, x.
    pub ulx: Percent,
    /// Upper left, y.
    pub uly: Percent,
    /// Upper right, x.
    pub urx: Percent,
    /// Upper right, y.
    pub ury: Percent,
    /// Lower left, x.
    pub dlx: Percent,
    /// Lower left, y.
    pub dly: Percent,
    /// Lower right, x.
    pub drx: Percent,
    /// Lower right, y.
    pub dry: Percent,
}
