//! What the device reports and asks of the cloud.

use ivt_base::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AlarmKind, ChannelState, DeviceState};

/// Keepalive: how the device and each of its channels are, every 10 s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepalive {
    /// The device as a whole.
    pub state: DeviceState,
    /// Every channel the device has.
    #[serde(default)]
    pub channels: Vec<ChannelStatus>,
}

/// One channel in a [`Keepalive`]. The empty spellings `""` and 0 are read as `None` and never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its number, from 0.
    pub channel: u32,
    /// Whether it is reachable, and live.
    pub state: ChannelState,
    /// The stream being published.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "unnamed")]
    pub stream_id: Option<String>,
    /// The recording session that runs.
    #[serde(default, deserialize_with = "named", skip_serializing_if = "unnamed")]
    pub record_session: Option<String>,
    /// One bit per alarm that is raised.
    #[serde(default, deserialize_with = "raised", skip_serializing_if = "calm")]
    pub alarm: Option<u32>,
}

/// AlarmNotify: an alarm begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmNotify {
    /// Where.
    pub channel: u32,
    /// What raised it.
    #[serde(rename = "type")]
    pub kind: AlarmKind,
    /// Whether it begins or ends.
    pub state: AlarmEdge,
    /// For a person to read.
    pub desc: String,
}

/// Whether an alarm begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmEdge {
    /// It begins.
    Start,
    /// It ends.
    End,
}

/// The answer to AlarmNotify.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmPicture {
    /// The address that takes a POST of the alarm's JPEG; empty: none does. May be signed.
    pub pic_upload_url: Secret,
}

/// The answer to preview_server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviewUrl {
    /// The address that takes a POST of a JPEG; empty, as from every current cloud: none does. May be signed.
    pub url: Secret,
}

/// The answer to GetFirmware. An empty version or address means that there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Firmware {
    /// The newest version.
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
