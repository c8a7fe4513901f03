//! What the device reports and asks of the cloud.

use ivt_base::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AlarmKind, ChannelState, DeviceState};

/// Keepalive: how the device and each of its channels are, every 10 s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepalive {
    /// How the device as a whole is.
    pub state: DeviceState,
    /// How each channel of the device is.
    #[serde(default)]
    pub channels: Vec<ChannelStatus>,
}

/// One channel in a [`Keepalive`]. The empty spellings `""` and 0 are read as `None` and never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// The channel number, from 0.
    pub channel: u32,
    /// Whether the camera can be reached, and a stream is live.
    pub state: ChannelState,
    /// The `stream_id` of the stream that is being published.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "unnamed")]
    pub stream_id: Option<String>,
    /// The `session_id` of the recording that runs.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "unnamed")]
    pub record_session: Option<String>,
    /// One bit for each alarm that is raised, numbered as in [`AlarmKind`].
    #[serde(default, deserialize_with = "raised", skip_serializing_if = "calm")]
    pub alarm: Option<u32>,
}

/// AlarmNotify: an alarm begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmNotify {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// What raised the alarm.
    #[serde(rename = "type")]
    pub kind: AlarmKind,
    /// Whether the alarm begins or ends.
    pub state: AlarmEdge,
    /// A description for a person to read.
    pub desc: String,
}

/// Whether an alarm begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmEdge {
    /// The alarm begins.
    Start,
    /// The alarm ends.
    End,
}

/// The answer to AlarmNotify.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmPicture {
    /// The address to POST the alarm's JPEG to; may be signed. Empty: no picture is wanted.
    pub pic_upload_url: Secret,
}

/// The answer to preview_server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviewUrl {
    /// The address to POST a JPEG to; may be signed. Empty, as from every current cloud: no picture is wanted.
    pub url: Secret,
}

/// The answer to GetFirmware. An empty version or address means that there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Firmware {
    /// The version number of the newest firmware.
    pub firmware_model: String,
    /// The address to fetch it from; may be signed.
    pub url: Secret,
}

fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    Ok(name.filter(|name| !name.is_empty()))
}

fn unnamed(name: &Option<String>) -> bool {
    name.as_ref().is_none_or(String::is_empty)
}

fn raised<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let bits = Option::<u32>::deserialize(deserializer)?;
    Ok(bits.filter(|bits| *bits != 0))
}

fn calm(alarm: &Option<u32>) -> bool {
    alarm.is_none_or(|bits| bits == 0)
}
