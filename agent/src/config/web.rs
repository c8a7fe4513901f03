//! `[web]`: the device's page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use super::error::Error;
use super::section::{PATH, Section, boolean, text};

/// Where the page is served unless the configuration says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80);

/// The device's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// `listen`: address and port of the page; default `0.0.0.0:80`.
    pub listen: SocketAddr,
}

/// Reads the section; `None` while `enable` is false.
pub(super) fn web(mut section: Section<'_, '_>) -> Result<Option<Web>, Error> {
    let is_on = section.read("enable", boolean)?.unwrap_or(false);
    let listen = section.read("listen", address)?;
    section.finish()?;
    Ok(is_on.then_some(Web { listen: listen.unwrap_or(LISTEN) }))
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = text(1..=PATH)(value)?;
    text.parse().map_err(|_| "must be ADDRESS:PORT, such as \"0.0.0.0:80\" or \"[::]:80\"".into())
}
