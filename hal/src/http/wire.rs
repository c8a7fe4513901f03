//! One exchange of HTTP: a connection, a request, the head of its answer, and the body within its
//! limit.

use std::io;
use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT, WWW_AUTHENTICATE,
};
use hyper_util::rt::TokioIo;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial;
use ivt_base::task::work;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::request::Request;
use crate::{Answer, Error, Kind, Result};

/// Most bytes of an answer's status line and headers.
const HEAD_LIMIT: usize = 64 * 1024;
/// Longest time for name and connection, where the request as a whole has more.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Silence on a connection that is kept for long after which TCP probes it, and the pause between two of the four probes
/// without an answer that end it: a camera that lost its power is noticed after two minutes.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_AGAIN: Duration = Duration::from_secs(15);

/// An answer whose head has come and whose body has not been read.
pub(super) struct Response {
    op: &'static str,
    response: hyper::Response<Incoming>,
    /// The task that drives the connection, which ends when this is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

/// An answer other than the one that was asked for, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("the camera answered {0}")]
pub(super) struct Unexpected(pub(super) String);

/// Connects to a server and sends it one request, with the value of an `Authorization` header. `stays` is true for a
/// connection that is kept for long, which TCP then probes while it is silent.
///
/// # Errors
/// `Invalid` for a request that HTTP cannot carry, `Offline` without a connection, `Other` for a head
/// that is broken or above 64 KiB.
pub(super) async fn send(
    op: &'static str,
    host: &str,
    port: u16,
    request: &Request,
    authorization: Option<&str>,
    stays: bool,
) -> Result<Response> {
    let request = encode(op, host, port, request, authorization, stays)?;
    let tcp = dial::connect(host, port, Instant::now() + CONNECT_LIMIT, None).await;
    let tcp = tcp.map_err(|e| Error::new(op, Kind::Offline).because(e))?;
    if stays {
        probe(&tcp).map_err(|e| Error::new(op, Kind::Other).because(e))?;
    }
    let tcp: Box<dyn ByteStream> = Box::new(tcp);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(TokioIo::new(tcp))
        .await
        .map_err(|e| Error::new(op, Kind::Offline).because(e))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(work(connection));
    match sender.send_request(request).await {
        Ok(response) => Ok(Response { op, response, _connection: tasks }),
        Err(e) => Err(Error::new(op, Kind::Other).because(e)),
    }
}

/// Makes the system probe a silent connection, so that one whose peer has lost its power ends.
pub(super) fn probe(tcp: &TcpStream) -> io::Result<()> {
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AGAIN);
    SockRef::from(tcp).set_tcp_keepalive(&probes.with_retries(4))
}

fn encode(
    op: &'static str,
    host: &str,
    port: u16,
    request: &Request,
    authorization: Option<&str>,
    stays: bool,
) -> Result<hyper::Request<Full<Bytes>>> {
    let authority =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut builder = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(&*request.target)
        .header(HOST, authority)
        .header(USER_AGENT, "ivt-agent")
        .header(ACCEPT_ENCODING, "identity");
    if !stays {
        builder = builder.header(CONNECTION, "close");
    }
    if let Some(body) = &request.body {
        builder = builder.header(CONTENT_TYPE, &*body.content_type);
    }
    if let Some(authorization) = authorization {
        builder = builder.header(AUTHORIZATION, authorization);
    }
    let encoded = builder.body(Full::new(request.bytes()));
    let encoded = encoded.map_err(|e| Error::new(op, Kind::Invalid).because(e))?;
    // A target in another form than the login's `uri`, or with a fragment, would be sent changed.
    let sent = encoded.uri().path_and_query().map(|sent| sent.as_str());
    match request.target.starts_with('/') && sent == Some(&*request.target) {
        true => Ok(encoded),
        false => Err(Error::new(op, Kind::Invalid)),
    }
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The values of the `WWW-Authenticate` headers, as far as they are text.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(WWW_AUTHENTICATE).iter();
        values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// The value of a header; `None` where it is absent or no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// `Other` for a body that is broken.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.response.body_mut().frame().await {
            let frame = frame.map_err(|e| Error::new(self.op, Kind::Other).because(e))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// What the answer belongs to, for errors.
    pub(super) fn op(&self) -> &'static str {
        self.op
    }

    /// Reads the body to its end; `limit` bounds it, in bytes.
    ///
    /// # Errors
    /// `Other` for a body that is broken or above the limit.
    pub(super) async fn read(self, limit: usize) -> Result<Answer> {
        let Self { op, response, _connection } = self;
        let (head, body) = response.into_parts();
        let reason = match head.extensions.get::<ReasonPhrase>() {
            Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
            None => head.status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_long(op, limit));
        }
        // The whole size is reserved at first, since joining pieces later would take the memory
        // twice.
        let (mut body, mut whole) = (Limited::new(body, limit), BytesMut::with_capacity(announced));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| match e.downcast::<hyper::Error>() {
                Ok(e) if head.status.is_success() => Error::new(op, Kind::Other).because(*e),
                // A refusal stays one when its text is cut off, and is no restart.
                Ok(_) => broken_off(op, head.status),
                Err(_) => too_long(op, limit),
            })?;
            if let Ok(data) = frame.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(Answer { status: head.status.as_u16(), reason, headers, body: whole.freeze() })
    }
}

/// Whether the camera closed the connection before an answer or in the middle of one with a status of success, as
/// cameras do that restart at once.
pub fn hung_up(error: &Error) -> bool {
    let source = error.source.as_deref().and_then(|source| source.downcast_ref::<hyper::Error>());
    let is_cut = |error: &hyper::Error| {
        let io = std::error::Error::source(error).and_then(|e| e.downcast_ref::<std::io::Error>());
        io.is_some_and(|e| matches!(e.kind(), ConnectionReset | UnexpectedEof))
    };
    error.kind == Kind::Other
        && source.is_some_and(|error| {
            error.is_incomplete_message()
                || error.is_closed()
                || error.is_canceled()
                || is_cut(error)
        })
}

fn broken_off(op: &'static str, status: StatusCode) -> Error {
    Error::new(op, Kind::Other).because(Unexpected(format!("{status}, and broke off")))
}

fn too_long(op: &'static str, limit: usize) -> Error {
    Error::new(op, Kind::Other).because(Unexpected(format!("more than {limit} bytes")))
}
