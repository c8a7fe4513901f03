//! `[web]`: the device's page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ivt_base::secret::Secret;
use toml::de::DeValue;

use super::credentials::{CredentialsFile, twice};
use super::error::Error;
use super::section::{NAME, PATH, Section, boolean, text};

/// Where the page is served unless the configuration says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80);

/// The device's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// `listen`: address and port of the page; default `0.0.0.0:80`.
    pub listen: SocketAddr,
    /// `first_password`: opens the device until somebody has chosen a password; without it a new device belongs to
    /// who claims it. May stand in the credentials file.
    pub first_password: Option<Secret>,
    /// `metrics`: counts are exposed at `/metrics`, to everyone who reaches the page; default false.
    pub metrics: bool,
}

/// Reads the section; `None` while `enable` is false.
pub(super) fn web(
    mut section: Section<'_, '_>,
    apart: &mut CredentialsFile,
) -> Result<Option<Web>, Error> {
    let is_on = section.read("enable", boolean)?.unwrap_or(false);
    let listen = section.read("listen", address)?;
    let metrics = section.read("metrics", boolean)?.unwrap_or(false);
    let first = section.insist("first_password", text(1..=NAME))?;
    let other = apart.first_password.take();
    if first.is_some() && other.is_some() {
        return Err(twice(&section, "first_password"));
    }
    section.finish()?;
    Ok(is_on.then_some(Web {
        listen: listen.unwrap_or(LISTEN),
        first_password: first.or(other).map(Secret::untold),
        metrics,
    }))
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = text(1..=PATH)(value)?;
    text.parse().map_err(|_| "must be ADDRESS:PORT, such as \"0.0.0.0:80\" or \"[::]:80\"".into())
}
