use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::rustls;

use super::*;
use crate::config::Config;

fn dialer(port: u16) -> TcpDial {
    dialer_to(&format!("ws://127.0.0.1:{port}/ivc"), TrustStore::new(None).unwrap())
}

fn dialer_to(url: &str, trust: TrustStore) -> TcpDial {
    let text = format!(
        "[cloud]\nurl = '{url}'\nlogin_code = 'c'\nlogin_passwd = 'canary'\n\
         [[channel]]\nbackend = 'emulator'"
    );
    let login = CloudLogin::of(&text.parse::<Config>().unwrap().cloud).unwrap();
    TcpDial::new(login, trust)
}

async fn answered_with(answer: &'static str) -> DialError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
        tcp.write_all(answer.as_bytes()).await.unwrap();
    });
    let error = dialer(port).dial().await.expect_err("no WebSocket there");
    server.await.unwrap();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn unauthorized_and_forbidden_are_a_refused_login() {
    for (answer, want) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", 401),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
    ] {
        let error = answered_with(answer).await;
        assert!(matches!(error, DialError::Refused { status } if status == want), "{error}");
    }
}

#[tokio::test]
async fn a_cloud_that_is_busy_is_told_from_a_wrong_address() {
    for (answer, words, seconds) in [
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\n\r\n", "503 Service", Some(30)),
        ("HTTP/1.1 429 Too Many Requests\r\n\r\n", "429 Too Many Requests", None),
        ("HTTP/1.1 502 Bad Gateway\r\nRetry-After: 7200\r\n\r\n", "502 Bad Gateway", Some(3600)),
        ("HTTP/1.1 504 Gateway Timeout\r\n\r\n", "504 Gateway Timeout", None),
        ("HTTP/1.1 404 Not Found\r\nRetry-After: 1\r\n\r\n", "404 Not Found", Some(1)),
    ] {
        let error = answered_with(answer).await;
        let DialError::Busy { said, wait } = &error else { panic!("{answer:?}: {error}") };
        assert!(said.contains(words), "{answer:?}: {said}");
        assert_eq!(*wait, seconds.map(Duration::from_secs), "{answer:?}");
        let asked = error.to_string().contains("it asks to wait");
        assert_eq!(asked, seconds.is_some(), "{error}");
    }
}

/// A server for one connection that answers with this head. `HERE` in it becomes its own address.
async fn serving(answer: &str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer.replace("HERE", &address.to_string());
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            assert!(tcp.read_buf(&mut received).await.unwrap() > 0);
        }
        tcp.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(received).unwrap()
    });
    (address.port(), server)
}

#[tokio::test]
async fn a_redirect_is_followed_one_step_and_with_the_account() {
    let (second, asked) = serving("HTTP/1.1 401 Unauthorized\r\n\r\n").await;
    let location = format!("Location: http://127.0.0.1:{second}/node");
    let (first, _) = serving(&format!("HTTP/1.1 307 Temporary\r\n{location}\r\n\r\n")).await;
    let error = dialer(first).dial().await.expect_err("no login there");
    assert!(matches!(error, DialError::Refused { status: 401 }), "{error}");
    let request = asked.await.unwrap();
    assert!(request.starts_with("GET /node?login_code=c&login_passwd=canary&"), "{request}");
    assert!(request.contains(&format!("\r\nHost: 127.0.0.1:{second}\r\n")), "{request}");

    let (second, _) = serving("HTTP/1.1 302 Found\r\nLocation: http://HERE/\r\n\r\n").await;
    let location = format!("Location: //127.0.0.1:{second}/node?key=canary");
    let (first, _) = serving(&format!("HTTP/1.1 301 Moved\r\n{location}\r\n\r\n")).await;
    let error = dialer(first).dial().await.expect_err("no end").to_string();
    assert!(error.contains(&format!("to ws://127.0.0.1:{second}/node, and from there again")));
    assert!(!error.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_redirect_leads_only_to_where_the_rule_allows() {
    for location in ["http://169.254.169.254/canary", "ws://[::ffff:a9fe:a9fe]/", "//0x7f.2:9/"] {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}?canary\r\n\r\n");
        let (first, _) = serving(&answer).await;
        let error = dialer(first).dial().await.expect_err("a refusal");
        assert!(matches!(error, DialError::Forbidden(_)), "{location}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn other_answers_are_no_websocket() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 302 Found\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
    ] {
        let error = answered_with(answer).await;
        assert!(matches!(error, DialError::Upgrade { .. }), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = dialer(port).dial().await.expect_err("nobody there");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let start = Instant::now();
    let error = dialer(listener.local_addr().unwrap().port()).dial().await.err();
    assert!(matches!(error, Some(DialError::Timeout)), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn the_socket_is_tuned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let deadline = Instant::now() + DIAL_TIMEOUT;
    let tcp = connect("127.0.0.1", port, deadline, None).await.unwrap();
    assert!(tcp.nodelay().unwrap());
    let limit = socket2::SockRef::from(&tcp).tcp_user_timeout().unwrap();
    assert_eq!(limit, Some(USER_TIMEOUT));
}

/// A TLS server with a certificate of its own for `localhost`: its port, and a file that pins it.
/// Each connection ends in what the client sent after the handshake.
async fn secure_server(answer: bool) -> (u16, tempfile::NamedTempFile, JoinHandle<Vec<u8>>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pin = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pin.path(), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let Ok(mut tls) = acceptor.accept(tcp).await else { return Vec::new() };
        let mut received = vec![0; 4096];
        if answer {
            tokio_tungstenite::accept_async(tls).await.unwrap();
            return b"a WebSocket".to_vec();
        }
        let n = tls.read(&mut received).await.unwrap_or(0);
        received.truncate(n);
        received
    });
    (port, pin, server)
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted() {
    let (port, pin, server) = secure_server(true).await;
    let trust = TrustStore::new(Some(pin.path().into())).unwrap();
    dialer_to(&format!("wss://localhost:{port}/ivc"), trust).dial().await.unwrap();
    assert_eq!(server.await.unwrap(), b"a WebSocket");
}

#[tokio::test]
async fn a_redirect_may_lead_to_a_safer_connection() {
    let (port, pin, server) = secure_server(true).await;
    let (first, _) =
        serving(&format!("HTTP/1.1 301 Moved\r\nLocation: https://localhost:{port}/\r\n\r\n"))
            .await;
    let trust = TrustStore::new(Some(pin.path().into())).unwrap();
    dialer_to(&format!("ws://127.0.0.1:{first}/ivc"), trust).dial().await.unwrap();
    assert_eq!(server.await.unwrap(), b"a WebSocket");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_trusted() {
    let (_, other_pin, _other) = secure_server(true).await;
    let pinned = TrustStore::new(Some(other_pin.path().into())).unwrap();
    for trust in [TrustStore::new(None).unwrap(), pinned] {
        let (port, _pin, server) = secure_server(false).await;
        let dialer = dialer_to(&format!("wss://localhost:{port}/ivc"), trust);
        let error = dialer.dial().await.expect_err("an unknown authority");
        assert!(matches!(error, DialError::Tls { .. }), "{error}");
        assert_eq!(server.await.unwrap(), b"", "not a byte of the query");
    }
    // The certificate is trusted, but it is for another name.
    let (port, pin, server) = secure_server(false).await;
    let trust = TrustStore::new(Some(pin.path().into())).unwrap();
    let error = dialer_to(&format!("wss://127.0.0.1:{port}/ivc"), trust).dial().await.err();
    assert!(matches!(error, Some(DialError::Tls { .. })), "{error:?}");
    assert_eq!(server.await.unwrap(), b"");
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_in_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut received = vec![0; 4096];
        let n = tcp.read(&mut received).await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(tcp);
        let again = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
        assert!(again.is_err(), "it dialled again");
        received.truncate(n);
        received
    });
    let dialer = dialer_to(&format!("wss://127.0.0.1:{port}/ivc"), TrustStore::new(None).unwrap());
    let error = dialer.dial().await.expect_err("no TLS there");
    assert!(matches!(error, DialError::Tls { .. }), "{error}");
    let received = server.await.unwrap();
    assert_eq!(received[0], 22, "a TLS handshake record");
    assert!(!String::from_utf8_lossy(&received).contains("canary"));
}
