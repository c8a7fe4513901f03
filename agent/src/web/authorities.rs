//! The cloud's authorities that were given on the page: one PEM file in the folder of the device's state.

use std::path;

use crate::config::Config;

/// Name of the file.
const NAME: &str = "cloud-ca.pem";

/// The path of the file, as `cloud.ca_file` names it; `None` where the device keeps nothing.
pub(crate) fn file(config: &Config) -> Option<String> {
    let folder = path::absolute(config.state_dir.as_ref()?).ok()?;
    folder.join(NAME).into_os_string().into_string().ok()
}
