//! Whom to trust. The system's certificates take hundreds of KiB, so they are read when the first
//! encrypted connection is made, and shared from then on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ivt_media::tls::{ClientConfig, TlsError, client_config};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The authorities for `wss` and `rtmps`.
#[derive(Clone)]
pub struct Trust(Arc<OnceCell<Arc<ClientConfig>>>);

impl Trust {
    /// Trusts those of `ca_file` alone, which is read here so that a bad file is known at once;
    /// without one, those of the system.
    pub fn new(ca_file: Option<PathBuf>) -> Result<Self, TlsError> {
        let config = ca_file.map(|file| client_config(Some(&file))).transpose()?;
        Ok(Self(Arc::new(OnceCell::new_with(config))))
    }

    /// For a TLS client.
    pub async fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let read = || async {
            // Reading files and parsing certificates would hold up the pictures.
            let config = spawn_blocking(|| client_config(None)).await;
            config.unwrap_or_else(|e| Err(io::Error::other(e).into()))
        };
        self.0.get_or_try_init(read).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_of_authorities_is_known_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        let error = Trust::new(Some(file.path().into())).err().expect("no certificate in it");
        assert!(error.to_string().contains(&*file.path().to_string_lossy()), "{error}");
    }

    #[tokio::test]
    async fn the_certificates_are_read_once() {
        let trust = Trust::new(None).unwrap();
        let first = trust.config().await.unwrap();
        let second = trust.clone().config().await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
