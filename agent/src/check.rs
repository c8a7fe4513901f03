//! Checks what a configuration needs besides being right: the files it names.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ivt_base::tls::TlsError;

use crate::config::Config;
#[cfg(feature = "update")]
use crate::state::StateStore;
use crate::tls::TrustStore;
use crate::tlss::{Settings, SetupError, Tlss};

/// Why an agent with this configuration would not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of trusted authorities cannot be used.
    #[error(transparent)]
    Authorities(#[from] TlsError),
    /// The profile of the hosted service cannot be used.
    #[error(transparent)]
    Tlss(#[from] SetupError),
    /// The page's certificate cannot be used.
    #[cfg(feature = "ui")]
    #[error("{0}")]
    Page(#[from] crate::web::https::Error),
    /// The places of a new firmware cannot be used.
    #[cfg(feature = "update")]
    #[error("firmware: {0}")]
    Firmware(#[from] ivt_hal::firmware::SetupError),
    /// What was upgraded could not be remembered.
    #[cfg(feature = "update")]
    #[error("firmware: {0}")]
    State(#[from] crate::state::StateError),
    /// The user that the agent is to become is not there.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::Error),
    /// A file from which a camera streams cannot be read.
    #[error("channel {channel}: {}: cannot be read: {source}", .file.display())]
    Clip {
        /// The number of the channel.
        channel: usize,
        /// The path of the file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads the file of authorities and the profile of the hosted service, and opens the files of the
/// cameras. Talks to nobody and starts nothing.
///
/// # Errors
/// The first of these files that cannot be used.
pub fn check(config: &Config) -> Result<(), Error> {
    TrustStore::new(config.cloud.ca_file.clone())?;
    #[cfg(feature = "sandbox")]
    crate::sandbox::check(config)?;
    if let Some(settings) = &config.tlss {
        Tlss::check(Settings::new(settings)?).map_err(SetupError::from)?;
    }
    #[cfg(feature = "ui")]
    config.web.as_ref().map_or(Ok(()), crate::web::https::check)?;
    #[cfg(feature = "update")]
    {
        crate::firmware::check(&config.firmware)?;
        if config.firmware.place.is_some() && config.state_dir.is_some() {
            StateStore::new(config.state_dir.clone()).check()?;
        }
    }
    for (channel, configured) in config.channels.iter().enumerate() {
        for file in configured.backend.files() {
            open(file).map_err(|source| Error::Clip { channel, file: file.to_owned(), source })?;
        }
    }
    Ok(())
}

/// Opens a file, and no device or pipe: opening one may have an effect, or wait for ever.
fn open(file: &Path) -> io::Result<File> {
    #[cfg(feature = "ui")]
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(keys: &str) -> Result<(), Error> {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
        let program = "[[channel]]\nbackend = 'emulator'\ncommand = ['sh']\n";
        check(&format!("{cloud}[device]\nmodel = 'nvr'\n{program}{program}{keys}").parse().unwrap())
    }

    #[test]
    fn a_cameras_file_that_cannot_be_read_is_named_with_its_channel() {
        assert!(checked("").is_ok(), "a program needs no file");
        let error = checked("sub = '/nonexistent/b.flv'").unwrap_err().to_string();
        assert!(error.starts_with("channel 1: /nonexistent/b.flv: cannot be read: "), "{error}");
        let clip = tempfile::NamedTempFile::new().unwrap();
        assert!(checked(&format!("sub = '{}'", clip.path().display())).is_ok());
        #[cfg(feature = "ui")]
        for other in ["/dev/zero", "/dev"] {
            let error = checked(&format!("sub = '{other}'")).unwrap_err().to_string();
            assert!(error.ends_with("it is no regular file"), "{error}");
        }
    }
}
