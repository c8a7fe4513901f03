//! A camera's own web server, over plain HTTP/1.1 on the device or its own network. Where it is comes
//! from the local configuration alone.

mod login;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Answer, Cgi, Credentials, Error, Kind, Result, Snapshot, Stream};
use login::Login;

/// For status line and headers of an answer.
const HEAD_LIMIT: usize = 64 * 1024;
const CGI: &str = "cgi get";
const JPEG: &str = "snapshot jpeg";

/// What an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer's body; default 4 MiB.
    pub body: usize,
    /// From the connection to the last byte; default 10 s.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4 * 1024 * 1024, deadline: Duration::from_secs(10) }
    }
}

/// One web server. Speaks Basic and Digest; each request has a connection of its own.
pub struct Http {
    host: String,
    port: u16,
    limits: Limits,
    login: Option<Login>,
}

/// A path with its query, as it goes on the wire.
type Target = String;

impl Http {
    /// The server at `host`, a name or an address. Connects when it is first asked.
    pub fn new(host: &str, port: u16, credentials: Option<Credentials>, limits: Limits) -> Self {
        let host = host.trim_matches(['[', ']']).to_owned();
        Self { host, port, limits, login: credentials.map(Login::new) }
    }

    async fn bounded(&self, op: &'static str, target: &str) -> Result<Answer> {
        let deadline = self.limits.deadline;
        let answer = timeout(deadline, self.exchange(op, target)).await;
        answer.unwrap_or_else(|_| Err(Error::new(op, Kind::Timeout)))
    }

    /// Asks, and once more where the camera wants to know who asks.
    async fn exchange(&self, op: &'static str, target: &str) -> Result<Answer> {
        let Some(login) = &self.login else {
            return self.request(op, target, None).await;
        };
        let answer = self.request(op, target, login.known(target)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // The first challenge, or a nonce has aged.
        let Some(authorization) = login.challenged(&answer, target) else { return Ok(answer) };
        let answer = self.request(op, target, Some(authorization)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            login.forget();
        }
        Ok(answer)
    }

    async fn request(
        &self,
        op: &'static str,
        target: &str,
        authorization: Option<String>,
    ) -> Result<Answer> {
        let failed = |kind| move |e: hyper::Error| Error::new(op, kind).because(e);
        let tcp = TcpStream::connect((&*self.host, self.port)).await;
        let tcp = tcp.map_err(|e| Error::new(op, Kind::Offline).because(e))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .handshake(TokioIo::new(tcp))
            .await
            .map_err(failed(Kind::Offline))?;
        // Ends with this call, at the latest when the set is dropped.
        let mut task = JoinSet::new();
        task.spawn(connection);
        let mut request = Request::get(target)
            .header(HOST, self.authority())
            .header(USER_AGENT, "ivt-agent")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|e| Error::new(op, Kind::Invalid).because(e))?;
        let response = sender.send_request(request).await.map_err(failed(Kind::Other))?;
        read(op, response, self.limits.body).await
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[async_trait]
impl Cgi for Http {
    async fn get(&self, path: &str, query: &str) -> Result<Answer> {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.bounded(CGI, &target).await
    }
}

/// The snapshots of a web server.
pub struct HttpSnapshot {
    http: Http,
    main: Target,
    sub: Option<Target>,
}

impl HttpSnapshot {
    /// Pictures at these paths, each with its query. Without `sub` both streams have `main`.
    pub fn new(http: Http, main: &str, sub: Option<&str>) -> Self {
        Self { http, main: main.to_owned(), sub: sub.map(str::to_owned) }
    }
}

#[async_trait]
impl Snapshot for HttpSnapshot {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        let target = match (stream, &self.sub) {
            (Stream::Sub, Some(sub)) => sub,
            _ => &self.main,
        };
        let answer = self.http.bounded(JPEG, target).await?;
        match answer.status {
            200 if answer.body.starts_with(&[0xff, 0xd8]) => Ok(answer.body),
            200 => Err(Error::new(JPEG, Kind::Other).because(Unexpected("no JPEG file".into()))),
            404 => Err(Error::new(JPEG, Kind::Unsupported)),
            status => {
                Err(Error::new(JPEG, Kind::Refused).because(Unexpected(format!("HTTP {status}"))))
            }
        }
    }
}

/// What a camera answered in the place of what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the camera answered {0}")]
struct Unexpected(String);

async fn read(op: &'static str, response: Response<Incoming>, limit: usize) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let reason = match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => head.status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let too_long =
        || Error::new(op, Kind::Other).because(Unexpected(format!("more than {limit} bytes")));
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_long());
    }
    // In one piece from the beginning: to join pieces later takes the memory twice.
    let (mut body, mut whole) = (Limited::new(body, limit), BytesMut::with_capacity(announced));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| match e.downcast::<hyper::Error>() {
            Ok(e) => Error::new(op, Kind::Other).because(*e),
            Err(_) => too_long(),
        })?;
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
    }
    let (status, body) = (head.status.as_u16(), whole.freeze());
    Ok(Answer { status, reason, headers, body })
}

#[cfg(test)]
#[path = "http/tests.rs"]
mod tests;
