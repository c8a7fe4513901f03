//! An HTTP server that answers as a test scripts it, and notes what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::address::{Address, LONGEST_URI};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Number of the connection, from 0.
    pub(crate) connection: usize,
    /// Method and target, as in the request line.
    pub(crate) line: String,
    /// The headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body of a form; empty for an upload.
    pub(crate) form: String,
    pub(crate) length: usize,
    pub(crate) sha256: [u8; 32],
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The decoded value of a field of the form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.form.as_bytes());
        fields.find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }

    /// The `op` of a call, or "PUT" for an upload.
    pub(crate) fn op(&self) -> String {
        self.field("op").unwrap_or_else(|| "PUT".into())
    }
}

/// An answer of the server.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, further header lines, and a body.
    Answer(u16, &'static str, String),
    /// Status 200, and a body without end.
    Endless,
    /// Status 200, and a body of which a byte comes each second.
    Trickle,
    /// No answer at all, on an open connection.
    Silence,
    /// The connection is closed without an answer.
    Hangup,
    /// An answer that is sent before the body is read.
    Early(u16),
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::Answer(200, "", body.into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, "", String::new())
    }
}

/// The running server, which ends when this is dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

impl Scripted {
    /// A server that asks `script` once for each request: with the form of a call, without one for
    /// an upload.
    pub(crate) async fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, connection, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { address, seen, task: task.abort_handle() }
    }

    pub(crate) fn url(&self, path: &str) -> Address {
        Address::parse(&format!("http://{}{path}", self.address), LONGEST_URI).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn sha256(chunks: &[bytes::Bytes]) -> [u8; 32] {
    let mut digest = Sha256::new();
    chunks.iter().for_each(|chunk| digest.update(chunk));
    digest.finalize().into()
}

async fn serve(socket: TcpStream, connection: usize, script: Script, log: Arc<Mutex<Vec<Seen>>>) {
    let mut socket = BufReader::new(socket);
    while let Some(mut seen) = head(&mut socket, connection).await {
        // An upload is answered by its head, since the answer may come before the body.
        let early = seen.line.starts_with("PUT").then(|| script(&seen));
        if !matches!(early, Some(Reply::Early(_))) {
            let mut body = vec![0; seen.length];
            if socket.read_exact(&mut body).await.is_err() {
                return;
            }
            seen.sha256 = Sha256::digest(&body).into();
            if early.is_none() {
                // A picture is no text.
                seen.form = String::from_utf8(body).unwrap_or_default();
            }
        }
        let reply = early.unwrap_or_else(|| script(&seen));
        log.lock().unwrap().push(seen);
        let out = socket.get_mut();
        let sent = match reply {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                );
                out.write_all(answer.as_bytes()).await
            }
            Reply::Early(status) => {
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                let sent = out.write_all(answer.as_bytes()).await;
                sleep(Duration::from_secs(600)).await;
                sent
            }
            Reply::Endless => {
                let mut sent = out.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while sent.is_ok() {
                    sent = out.write_all(&[b' '; 65_536]).await;
                }
                sent
            }
            Reply::Trickle => {
                let mut sent =
                    out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n").await;
                while sent.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                    sent = out.write_all(b" ").await;
                }
                sent
            }
            Reply::Silence => std::future::pending().await,
            Reply::Hangup => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn head(socket: &mut BufReader<TcpStream>, connection: usize) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |line: &String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines[1..].iter().map(header).collect();
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    let mut seen =
        Seen { connection, line, headers, form: String::new(), length: 0, sha256: [0; 32] };
    seen.length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    Some(seen)
}
