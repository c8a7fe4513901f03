#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ability;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "emulator")]
pub mod emulator;
mod error;
#[cfg(feature = "update")]
pub mod firmware;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "linux")]
pub mod linux;
#[cfg(feature = "update")]
pub mod manifest;
#[cfg(feature = "onvif")]
pub mod onvif;
#[cfg(feature = "xml")]
pub mod parts;
#[cfg(feature = "profiles")]
pub mod profile;
#[cfg(feature = "rtsp")]
pub mod rtsp;
#[cfg(any(feature = "onvif", feature = "profiles"))]
mod shared;
#[cfg(feature = "xml")]
pub mod xml;

use std::sync::Arc;

pub use ability::MOST_NAMED;
pub use ability::alarms::{Alarm, Alarms, Heard, LONGEST_WHAT, Signal, Trigger};
pub use ability::cgi::{Answer, Cgi};
pub use ability::clock::Clock;
pub use ability::detection::{Armed, Detection};
pub use ability::encoder::{Bitrates, Encoder, RtspSource, Source, Stream};
pub use ability::firmware::{Firmware, Image, Incoming, Installed, Running};
pub use ability::motion::Motion;
pub use ability::network::{Interface, Network};
pub use ability::patrol::Patrol;
pub use ability::power::Power;
pub use ability::presets::{Named, Presets};
pub use ability::ptz::{Direction, LONGEST_MOVE, Movement, Ptz};
pub use ability::snapshot::Snapshot;
pub use ability::tours::Tours;
pub use ability::tripwire::{Area, Point, Tripwire};
pub use ability::wifi::{Wifi, WifiNetwork, WifiStatus};
pub use error::{Error, Kind, Result};
pub use ivt_base::auth::Credentials;
pub use ivt_base::transport::Transport;
pub use ivt_base::wall_time::WallTime;

/// The camera or NVR this agent runs on.
pub struct Device {
    /// Whether the device is a camera, which has exactly one channel, or an NVR.
    pub model: Model,
    /// The cameras; the index is the channel number of the wire protocol.
    pub channels: Vec<Channel>,
    /// The device's own web server.
    pub cgi: Option<Arc<dyn Cgi>>,
}

/// The two shapes of device that the wire protocol knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One channel, number 0.
    Camera,
    /// Any number of cameras behind one device.
    Nvr,
}

/// One camera. An ability that the hardware lacks is `None` in its slot.
#[derive(Clone)]
pub struct Channel {
    /// Where the camera's streams come from; the only ability every camera has.
    pub encoder: Arc<dyn Encoder>,
    /// The camera's single pictures.
    pub snapshot: Option<Arc<dyn Snapshot>>,
    /// Pan, tilt and zoom.
    pub ptz: Option<Arc<dyn Ptz>>,
    /// Positions that the camera remembers.
    pub presets: Option<Arc<dyn Presets>>,
    /// Tours from preset to preset.
    pub tours: Option<Arc<dyn Tours>>,
    /// The camera's patrol.
    pub patrol: Option<Arc<dyn Patrol>>,
    /// Motion detection.
    pub motion: Option<Arc<dyn Motion>>,
    /// The tripwire.
    pub tripwire: Option<Arc<dyn Tripwire>>,
    /// The camera's wired network.
    pub network: Option<Arc<dyn Network>>,
    /// The camera's wireless network.
    pub wifi: Option<Arc<dyn Wifi>>,
    /// Restarting the camera.
    pub power: Option<Arc<dyn Power>>,
    /// The alarms that the camera raises.
    pub alarms: Option<Arc<dyn Alarms>>,
    /// The camera's clock.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Channel {
    /// A camera that can only stream.
    pub fn new(encoder: Arc<dyn Encoder>) -> Self {
        Self {
            encoder,
            snapshot: None,
            ptz: None,
            presets: None,
            tours: None,
            patrol: None,
            motion: None,
            tripwire: None,
            network: None,
            wifi: None,
            power: None,
            alarms: None,
            clock: None,
        }
    }
}
