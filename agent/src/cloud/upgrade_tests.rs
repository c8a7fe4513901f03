use futures::StreamExt as _;
use tokio::io::DuplexStream;

use super::*;
use crate::config::Config;

type Outcome = Result<Result<Socket, Refusal>, String>;

fn login() -> CloudLogin {
    let text = "[cloud]\nurl = 'ws://cloud/ivc'\nlogin_code = 'c'\nlogin_passwd = 'canary'\n\
                [[channel]]\nbackend = 'emulator'";
    CloudLogin::of(&text.parse::<Config>().unwrap().cloud).unwrap()
}

/// Reads the request, and returns the key that its answer must have.
async fn request(server: &mut DuplexStream) -> String {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        assert!(server.read_buf(&mut received).await.unwrap() > 0);
    }
    let request = String::from_utf8(received).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().trim_end();
    derive_accept_key(key.as_bytes())
}

/// The outcome of a handshake that is answered with this head, whose `KEY` becomes the right one, and
/// these bytes behind it, in writes of `piece` bytes. The server stays there.
async fn answered(head: &str, tail: &[u8], piece: usize) -> (Outcome, DuplexStream) {
    let (ours, mut server) = tokio::io::duplex(64);
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let server = tokio::spawn(async move {
        let answer = [head.replace("KEY", &request(&mut server).await).as_bytes(), &tail].concat();
        for piece in answer.chunks(piece) {
            // Who has read enough may be gone.
            if server.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        server
    });
    let outcome = upgrade(&login(), Box::new(ours)).await;
    assert!(!format!("{outcome:?}").contains("canary"), "{outcome:?}");
    (outcome, server.await.unwrap())
}

fn switching(headers: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{headers}Sec-WebSocket-Accept: KEY\r\n\r\n")
}

async fn refusal(answer: &str) -> Refusal {
    answered(answer, b"", 1024).await.0.unwrap().expect_err("no WebSocket")
}

#[tokio::test(start_paused = true)]
async fn a_101_is_taken_as_gateways_write_it() {
    for headers in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade,keep-alive\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n",
        "UPGRADE: WEBSOCKET\r\nCONNECTION: UPGRADE\r\n",
        "upgrade: WebSocket\r\nconnection: upgrade , close\r\n",
        "Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ivc, mqtt\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        "Connection : Upgrade\r\nUpgrade:websocket\r\nServer: \u{e9}\r\n",
    ] {
        for piece in [1, 3, 1024] {
            // A message that comes with the 101 is not lost.
            let (outcome, _server) = answered(&switching(headers), b"\x81\x02hi", piece).await;
            let mut socket = outcome.unwrap().unwrap();
            let message = socket.next().await.unwrap().unwrap();
            assert_eq!(message.into_text().unwrap(), "hi", "{headers:?} in pieces of {piece}");
        }
    }
    for interim in
        ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
    {
        let head = interim.repeat(3) + &switching("Upgrade: websocket\r\nConnection: Upgrade\r\n");
        answered(&head, b"", 7).await.0.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_101_that_is_no_answer_to_our_request_is_refused_with_what_is_missing() {
    let accept = "Sec-WebSocket-Accept: KEY\r\n";
    for (headers, missing) in [
        (String::new(), "Upgrade"),
        (format!("Upgrade: websocket\r\n{accept}"), "Connection"),
        (format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{accept}"), "Upgrade: websocket"),
        (format!("Upgrade: websocket\r\nConnection: keep-alive\r\n{accept}"), "Connection"),
        (format!("Upgrade: websocket\r\nConnection: Upgrades\r\n{accept}"), "Connection"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n".to_owned(), "Sec-WebSocket-Accept"),
        (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEX\r\n".to_owned(),
            "Sec-WebSocket-Accept",
        ),
    ] {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\n{headers}\r\n");
        let error = answered(&head, b"", 1024).await.0.unwrap_err();
        assert!(error.contains(missing), "{headers:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_ends_the_handshake_and_takes_little_memory() {
    let endless = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "x".repeat(1 << 20));
    let lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
    for (answer, said) in [
        (endless, "a head of more than 16384 bytes"),
        (lines, "too many headers"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "invalid HTTP version"),
        ("\u{0}\u{1}\u{2}".to_owned(), "invalid"),
    ] {
        let error = answered(&answer, b"", 1024).await.0.unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
    let (ours, mut server) = tokio::io::duplex(4096);
    let closing = async {
        request(&mut server).await;
        drop(server);
    };
    let login = login();
    let (outcome, ()) = tokio::join!(upgrade(&login, Box::new(ours)), closing);
    assert_eq!(outcome.unwrap_err(), "the end of the connection");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_in_the_words_of_the_server() {
    for (answer, said) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "HTTP 404 Not Found"),
        ("HTTP/1.0 404\r\n\r\n", "HTTP 404"),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 16\r\n\r\ntoo many devicesHTTP/1.1",
            "HTTP 503 Service Unavailable (too many devices)",
        ),
        (
            "HTTP/1.1 429 Slow Down\r\nContent-Type: text/plain\r\n\r\n\n later,\u{1b}[2J please\r\nmore",
            "HTTP 429 Slow Down (later,[2J please)",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n<html><h1>502</h1></html>", "HTTP 502 Bad Gateway"),
    ] {
        assert_eq!(refusal(answer).await.said, said, "{answer:?}");
    }
    let long = format!("HTTP/1.1 500 {}\r\n\r\n{}", "p".repeat(5000), "w".repeat(5000));
    let said = refusal(&long).await.said;
    assert!(said.len() <= 450, "{} bytes: {said}", said.len());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_where_to_go_and_how_long_to_wait() {
    for (answer, location, wait) in [
        ("301 Moved\r\nLocation: wss://h/ivc", Some("wss://h/ivc"), None),
        ("302 Found\r\nlocation:   /ivc2  ", Some("/ivc2"), None),
        ("303 See Other\r\nLocation: /ivc2", Some("/ivc2"), None),
        ("307 Temporary Redirect\r\nLocation: http://h", Some("http://h"), Some("7")),
        ("308 Permanent Redirect\r\nLocation: /ivc2", Some("/ivc2"), None),
        ("302 Found", None, None),
        ("302 Found\r\nLocation: ", None, None),
        ("300 Multiple Choices\r\nLocation: /ivc2", None, None),
        ("304 Not Modified\r\nLocation: /ivc2", None, None),
        ("200 OK\r\nLocation: /ivc2", None, None),
        ("503 Service Unavailable", None, Some("30")),
        ("429 Too Many Requests", None, Some("Mon, 30 Nov 2026 12:00:30 GMT")),
        ("429 Too Many Requests", None, Some("-1")),
    ] {
        let date = "Date: Mon, 30 Nov 2026 12:00:00 GMT\r\n";
        let after = wait.map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
        let refusal = refusal(&format!("HTTP/1.1 {answer}\r\n{date}{after}\r\n")).await;
        let to = refusal.location.as_ref().map(|to| to.expose().as_str());
        assert_eq!(to, location, "{answer}");
        let seconds = match wait {
            Some("7") => Some(7),
            Some("-1") | None => None,
            Some(_) => Some(30),
        };
        assert_eq!(refusal.wait, seconds.map(Duration::from_secs), "{answer} {wait:?}");
    }
}
