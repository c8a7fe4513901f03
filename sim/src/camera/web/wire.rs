//! HTTP/1.1 as a small server reads and writes it, by hand: a request is kept to the byte, and answers may be
//! wrong on request.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::events::{Dialect, Subject};

/// Longest request line with headers, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Longest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// A client that neither asks nor leaves, or that takes no bytes, for this time is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The simulator's own address at which the connection was made.
    pub host: IpAddr,
    pub method: String,
    /// Path and query as they were on the wire; bytes that are no UTF-8 are replaced.
    pub target: String,
    pub authorization: Option<String>,
    /// The value of the header `Content-Type`.
    pub kind: Option<String>,
    /// At most 64 KiB.
    pub body: Bytes,
    /// Whether the client asks no more on this connection.
    pub last: bool,
}

/// The error for bytes that are no HTTP/1 or longer than the limits: their first line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a request of HTTP/1, got {0:?}")]
pub struct Malformed(pub String);

/// An answer of the web server.
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub body: Bytes,
    /// The value of the header `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// Whether the camera restarts once the answer has left.
    pub reboots: bool,
    /// What the client is told of from then on, in the place of the body.
    pub stream: Option<(Subject, Box<dyn Dialect>)>,
    /// Whether the connection is closed in the place of the answer.
    pub hangs_up: bool,
}

impl Answer {
    pub fn new(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            kind,
            body: body.into(),
            challenge: None,
            reboots: false,
            stream: None,
            hangs_up: false,
        }
    }

    /// Status line and headers; `framing` are the headers that tell the length of the body.
    pub fn head(&self, framing: &[(&str, &str)], last: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            _ => "Status",
        };
        let mut head = format!("HTTP/1.1 {} {reason}\r\nServer: camera-sim\r\n", self.status);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        add("Content-Type", self.kind);
        if let Some(challenge) = &self.challenge {
            add("WWW-Authenticate", challenge);
        }
        framing.iter().for_each(|(name, value)| add(name, value));
        add("Connection", if last { "close" } else { "keep-alive" });
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// Reads one request; `None` when the client is done.
///
/// # Errors
/// When the connection is lost.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buf: &mut BytesMut,
) -> io::Result<Option<Result<Request, Malformed>>> {
    let head = loop {
        if let Some(end) = buf.windows(4).position(|w| w == b"\r\n\r\n") {
            break buf.split_to(end + 4);
        }
        let over = buf.len() > MAX_HEAD;
        if over || !more(stream, buf).await? {
            // Bytes that are left here belong to a request that never ends, or to none.
            return Ok((!buf.is_empty()).then(|| Err(malformed(buf))));
        }
    };
    let (mut request, body) = match parse(&head) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Some(Err(error))),
    };
    while buf.len() < body {
        if !more(stream, buf).await? {
            return Ok(Some(Err(malformed(&head))));
        }
    }
    request.body = buf.split_to(body).freeze();
    Ok(Some(Ok(request)))
}

/// Writes bytes to a client.
///
/// # Errors
/// When the connection is lost, or the client takes nothing for 30 s.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(bytes)).await?
}

async fn more(stream: &mut (impl AsyncRead + Unpin), buf: &mut BytesMut) -> io::Result<bool> {
    buf.reserve(1024);
    Ok(timeout(PATIENCE, stream.read_buf(buf)).await?? > 0)
}

fn parse(head: &[u8]) -> Result<(Request, usize), Malformed> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version @ ("HTTP/1.0" | "HTTP/1.1")), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed(head));
    };
    let mut request = Request {
        host: Ipv4Addr::UNSPECIFIED.into(),
        method: method.to_owned(),
        target: target.to_owned(),
        authorization: None,
        kind: None,
        body: Bytes::new(),
        last: version == "HTTP/1.0",
    };
    let mut body = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(head))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-type" => request.kind = Some(value.to_owned()),
            "connection" => request.last |= value.eq_ignore_ascii_case("close"),
            "content-length" => {
                let length = value.parse().ok().filter(|length| *length <= MAX_BODY);
                body = length.ok_or_else(|| malformed(head))?;
            }
            "transfer-encoding" => return Err(malformed(head)),
            _ => {}
        }
    }
    Ok((request, body))
}

/// The error with the first line, so that a person sees what came.
fn malformed(bytes: &[u8]) -> Malformed {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    Malformed(line[..line.len().min(200)].escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> Vec<Result<Request, Malformed>> {
        let (mut buf, mut all) = (BytesMut::new(), Vec::new());
        while let Some(one) = read(&mut bytes, &mut buf).await.unwrap() {
            let broken = one.is_err();
            all.push(one);
            if broken {
                break;
            }
        }
        all
    }

    #[tokio::test]
    async fn requests_follow_each_other_with_their_bodies() {
        let all = read_all(
            b"GET /a?b=%20 HTTP/1.1\r\nHost: x\r\n\r\n\
              POST /c HTTP/1.1\r\ncontent-length: 3\r\nAuthorization: Basic x\r\n\r\nabc\
              GET //../d HTTP/1.0\r\n\r\n",
        )
        .await;
        let targets: Vec<_> = all.iter().map(|r| r.as_ref().unwrap().target.as_str()).collect();
        assert_eq!(targets, ["/a?b=%20", "/c", "//../d"], "nothing is normalised");
        let last: Vec<_> = all.iter().map(|r| r.as_ref().unwrap().last).collect();
        assert_eq!(last, [false, false, true]);
        assert_eq!(all[1].as_ref().unwrap().body, "abc");
        assert_eq!(all[1].as_ref().unwrap().authorization.as_deref(), Some("Basic x"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_told_by_its_first_line() {
        let long = [b"GET /", &vec![b'a'; MAX_HEAD][..]].concat();
        for bytes in [
            &b"GET /a b HTTP/1.1\r\n\r\n"[..],
            b"GET /a HTTP/2\r\n\r\n",
            b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET /a HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
            b"GET /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc",
            b"GET /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"GET /half",
            &long,
        ] {
            let all = read_all(bytes).await;
            let Err(Malformed(line)) = &all[0] else { panic!("{all:?}") };
            assert!(line.starts_with("GET /") && line.len() <= 200, "{line}");
        }
        assert!(read_all(b"").await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_cut() {
        let (mut ours, _theirs) = tokio::io::duplex(64);
        let began = tokio::time::Instant::now();
        assert!(read(&mut ours, &mut BytesMut::new()).await.is_err());
        assert_eq!(began.elapsed(), PATIENCE);
    }
}

/// Requests for tests of what answers them.
#[cfg(test)]
pub mod testutil {
    use super::*;

    /// A request without a login.
    pub fn request(method: &str, target: &str, body: &str) -> Request {
        Request {
            host: Ipv4Addr::LOCALHOST.into(),
            method: method.into(),
            target: target.into(),
            authorization: None,
            kind: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            last: false,
        }
    }
}
