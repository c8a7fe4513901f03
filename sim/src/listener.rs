//! The listener of the HTTP port: bounds the number of connections and the time of their other ends, and lets them
//! be cut while the server uses them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::patience::Patience;
use crate::pieces;

/// Time between two bytes of a head that goes byte by byte.
const PIECE: Duration = Duration::from_millis(1);

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
    /// What is left to write of a head that has a shape of its own.
    head: ShapedHead,
    /// What is left to write of a text that goes in several frames, and the length of the frame that it replaces.
    frames: Option<(VecDeque<u8>, usize)>,
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

/// Cuts a connection: what the server reads or writes afterwards fails, so that it gives the connection up. Also
/// shapes the head of the next answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Orders>);

#[derive(Debug, Default)]
struct Orders {
    /// A [`Cut`]; 0 for none.
    cut: AtomicU8,
    /// A [`Shape`]; 0 for none.
    head: AtomicU8,
    /// Whether the next text goes in several frames.
    split: AtomicBool,
}

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
        self.0.cut.store(how as u8, Relaxed);
    }

    /// The head of the answer that comes next has its header names in the case that some peers compare, and goes
    /// byte by byte where `pieces` says so.
    pub(crate) fn shape_head(&self, pieces: bool) {
        let shape = if pieces { Shape::Pieces } else { Shape::Names };
        self.0.head.store(shape as u8, Relaxed);
    }

    /// The text of a WebSocket that comes next goes in several frames.
    pub(crate) fn split_text(&self) {
        self.0.split.store(true, Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.cut.load(Relaxed) == 0 {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

/// The shape of an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Shape {
    /// Its header names are in the case that some peers compare.
    Names = 1,
    /// Its header names are so, too, and it goes byte by byte.
    Pieces = 2,
}

/// A head that is written in the place of the server's own, which is as long.
#[derive(Debug, Default)]
struct ShapedHead {
    left: VecDeque<u8>,
    /// Whether it goes byte by byte, and until when the next byte waits.
    pieces: Option<Pin<Box<Sleep>>>,
}

impl ShapedHead {
    fn new(bytes: &[u8], pieces: bool) -> Self {
        let left = with_usual_names(bytes).into();
        Self { left, pieces: pieces.then(|| Box::pin(sleep(Duration::ZERO))) }
    }

    fn is_written(&self) -> bool {
        self.left.is_empty()
    }

    fn poll_write(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let (mut next, _) = self.left.as_slices();
        if let Some(pause) = &mut self.pieces {
            ready!(pause.as_mut().poll(context));
            next = &next[..1];
        }
        let written = ready!(Pin::new(stream).poll_write(context, next))?;
        self.left.drain(..written);
        if let Some(pause) = &mut self.pieces {
            pause.as_mut().reset(Instant::now() + PIECE);
        }
        Poll::Ready(Ok(written))
    }
}

/// A head with its header names in the usual case. Some devices compare them so: `Sec-WebSocket-Accept`.
fn with_usual_names(head: &[u8]) -> Vec<u8> {
    let (mut head, mut rest) = (head.to_vec(), Vec::new());
    if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        rest = head.split_off(end);
    }
    let (mut in_name, mut begins) = (false, false);
    for byte in &mut head {
        match byte {
            b'\n' => (in_name, begins) = (true, true),
            b':' => in_name = false,
            b'-' => begins = true,
            _ if in_name && begins => {
                byte.make_ascii_uppercase();
                begins = false;
            }
            _ => begins = false,
        }
    }
    while let Some(at) = head.windows(9).position(|bytes| bytes == b"Websocket") {
        head[at + 3] = b'S';
    }
    head.append(&mut rest);
    head
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.wire.0.cut.load(Relaxed) == Cut::Reset as u8 {
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
                    let (wire, head) = Default::default();
                    let patience = Patience::new();
                    let frames = None;
                    return (Seat { stream, wire, patience, head, frames, _permit }, remote);
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
    /// Writes the frames of a text in the place of `frame`, which counts as written when all of them are. `None`: the
    /// frame goes as it is.
    fn poll_frames(
        &mut self,
        context: &mut Context<'_>,
        frame: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.frames.is_none() && self.wire.0.split.load(Relaxed) {
            self.frames = pieces::split(frame).map(|frames| (frames.into(), frame.len()));
            self.wire.0.split.store(self.frames.is_none(), Relaxed);
        }
        let (left, replaced) = self.frames.as_mut()?;
        while !left.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, left.as_slices().0) {
                Poll::Ready(Ok(written)) => drop(left.drain(..written)),
                other => return Some(other),
            }
        }
        let replaced = *replaced;
        self.frames = None;
        Some(Poll::Ready(Ok(replaced)))
    }

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
        if let Some(written) = self.poll_frames(context, bytes) {
            return self.note(context, bytes, written);
        }
        let Self { stream, wire, head, .. } = &mut *self;
        match wire.0.head.swap(0, Relaxed) {
            0 => {}
            shape => *head = ShapedHead::new(bytes, shape == Shape::Pieces as u8),
        }
        let written = match head.is_written() {
            true => Pin::new(stream).poll_write(context, bytes),
            false => head.poll_write(stream, context),
        };
        self.note(context, bytes, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let orders = &self.wire.0;
        let plain = orders.head.load(Relaxed) == 0 && !orders.split.load(Relaxed);
        if !plain || !self.head.is_written() || self.frames.is_some() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |slice| &**slice));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_headers_have_their_usual_case_and_nothing_else_changes() {
        let head = b"HTTP/1.1 101 a-b\r\nconnection: keep-alive\r\nsec-websocket-accept: a:-b\r\n\
                     upgrade: websocket\r\n\r\nbody\nname: x";
        let usual = b"HTTP/1.1 101 a-b\r\nConnection: keep-alive\r\nSec-WebSocket-Accept: a:-b\r\n\
                      Upgrade: websocket\r\n\r\nbody\nname: x";
        assert_eq!(with_usual_names(head), usual);
        assert_eq!(with_usual_names(b"\x81\x02hi"), b"\x81\x02hi");
    }
}
