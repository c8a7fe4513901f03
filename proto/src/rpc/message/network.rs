//! Wired and wireless network.

use ivt_base::secret::Secret;
use serde::{Deserialize, Serialize};

/// GetNetConfig: how are the wired interfaces set up?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetNetConfig {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// One wired interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetConfig {
    /// The interface's name.
    pub name: String,
    /// The interface's IP address.
    pub ip: String,
    /// The address of the gateway.
    pub gateway: String,
    /// The network mask.
    pub netmask: String,
    /// The address of the first name server.
    pub dns1: String,
    /// The address of the second name server.
    pub dns2: String,
    /// The interface's hardware address.
    pub mac: String,
    /// Whether DHCP set the interface up.
    pub dhcp: bool,
}

/// GetWifiStatusAndConfig: how is the wireless interface?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetWifiStatusAndConfig {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// The wireless interface. Where it is off, only `enable` is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WifiStatus {
    /// Whether the interface is on.
    pub enable: bool,
    /// The interface's IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The address of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The network mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<String>,
    /// Whether DHCP sets the interface up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// The wireless network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// The wireless network's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How the wireless network encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<String>,
    /// How the connection is, in the camera's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How strong the signal is; absent without a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i64>,
}

/// SetWifiConfig: join a wireless network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetWifiConfig {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// The wireless network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// The wireless network's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// GetWifiSSIDList: which wireless networks are in reach?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetWifiSsidList {
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// One wireless network in reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WifiNetwork {
    /// The wireless network's name.
    pub ssid: String,
    /// How strong the signal is.
    pub signal: i64,
    /// How the wireless network encrypts.
    pub encrypt: String,
}
