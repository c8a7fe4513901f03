//! The server of the page over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::moves::{Phase, TRIAL};
use super::{Web, https};
use crate::config::Access;
use crate::reload::Reload;
use crate::settings::{Change, Error, Store};

const PATIENCE: Duration = Duration::from_secs(30);

/// A page that listens, by a file of its own.
struct Page {
    folder: tempfile::TempDir,
    reload: Reload,
    web: Web,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        line.unwrap_or_default()
    }

    fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap_or_default()
    }
}

/// A free port, kept while the socket lives: who shares it can listen there.
fn free() -> (u16, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn page(listen: &str, keys: &str) -> Page {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ivt.toml");
    std::fs::write(&file, format!("[web]\nenable = true\nlisten = \"{listen}\"\n{keys}")).unwrap();
    start(folder).await
}

async fn start(folder: tempfile::TempDir) -> Page {
    let store = Store::new(folder.path().join("ivt.toml"), Access::Any);
    let mut config = store.load().unwrap();
    let reload = Reload::listen(store).unwrap();
    let web = Web::start(&mut config, &reload).await;
    Page { folder, reload, web }
}

impl Page {
    /// Changes the configuration as the page does.
    async fn change(&self, key: &str, value: &str) -> Result<(), Error> {
        self.set(self.web.site.control.store(), key, value)?;
        self.phase(|phase| !matches!(phase, Phase::Announced(_))).await;
        Ok(())
    }

    /// Changes the configuration as an editor does.
    fn edit(&self, key: &str, value: &str) {
        self.set(self.reload.control().store(), key, value).unwrap();
    }

    fn set(&self, store: &Store, key: &str, value: &str) -> Result<(), Error> {
        let changed = store.change(&[Change::set(key, value).unwrap()], None)?;
        self.web.configure(&changed.config);
        Ok(())
    }

    /// Takes over what the files say, as the agent does when it is asked to.
    fn reread(&self) {
        self.web.configure(&self.reload.control().store().load().unwrap());
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ivt.toml")).unwrap()
    }

    async fn phase(&self, wanted: impl Fn(&Phase) -> bool) {
        let seen = async {
            while !wanted(&self.web.site.moves.phase()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap();
    }
}

/// Connects once somebody listens.
async fn reach(port: u16) -> TcpStream {
    let reached = async {
        loop {
            match TcpStream::connect(at(port)).await {
                Ok(socket) => return socket,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(PATIENCE, reached).await.unwrap()
}

async fn ask(port: u16, call: &str, headers: &str, body: &str) -> Answer {
    say(reach(port).await, port, call, headers, body).await
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    port: u16,
    call: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let text = format!(
        "{call} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/json\r\n\
         {headers}\r\n{body}"
    );
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Who closes an encrypted connection does not always say so.
    timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or_default() }
}

/// Claims the device; returns the header of who is logged in.
async fn claim(port: u16) -> String {
    let seen = ask(port, "POST /api/v1/claim", "", r#"{"password": "0pen sesame"}"#).await;
    assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
    format!("Cookie: {}\r\n", seen.cookie())
}

#[tokio::test]
async fn every_answer_says_how_far_the_page_is_to_be_trusted() {
    let (port, _kept) = free();
    let _page = page(&format!("127.0.0.1:{port}"), "").await;
    for (call, status) in
        [("GET /", 200), ("GET /api/v1/session", 200), ("GET /api/v1/web", 401), ("PUT /no", 401)]
    {
        let seen = ask(port, call, "", "").await;
        assert_eq!(seen.status.as_u16(), status, "{call}");
        let policy = seen.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(seen.header("x-content-type-options"), "nosniff", "{call}");
        assert_eq!(seen.header("x-frame-options"), "DENY");
        assert_eq!(seen.header("referrer-policy"), "no-referrer");
        assert!(seen.header("permissions-policy").contains("camera=()"));
        let kept = if call == "GET /" { "no-cache" } else { "no-store" };
        assert_eq!(seen.header("cache-control"), kept, "{call}");
    }
    let seen = ask(port, "GET /old.html", "Accept: text/html\r\n", "").await;
    assert_eq!((seen.status.as_u16(), seen.header("location")), (303, "/"));
    let cookie = claim(port).await;
    let seen = ask(port, "PATCH /api/v1/session", &cookie, "").await;
    assert_eq!((seen.status.as_u16(), seen.header("allow")), (405, "GET, POST, DELETE"));
    let evil = format!("{cookie}Origin: http://evil.example\r\n");
    let seen = ask(port, "DELETE /api/v1/session", &evil, "").await;
    assert_eq!((seen.status.as_u16(), &seen.body["error"]["code"]), (403, &json!("other_origin")));
    let own = format!("{cookie}Origin: http://127.0.0.1:{port}\r\n");
    assert_eq!(ask(port, "DELETE /api/v1/session", &own, "").await.status.as_u16(), 204);
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let (port, _kept) = free();
    let _page = page(&format!("127.0.0.1:{port}"), "").await;
    let long = format!("X: {}\r\n", "x".repeat(20 << 10));
    let seen = ask(port, "GET /", &long, "").await;
    assert_eq!(seen.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let long = json!({ "password": "x".repeat(8 << 10) }).to_string();
    let seen = ask(port, "POST /api/v1/claim", "", &long).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_session_of_an_encrypted_page_is_for_that_alone() {
    let (port, _kept) = free();
    let page = page(&format!("127.0.0.1:{port}"), "https = 'on'\n").await;
    let seen = ask(port, "GET /a?b=c", "", "").await;
    let to = format!("https://127.0.0.1:{port}/a?b=c");
    assert_eq!((seen.status.as_u16(), seen.header("location")), (308, &*to));
    let evil = ask(port, "GET /", "Host: evil.example\r\n", "").await;
    assert_eq!(evil.status, StatusCode::BAD_REQUEST, "it leads nobody elsewhere");

    let kept: Value = page.web.site.store.read(https::SUBJECT).unwrap();
    let mut roots = RootCertStore::empty();
    let certificate = kept["certificate"].as_str().unwrap().as_bytes();
    roots.add(CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    let secure = async || {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        connector.connect(name, reach(port).await).await.unwrap()
    };
    let body = r#"{"password": "0pen sesame"}"#;
    let seen = say(secure().await, port, "POST /api/v1/claim", "", body).await;
    let cookie = seen.header("set-cookie");
    assert!(cookie.starts_with("__Host-ivt_session=") && cookie.ends_with("; Secure"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", seen.cookie());
    let seen = say(secure().await, port, "GET /api/v1/session", &cookie, "").await;
    assert_eq!(seen.body["logged_in"], true);
}

#[tokio::test]
async fn a_move_is_kept_when_it_is_confirmed_where_the_page_moved_to() {
    let ((old, _kept), (new, _new)) = (free(), free());
    let page = page(&format!("127.0.0.1:{old}"), "").await;
    let cookie = claim(old).await;
    let confirm = async |port| ask(port, "POST /api/v1/web/confirm", &cookie, "").await;
    assert_eq!(confirm(old).await.body["error"]["code"], "nothing_to_confirm");

    page.change("web.listen", &format!("127.0.0.1:{new}")).await.unwrap();
    let trial = async |port| ask(port, "GET /api/v1/web", &cookie, "").await.body["trial"].clone();
    assert_eq!(trial(old).await["here"], false);
    assert_eq!(trial(new).await["urls"][0], format!("http://127.0.0.1:{new}"));
    let refused = page.change("web.listen", "127.0.0.1:1").await.unwrap_err().to_string();
    assert!(refused.contains("web.listen: the new address of before waits"), "{refused}");
    page.change("log.level", "warn").await.unwrap();
    assert_eq!(trial(new).await["here"], true, "what else is changed confirms nothing");
    assert_eq!(confirm(old).await.body["error"]["code"], "not_here");
    assert_eq!(confirm(new).await.status, StatusCode::NO_CONTENT);
    let closed = async {
        while TcpStream::connect(at(old)).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(trial(new).await, Value::Null);
    let Page { folder, web, .. } = page;
    web.stop().await;
    let page = start(folder).await;
    assert!(page.text().contains(&new.to_string()), "it is kept for the next start");
}

#[tokio::test]
async fn a_move_that_nobody_confirms_is_taken_back() {
    let ((old, _kept), (new, _new)) = (free(), free());
    let page = page(&format!("127.0.0.1:{old}"), "").await;
    let cookie = claim(old).await;
    let before = page.text();
    page.change("web.listen", &format!("127.0.0.1:{new}")).await.unwrap();
    drop(reach(new).await);
    // Nothing else waits at the moment.
    tokio::time::pause();
    tokio::time::advance(TRIAL).await;
    tokio::time::resume();
    page.phase(|phase| matches!(phase, Phase::TakenBack(_))).await;
    assert_eq!(page.text(), before);
    page.reread();
    let seen = ask(old, "GET /api/v1/web", &cookie, "").await;
    assert!(seen.body["taken_back"].as_str().unwrap().contains("nobody confirmed"), "{seen:?}");
    assert!(TcpStream::connect(at(new)).await.is_err());
}

#[tokio::test]
async fn a_move_that_the_power_cut_ends_is_taken_back_at_the_start() {
    let ((old, _kept), (new, _new)) = (free(), free());
    let page = page(&format!("127.0.0.1:{old}"), "").await;
    drop(reach(old).await);
    let before = page.text();
    page.change("web.listen", &format!("127.0.0.1:{new}")).await.unwrap();
    let Page { folder, web, .. } = page;
    drop(web);
    let page = start(folder).await;
    assert_eq!(page.text(), before);
    drop(reach(old).await);
}

#[tokio::test]
async fn a_place_that_is_taken_is_not_moved_to() {
    let (old, _kept) = free();
    let cloud = "[cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'n0t p'\n\
                 [[channel]]\nbackend = 'emulator'\n";
    let page = page(&format!("127.0.0.1:{old}"), cloud).await;
    let cookie = claim(old).await;
    let before = page.text();
    let other = TcpListener::bind(at(0)).await.unwrap();
    let taken = other.local_addr().unwrap().port();
    let place = format!("127.0.0.1:{taken}");
    let refused = page.change("web.listen", &place).await.unwrap_err().to_string();
    assert!(refused.contains("web.listen: cannot listen at"), "{refused}");
    assert!(refused.contains("another program listens"), "{refused}");
    let refused = page.change("web.enable", "false").await.unwrap_err().to_string();
    assert!(refused.contains("web.enable: the page does not switch itself off"), "{refused}");
    assert_eq!(page.text(), before);
    assert_eq!(ask(old, "GET /api/v1/session", &cookie, "").await.body["logged_in"], true);
    // Whoever has a shell moves it at once, and does not lose the page either.
    page.edit("web.listen", &place);
    for _ in 0..3 {
        let seen = ask(old, "GET /api/v1/session", &cookie, "").await;
        assert_eq!(seen.body["logged_in"], true);
    }
    drop(other);
}

#[tokio::test]
async fn https_is_tried_beside_the_plain_page() {
    let (port, _kept) = free();
    let page = page(&format!("127.0.0.1:{port}"), "").await;
    let cookie = claim(port).await;
    page.change("web.https", "on").await.unwrap();
    let seen = ask(port, "GET /api/v1/web", &cookie, "").await;
    assert_eq!(seen.body["trial"]["urls"][0], format!("https://127.0.0.1:{port}"));
    let seen = ask(port, "POST /api/v1/web/confirm", &cookie, "").await;
    assert_eq!(seen.body["error"]["code"], "not_here");
}

#[tokio::test]
async fn the_reset_file_ends_all_sessions_at_once() {
    let (port, _kept) = free();
    let page = page(&format!("127.0.0.1:{port}"), "reset_file = 'reset'\n").await;
    let cookie = claim(port).await;
    page.web.site.reset().unwrap();
    timeout(PATIENCE, page.web.reset_asked()).await.unwrap();
    assert!(!page.web.site.is_claimed());
    let seen = ask(port, "GET /api/v1/web", &cookie, "").await;
    assert_eq!(seen.body["error"]["code"], "unclaimed");
    let body = r#"{"password": "0pen sesame"}"#;
    let seen = ask(port, "POST /api/v1/claim", "", body).await;
    assert_eq!(seen.body["error"]["code"], "resetting", "nobody takes it before it is wiped");
    let config = page.reload.control().store().load().unwrap();
    page.web.reset(&config).await;
    claim(port).await;
}

/// Settings that are on their way while the device is reset, whose files say the same after it as before.
#[tokio::test]
async fn what_the_old_owner_is_sending_does_not_outlast_the_reset() {
    let (port, _kept) = free();
    let page = page(&format!("127.0.0.1:{port}"), "reset_file = 'reset'\n").await;
    let cookie = claim(port).await;
    let before = page.text();
    let version = ask(port, "GET /api/v1/settings", &cookie, "").await.body["version"].clone();
    let cloud = json!({ "cloud.url": "ws://192.0.2.7/", "cloud.login_code": "old", "cloud.login_passwd": "0ld word" });
    let body = json!({ "version": version, "changes": cloud }).to_string();
    let mut socket = reach(port).await;
    let length = body.len();
    let head = format!(
        "PUT /api/v1/settings HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nExpect: 100-continue\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{cookie}\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Once the body is asked for, the call was let in.
    let mut first = [0; 12];
    timeout(PATIENCE, socket.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 100");

    page.web.site.reset().unwrap();
    timeout(PATIENCE, page.web.reset_asked()).await.unwrap();
    let config = page.reload.control().store().load().unwrap();
    page.web.reset(&config).await;
    assert_eq!(page.text(), before);
    let owner = claim(port).await;
    socket.write_all(body.as_bytes()).await.ok();
    let mut answer = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(page.text(), before);
    assert_eq!(ask(port, "GET /api/v1/session", &owner, "").await.body["logged_in"], true);
}
