//! The listener of the HTTP port: bounds the number of connections and the time of their other ends, and lets them
//! be cut while the server uses them.

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

use crate::patience::Patience;

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
    patience: Patience,
    _permit: OwnedSemaphorePermit,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) addr: SocketAddr,
    /// Our own address, at which the connection was made; `None` if it is gone already.
    pub(crate) local: Option<SocketAddr>,
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
                    let (wire, patience) = (Wire::default(), Patience::new());
                    return (Seat { stream, wire, patience, _permit }, remote);
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
        let Seat { stream: socket, wire, .. } = stream.io();
        Self { addr: *stream.remote_addr(), local: socket.local_addr().ok(), wire: wire.clone() }
    }
}

impl AsyncRead for Seat {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.check()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.patience.read(&buffer.filled()[before..]);
        self.patience.check(context)?;
        read
    }
}

impl Seat {
    /// Takes note of what was written of `bytes`.
    fn note(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) => self.patience.wrote(bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.patience.stuck();
                self.patience.check(context)?;
            }
        }
        written
    }
}

impl AsyncWrite for Seat {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.check()?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, bytes, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.check()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(context, slices.first().map_or(&[][..], |slice| &slice[..]), written)
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
