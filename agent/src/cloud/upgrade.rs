//! The opening handshake of a WebSocket (RFC 6455, 4.1). It is made by hand, since gateways answer it in
//! ways that are right or do no harm, and that the library refuses.

use std::io;
use std::time::Duration;

use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};
use ivt_base::byte_stream::ByteStream;
use ivt_base::retry_after::retry_after;
use ivt_base::secret::Secret;
use ivt_base::text::shorten;
use ivt_proto::rpc::MAX_MESSAGE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::login::CloudLogin;

/// Longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// Most header lines of an answer.
const HEADERS: usize = 100;
/// Bytes of a refusal's body that are looked at, and how long they are waited for.
const BODY: usize = 512;
const BODY_TIMEOUT: Duration = Duration::from_millis(500);

/// An open WebSocket.
pub type Socket = WebSocketStream<Box<dyn ByteStream>>;

/// An answer that is no WebSocket.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// Status and words of the answer, fit for a log: `HTTP 503 Service Unavailable (too many devices)`.
    pub(super) said: String,
    /// The address that a redirect leads to.
    pub(super) location: Option<Secret>,
    /// How long the server asks to be left alone.
    pub(super) wait: Option<Duration>,
}

/// Logs in on an open byte stream, and returns the WebSocket or the answer that is none. The caller
/// limits the time.
///
/// # Errors
///
/// What came in the place of an answer, fit for a log.
pub(super) async fn upgrade(
    login: &CloudLogin,
    mut stream: Box<dyn ByteStream>,
) -> Result<Result<Socket, Refusal>, String> {
    let broken = |error: io::Error| error.to_string();
    let key = generate_key();
    stream.write_all(login.request(&key).as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut received = Vec::new();
    let head = loop {
        match Head::read(&received)? {
            // An interim answer, such as 103 Early Hints, is followed by the answer itself.
            Some(head) if head.status != 101 && head.status < 200 => {
                received.drain(..head.length);
            }
            Some(head) => break head,
            None if received.len() >= LONGEST_HEAD => {
                return Err(format!("a head of more than {LONGEST_HEAD} bytes"));
            }
            None if stream.read_buf(&mut received).await.map_err(broken)? == 0 => {
                return Err("the end of the connection".to_owned());
            }
            None => {}
        }
    };
    received.drain(..head.length);
    if head.status != 101 {
        return Ok(Err(head.refusal(&mut stream, received).await));
    }
    head.accepts(&key)?;
    let (role, limits) = (Role::Client, Some(limits()));
    Ok(Ok(WebSocketStream::from_partially_read(stream, received, role, limits).await))
}

/// The socket's limits, which bound what is read and what waits to be written.
pub fn limits() -> WebSocketConfig {
    // The protocol's own limit refuses a message that is a little too long, with a reason; the
    // socket refuses a longer one.
    const LONGEST: usize = MAX_MESSAGE + 1024;
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * LONGEST)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
}

/// The head of an answer.
struct Head {
    /// Length of the head, in bytes.
    length: usize,
    status: u16,
    phrase: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; `None` while it is not all there.
    fn read(received: &[u8]) -> Result<Option<Self>, String> {
        let mut lines = [EMPTY_HEADER; HEADERS];
        let mut head = Response::new(&mut lines);
        let parsed = ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .parse_response(&mut head, received);
        let Status::Complete(length) = parsed.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        Ok(Some(Self {
            length,
            status: head.code.unwrap_or_default(),
            phrase: head.reason.unwrap_or_default().to_owned(),
            headers: head.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
        }))
    }

    /// The lines of one header, in their order.
    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |line: &&(String, String)| line.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list, in one line or several, has this word in it.
    fn lists(&self, name: &str, word: &str) -> bool {
        self.lines(name)
            .flat_map(|line| line.split(','))
            .any(|w| w.trim().eq_ignore_ascii_case(word))
    }

    /// Checks that a 101 is the answer to our request. Extensions and a subprotocol that nobody asked
    /// for are left unread: both sides go on without.
    fn accepts(&self, key: &str) -> Result<(), String> {
        let missing = |what| Err(format!("HTTP 101 without {what}"));
        if !self.lists("upgrade", "websocket") {
            return missing("Upgrade: websocket");
        }
        if !self.lists("connection", "upgrade") {
            return missing("Connection: Upgrade");
        }
        if !self.lines("sec-websocket-accept").eq([derive_accept_key(key.as_bytes())]) {
            return missing("the Sec-WebSocket-Accept that belongs to the request");
        }
        Ok(())
    }

    async fn refusal(self, stream: &mut Box<dyn ByteStream>, body: Vec<u8>) -> Refusal {
        let status = self.status;
        let first = |name| self.lines(name).next().filter(|value| !value.is_empty());
        let redirects = matches!(status, 301..=303 | 307 | 308);
        let location = first("location").filter(|_| redirects);
        let location = location.map(|location| Secret::untold(location.to_owned()));
        let wait = first("retry-after").and_then(|value| retry_after(value, first("date")));
        let length = first("content-length").and_then(|length| length.parse().ok());
        let mut said = format!("HTTP {status} {}", shorten(&self.phrase)).trim_end().to_owned();
        let words = words(stream, body, length.unwrap_or(BODY)).await;
        if !words.is_empty() {
            said += &format!(" ({words})");
        }
        Refusal { status, said, location, wait }
    }
}

/// The first line of a body of `length` bytes that is meant for people: no page, and no more than is
/// there at once.
async fn words(stream: &mut Box<dyn ByteStream>, mut body: Vec<u8>, length: usize) -> String {
    let wanted = length.min(BODY);
    let rest = async {
        while body.len() < wanted && stream.read_buf(&mut body).await.is_ok_and(|n| n > 0) {}
    };
    // What has come by then is enough.
    timeout(BODY_TIMEOUT, rest).await.ok();
    let text = String::from_utf8_lossy(&body[..body.len().min(wanted)]);
    let line = text.trim_start().lines().next().unwrap_or_default();
    if line.starts_with('<') { String::new() } else { shorten(line.trim_end()) }
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
