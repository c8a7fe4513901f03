//! The authorities that the agent trusts. Those of the system take hundreds of KiB, so they are read when
//! the first encrypted connection is made, and shared from then on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ivt_base::task::spawn_blocking;
use ivt_base::tls::{ClientConfig, TlsError, client_config};
use tokio::sync::OnceCell;

use crate::build_date::clock;

/// The authorities that are trusted for `wss`, `rtmps`, `https` and the hosted service.
#[derive(Clone)]
pub struct TrustStore(Arc<OnceCell<Arc<ClientConfig>>>);

impl TrustStore {
    /// Trusts the authorities of `ca_file` alone, which is read here so that a bad file is known at once;
    /// without a file, those of the system. Validity is judged by the device's clock, or by the date of
    /// the build while the clock is behind it.
    ///
    /// # Errors
    /// When `ca_file` cannot be read or holds no certificate.
    pub fn new(ca_file: Option<PathBuf>) -> Result<Self, TlsError> {
        let config = ca_file.map(|file| client_config(Some(&file), clock())).transpose()?;
        Ok(Self(Arc::new(OnceCell::new_with(config))))
    }

    /// Trusts the authorities of a text in PEM alone.
    ///
    /// # Errors
    /// The text holds no certificate.
    #[cfg(feature = "ui")]
    pub(crate) fn of_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let config = ivt_base::tls::client_config_of_pem(pem, clock())?;
        Ok(Self(Arc::new(OnceCell::new_with(Some(config)))))
    }

    /// The configuration of a TLS client, read at the first call.
    ///
    /// # Errors
    /// The system has no certificates, or they cannot be read.
    pub async fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let read = || async {
            // Reading files and parsing certificates would block the runtime.
            let config = spawn_blocking(|| client_config(None, clock())).await;
            config.unwrap_or_else(|e| Err(io::Error::other(e).into()))
        };
        self.0.get_or_try_init(read).await.cloned()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
