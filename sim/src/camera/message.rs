//! RTSP/1.0 messages as a server reads and writes them (RFC 2326). What they mean is in `session`.

use bytes::{Buf, BytesMut};

/// Longest request line with headers, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// Longest request body, in bytes. No known method has a body that matters.
pub const MAX_BODY: usize = 8 * 1024;

/// Anything that a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// A request of the client.
    Request(Request),
    /// An interleaved packet of the client: a receiver report, which only shows that the client is alive.
    Data,
}

/// A request of a client, without its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `DESCRIBE`.
    pub method: String,
    /// The URI as the client wrote it.
    pub uri: String,
    headers: Vec<(String, String)>,
}

/// Why bytes are no RTSP/1.0. The connection cannot be used after such bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is not `METHOD URI RTSP/1.0`.
    #[error("expected a request line of RTSP/1.0, received something else")]
    RequestLine,
    /// A header line has no colon, or is not UTF-8.
    #[error("expected `Name: value` headers in UTF-8, received something else")]
    Header,
    /// The request is longer than so many bytes.
    #[error("request head or body is longer than {0} bytes")]
    TooLong(usize),
}

impl Request {
    /// The value of the first header of this name, in upper or lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// `host:port` of the URI, without credentials.
    pub fn authority(&self) -> Option<&str> {
        let (authority, _) = split_uri(&self.uri)?;
        Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
    }

    /// The path of the URI from its first slash on, without the query.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The path of the URI from its first slash on, with the query.
    pub fn target(&self) -> &str {
        split_uri(&self.uri).map_or(self.uri.as_str(), |(_, path)| path)
    }
}

/// Takes one message off the front of `buf`; `None` while it is incomplete.
///
/// # Errors
/// When the bytes are no RTSP/1.0, or longer than the limits.
pub fn take(buf: &mut BytesMut) -> Result<Option<Input>, Malformed> {
    while buf.starts_with(b"\r\n") {
        buf.advance(2); // Some clients send an empty line as a keepalive.
    }
    if buf.first() == Some(&b'$') {
        return Ok(take_data(buf));
    }
    let Some(head) = buf.windows(4).take(MAX_HEAD).position(|w| w == b"\r\n\r\n") else {
        return if buf.len() > MAX_HEAD { Err(Malformed::TooLong(MAX_HEAD)) } else { Ok(None) };
    };
    if buf.starts_with(b"RTSP/1.0 ") {
        // This is a client's answer to a request of the camera's own, and has no body.
        buf.advance(head + 4);
        return Ok(Some(Input::Data));
    }
    let request = parse(&buf[..head])?;
    let body = match request.header("Content-Length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= MAX_BODY => length,
        Some(Ok(_)) => return Err(Malformed::TooLong(MAX_BODY)),
        Some(Err(_)) => return Err(Malformed::Header),
    };
    let end = head + 4 + body;
    if buf.len() < end {
        return Ok(None);
    }
    buf.advance(end);
    Ok(Some(Input::Request(request)))
}

fn take_data(buf: &mut BytesMut) -> Option<Input> {
    let length = usize::from(u16::from_be_bytes([*buf.get(2)?, *buf.get(3)?]));
    if buf.len() < 4 + length {
        return None;
    }
    buf.advance(4 + length);
    Some(Input::Data)
}

fn parse(head: &[u8]) -> Result<Request, Malformed> {
    let text = std::str::from_utf8(head).map_err(|_| Malformed::Header)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri), Some("RTSP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed::RequestLine);
    };
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or(Malformed::Header)?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect::<Result<_, _>>()?;
    Ok(Request { method: method.to_owned(), uri: uri.to_owned(), headers })
}

fn split_uri(uri: &str) -> Option<(&str, &str)> {
    let (_, rest) = uri.split_once("://")?;
    Some(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

/// Status codes that the camera answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Code 200.
    Ok,
    /// Code 400.
    BadRequest,
    /// Code 401.
    Unauthorized,
    /// Code 404.
    NotFound,
    /// Code 405.
    MethodNotAllowed,
    /// Code 454.
    SessionNotFound,
    /// Code 455.
    NotValidInState,
    /// Code 459.
    AggregateNotAllowed,
    /// Code 461.
    UnsupportedTransport,
    /// Code 503.
    Unavailable,
    /// Code 551.
    OptionNotSupported,
    /// Any other code, with its reason.
    Other(&'static str),
}

impl Status {
    /// Code and reason, as in the first line of an answer.
    pub fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Unauthorized => "401 Unauthorized",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::SessionNotFound => "454 Session Not Found",
            Self::NotValidInState => "455 Method Not Valid in This State",
            Self::AggregateNotAllowed => "459 Aggregate Operation Not Allowed",
            Self::UnsupportedTransport => "461 Unsupported Transport",
            Self::Unavailable => "503 Service Unavailable",
            Self::OptionNotSupported => "551 Option not supported",
            Self::Other(line) => line,
        }
    }
}

/// An answer of the camera.
#[derive(Debug)]
pub struct Response {
    /// Status of the first line.
    pub status: Status,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl From<Status> for Response {
    fn from(status: Status) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

impl Response {
    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub fn body(self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.header("Content-Type", content_type) }
    }

    /// The value of the first header of this name.
    #[cfg(test)]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// Changes the value of every header of this name; `None` removes the header.
    pub fn edit(&mut self, name: &str, change: impl Fn(String) -> Option<String>) {
        let headers = std::mem::take(&mut self.headers);
        let edit =
            |(n, value)| if n == name { Some((n, change(value)?)) } else { Some((n, value)) };
        self.headers = headers.into_iter().filter_map(edit).collect();
    }

    /// The bytes of the answer to the request with this `CSeq`.
    pub fn encode(&self, cseq: &str) -> Vec<u8> {
        let mut text = format!("RTSP/1.0 {}\r\nCSeq: {cseq}\r\n", self.status.line());
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBE: &[u8] =
        b"DESCRIBE rtsp://a:b@cam:8554/ch0/main?x=1 RTSP/1.0\r\nCSeq: 2\r\nAccept:application/sdp\r\n\r\n";

    fn request(bytes: &[u8]) -> Request {
        match take(&mut BytesMut::from(bytes)) {
            Ok(Some(Input::Request(request))) => request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    #[test]
    fn a_request_is_understood_in_its_parts() {
        let request = request(DESCRIBE);
        assert_eq!(request.method, "DESCRIBE");
        assert_eq!(request.authority(), Some("cam:8554"));
        assert_eq!(
            (request.path(), request.target().starts_with("/ch0/main")),
            ("/ch0/main", true)
        );
        assert_eq!(request.header("cseq"), Some("2"));
        assert_eq!(request.header("ACCEPT"), Some("application/sdp"));
        assert_eq!(request.header("Session"), None);
    }

    #[test]
    fn every_split_of_the_input_gives_the_same_messages() {
        let mut all = b"\r\n$\x01\x00\x02ab".to_vec();
        all.extend_from_slice(b"GET_PARAMETER * RTSP/1.0\r\nContent-Length: 3\r\n\r\nabc");
        all.extend_from_slice(DESCRIBE);
        for cut in 0..=all.len() {
            let mut buf = BytesMut::new();
            let mut inputs = Vec::new();
            for part in [&all[..cut], &all[cut..]] {
                buf.extend_from_slice(part);
                while let Some(input) = take(&mut buf).unwrap() {
                    inputs.push(input);
                }
            }
            assert!(buf.is_empty(), "cut at {cut}");
            assert_eq!(inputs.len(), 3, "cut at {cut}");
            assert_eq!(inputs[0], Input::Data);
            assert_eq!(inputs[2], Input::Request(request(DESCRIBE)));
        }
    }

    #[test]
    fn hostile_input_is_refused_within_the_limits() {
        let long = [b"GET ".to_vec(), vec![b'a'; MAX_HEAD]].concat();
        let rows: [(&[u8], Malformed); 6] = [
            (b"GET / HTTP/1.1\r\n\r\n", Malformed::RequestLine),
            (b"RTSP/2.0 200 OK\r\n\r\n", Malformed::RequestLine),
            (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", Malformed::Header),
            (b"OPTIONS * RTSP/1.0\r\nA: \xff\r\n\r\n", Malformed::Header),
            (
                b"OPTIONS * RTSP/1.0\r\nContent-Length: 9999999\r\n\r\n",
                Malformed::TooLong(MAX_BODY),
            ),
            (&long, Malformed::TooLong(MAX_HEAD)),
        ];
        for (bytes, expected) in rows {
            assert_eq!(take(&mut BytesMut::from(bytes)), Err(expected));
        }
    }

    #[test]
    fn headers_can_be_changed_and_taken_out() {
        let mut answer =
            Response::from(Status::Ok).header("Session", "1").header("Range", "npt=0-");
        answer.edit("Session", |value| Some(value + ";timeout=5"));
        answer.edit("Range", |_| None);
        assert_eq!((answer.value("Session"), answer.value("Range")), (Some("1;timeout=5"), None));
    }

    #[test]
    fn an_answer_carries_cseq_headers_and_length() {
        let answer = Response::from(Status::Ok).header("Session", "1").body("text/x", "hey");
        assert_eq!(
            answer.encode("7"),
            b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: 1\r\nContent-Type: text/x\r\nContent-Length: 3\r\n\r\nhey"
        );
    }
}
