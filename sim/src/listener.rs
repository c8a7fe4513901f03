//! The listener of the HTTP port: bounds the number of connections, and lets them be cut while the server uses
//! them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Accepts at most `seats` connections at a time; more wait in the system's backlog.
pub(crate) struct Seated {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

impl Seated {
    pub(crate) fn new(listener: TcpListener, seats: usize) -> Self {
        Self { listener, seats: Arc::new(Semaphore::new(seats)) }
    }
}

/// A connection that holds a seat.
pub(crate) struct Seat {
    stream: TcpStream,
    wire: Wire,
    _permit: OwnedSemaphorePermit,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) addr: SocketAddr,
    pub(crate) wire: Wire,
}

/// Cuts a connection. What the server reads or writes afterwards fails, so that it gives the connection up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<AtomicU8>);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// The connection is closed by FIN.
    Close = 1,
    /// The connection is reset by RST.
    Reset = 2,
}

impl Wire {
    pub(crate) fn cut(&self, how: Cut) {
        self.0.store(how as u8, Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Relaxed) == 0 {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.wire.0.load(Relaxed) == Cut::Reset as u8 {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Listener for Seated {
    type Io = Seat;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seat, SocketAddr) {
        loop {
            let permit = self.seats.clone().acquire_owned().await;
            match (self.listener.accept().await, permit) {
                (Ok((stream, remote)), Ok(_permit)) => {
                    let _ = stream.set_nodelay(true);
                    return (Seat { stream, wire: Wire::default(), _permit }, remote);
                }
                (Err(error), _) => {
                    // Out of descriptors: without a pause this would spin.
                    log::warn!(target: "sim", "HTTP accept: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                (Ok(_), Err(_)) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Seated>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Seated>) -> Self {
        Self { addr: *stream.remote_addr(), wire: stream.io().wire.clone() }
    }
}

impl AsyncRead for Seat {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Seat {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
