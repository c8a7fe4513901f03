//! Answers of cameras that are broken or mean harm. Each has to end in an error, in time and in
//! bounded memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;

const BODY: usize = 100_000;
/// More bytes than the limits of head and body and the buffers of two sockets together.
const FAR_TOO_MUCH: usize = 32 << 20;

/// Sends `first`, and then `again` until the client hangs up or a minute is over.
struct Flood {
    port: u16,
    sent: Arc<AtomicUsize>,
}

impl Flood {
    async fn start(first: &'static str, again: &'static str, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = tcp.read(&mut request).await;
                tcp.write_all(first.as_bytes()).await.ok();
                while tcp.write_all(again.as_bytes()).await.is_ok() {
                    counted.fetch_add(again.len(), Ordering::Relaxed);
                    if !pause.is_zero() {
                        sleep(pause).await;
                    }
                }
            }
        });
        Self { port, sent }
    }

    async fn get(&self, deadline: Duration) -> Result<Answer> {
        let credentials = Credentials { username: "root".into(), password: "right".into() };
        let limits = Limits { body: BODY, deadline };
        Http::new("127.0.0.1", self.port, Some(credentials), limits).get("/", "").await
    }
}

#[tokio::test]
async fn what_has_no_end_is_given_up_at_its_limit() {
    const LINE: &str = "X-Padding: 0123456789012345678901234567890123456789012345678901234567\r\n";
    let rows = [
        ("a status line", "HTTP/1.1 200 ", LONG),
        ("a header's name", "HTTP/1.1 200 OK\r\nX", LONG),
        ("a header", "HTTP/1.1 200 OK\r\nX: ", LONG),
        ("headers", "HTTP/1.1 200 OK\r\n", LINE),
        ("a challenge", "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"", LONG),
        ("challenges", "HTTP/1.1 401 No\r\n", "WWW-Authenticate: Digest realm=c, nonce=n\r\n"),
        ("a body", "HTTP/1.1 200 OK\r\n\r\n", LONG),
        ("a body of a refusal", "HTTP/1.1 401 No\r\n\r\n", LONG),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n"),
        ("a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", LONG),
        ("a chunk's size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", LONG),
        ("a chunk's extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=", LONG),
        ("trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", LINE),
    ];
    for (what, first, again) in rows {
        let flood = Flood::start(first, again, Duration::ZERO).await;
        let b = std::time::Instant::now();
        let error = flood.get(Duration::from_secs(60)).await.map(|_| ()).unwrap_err();
        eprintln!("{what}: {:?} {}", b.elapsed(), flood.sent.load(Ordering::Relaxed));
        assert_eq!(error.kind, Kind::Other, "{what}");
        let sent = flood.sent.load(Ordering::Relaxed);
        assert!(sent < FAR_TOO_MUCH, "{what}: {sent} bytes were taken");
    }
}

/// A kilobyte of digits.
const LONG: &str = concat!(
    "0123456789012345678901234567890123456789012345678901234567890123",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "0123456789012345678901234567890123456789012345678901234567890123",
);

#[tokio::test]
async fn what_comes_drop_by_drop_ends_with_the_deadline() {
    let drop = Duration::from_millis(1);
    for (first, again) in [
        ("", "H"),
        ("HTTP/1.1 200 OK\r\nX: ", "x"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("HTTP/1.1 401 No\r\nContent-Length: 90000\r\n\r\n", "x"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 102 Processing\r\n\r\n"),
    ] {
        let flood = Flood::start(first, again, drop).await;
        let error = flood.get(Duration::from_millis(100)).await.map(|_| ()).unwrap_err();
        assert!(matches!(error.kind, Kind::Timeout | Kind::Other), "{first}{again}");
        if !again.starts_with('H') {
            assert_eq!(error.kind, Kind::Timeout, "{first}{again}");
        }
    }
}

#[tokio::test]
async fn interim_answers_without_end_stop_with_the_deadline() {
    let flood = Flood::start("", "HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO).await;
    let error = flood.get(Duration::from_millis(100)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
}

/// The outcome of an answer after which the camera closes the connection.
async fn answered(answer: &'static str) -> Result<Answer> {
    let camera = super::fake::Camera::start(move |_| answer.as_bytes().to_vec()).await;
    camera.http().with_limits(Limits { body: 1000, ..Limits::default() }).get("/", "").await
}

#[tokio::test]
async fn a_wrong_length_never_gives_half_an_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let error = answered(answer).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, Kind::Other, "{answer}");
    }
    let longer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef";
    assert_eq!(&answered(longer).await.unwrap().body[..], b"abc", "no more than was announced");
    let same = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(&answered(same).await.unwrap().body[..], b"x");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    for answer in [
        "\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n",
        "HTTP/1.1 200 OK\r\nX: no end",
    ] {
        let error = answered(answer).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, Kind::Other, "{answer:?}");
    }
}

#[tokio::test]
async fn a_challenge_cannot_add_a_line_to_the_next_request() {
    let camera = super::fake::Camera::start(|_| {
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"a\\\", nonce=\"x\tEvil: 1\", opaque=\"\xff\", \
          qop=\"auth\"\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\\\\\", algorithm=SHA-256, \
          opaque=\"\\\"\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    })
    .await;
    assert_eq!(camera.http_as("ro\r\not\"", "p\n").get("/", "").await.unwrap().status, 401);
    let asked = camera.requests();
    assert!(asked.len() >= 2);
    for asked in asked {
        let lines = asked.trim_end().lines().skip(1);
        let names: Vec<_> = lines.map(|line| line.split(':').next().unwrap()).collect();
        let usual = ["host", "user-agent", "accept-encoding", "connection", "authorization"];
        assert!(names.iter().all(|name| usual.contains(&&*name.to_lowercase())), "{asked}");
    }
}

#[tokio::test]
async fn a_client_that_is_dropped_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        Http::new("127.0.0.1", port, None, Limits::default()).get("/", "").await.map(|_| ())
    });
    let (mut tcp, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert!(tcp.read(&mut request).await.unwrap() > 0);
    task.abort();
    assert_eq!(tcp.read(&mut request).await.unwrap(), 0, "the connection is closed");
}
