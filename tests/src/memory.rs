//! A cloud in memory, for real agents in virtual time.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use futures::{SinkExt as _, StreamExt as _};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use ivt_agent::Agent;
use ivt_agent::cloud::dial::{Dial, DialError, Socket, limits};
use ivt_agent::config::Config;
use ivt_agent::tls::TrustStore;
use ivt_base::byte_stream::ByteStream;

/// A cloud in memory, with the connections to it.
#[derive(Clone)]
pub struct Cloud {
    up: watch::Sender<bool>,
    lost: watch::Sender<Lost>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    lines: Arc<AtomicUsize>,
    chatty: bool,
}

/// The bytes that vanish on the way without an error, as in a half-open connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Whether bytes to the cloud vanish.
    pub up: bool,
    /// Whether bytes to the device vanish.
    pub down: bool,
}

/// One dial of one device.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Number of the device.
    pub device: usize,
    /// Time of the dial.
    pub at: Instant,
    /// Whether the cloud was up.
    pub connected: bool,
}

impl Cloud {
    /// A cloud that is up or down. A chatty cloud sends each device an event every second.
    pub fn new(up: bool, chatty: bool) -> Self {
        let (up, lost) = (watch::Sender::new(up), watch::Sender::default());
        Self { up, lost, attempts: Arc::default(), lines: Arc::default(), chatty }
    }

    /// An agent of this cloud with one emulated camera.
    pub fn agent(&self, device: usize, seed: u64) -> Agent {
        let text = "[cloud]\nurl = 'ws://cloud.invalid/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                    [[channel]]\nbackend = 'emulator'";
        let config: Config = text.parse().unwrap();
        let way = Arc::new(Way { device, cloud: self.clone() });
        let rng = StdRng::seed_from_u64(seed * 1_000_003 + device as u64);
        Agent::start_with(&config, TrustStore::new(None).unwrap(), way, rng).unwrap()
    }

    /// Takes the cloud down or up again. Either ends every connection.
    pub fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// Makes bytes of all connections vanish from now on.
    pub fn lose(&self, lost: Lost) {
        self.lost.send_replace(lost);
    }

    /// The dials since the last call of this method.
    pub fn take_attempts(&self) -> Vec<Attempt> {
        mem::take(&mut self.attempts.lock().unwrap())
    }

    /// Number of connections that devices hold open.
    pub fn lines(&self) -> usize {
        self.lines.load(SeqCst)
    }

    /// Answers every request with success until the cloud goes down.
    async fn serve(self, stream: DuplexStream) {
        let mut up = self.up.subscribe();
        up.mark_unchanged();
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let mut chat = self.chatty.then(|| interval(Duration::from_secs(1)));
        loop {
            let text = tokio::select! {
                _ = up.changed() => return,
                () = next(&mut chat) => json!({ "event": "SyncTime" }).to_string(),
                message = socket.next() => {
                    let Some(Ok(Message::Text(text))) = message else { return };
                    let packet: Value = serde_json::from_str(&text).unwrap();
                    json!({ "seq": packet["seq"], "resp": {} }).to_string()
                }
            };
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    }
}

/// Waits for the next tick; for ever without an interval.
async fn next(chat: &mut Option<Interval>) {
    match chat {
        Some(chat) => drop(chat.tick().await),
        None => std::future::pending().await,
    }
}

/// Connects one device to the cloud.
struct Way {
    device: usize,
    cloud: Cloud,
}

#[async_trait::async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<Socket, DialError> {
        let connected = *self.cloud.up.borrow();
        let attempt = Attempt { device: self.device, at: Instant::now(), connected };
        self.cloud.attempts.lock().unwrap().push(attempt);
        if !connected {
            return Err(DialError::Timeout);
        }
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(self.cloud.clone().serve(theirs));
        let line = Line::new(ours, &self.cloud);
        let line: Box<dyn ByteStream> = Box::new(line);
        Ok(WebSocketStream::from_raw_socket(line, Role::Client, Some(limits())).await)
    }
}

/// The device's end of a connection.
#[derive(Debug)]
struct Line {
    io: DuplexStream,
    lost: watch::Receiver<Lost>,
    lines: Arc<AtomicUsize>,
}

impl Line {
    fn new(io: DuplexStream, cloud: &Cloud) -> Self {
        cloud.lines.fetch_add(1, SeqCst);
        Self { io, lost: cloud.lost.subscribe(), lines: cloud.lines.clone() }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.fetch_sub(1, SeqCst);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begin = buf.filled().len();
        loop {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            let end = buf.filled().len() == begin;
            if !self.lost.borrow().down {
                return Poll::Ready(Ok(()));
            }
            if end {
                return Poll::Pending; // The end of the connection does not arrive either.
            }
            buf.set_filled(begin);
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.lost.borrow().up {
            return Poll::Ready(Ok(data.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
