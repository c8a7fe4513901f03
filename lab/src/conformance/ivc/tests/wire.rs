//! The connection of the scripted device, which may lose its pongs: the library sends them by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The begin of the frame of a client's pong with four bytes, and the length of that frame (RFC 6455, 5.2).
const PONG: [u8; 2] = [0x8a, 0x84];
const LENGTH: usize = 10;
/// The begin of the first frame of a text that comes in several.
const FIRST: u8 = 0x01;

/// A connection.
pub struct Wire {
    pub stream: TcpStream,
    pub pongless: bool,
    /// Set when the first frame of several comes.
    pub pieces: Arc<AtomicBool>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled()[before..].first() == Some(&FIRST) {
            self.pieces.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pongless && bytes.starts_with(&PONG) && bytes.len() >= LENGTH {
            return Poll::Ready(Ok(LENGTH));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
