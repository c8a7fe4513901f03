//! Moving a camera, its alarms, its power.

use serde::{Deserialize, Serialize};

use super::{DaySeconds, Percent, StartStop};

/// RebootChannel: restart a camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootChannel {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// GetPTZPresetList: which presets are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPtzPresetList {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// A position the camera knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtzPreset {
    /// Its name, for people to read.
    pub name: String,
    /// Its token, which GotoPTZPreset names.
    pub token: String,
}

/// GetPTZPresetTourList: which tours are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPtzPresetTourList {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// A tour of presets the camera knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtzTour {
    /// Its name, for people to read.
    pub name: String,
    /// Its token, which CtrlPTZPresetTour names.
    pub token: String,
}

/// CtrlPTZ: move, zoom or stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtz {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// The movement.
    pub op: PtzOp,
    /// The speed as it was sent: see [`speed`](Self::speed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
}

impl CtrlPtz {
    /// How fast to move, in percent: 100, the fastest, unless `value` says otherwise. A stop has no speed.
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
    /// Tilt up and pan left.
    UpLeft,
    /// Tilt up and pan right.
    UpRight,
    /// Tilt down and pan left.
    DownLeft,
    /// Tilt down and pan right.
    DownRight,
    /// Zoom in.
    ZoomIn,
    /// Zoom out.
    ZoomOut,
    /// End any movement.
    Stop,
}

/// GotoPTZPreset: go to a preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GotoPtzPreset {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// The token of a [`PtzPreset`].
    pub token: String,
}

/// CtrlPTZPresetTour: start or stop a tour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtzPresetTour {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// The token of a [`PtzTour`]; it may be empty or absent in a stop.
    #[serde(default)]
    pub token: String,
    /// Whether to start or to stop it.
    pub op: StartStop,
}

/// CtrlPTZPatrol: start or stop the patrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtrlPtzPatrol {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Whether to start or to stop it.
    pub op: StartStop,
}

/// AlarmMoveDetectConfig: motion detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmMoveDetectConfig {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Whether alarms are reported at all.
    pub enable: bool,
    /// When the detection is armed each day.
    #[serde(default = "DaySeconds::start")]
    pub start: DaySeconds,
    /// When the detection is disarmed each day; a time before `start` is one of the next day.
    #[serde(default = "DaySeconds::end")]
    pub end: DaySeconds,
    /// Its sensitivity; 100 is the highest.
    pub sensitivity: Percent,
    /// How long nothing may be detected before the alarm ends, in seconds.
    pub delay: u32,
}

/// AlarmRectIntrusionDetectConfig: the tripwire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRectIntrusionDetectConfig {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Whether alarms are reported at all.
    pub enable: bool,
    /// When the detection is armed each day.
    #[serde(default = "DaySeconds::start")]
    pub start: DaySeconds,
    /// When the detection is disarmed each day; a time before `start` is one of the next day.
    #[serde(default = "DaySeconds::end")]
    pub end: DaySeconds,
    /// Its sensitivity; 100 is the highest.
    pub sensitivity: Percent,
    /// How long nothing may be detected before the alarm ends, in seconds.
    pub delay: u32,
    /// The rectangle that is watched; none leaves it as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<Rect>,
}

/// The corners of a rectangle, in percent of the picture from its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Upper left corner, x.
    pub ulx: Percent,
    /// Upper left corner, y.
    pub uly: Percent,
    /// Upper right corner, x.
    pub urx: Percent,
    /// Upper right corner, y.
    pub ury: Percent,
    /// Lower left corner, x.
    pub dlx: Percent,
    /// Lower left corner, y.
    pub dly: Percent,
    /// Lower right corner, x.
    pub drx: Percent,
    /// Lower right corner, y.
    pub dry: Percent,
}
