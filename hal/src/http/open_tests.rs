//! Answers that are read as they come.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::fake::Camera;
use super::*;

const QUICK: Duration = Duration::from_millis(50);
const PATIENT: Duration = Duration::from_secs(20);

/// A camera that answers one request with `head`, and then sends what it is given; an empty piece closes the connection.
async fn live(head: &'static str) -> (Http, mpsc::Sender<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http =
        Http::new("127.0.0.1", listener.local_addr().unwrap().port(), None, Limits::default());
    let (pieces, mut given) = mpsc::channel::<&str>(8);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        read_head(&mut tcp).await;
        tcp.write_all(head.as_bytes()).await.unwrap();
        while let Some(piece) = given.recv().await.filter(|piece| !piece.is_empty()) {
            if tcp.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (http, pieces)
}

async fn read_head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_body_is_read_as_it_comes_and_silence_is_told_from_its_end() {
    for head in
        ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Type: multipart/mixed\r\n\r\n"]
    {
        let (http, pieces) = live(head).await;
        let mut open = http.open("test", &Request::get("/stream")).await.unwrap();
        assert_eq!(open.status(), 200);
        assert_eq!(open.header("content-type").is_some(), head.contains("Content-Type"));
        for _ in 0..2 {
            pieces.send("one").await.unwrap();
            assert_eq!(open.chunk(PATIENT).await.unwrap().unwrap(), "one");
            assert_eq!(open.chunk(QUICK).await.unwrap_err().kind, Kind::Timeout);
        }
        pieces.send("two").await.unwrap();
        assert_eq!(open.chunk(PATIENT).await.unwrap().unwrap(), "two", "silence breaks nothing");
        pieces.send("").await.unwrap();
        assert_eq!(open.chunk(PATIENT).await.unwrap(), None);
        assert_eq!(open.chunk(PATIENT).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_chunked_body_that_breaks_is_an_error() {
    let (http, pieces) = live("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut open = http.open("test", &Request::get("/")).await.unwrap();
    pieces.send("5\r\nhello\r\n").await.unwrap();
    assert_eq!(open.chunk(PATIENT).await.unwrap().unwrap(), "hello");
    pieces.send("5\r\nhe").await.unwrap();
    assert_eq!(open.chunk(PATIENT).await.unwrap().unwrap(), "he");
    pieces.send("").await.unwrap();
    let error = open.chunk(PATIENT).await.unwrap_err();
    assert_eq!(error.kind, Kind::Other);
    assert!(hung_up(&error), "{error:?}");
}

#[tokio::test]
async fn an_open_answer_takes_the_login_and_a_refusal_rests_it() {
    const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
        WWW-Authenticate: Digest realm=\"c\", qop=\"auth\", algorithm=MD5, nonce=\"n\"\r\n\
        WWW-Authenticate: Basic realm=\"c\"\r\n\r\n";
    let right = "Basic cm9vdDpyaWdodA==";
    let camera = Camera::start(move |request| match fake::header(request, "Authorization") {
        Some(said) if said == right => b"HTTP/1.1 200 OK\r\n\r\nevents".to_vec(),
        _ => ASKS.as_bytes().to_vec(),
    })
    .await;
    let mut open = camera.http_as("root", "right").open("test", &Request::get("/e")).await.unwrap();
    assert_eq!(open.status(), 200, "by the second scheme");
    assert_eq!(open.chunk(PATIENT).await.unwrap().unwrap(), "events");
    let http = camera.http_as("root", "wrong");
    let before = camera.requests().len();
    for _ in 0..20 {
        assert_eq!(http.open("test", &Request::get("/e")).await.unwrap().status(), 401);
    }
    let tries = camera.requests()[before..]
        .iter()
        .filter(|request| fake::header(request, "Authorization").is_some())
        .count();
    assert_eq!(tries, 2, "one for each scheme, and then it rests");
}

#[tokio::test]
async fn the_head_of_an_answer_is_waited_for_ten_seconds() {
    let camera = Camera::start(|_| Vec::new()).await;
    let http = camera.http().with_limits(Limits { deadline: QUICK, ..Limits::default() });
    let open = tokio::spawn(async move { http.open("test", &Request::get("/")).await.err() });
    while camera.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(2 * QUICK).await;
    assert!(!open.is_finished(), "the limits of a whole answer are not those of its head");
    tokio::time::pause();
    tokio::time::advance(OPEN_DEADLINE).await;
    tokio::time::resume();
    assert_eq!(open.await.unwrap().unwrap().kind, Kind::Timeout);
}

#[tokio::test]
async fn a_reader_that_rests_makes_the_camera_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = Http::new("127.0.0.1", port, None, Limits::default());
    let flood = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let head = read_head(&mut tcp).await;
        assert!(!head.to_ascii_lowercase().contains("connection: close"), "{head}");
        tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let block = [b'x'; 65_536];
        let mut sent = 0;
        while let Ok(done) =
            tokio::time::timeout(Duration::from_millis(500), tcp.write(&block)).await
        {
            sent += done.unwrap();
        }
        sent
    });
    let mut open = http.open("test", &Request::get("/")).await.unwrap();
    let piece = open.chunk(PATIENT).await.unwrap().unwrap();
    assert!(piece.len() <= 65_536, "{}", piece.len());
    let sent = flood.await.unwrap();
    assert!(sent < 64 << 20, "the buffers of two sockets, and no more: {sent}");
    let mut left = sent - piece.len();
    while left > 0 {
        left -= open.chunk(PATIENT).await.unwrap().unwrap().len();
    }
}
