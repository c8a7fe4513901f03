//! One file per ability. A new one lands with two backends and the request that uses it.

pub mod alarms;
pub mod cgi;
pub mod clock;
pub mod detection;
pub mod encoder;
pub mod firmware;
pub mod motion;
pub mod network;
pub mod patrol;
pub mod power;
pub mod presets;
pub mod ptz;
pub mod snapshot;
pub mod tours;
pub mod tripwire;
pub mod wifi;

/// Most presets, tours, interfaces or networks that a camera's list gives; what is behind them is left out.
pub const MOST_NAMED: usize = 256;
