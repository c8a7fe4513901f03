//! The board itself, where the agent is the system: its local time, its clock, its network and its Wi-Fi.

pub mod clock;
mod dhcp;
mod files;
pub mod network;
mod ntp;
pub mod power;
#[cfg(test)]
mod testing;
pub mod wifi;
pub mod zone;

pub use clock::SystemClock;
pub use network::SystemNetwork;
pub use ntp::Ntp;
pub use power::RebootCommand;
pub use wifi::SystemWifi;
