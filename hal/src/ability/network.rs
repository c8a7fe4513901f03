//! The camera's wired network.

use async_trait::async_trait;

use crate::Result;

/// Reads how the camera's network is set up.
#[async_trait]
pub trait Network: Send + Sync {
    /// The camera's interfaces, at most [`MOST_NAMED`](super::MOST_NAMED). Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn interfaces(&self) -> Result<Vec<Interface>>;
}

/// One interface. Text that the camera does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its IP address.
    pub ip: String,
    /// The address of the gateway.
    pub gateway: String,
    /// The network mask in the form `255.255.255.0`.
    pub netmask: String,
    /// Addresses of the first and the second name server.
    pub dns: [String; 2],
    /// The hardware address, as `00:13:23:a0:07:ad`.
    pub mac: String,
    /// Whether DHCP sets it up.
    pub dhcp: bool,
}
