//! TLS for outgoing connections: rustls with ring, and the certificates to trust.

mod certificate;
#[cfg(feature = "testing")]
pub mod testing;
mod verifier;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use self::verifier::Verifier;
use crate::clock::Clock;

pub use certificate::Certificate;
pub use rustls::ClientConfig;
pub use tokio_rustls::client::TlsStream;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA file cannot be used.
    #[error("CA file {}: {reason}", .path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// The TLS library is built without what it needs.
    #[error("TLS set-up: {0}")]
    Setup(#[from] rustls::Error),
    /// No certificate can be for this host.
    #[error("no valid host name: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// The handshake failed: no trust, another name, out of date, or no TLS at all.
    #[error("{0}")]
    Handshake(#[from] io::Error),
}

/// A configuration that trusts the certificates of `ca_file` (PEM) and no others. Without a file it
/// trusts those of the system or, where the device has none, Mozilla's. Validity is judged by
/// `clock`. A configuration costs hundreds of KiB, so make it when it is first needed, and share
/// it.
///
/// # Errors
///
/// The file cannot be read or holds no usable certificate, or the TLS library lacks what it needs.
pub fn client_config(ca_file: Option<&Path>, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca_file {
        Some(path) => pinned(path)?,
        None => system(),
    };
    configured(roots, clock)
}

/// Does as [`client_config`] with the certificates of a text in PEM.
///
/// # Errors
///
/// The text holds no usable certificate.
pub fn client_config_of_pem(pem: &[u8], clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    configured(collected(CertificateDer::pem_slice_iter(pem), Path::new("(given)"))?, clock)
}

fn configured(roots: RootCertStore, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(roots, provider.clone(), clock)?;
    let config = ClientConfig::builder_with_details(provider, Arc::new(clock))
        .with_safe_default_protocol_versions()?
        // Our verifier asks the library's own, so that it accepts nothing more.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Does the handshake with `host`, a name or an address.
///
/// # Errors
///
/// No certificate can be for `host`, or the handshake failed.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    host: &str,
    io: S,
) -> Result<TlsStream<S>, TlsError> {
    let name = ServerName::try_from(host.to_owned())?;
    Ok(TlsConnector::from(config).connect(name, io).await?)
}

fn pinned(path: &Path) -> Result<RootCertStore, TlsError> {
    let bad = |reason: String| TlsError::CaFile { path: path.to_owned(), reason };
    collected(CertificateDer::pem_file_iter(path).map_err(|e| bad(unread(e)))?, path)
}

/// The authorities that are read one after the other from `path`.
fn collected(
    certificates: impl Iterator<Item = Result<CertificateDer<'static>, pem::Error>>,
    path: &Path,
) -> Result<RootCertStore, TlsError> {
    let bad = |reason: String| TlsError::CaFile { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|e| bad(unread(e)))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("expected PEM certificates, found none".to_owned()));
    }
    Ok(roots)
}

/// Why a file gives no certificates. The library's own words repeat what is in the file.
fn unread(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        _ => "expected PEM certificates, found broken ones".to_owned(),
    }
}

fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        log::info!(target: "media", "no certificate store on this system: using Mozilla's");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
