//! The cloud's authorities that were given on the page: PEM files in the folder of the device's state. Each is named by
//! its content, so that the one in force stays until the settings name another.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{self, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config::Config;

/// How the name of a file begins and ends.
const NAME: (&str, &str) = ("cloud-ca-", ".pem");

/// Keeps a text in PEM, and returns the path for `cloud.ca_file`. Other files of this kind are removed but the one that
/// the configuration names. Blocks.
///
/// # Errors
/// The device keeps nothing, or the disk does not take it.
pub(crate) fn keep(config: &Config, pem: &[u8]) -> io::Result<String> {
    let folder = folder(config).ok_or(io::ErrorKind::NotFound)?;
    let file = folder.join(name(pem));
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    for entry in fs::read_dir(&folder)?.filter_map(Result::ok) {
        let other = entry.path();
        let used = config.cloud.ca_file.as_deref() == Some(&*other);
        if is_ours(config, &other) && other != file && !used {
            fs::remove_file(&other)?;
        }
    }
    let draft = file.with_extension("new");
    fs::write(&draft, pem)?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, &file)?;
    file.into_os_string().into_string().map_err(|_| io::ErrorKind::InvalidFilename.into())
}

/// Whether a text in PEM is what the configuration's authorities are, as far as they were given on the page.
pub(crate) fn is_in_force(config: &Config, pem: &str) -> bool {
    let file = config.cloud.ca_file.as_deref().filter(|file| is_ours(config, file));
    file.and_then(Path::file_name).is_some_and(|file| file == name(pem.as_bytes()).as_str())
}

/// Whether a path is that of a file of this kind.
pub(crate) fn is_ours(config: &Config, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.strip_prefix(NAME.0).and_then(|name| name.strip_suffix(NAME.1));
    file.parent().map(Path::to_owned) == folder(config)
        && digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Name of the file of a text in PEM.
fn name(pem: &[u8]) -> String {
    let digest = Sha256::digest(pem);
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    [NAME.0, &digits, NAME.1].concat()
}

fn folder(config: &Config) -> Option<PathBuf> {
    path::absolute(config.state_dir.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_force_stays_until_another_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut config: Config = "[web]\nenable = true\n".parse().unwrap();
        assert!(keep(&config, b"a").is_err(), "there is no folder");
        config.state_dir = Some(folder.path().join("state"));
        let first = PathBuf::from(keep(&config, b"a").unwrap());
        config.cloud.ca_file = Some(first.clone());
        assert!(is_in_force(&config, "a") && !is_in_force(&config, "b"));
        let second = PathBuf::from(keep(&config, b"b").unwrap());
        assert!(first.exists() && second.exists());
        let third = PathBuf::from(keep(&config, b"c").unwrap());
        assert!(first.exists() && !second.exists() && third.exists());
        assert_eq!(fs::read(&third).unwrap(), b"c");
        assert!(is_ours(&config, &third) && !is_ours(&config, Path::new("/etc/cloud-ca-00.pem")));
        let other = folder.path().join("state/state.json");
        assert!(!is_ours(&config, &other));
        assert!(!is_ours(&config, &folder.path().join("state/x/../cloud-ca-00.pem")));
    }
}
