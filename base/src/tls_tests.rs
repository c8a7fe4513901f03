use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::testing::{CaFile, acceptor, authority};
use super::*;

/// Sends a byte to a server with this certificate, trusting `ca`. Returns what the client got, and
/// how many bytes the server read.
async fn say(acceptor: TlsAcceptor, ca: &CaFile) -> (Result<(), TlsError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (io, _) = listener.accept().await.unwrap();
        let Ok(mut io) = acceptor.accept(io).await else { return 0 };
        let mut first = [0];
        io.read(&mut first).await.unwrap_or(0)
    };
    let client = async {
        let config = client_config(Some(ca.path()), Clock::default()).unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut io = connect(config, "localhost", tcp).await?;
        io.write_all(&[3]).await.unwrap();
        io.flush().await.unwrap();
        Ok(())
    };
    let (server, client) = tokio::join!(server, client);
    (client, server)
}

#[tokio::test]
async fn no_byte_reaches_a_server_that_is_not_trusted() {
    let (issuer, stranger) = (authority(), authority());
    let ca = CaFile::new("strict", &issuer.pem());
    for (what, acceptor) in [
        ("unknown authority", acceptor(&stranger, "localhost", 2100)),
        ("wrong name", acceptor(&issuer, "example.org", 2100)),
        ("expired", acceptor(&issuer, "localhost", 2001)),
    ] {
        let (said, read) = say(acceptor, &ca).await;
        let error = said.unwrap_err();
        assert!(matches!(error, TlsError::Handshake(_)), "{what}: {error}");
        assert_eq!(read, 0, "{what}");
    }
    // The same probe does read from a server that is trusted.
    assert_eq!(say(acceptor(&issuer, "localhost", 2100), &ca).await.1, 1);
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
        let error = client_config(Some(file.path()), Clock::default()).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{name}: {error}");
    }
    let missing = client_config(Some(Path::new("/no/such")), Clock::default());
    assert!(matches!(missing, Err(TlsError::CaFile { .. })));
}

#[test]
fn there_is_always_something_to_trust() {
    assert!(!system().is_empty());
}
