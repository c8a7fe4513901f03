//! A connection on which a request is said again and again, and the camera says what it likes: answers, and requests of its
//! own that nobody answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ivt_base::dial;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Http, OPEN_DEADLINE, Request, wire};
use crate::{Error, Kind, Result};

/// Most bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Such a connection. Dropping it closes it.
pub(crate) struct Line {
    op: &'static str,
    http: Http,
    tcp: TcpStream,
    request: Request,
}

impl Line {
    /// Connects and says the request, with the login that the camera has accepted before; at most 10 s.
    ///
    /// # Errors
    /// `Invalid` for a request that HTTP cannot carry, `Offline` without a connection.
    pub(crate) async fn open(op: &'static str, http: &Http, request: Request) -> Result<Self> {
        let deadline = Instant::now() + OPEN_DEADLINE;
        let tcp = dial::connect(http.host(), http.port(), deadline, None).await;
        let tcp = tcp.map_err(|e| Error::new(op, Kind::Offline).because(e))?;
        wire::probe(&tcp).map_err(|e| Error::new(op, Kind::Other).because(e))?;
        let mut line = Self { op, http: http.clone(), tcp, request };
        line.say().await?;
        Ok(line)
    }

    /// Says the request again.
    ///
    /// # Errors
    /// `Timeout` when the camera takes nothing for 10 s, `Other` when the connection broke.
    pub(crate) async fn say(&mut self) -> Result<()> {
        let Request { method, target, body } = &self.request;
        if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(self.op, Kind::Invalid));
        }
        let (host, port) = (self.http.host(), self.http.port());
        let bytes = self.request.bytes();
        let mut text = format!("{} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n", method.as_str());
        if let Some(body) = body {
            text += &format!("Content-Type: {}\r\n", body.content_type);
        }
        let login = self.http.server.login.as_ref();
        let said = login.and_then(|login| login.say(&self.request, Instant::now()).authorization);
        if let Some(authorization) = said {
            text += &format!("Authorization: {authorization}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n", bytes.len());
        let said = [text.as_bytes(), &bytes].concat();
        match timeout(OPEN_DEADLINE, self.tcp.write_all(&said)).await {
            Ok(sent) => sent.map_err(|e| Error::new(self.op, Kind::Other).because(e)),
            Err(_) => Err(Error::new(self.op, Kind::Timeout)),
        }
    }

    /// The next bytes of the camera, at least one; `None` when it has closed the connection. A call that is dropped before it
    /// returns loses nothing.
    ///
    /// # Errors
    /// `Timeout` when nothing came for `silence`, `Refused` for an answer that the login is no longer good, `Other` when the
    /// connection broke.
    pub(crate) async fn chunk(&mut self, silence: Duration) -> Result<Option<Bytes>> {
        let mut piece = BytesMut::with_capacity(PIECE);
        match timeout(silence, self.tcp.read_buf(&mut piece)).await {
            Ok(Ok(0)) => Ok(None),
            Ok(Ok(_)) if is_refusal(&piece) => Err(Error::new(self.op, Kind::Refused)),
            Ok(Ok(_)) => Ok(Some(piece.freeze())),
            Ok(Err(e)) => Err(Error::new(self.op, Kind::Other).because(e)),
            Err(_) => Err(Error::new(self.op, Kind::Timeout)),
        }
    }
}

/// Whether a piece begins with the answer 401.
fn is_refusal(piece: &[u8]) -> bool {
    let status = piece.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..5));
    status == Some(b" 401")
}
