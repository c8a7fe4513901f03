//! Wired and wireless network.

use ivt_base::secret::Secret;
use serde::{Deserialize, Serialize};

/// GetNetConfig: how are the wired interfaces set up?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetNetConfig {
    /// Of which camera.
    pub channel: u32,
}

/// One wired interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetConfig {
    /// Of the interface.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// The way out.
    pub gateway: String,
    /// Its network.
    pub netmask: String,
    /// First name server.
    pub dns1: String,
    /// Second name server.
    pub dns2: String,
    /// Its hardware address.
    pub mac: String,
    /// Whether DHCP set it up.
    pub dhcp: bool,
}

/// GetWifiStatusAndConfig: how is the wireless interface?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetWifiStatusAndConfig {
    /// Of which camera.
    pub channel: u32,
}

/// The wireless interface; all but `enable` is there only when it is enabled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WifiStatus {
    /// Whether it is on.
    pub enable: bool,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<String>,
    /// Whether DHCP sets it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// The wireless network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<String>,
    /// How the connection is, in the camera's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How strong the signal is; there only when connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i64>,
}

/// SetWifiConfig: join a wireless network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetWifiConfig {
    /// Which camera.
    pub channel: u32,
    /// The network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// GetWifiSSIDList: which wireless networks are in reach?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetWifiSsidList {
    /// Of which camera.
    pub channel: u32,
}

/// One wireless network in reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WifiNetwork {
    /// Its name.
    pub ssid: String,
    /// How strong it is.
    pub signal: i64,
    /// How it encrypts.
    pub encrypt: String,
}
