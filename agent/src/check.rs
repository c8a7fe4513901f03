//! What a configuration needs besides being right: the files it names.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use ivt_base::tls::TlsError;

use crate::config::{Backend, Config};
use crate::tls::Trust;
use crate::tlss::{Settings, SetupError, Tlss};

/// Why an agent with this configuration would not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of authorities.
    #[error(transparent)]
    Authorities(#[from] TlsError),
    /// The hosted service.
    #[error(transparent)]
    Tlss(#[from] SetupError),
    /// A clip of an emulator.
    #[error("channel {channel}: {}: cannot be read: {source}", .file.display())]
    Clip {
        /// The channel's number.
        channel: usize,
        /// Its path.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads the file of authorities and the hosted service's profile, and opens the clips. Talks to nobody and starts nothing.
pub fn check(config: &Config) -> Result<(), Error> {
    Trust::new(config.cloud.ca_file.clone())?;
    if let Some(settings) = &config.tlss {
        Tlss::check(Settings::new(settings)?).map_err(SetupError::from)?;
    }
    for (channel, described) in config.channels.iter().enumerate() {
        let Backend::Emulator { main, sub, .. } = &described.backend else { continue };
        for file in [main, sub].into_iter().flatten() {
            let opened = File::open(file);
            opened.map_err(|source| Error::Clip { channel, file: file.clone(), source })?;
        }
    }
    Ok(())
}
