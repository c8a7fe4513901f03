use ivt_base::address_rule::AddressRule;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use super::*;
use crate::cloud::dial::{self, Dial as _};
use crate::cloud::login::CloudLogin;
use crate::config::Config;
use crate::http::{Deadlines, Http};
use crate::record::service::{RecordingApi as _, Service, callback_url};
use crate::tlss::connector::{Connector as _, TcpConnector};

#[test]
fn a_bad_file_of_authorities_is_known_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    let error = TrustStore::new(Some(file.path().into())).err().expect("no certificate in it");
    assert!(error.to_string().contains(&*file.path().to_string_lossy()), "{error}");
}

#[tokio::test]
async fn the_certificates_are_read_once() {
    let trust = TrustStore::new(None).unwrap();
    let first = trust.config().await.unwrap();
    let second = trust.clone().config().await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

/// The port of a server whose certificate was valid in 2001, and an agent's trust in that certificate.
async fn expired() -> (u16, TrustStore) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pin = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pin.path(), certificate.pem()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = TlsAcceptor::from(Arc::new(config.clone())).accept(tcp).await;
        }
    });
    (port, TrustStore::new(Some(pin.path().into())).unwrap())
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_peer_date_and_clock() {
    let (port, trust) = expired().await;
    let config = format!(
        "[cloud]\nurl = 'wss://localhost:{port}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'"
    );
    let login = CloudLogin::of(&config.parse::<Config>().unwrap().cloud).unwrap();
    let ivc = dial::TcpDial::new(login, trust.clone()).dial().await.err().unwrap();
    let tlss = TcpConnector::new("localhost", port, Some(trust.clone())).connect().await;
    let url = callback_url(&format!("https://localhost:{port}/cb")).unwrap();
    let uploads = Service::new(
        Http::new(trust, AddressRule::for_cloud("localhost"), Deadlines::default()),
        url.into(),
    );
    let upload = uploads.save("n").await.unwrap_err();
    for error in [ivc.to_string(), tlss.err().unwrap().to_string(), upload.to_string()] {
        for part in ["localhost", "was valid until 2002-01-01T00:00:00Z", "the device's clock says"]
        {
            assert!(error.contains(part), "want {part}, got {error}");
        }
    }
}
