//! Reaching the server: names, TCP, TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ivt_base::byte_stream::ByteStream;
use ivt_base::clock::Clock;
use ivt_base::dial;
use ivt_base::tls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::rtmp::error::{PublishError, Step};
use crate::rtmp::options::Options;
use crate::rtmp::url::RtmpUrl;

/// Bytes the kernel may hold for a server that has stopped reading: a second of 4 Mbit/s, while a
/// link with 300 ms of delay still carries 10 Mbit/s.
const SEND_BUFFER: u32 = 512 << 10;

/// Time after which the kernel gives up a server that acknowledges or takes nothing: at a low bit
/// rate its buffers would take minutes to fill.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of first reads that are acknowledged at once: handshake and commands need no more.
const EAGER_READS: u8 = 32;

/// A connection to a server, with or without TLS.
pub type Io = Box<dyn ByteStream>;

/// Connects to the server of `url`, with TLS for `rtmps`. `step` follows how far it has come.
///
/// # Errors
///
/// No address takes a connection in time, or TLS fails.
pub async fn dial(url: &RtmpUrl, options: &Options, step: &mut Step) -> Result<Io, PublishError> {
    let unreachable = |reason: String| PublishError::Unreachable { peer: url.peer(), reason };
    let share = dial::shared(Instant::now() + options.connect);
    let tcp = timeout(options.connect, dial::connect(&url.host, url.port, share, connect_to))
        .await
        .map_err(|_| PublishError::timeout(url.peer(), Step::Connect, options.connect))?
        .map_err(|error| unreachable(error.into_source().to_string()))?;
    let tcp = Eager { tcp, reads: EAGER_READS };
    if !url.tls {
        return Ok(Box::new(tcp));
    }
    *step = Step::Tls;
    let failed = |reason: String| PublishError::Tls { peer: url.peer(), reason };
    let config = match &options.tls {
        Some(config) => config.clone(),
        None => tls::client_config(None, Clock::default()).map_err(|e| failed(e.to_string()))?,
    };
    let stream = tls::connect(config, &url.host, tcp).await;
    Ok(Box::new(stream.map_err(|error| failed(error.to_string()))?))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.connect(address).await
}

/// Acknowledges at once what the server says first. Many servers leave Nagle's algorithm on, and
/// hold their next answer back until our delayed acknowledgement: 40 ms in which no picture starts.
#[derive(Debug)]
struct Eager {
    tcp: TcpStream,
    /// Reads that are still to be acknowledged at once.
    reads: u8,
}

impl AsyncRead for Eager {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reads > 0 {
            self.reads -= 1;
            // The kernel falls back to delaying, so every read asks again. A failure only costs
            // time.
            #[cfg(target_os = "linux")]
            self.tcp.set_quickack(true).ok();
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Eager {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
