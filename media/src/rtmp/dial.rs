//! Reaching the server: names, TCP, TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ivt_base::byte_stream::ByteStream;
use ivt_base::clock::Clock;
use ivt_base::dial::{self, Unconnected};
use ivt_base::tls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::rtmp::error::{PublishError, Step};
use crate::rtmp::options::Options;
use crate::rtmp::url::RtmpUrl;

/// Bytes the kernel may hold for a server that has stopped reading: a second of 4 Mbit/s, while a
/// link with 300 ms of delay still carries 10 Mbit/s.
const SEND_BUFFER: usize = 512 << 10;

/// Bytes of those that the kernel may not have sent yet: two seconds of 512 kbit/s. On an uplink that is too slow for the
/// stream, pictures wait in the hub, which drops the oldest, and not behind a full send buffer, half a minute late. A
/// buffer that empties slowly would also look like a server that takes nothing: it takes no more until a third is free.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

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
    let deadline = Instant::now() + options.connect;
    let tcp = dial::connect(&url.host, url.port, deadline, options.rule.as_ref());
    let tcp = tcp.await.map_err(|error| match error {
        Unconnected::Forbidden(why) => {
            PublishError::Forbidden { peer: url.peer(), reason: why.to_string() }
        }
        other => match other.into_source() {
            late if late.kind() == io::ErrorKind::TimedOut => {
                PublishError::timeout(url.peer(), Step::Connect, options.connect)
            }
            source => unreachable(source.to_string()),
        },
    })?;
    set_up(&tcp).map_err(|error| unreachable(error.to_string()))?;
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

fn set_up(tcp: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(tcp);
    socket.set_send_buffer_size(SEND_BUFFER)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    // A kernel before 3.12 does not know it, and keeps pictures longer.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT).ok();
    Ok(())
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::SocketAddr;

    use socket2::{Domain, Socket, Type};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn little_waits_in_the_kernel_for_a_server_that_has_stopped_reading() {
        let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        server.set_recv_buffer_size(32 << 10).unwrap();
        server.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        server.listen(1).unwrap();
        let addr = server.local_addr().unwrap().as_socket().unwrap();
        let tcp = TcpStream::connect(addr).await.unwrap();
        set_up(&tcp).unwrap();
        let (chunk, mut taken) = (vec![0; 8 << 10], 0);
        while timeout(Duration::from_millis(300), tcp.writable()).await.is_ok() {
            match tcp.try_write(&chunk) {
                Ok(count) => taken += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        // What the server's kernel took, and what ours has not sent.
        assert!((64 << 10..320 << 10).contains(&taken), "{taken}");
    }
}
