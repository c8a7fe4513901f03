//! From the configuration to [`Settings`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ivt_proto::tlss::Identity;

use super::policy::{Policy, Profile, ProfileError};
use super::{Settings, SettingsError};
use crate::config::{self, parse_mac};

/// Where the system lists its network interfaces.
pub(super) const INTERFACES: &str = "/sys/class/net";
/// The kernel's value of `addr_assign_type` for an address that is the hardware's own.
const PERMANENT: &str = "0";

/// Why the hosted service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of `tlss.profile` cannot be read.
    #[error("tlss.profile: {}: cannot be read: {source}", .file.display())]
    Read {
        /// Path of the file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of `tlss.profile` holds something that is refused.
    #[error("tlss.profile: {}: {source}", .file.display())]
    Profile {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong with the profile.
        source: ProfileError,
    },
    /// Settings that cannot be used.
    #[error("tlss: {0}")]
    Settings(#[from] SettingsError),
}

impl Settings {
    /// Reads the profile that the configuration names. Talks to nobody.
    ///
    /// # Errors
    /// When the file of `tlss.profile` cannot be read or is refused.
    pub fn new(config: &config::Tlss) -> Result<Self, SetupError> {
        let profile = config.profile.as_deref().map_or_else(|| Ok(Profile::built_in()), profile)?;
        Ok(Self { config: config.clone(), profile })
    }

    /// What the server may do, and by which identity the server knows the device.
    pub(super) fn checked(self) -> Result<(Policy, Identity), SettingsError> {
        let config::Tlss { mac, brand, model, write, .. } = self.config;
        let policy = Policy::new(self.profile, &write)?;
        Ok((policy, Identity::new(mac.unwrap_or_default(), &brand, &model)?))
    }
}

fn profile(file: &Path) -> Result<Profile, SetupError> {
    let path = || file.to_owned();
    let text =
        fs::read_to_string(file).map_err(|source| SetupError::Read { file: path(), source })?;
    text.parse().map_err(|source| SetupError::Profile { file: path(), source })
}

/// The hardware address by which the server knows the device, told to the log; `None` when no interface has one.
pub(super) fn hardware_address(interfaces: &Path) -> Option<[u8; 6]> {
    let Interface { mac, name, made_up, .. } = best(interfaces)?;
    let spelt = mac.map(|byte| format!("{byte:02X}")).join(":");
    match made_up {
        false => log::info!("TLSS: this device is {spelt} to the server, as {name}"),
        true => log::warn!(
            "TLSS: this device is {spelt} to the server, as {name}; that is not the hardware's own \
             address and may change: set tlss.mac"
        ),
    }
    Some(mac)
}

/// A network interface. The smallest of several identifies the device best: bridges and tunnels make
/// their addresses up.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interface {
    made_up: bool,
    no_hardware: bool,
    /// Number by which the kernel orders interfaces; one without a number comes last.
    index: u32,
    name: String,
    mac: [u8; 6],
}

fn best(interfaces: &Path) -> Option<Interface> {
    let folders = fs::read_dir(interfaces).ok()?.filter_map(Result::ok);
    folders.filter_map(|folder| read(&folder.path())).min()
}

/// The interface that `folder` describes; `None` for one without an address.
fn read(folder: &Path) -> Option<Interface> {
    let file = |name| fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
    Some(Interface {
        made_up: file("addr_assign_type") != PERMANENT,
        no_hardware: !folder.join("device").exists(),
        index: file("ifindex").parse().unwrap_or(u32::MAX),
        name: folder.file_name()?.to_string_lossy().into_owned(),
        mac: parse_mac(&file("address")).filter(|mac| *mac != [0; 6])?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes the files by which the system lists an interface; only hardware has a `device`.
    pub(in crate::tlss) fn interface(
        folder: &Path,
        name: &str,
        index: u32,
        address: &str,
        assigned: &str,
        hardware: bool,
    ) {
        let interface = folder.join(name);
        fs::create_dir(&interface).unwrap();
        fs::write(interface.join("ifindex"), format!("{index}\n")).unwrap();
        fs::write(interface.join("address"), format!("{address}\n")).unwrap();
        fs::write(interface.join("addr_assign_type"), format!("{assigned}\n")).unwrap();
        if hardware {
            fs::create_dir(interface.join("device")).unwrap();
        }
    }

    #[test]
    fn the_hardwares_own_address_names_the_device() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let found = || hardware_address(folder).map(|mac| mac[5]);
        assert_eq!(found(), None);
        interface(folder, "lo", 1, "00:00:00:00:00:00", "0", false);
        interface(folder, "ppp0", 9, "", "0", false);
        assert_eq!(found(), None);
        interface(folder, "ifb0", 4, "7e:00:00:00:00:01", "1", false);
        interface(folder, "br0", 3, "7e:00:00:00:00:02", "1", false);
        assert_eq!(found(), Some(2), "the last resort: the first by the kernel's order");
        interface(folder, "wlan0", 7, "00:11:22:33:44:03", "3", true);
        assert_eq!(found(), Some(3), "an address that was set, on hardware");
        interface(folder, "team0", 5, "00:11:22:33:44:04", "0", false);
        assert_eq!(found(), Some(4), "an own address, wherever it is");
        interface(folder, "wlan1", 8, "00:11:22:33:44:05", "0", true);
        interface(folder, "eth0", 6, "00:13:23:a0:07:ad", "0", true);
        assert_eq!(hardware_address(folder), Some([0x00, 0x13, 0x23, 0xa0, 0x07, 0xad]));
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
