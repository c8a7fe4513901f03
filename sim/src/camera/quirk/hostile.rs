//! Answers of an attacker or of a broken camera: too long, or no RTSP at all.

use super::reply::Reply;
use super::{Quirk, Quirks};

/// Length of a description that is too long, in bytes.
const HUGE: usize = 20_000_000;

/// Adds lines to a description until it is too long.
pub fn pad_sdp(sdp: &mut Vec<u8>) {
    let line = format!("a=x-padding:{}\r\n", "0123456789".repeat(100));
    while sdp.len() < HUGE {
        sdp.extend_from_slice(line.as_bytes());
    }
}

/// The reply in place of the answer to `method`, if the camera gives one.
pub fn reply(quirks: &Quirks, method: &str, cseq: &str) -> Option<Reply> {
    if quirks.has(Quirk::WebServer) {
        let page = "<html><head><title>IP Camera</title></head><body>Log in</body></html>\n";
        let head =
            "HTTP/1.1 400 Bad Request\r\nServer: Boa/0.94.14rc21\r\nContent-Type: text/html\r\n";
        let answer =
            format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len());
        return Some(Reply::Last(answer.into_bytes()));
    }
    if method != "DESCRIBE" {
        return None;
    }
    let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
    Some(match () {
        () if quirks.has(Quirk::HeaderEndless) => {
            Reply::Endless((head + "X-Long: ").into_bytes(), vec![b'a'; 1 << 16])
        }
        () if quirks.has(Quirk::HeadersMany) => {
            let lines = "X-More: and more\r\n".repeat(1_000_000);
            Reply::Bytes((head + &lines + "\r\n").into_bytes())
        }
        () if quirks.has(Quirk::LengthHuge) => {
            let head = head + "Content-Type: application/sdp\r\nContent-Length: 4294967295\r\n\r\n";
            Reply::Endless(head.into_bytes(), b"a=x-padding:0123456789\r\n".repeat(2000))
        }
        () => return None,
    })
}
