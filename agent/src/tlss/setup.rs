//! From the configuration to [`Settings`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::policy::{Profile, ProfileError};
use super::{Settings, SettingsError};
use crate::config::{self, parse_mac};

/// Where the system lists its network interfaces.
const INTERFACES: &str = "/sys/class/net";

/// Why the hosted service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of `tlss.profile`.
    #[error("tlss.profile: {}: cannot be read: {source}", .file.display())]
    Read {
        /// Its path.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it.
    #[error("tlss.profile: {}: {source}", .file.display())]
    Profile {
        /// Its path.
        file: PathBuf,
        /// What is wrong.
        source: ProfileError,
    },
    /// No interface has a hardware address.
    #[error("no network interface tells its hardware address: set tlss.mac")]
    Mac,
    /// A value that the protocol cannot carry.
    #[error("tlss: {0}")]
    Settings(#[from] SettingsError),
}

impl Settings {
    /// Reads what the configuration names. Talks to nobody.
    pub fn new(config: &config::Tlss) -> Result<Self, SetupError> {
        let profile = config.profile.as_deref().map_or_else(|| Ok(Profile::built_in()), profile)?;
        let mac = config.mac.or_else(|| interface(Path::new(INTERFACES))).ok_or(SetupError::Mac)?;
        Ok(Self {
            server: config.server.clone(),
            port: config.port,
            interval: config.interval,
            tls: config.tls,
            mac,
            brand: config.brand.clone(),
            model: config.model.clone(),
            profile,
            write_groups: config.write.clone(),
            reply_limit: config.reply_limit,
        })
    }
}

fn profile(file: &Path) -> Result<Profile, SetupError> {
    let path = || file.to_owned();
    let text =
        fs::read_to_string(file).map_err(|source| SetupError::Read { file: path(), source })?;
    text.parse().map_err(|source| SetupError::Profile { file: path(), source })
}

/// The address of the first interface, by the kernel's order, that has one.
fn interface(interfaces: &Path) -> Option<[u8; 6]> {
    let number =
        |folder: &Path| fs::read_to_string(folder.join("ifindex")).ok()?.trim().parse::<u32>().ok();
    let entries = fs::read_dir(interfaces).ok()?.filter_map(Result::ok);
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).collect();
    folders.sort_by_key(|folder| number(folder));
    folders.iter().find_map(|folder| {
        let address = fs::read_to_string(folder.join("address")).ok()?;
        parse_mac(address.trim()).filter(|mac| *mac != [0; 6])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interface_with_an_address_names_the_device() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(interface(folder.path()), None);
        for (name, index, address) in [
            ("wlan0", "3", "00:11:22:33:44:55"),
            ("lo", "1", "00:00:00:00:00:00"),
            ("eth0", "2", "00:13:23:a0:07:ad"),
            ("ppp0", "9", ""),
        ] {
            let interface = folder.path().join(name);
            fs::create_dir(&interface).unwrap();
            fs::write(interface.join("ifindex"), format!("{index}\n")).unwrap();
            fs::write(interface.join("address"), format!("{address}\n")).unwrap();
        }
        assert_eq!(interface(folder.path()), Some([0x00, 0x13, 0x23, 0xa0, 0x07, 0xad]));
    }

    #[test]
    fn a_profile_that_cannot_be_used_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "[[command]]\n").unwrap();
        for path in [file.path(), Path::new("/nowhere/profile.toml")] {
            let error = profile(path).expect_err("no profile").to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
