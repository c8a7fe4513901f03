//! Authorities and servers that tests make up.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// An authority that the test made.
pub type Issuer = CertifiedIssuer<'static, KeyPair>;
/// Year, month and day.
pub type Day = (i32, u8, u8);

/// A new authority with a key of its own.
pub fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A file in the system's temporary folder that is removed with this value.
pub struct CaFile(PathBuf);

impl CaFile {
    /// Writes `content` into a file that `name` tells apart from those of other tests.
    pub fn new(name: &str, content: &str) -> Self {
        let name = format!("ivt-base-{}-{name}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A server with a certificate for `name`, valid from 2000 to the first day of `until`.
pub fn acceptor(issuer: &Issuer, name: &str, until: i32) -> TlsAcceptor {
    valid(issuer, name, (2000, 1, 1), (until, 1, 1))
}

/// A server with a certificate for `name`, valid between two days.
pub fn valid(issuer: &Issuer, name: &str, from: Day, until: Day) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let date = |(year, month, day)| date_time_ymd(year, month, day);
    (params.not_before, params.not_after) = (date(from), date(until));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
