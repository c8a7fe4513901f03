//! RTMP servers that take a stream and then go wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ivt_media::rtmp::server::{ServerLimits, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a server does wrong after the first tags of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The server reads nothing more.
    Stall,
    /// The server reads one byte a second.
    Trickle,
    /// The server sends bytes that are no RTMP.
    Garbage,
    /// The server resets the connection.
    Reset,
}

/// A server on a free port, which does the same wrong to every publisher.
pub struct Server {
    addr: SocketAddr,
    publishes: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts a server with a small receive buffer.
    pub async fn start(wrong: Wrong) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(16).unwrap();
        let addr = listener.local_addr().unwrap();
        let (count, publishes) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp, wrong, count.clone()));
            }
        });
        Self { addr, publishes, _tasks: tasks }
    }

    /// The URL to publish to.
    pub fn url(&self) -> String {
        format!("rtmp://{}/live/s", self.addr)
    }

    /// Returns once `count` publishers have been accepted.
    pub async fn wait_publishes(&self, count: u64) {
        self.publishes.clone().wait_for(|n| *n >= count).await.unwrap();
    }
}

/// A port whose queue is full, so that a SYN to it stays unanswered.
pub struct FullPort {
    /// The address of the port.
    pub addr: SocketAddr,
    _queued: Vec<TcpStream>,
    _listener: TcpListener,
}

impl FullPort {
    /// Fills the queue of a listener that accepts nobody.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(tcp) = timeout(Duration::from_secs(1), TcpStream::connect(addr)).await {
            queued.push(tcp.unwrap());
            assert!(queued.len() < 16, "the queue never fills");
        }
        Self { addr, _queued: queued, _listener: listener }
    }
}

async fn serve(tcp: TcpStream, wrong: Wrong, count: watch::Sender<u64>) {
    // This second handle of the socket is used below the protocol.
    let tcp = tcp.into_std().unwrap();
    let mut raw = TcpStream::from_std(tcp.try_clone().unwrap()).unwrap();
    let tcp = TcpStream::from_std(tcp).unwrap();
    let Ok(mut session) = accept(tcp, ServerLimits::default()).await else { return };
    if session.publish().await.is_err() || session.accept().await.is_err() {
        return;
    }
    count.send_modify(|n| *n += 1);
    for _ in 0..10 {
        if !matches!(session.next_tag().await, Ok(Some(_))) {
            return;
        }
    }
    match wrong {
        Wrong::Stall => std::future::pending().await,
        Wrong::Trickle => {
            while raw.read(&mut [0]).await.is_ok_and(|n| n > 0) {
                sleep(Duration::from_secs(1)).await;
            }
        }
        Wrong::Garbage => {
            raw.write_all(&[0xA5; 4096]).await.ok();
            // This lasts until the publisher leaves.
            while matches!(session.next_tag().await, Ok(Some(_))) {}
        }
        // Without linger, closing the last handle of the socket resets the connection.
        Wrong::Reset => raw.set_zero_linger().unwrap(),
    }
}
