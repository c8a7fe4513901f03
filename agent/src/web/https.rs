//! The page's certificate: one that was supplied, or one that the device has made for itself.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ivt_base::task::spawn_blocking;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::task::JoinError;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::interfaces;
use crate::config;
use crate::state::StateStore;

/// Under this name the device's own certificate is kept.
pub(super) const SUBJECT: &str = "certificate";
/// By what browsers show a certificate that the device has made.
const NAME: &str = "ivt-agent";
/// Longest file of a certificate or a key, in bytes.
const LONGEST: u64 = 1 << 20;

/// Why the page cannot be served encrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was supplied cannot be used.
    #[error("{}: {reason}; put it right, or leave out web.https_certificate and web.https_key", .file.display())]
    File {
        /// Path of the file.
        file: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// Certificate and key do not fit each other.
    #[error("web.https_certificate and web.https_key do not belong together: {0}")]
    Pair(String),
    /// The device cannot make a certificate.
    #[error("no certificate could be made: {0}")]
    Made(String),
}

/// What encrypts the page's connections.
///
/// # Errors
/// The files that were supplied cannot be used, or none can be made.
pub(super) async fn acceptor(web: &config::Web, store: &StateStore) -> Result<TlsAcceptor, Error> {
    let ended = |e: JoinError| Error::Made(e.to_string());
    if let Some((certificate, key)) = web.certificate.clone() {
        return spawn_blocking(move || supplied(&certificate, &key)).await.map_err(ended)?;
    }
    let reading = store.clone();
    let kept = spawn_blocking(move || reading.read::<Value>(SUBJECT)).await.map_err(ended)?;
    let known = |kept: &Value| {
        let [certificate, key] = ["certificate", "key"].map(|name| kept[name].as_str());
        read(certificate?.as_bytes(), key?.as_bytes()).ok()
    };
    if let Some(acceptor) = kept.as_ref().and_then(known) {
        return Ok(acceptor);
    }
    let made = |e: rcgen::Error| Error::Made(e.to_string());
    let (certificate, key) = make(&web.hosts).map_err(made)?;
    let kept = json!({ "certificate": certificate, "key": key });
    if let Err(e) = store.write(SUBJECT, &kept).await {
        log::warn!("the page: browsers will ask about its certificate at each start: {e}");
    }
    read(certificate.as_bytes(), key.as_bytes())
}

/// Looks whether a configuration's files can be used.
///
/// # Errors
/// They cannot be read, or do not belong together.
pub(crate) fn check(web: &config::Web) -> Result<(), Error> {
    match &web.certificate {
        Some((certificate, key)) if web.https => supplied(certificate, key).map(drop),
        _ => Ok(()),
    }
}

fn supplied(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let text = |file: &Path| {
        let failed = |e: io::Error| Error::File { file: file.to_owned(), reason: e.to_string() };
        contents(file).map_err(failed)
    };
    let (chain, private) = (text(certificate)?, text(key)?);
    let bad = |file: &Path, what: &str| Error::File {
        file: file.to_owned(),
        reason: format!("no {what} in PEM form"),
    };
    if certificates(&chain).is_none_or(|chain| chain.is_empty()) {
        return Err(bad(certificate, "certificate"));
    }
    if PrivateKeyDer::from_pem_slice(&private).is_err() {
        return Err(bad(key, "key"));
    }
    read(&chain, &private)
}

/// A file of a certificate or a key; no device or pipe is opened.
fn contents(file: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(LONGEST + 1).read_to_end(&mut text)?;
    match text.len() as u64 > LONGEST {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
}

fn read(certificate: &[u8], key: &[u8]) -> Result<TlsAcceptor, Error> {
    let pair = |e: &dyn std::fmt::Display| Error::Pair(e.to_string());
    // The library's own words may repeat what is in the file.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| pair(&"no key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            let chain = certificates(certificate).unwrap_or_default();
            config.with_no_client_auth().with_single_cert(chain, key)
        });
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|e| pair(&e))?)))
}

/// A certificate and its key, for all names and addresses that the device has at the moment.
fn make(hosts: &[String]) -> Result<(String, String), rcgen::Error> {
    let name = interfaces::name();
    let local = format!("{}.local", name.strip_suffix(".local").unwrap_or(&name));
    let names = ["localhost".to_owned()].into_iter().chain(hosts.iter().cloned());
    let names = names.chain(if name.is_empty() { vec![] } else { vec![name, local] });
    let mut parameters = CertificateParams::default();
    for name in names {
        let other = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => match name.try_into() {
                Ok(name) => SanType::DnsName(name),
                // A name that no certificate can have.
                Err(_) => continue,
            },
        };
        parameters.subject_alt_names.push(other);
    }
    let own = interfaces::own().into_iter().map(|own| SanType::IpAddress(own.address));
    parameters.subject_alt_names.extend(own);
    parameters.distinguished_name.push(DnType::CommonName, NAME);
    let key = KeyPair::generate()?;
    Ok((parameters.self_signed(&key)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(keys: &str) -> config::Web {
        let text = format!("[web]\nenable = true\nhttps = 'on'\n{keys}");
        text.parse::<config::Config>().unwrap().web.unwrap()
    }

    #[tokio::test]
    async fn a_device_makes_its_certificate_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(Some(folder.path().into()));
        acceptor(&web(""), &store).await.unwrap();
        let kept: Value = store.read(SUBJECT).unwrap();
        assert!(kept["certificate"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
        acceptor(&web(""), &store).await.unwrap();
        assert_eq!(store.read::<Value>(SUBJECT).unwrap(), kept);
        store.write(SUBJECT, &json!({ "certificate": "torn", "key": 1 })).await.unwrap();
        acceptor(&web(""), &store).await.unwrap();
        assert_ne!(store.read::<Value>(SUBJECT).unwrap(), kept, "what cannot be read is made anew");
    }

    #[tokio::test]
    async fn files_that_do_not_do_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (one, other) = (make(&[]).unwrap(), make(&["a.example".into()]).unwrap());
        for (name, text) in [
            ("cert", &*one.0),
            ("key", &*one.1),
            ("other", &*other.1),
            ("text", "hello"),
            ("long", &"a".repeat(1 << 21)),
        ] {
            std::fs::write(at(name), text).unwrap();
        }
        let checked = |certificate: &str, key: &str| {
            let [certificate, key] = [certificate, key].map(|name| at(name).display().to_string());
            let keys = format!("https_certificate = '{certificate}'\nhttps_key = '{key}'\n");
            check(&web(&keys)).map_err(|e| e.to_string())
        };
        assert_eq!(checked("cert", "key"), Ok(()));
        for (certificate, key, words) in [
            ("cert", "other", "do not belong together"),
            ("text", "key", "no certificate in PEM form"),
            ("cert", "text", "no key in PEM form"),
            ("none", "key", "none: No such file"),
            ("/dev/zero", "key", "/dev/zero: it is no regular file"),
            ("cert", "long", "long: "),
        ] {
            let error = checked(certificate, key).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hello"));
        }
    }
}
