//! The configuration: every key, its meaning and its default. A [`Config`] holds only values that
//! were checked. `configs/base.toml` shows the same as a file; a test keeps the two equal.
//!
//! One file per subject holds what its section may say, how that is read, and what it means.

#[cfg(feature = "alarms")]
mod alarm;
mod budget;
mod channel;
mod cloud;
pub(crate) mod credentials;
mod device;
pub(crate) mod error;
#[cfg(feature = "update")]
mod firmware;
mod load;
mod log;
pub(crate) mod nearest;
#[cfg(any(feature = "alarms", feature = "linux"))]
mod network;
#[cfg(test)]
mod newer_tests;
mod publish;
mod record;
mod runtime;
#[cfg(feature = "sandbox")]
mod sandbox;
pub(crate) mod section;
#[cfg(test)]
mod tests;
mod tlss;
#[cfg(feature = "ui")]
mod web;

use std::path::PathBuf;

use ::log::LevelFilter;
use ivt_hal::Model;

#[cfg(feature = "alarms")]
pub use alarm::Alarm;
pub use budget::Budget;
pub use channel::{Channel, QualityMap};
pub use cloud::{Account, Cloud};
pub use device::ClockSteps;
pub use error::Error;
#[cfg(feature = "update")]
pub use firmware::{Firmware, Key, Place, Rules};
pub use load::Access;
pub(crate) use load::{credentials_file, read};
#[cfg(any(feature = "alarms", feature = "linux"))]
pub use network::Network;
pub use publish::Publish;
pub use record::{Backfill, Record, Spool, SpoolMode};
pub use runtime::Runtime;
#[cfg(feature = "sandbox")]
pub use sandbox::Sandbox;
pub use tlss::{Tlss, parse_mac};
#[cfg(feature = "ui")]
pub use web::{Listen, Place as PagePlace, Web};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[cloud]`: whom to dial.
    pub cloud: Cloud,
    /// `device.model`, "camera" or "nvr"; default "camera". A camera has exactly one channel.
    pub model: Model,
    /// `device.state_dir`: folder of what the cloud has set up and what has to outlast a restart. The default is
    /// the first folder of the environment's `STATE_DIRECTORY`, or `state` beside the configuration's file;
    /// `None` for a configuration that is no file: nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// `device.clock_steps`, "day" or "any": how far the cloud may move a camera's clock; default "day".
    pub clock_steps: ClockSteps,
    /// `[[channel]]`: the cameras, in the order of their numbers. Empty only where the device has a page, on which
    /// they can be added.
    pub channels: Vec<Channel>,
    /// `[network]`: how the network of cameras and of the device is looked after.
    #[cfg(any(feature = "alarms", feature = "linux"))]
    pub network: Network,
    /// `[publish]`: how live streams are kept up.
    pub publish: Publish,
    /// `[record]`: what recordings may take, and where they wait.
    pub record: Record,
    /// `[tlss]`: the hosted service; `None` while `tlss.enable` is false, which is the default.
    pub tlss: Option<Tlss>,
    /// `[firmware]`: where a new firmware of the device goes, and whose is taken.
    #[cfg(feature = "update")]
    pub firmware: Firmware,
    /// `[alarm]`: which alarms are reported.
    #[cfg(feature = "alarms")]
    pub alarm: Alarm,
    /// `[web]`: the device's page; `None` while `web.enable` is false, which is the default.
    #[cfg(feature = "ui")]
    pub web: Option<Web>,
    /// `[sandbox]`: the rights that the agent gives up; `None` while `sandbox.enable` is false, which is the default.
    #[cfg(feature = "sandbox")]
    pub sandbox: Option<Sandbox>,
    /// `[runtime]`: how the work is done.
    pub runtime: Runtime,
    /// `runtime.memory_limit`: bytes of resident memory under which the agent stays, and how they
    /// are shared out. The default is 32 MiB, 8 MiB for each channel, and what a spool, the hosted
    /// service, clip files and worker threads take.
    pub budget: Budget,
    /// `log.level`, "error", "warn", "info", "debug" or "trace"; default "info".
    pub log_level: LevelFilter,
    /// Lines for the log: what was not understood of a file whose `version` is newer, and what is
    /// done instead. Empty for files of this version.
    pub notes: Vec<String>,
}
