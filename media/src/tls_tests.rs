use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::rtmp::server::{self, ServerLimits};
use crate::rtmp::{Options, PublishError, Publisher, RtmpUrl};

pub(super) type Issuer = CertifiedIssuer<'static, KeyPair>;
/// Year, month and day.
pub(super) type Day = (i32, u8, u8);

pub(super) fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A file in the system's temporary folder that goes with the test.
pub(super) struct CaFile(pub(super) PathBuf);

impl CaFile {
    pub(super) fn new(name: &str, content: &str) -> Self {
        let name = format!("ivt-media-{}-{name}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn acceptor(issuer: &Issuer, name: &str, until: i32) -> TlsAcceptor {
    valid(issuer, name, (2000, 1, 1), (until, 1, 1))
}

/// A server with a certificate for `name`.
pub(super) fn valid(issuer: &Issuer, name: &str, from: Day, until: Day) -> TlsAcceptor {
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

/// Publishes to a server with this certificate, trusting `ca`. What the server read as RTMP, too.
async fn publish(acceptor: TlsAcceptor, ca: &CaFile) -> (Result<(), PublishError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (io, _) = listener.accept().await.unwrap();
        let Ok(mut io) = acceptor.accept(io).await else { return 0 };
        let mut first = [0];
        io.read(&mut first).await.unwrap_or(0)
    };
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmps://localhost:{port}/live/x")).unwrap();
        let tls = Some(client_config(Some(&ca.0), Clock::default()).unwrap());
        let establish = Duration::from_secs(5);
        let options = Options { tls, establish, ..Options::default() };
        Publisher::connect(&url, &options).await.map(|_| ())
    };
    let (server, client) = tokio::join!(server, client);
    (client, server)
}

#[tokio::test]
async fn a_pinned_authority_is_trusted_and_carries_a_stream() {
    let issuer = authority();
    let ca = CaFile::new("good", &issuer.pem());
    let acceptor = acceptor(&issuer, "localhost", 2100);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let io = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut session = server::accept(io, ServerLimits::default()).await.unwrap();
        let request = session.publish().await.unwrap();
        session.accept().await.unwrap();
        let tag = session.next_tag().await.unwrap().unwrap();
        (request.key, tag.len(), session.next_tag().await.unwrap())
    };
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmps://localhost:{port}/live/x")).unwrap();
        let tls = Some(client_config(Some(&ca.0), Clock::default()).unwrap());
        let options = Options { tls, ..Options::default() };
        let mut publisher = Publisher::connect(&url, &options).await.unwrap();
        let mut file =
            crate::flv::file::tags(include_bytes!("../clips/main.flv")[..].into()).unwrap();
        let tag = file.find_map(|tag| tag.ok().filter(|tag| tag.len() > 4000)).unwrap();
        publisher.send(&tag).await.unwrap();
        publisher.finish().await;
        tag.len()
    };
    let ((key, len, end), sent) = tokio::join!(server, client);
    assert_eq!((key.as_str(), len, end), ("x", sent, None));
}

#[tokio::test]
async fn no_byte_of_rtmp_reaches_a_server_that_is_not_trusted() {
    let (issuer, stranger) = (authority(), authority());
    let ca = CaFile::new("strict", &issuer.pem());
    for (what, acceptor) in [
        ("unknown authority", acceptor(&stranger, "localhost", 2100)),
        ("wrong name", acceptor(&issuer, "example.org", 2100)),
        ("expired", acceptor(&issuer, "localhost", 2001)),
    ] {
        let (published, read) = publish(acceptor, &ca).await;
        let error = published.unwrap_err();
        assert!(matches!(error, PublishError::Tls { .. }), "{what}: {error}");
        assert_eq!(read, 0, "{what}");
    }
    // The same probe does read from a server that is trusted.
    assert_eq!(publish(acceptor(&issuer, "localhost", 2100), &ca).await.1, 1);
}

#[test]
fn a_bad_ca_file_is_named() {
    for (name, content) in [
        ("empty", ""),
        ("text", "no certificate"),
        ("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ("junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let file = CaFile::new(name, content);
        let error = client_config(Some(&file.0), Clock::default()).unwrap_err().to_string();
        assert!(error.contains(file.0.to_str().unwrap()), "{name}: {error}");
    }
    let missing = client_config(Some(Path::new("/no/such")), Clock::default());
    assert!(matches!(missing, Err(TlsError::CaFile { .. })));
}

#[test]
fn there_is_always_something_to_trust() {
    assert!(!system().is_empty());
}
