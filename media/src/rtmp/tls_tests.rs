use std::time::Duration;

use ivt_base::clock::Clock;
use ivt_base::tls::client_config;
use ivt_base::tls::testing::{CaFile, acceptor, authority};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::server::{self, ServerLimits};
use super::{Options, PublishError, Publisher, RtmpUrl};

#[tokio::test]
async fn a_pinned_authority_is_trusted_and_carries_a_stream() {
    let issuer = authority();
    let ca = CaFile::new("rtmps-good", &issuer.pem());
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
        let tls = Some(client_config(Some(ca.path()), Clock::default()).unwrap());
        let options = Options { tls, ..Options::default() };
        let mut publisher = Publisher::connect(&url, &options).await.unwrap();
        let mut file =
            crate::flv::file::tags(include_bytes!("../../clips/main.flv")[..].into()).unwrap();
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
    let ca = CaFile::new("rtmps-strict", &issuer.pem());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(&stranger, "localhost", 2100);
    let server = async {
        let (io, _) = listener.accept().await.unwrap();
        let Ok(mut io) = acceptor.accept(io).await else { return 0 };
        io.read(&mut [0]).await.unwrap_or(0)
    };
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmps://localhost:{port}/live/x")).unwrap();
        let tls = Some(client_config(Some(ca.path()), Clock::default()).unwrap());
        let options = Options { tls, establish: Duration::from_secs(5), ..Options::default() };
        Publisher::connect(&url, &options).await.map(|_| ())
    };
    let (read, published) = tokio::join!(server, client);
    assert!(matches!(published, Err(PublishError::Tls { .. })), "{published:?}");
    assert_eq!(read, 0);
}
