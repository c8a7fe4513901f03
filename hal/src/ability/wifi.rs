//! The camera's wireless network.

use async_trait::async_trait;
use ivt_base::secret::Secret;

use super::network::Interface;
use crate::Result;

/// Reads and sets the camera's wireless network.
#[async_trait]
pub trait Wifi: Send + Sync {
    /// How the wireless interface is. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn status(&self) -> Result<WifiStatus>;
    /// The networks in reach, at most [`MOST_NAMED`](super::MOST_NAMED), the strongest first. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn networks(&self) -> Result<Vec<WifiNetwork>>;
    /// Joins a network. What is `None` stays as it is; an empty password is an open network. Both are sent to
    /// the camera exactly. Answers within 8 s, before the camera has joined it.
    ///
    /// # Errors
    /// `Invalid` for a name or password that the camera cannot have, `Unsupported`, `Offline`, `Timeout`,
    /// `Refused` or `Other`.
    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()>;
}

/// How a wireless interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WifiStatus {
    /// Whether it is on; where it is not, the rest is empty.
    pub enable: bool,
    /// Its addresses.
    pub interface: Interface,
    /// The network's name.
    pub ssid: String,
    /// The network's password, where the camera tells it.
    pub password: Option<Secret>,
    /// How the network encrypts, in the camera's words.
    pub encrypt: String,
    /// How the connection is, in the camera's words.
    pub status: String,
    /// How strong the signal is, in the camera's measure; `None` without a connection.
    pub signal: Option<i32>,
}

/// One network in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WifiNetwork {
    /// The network's name.
    pub ssid: String,
    /// How strong the signal is, in the camera's measure.
    pub signal: i32,
    /// How the network encrypts, in the camera's words.
    pub encrypt: String,
}
