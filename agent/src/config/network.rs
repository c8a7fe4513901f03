//! `[network]`: how the network of cameras and of the device is looked after.

use std::time::Duration;

use super::error::Error;
use super::section::{Section, boolean, integer, seconds};

/// How the network of cameras and of the device is looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// `tell_wifi_password`: whether the cloud is told the password of a wireless network; default false.
    pub tell_wifi_password: bool,
    /// `wifi_trial_seconds`: how long a changed wireless network may take to bring the cloud back before the network of
    /// before is joined again, 10 to 600 seconds; default 120.
    pub wifi_trial: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self { tell_wifi_password: false, wifi_trial: Duration::from_secs(120) }
    }
}

pub(super) fn network(mut section: Section<'_, '_>) -> Result<Network, Error> {
    let usual = Network::default();
    let tell = section.read("tell_wifi_password", boolean)?;
    let trial = section.read("wifi_trial_seconds", integer(10..=600))?;
    section.finish()?;
    Ok(Network {
        tell_wifi_password: tell.unwrap_or(usual.tell_wifi_password),
        wifi_trial: trial.map_or(usual.wifi_trial, seconds),
    })
}
