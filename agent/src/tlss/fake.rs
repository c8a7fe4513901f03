//! For tests: a camera's web server, and a TLSS server with the habits of the deployed ones.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ivt_hal::{Answer, Cgi, Error, Kind, Result};
use ivt_proto::tlss::Identity;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::policy::{Policy, Profile};
use super::responder::Responder;
use super::{Camera, Settings};
use crate::config;

/// A picture that holds every sequence of bytes that a reader could take for the end of something.
pub(super) const JPEG: &[u8] = b"\xff\xd8\0\r\n\r\ndone\0\n\r\x1a\xff\xd9";
pub(super) const LIST: &str = "/uapi-cgi/param.fcgi?action=list&group=VERSION";
pub(super) const SNAPSHOT: &str = "/nvc-cgi/operator/snapshot.fcgi";
pub(super) const MISSING: &str = "/uapi-cgi/netinfo.cgi";
pub(super) const HANGS: &str = "/uapi-cgi/network.cgi";
pub(super) const DOWN: &str = "/cgi-bin/operator/snapshot.cgi";
pub(super) const LARGE: &str = "/uapi-cgi/snapshot.fcgi";
pub(super) const LIMIT: usize = 4 * 1024 * 1024;

pub(super) fn settings() -> Settings {
    settings_with(|_| {})
}

pub(super) fn settings_with(change: impl FnOnce(&mut config::Tlss)) -> Settings {
    let mut config = config::Tlss {
        server: "127.0.0.1".into(),
        port: 1,
        interval: Duration::from_secs(60),
        tls: false,
        mac: Some(MAC),
        brand: "CAP".into(),
        model: "NS6202HD".into(),
        profile: None,
        write: Vec::new(),
        reply_limit: LIMIT,
    };
    change(&mut config);
    Settings { config, profile: Profile::built_in() }
}

const MAC: [u8; 6] = [0x00, 0x13, 0x23, 0xa0, 0x07, 0xad];

pub(super) fn responder(camera: Camera) -> Responder {
    responder_with(camera, &[])
}

/// A responder that carries out the writing commands of these groups.
pub(super) fn responder_with(camera: Camera, groups: &[String]) -> Responder {
    let policy = Policy::new(Profile::built_in(), groups).unwrap();
    let identity = Identity::new(MAC, "CAP", "NS6202HD").unwrap();
    Responder::new(policy, camera, identity, LIMIT)
}

/// A camera's web server that answers, answers late, or not at all, by the path.
#[derive(Default)]
pub(super) struct WebServer {
    /// Path and query of each request, in their order.
    pub(super) targets: Mutex<Vec<String>>,
    /// Length of the answer to [`LARGE`], in bytes.
    pub(super) large: AtomicUsize,
    /// Whether no request is answered.
    pub(super) stuck: AtomicBool,
    running: AtomicUsize,
    /// The most requests that ran at once.
    pub(super) most: AtomicUsize,
}

impl WebServer {
    pub(super) fn camera() -> (Arc<Self>, Camera) {
        let server = Arc::new(Self::default());
        (server.clone(), Camera { cgi: Some(server), snapshots: Vec::new() })
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

#[async_trait]
impl Cgi for WebServer {
    async fn get(&self, path: &str, query: &str) -> Result<Answer> {
        self.targets.lock().unwrap().push(format!("{path}?{query}"));
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(running, SeqCst);
        sleep(Duration::from_millis(20)).await;
        self.running.fetch_sub(1, SeqCst);
        let (status, kind, body) = match path {
            _ if self.stuck.load(SeqCst) => std::future::pending().await,
            HANGS => std::future::pending().await,
            DOWN => return Err(Error::new("cgi get", Kind::Offline)),
            SNAPSHOT => (200, "image/jpeg", Bytes::from_static(JPEG)),
            LARGE => (200, "image/jpeg", vec![b'x'; self.large.load(SeqCst)].into()),
            MISSING => (404, "text/html", Bytes::from_static(b"404 - Not Found")),
            _ => (200, "text/plain", Bytes::from(format!("asked={query}\n"))),
        };
        let headers = vec![
            ("content-type".to_owned(), kind.as_bytes().to_vec()),
            ("transfer-encoding".to_owned(), b"chunked".to_vec()),
        ];
        let reason = if status == 200 { "OK" } else { "Not Found" };
        Ok(Answer { status, reason: reason.to_owned(), headers, body })
    }
}

/// A server with the habit of the deployed ones: it ignores the length and reads until nothing comes for a while.
pub(super) struct Deployed<S> {
    stream: S,
    silence: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Deployed<S> {
    pub(super) fn new(stream: S, silence: Duration) -> Self {
        Self { stream, silence }
    }

    /// The next message.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let declared = self.stream.read_u32_le().await?;
        let mut message = Vec::new();
        while let Ok(read) = timeout(self.silence, self.stream.read_buf(&mut message)).await {
            if read? == 0 {
                break;
            }
        }
        assert_eq!(message.len(), declared as usize, "for those that do read the length");
        Ok(message)
    }

    /// Sends a command, with its length in a write of its own.
    pub(super) async fn send(&mut self, command: &[u8]) -> io::Result<()> {
        self.stream.write_all(&u32::try_from(command.len()).unwrap().to_le_bytes()).await?;
        self.stream.write_all(command).await
    }

    /// Gives a command; returns status line and body of the reply.
    pub(super) async fn ask(&mut self, command: impl AsRef<[u8]>) -> io::Result<(String, Vec<u8>)> {
        self.send(command.as_ref()).await?;
        let reply = self.receive().await?;
        // Deployed servers look for these two bytes, and take what follows for the body.
        let blank = reply.windows(2).position(|two| two == b"\n\r").expect("a blank line");
        let line = reply.split(|byte| *byte == b'\r').next().unwrap();
        Ok((String::from_utf8(line.to_vec()).unwrap(), reply[blank + 3..].to_vec()))
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}
