use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::fake::{Camera, header};
use super::*;
use crate::{Kind, Snapshot as _, Stream, conformance};

const JPEG_FILE: &[u8] = b"\xff\xd8\x00\r\n\r\n\xff\xd9";

fn usual(request: &str) -> Vec<u8> {
    let (status, kind, body) = match request.split([' ', '?']).nth(1).unwrap() {
        "/uapi-cgi/param.fcgi" => ("200 OK", "text/plain", &b"BRAND.brand=CAP\n"[..]),
        "/snapshot.fcgi" => ("200 OK", "image/jpeg", JPEG_FILE),
        _ => ("404 Not Found", "text/html", &b"404 - Not Found"[..]),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

async fn refused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn passes_conformance() {
    let camera = Camera::start(usual).await;
    conformance::cgi(&camera.http(), "/uapi-cgi/param.fcgi").await;
    conformance::snapshot(&HttpSnapshot::new(camera.http(), "/snapshot.fcgi", None)).await;
}

#[tokio::test]
async fn a_closed_port_is_an_offline_camera() {
    let port = refused_port().await;
    let http = || Http::new("127.0.0.1", port, None, Limits::default());
    conformance::offline_cgi(&http()).await;
    conformance::offline_snapshot(&HttpSnapshot::new(http(), "/s", None)).await;
}

#[tokio::test]
async fn path_and_query_go_out_byte_for_byte() {
    let camera = Camera::start(usual).await;
    let query = "action=list&from=now-06:00&x=%2B%3A,+/&name=Door%20A";
    camera.http().get("/uapi-cgi/param.fcgi", query).await.unwrap();
    let requests = camera.requests();
    let line = format!("GET /uapi-cgi/param.fcgi?{query} HTTP/1.1\r\n");
    assert!(requests[0].starts_with(&line), "{}", requests[0]);
    assert_eq!(header(&requests[0], "Host").unwrap(), format!("127.0.0.1:{}", camera.port));
    assert_eq!(header(&requests[0], "Authorization"), None);
}

#[tokio::test]
async fn what_is_no_target_is_never_sent() {
    let camera = Camera::start(usual).await;
    for path in ["/a b", "/a\r\nX: y", "/\u{0}", "a", "", "http://10.0.0.1/a", "*", "/a#b"] {
        let error = camera.http().get(path, "").await.unwrap_err();
        assert_eq!(error.kind, Kind::Invalid, "{path:?}");
    }
    assert!(camera.requests().is_empty());
}

#[tokio::test]
async fn an_answer_comes_as_it_was_sent() {
    let camera = Camera::start(|_| {
        b"HTTP/1.0 200 Fine Today\r\nX-A: 1\r\nX-A: 2\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\0raw".to_vec()
    });
    let answer = camera.await.http().get("/", "").await.unwrap();
    assert_eq!((answer.status, &*answer.reason), (200, "Fine Today"));
    let named: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-a").collect();
    assert_eq!(named.len(), 2);
    assert_eq!(&answer.body[..], b"\x1f\x8b\0raw", "not decoded");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let camera = Camera::start(|_| {
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec()
    })
    .await;
    assert_eq!(camera.http().get("/", "").await.unwrap().status, 302);
    assert_eq!(camera.requests().len(), 1);
}

#[tokio::test]
async fn chunks_are_put_together() {
    let camera = Camera::start(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            .to_vec()
    })
    .await;
    assert_eq!(&camera.http().get("/", "").await.unwrap().body[..], b"abcde");
}

#[tokio::test]
async fn basic_is_said_where_it_is_all_there_is() {
    let camera = Camera::start(|request| match header(request, "Authorization") {
        // root:pass
        Some("Basic cm9vdDpwYXNz") => usual(request),
        _ => b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"c\"\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
    })
    .await;
    let pictures = HttpSnapshot::new(camera.http_as("root", "pass"), "/snapshot.fcgi", None);
    assert_eq!(&pictures.jpeg(Stream::Main).await.unwrap()[..], JPEG_FILE);
}

#[tokio::test]
async fn an_answer_above_the_limit_is_an_error_whether_it_says_so_or_not() {
    for head in ["Content-Length: 1001\r\n", "", "Content-Length: 4294967296\r\n"] {
        let answer = [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), &[0; 1001]].concat();
        let camera = Camera::start(move |_| answer.clone()).await;
        let limits = Limits { body: 1000, ..Limits::default() };
        let http = Http::new("127.0.0.1", camera.port, None, limits);
        let error = http.get("/", "").await.unwrap_err();
        assert_eq!(error.kind, Kind::Other);
        let source = error.source.unwrap().to_string();
        assert!(source.contains("1000 bytes"), "{head:?}: {source}");
    }
}

#[tokio::test]
async fn an_answer_at_the_limit_passes() {
    let camera = Camera::start(|_| [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[7; 1000]].concat()).await;
    let limits = Limits { body: 1000, ..Limits::default() };
    let http = Http::new("127.0.0.1", camera.port, None, limits);
    assert_eq!(http.get("/", "").await.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let camera =
        Camera::start(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()).await;
    assert_eq!(camera.http().get("/", "").await.unwrap_err().kind, Kind::Other);
    let garbage = Camera::start(|_| b"SSH-2.0-x\r\n\r\n".to_vec()).await;
    assert_eq!(garbage.http().get("/", "").await.unwrap_err().kind, Kind::Other);
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_says_nothing_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = tokio::time::Instant::now();
    let http = Http::new("127.0.0.1", port, None, Limits::default());
    let error = http.get("/", "").await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn what_is_no_picture_is_an_error_that_says_so() {
    let camera = Camera::start(usual).await;
    let kind = async |path| {
        let pictures = HttpSnapshot::new(camera.http(), path, None);
        pictures.jpeg(Stream::Sub).await.unwrap_err().kind
    };
    assert_eq!(kind("/uapi-cgi/param.fcgi").await, Kind::Other);
    assert_eq!(kind("/nothing").await, Kind::Unsupported);
}

#[tokio::test]
async fn a_camera_that_hangs_up_is_told_from_one_that_refuses() {
    for (answer, is_hung_up) in [
        ("HT", true),
        ("HTTP/1.1 200 OK\r\nContent-Len", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nrestart", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nrestart", true),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n401", false),
        ("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n403", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false),
        ("SSH-2.0-x\r\n\r\n", false),
    ] {
        let camera = Camera::start(move |_| answer.as_bytes().to_vec()).await;
        let error = camera.http().get("/restart", "").await.unwrap_err();
        assert_eq!((error.kind, hung_up(&error)), (Kind::Other, is_hung_up), "{answer}: {error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = Http::new("127.0.0.1", port, None, Limits::default());
    let reset = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_u8().await.unwrap();
        tcp.set_zero_linger().unwrap();
    };
    let (outcome, ()) = tokio::join!(http.get("/restart", ""), reset);
    let error = outcome.unwrap_err();
    assert!(hung_up(&error), "{error:?}");
    let offline = Http::new("127.0.0.1", refused_port().await, None, Limits::default());
    assert!(!hung_up(&offline.get("/restart", "").await.unwrap_err()));
}
