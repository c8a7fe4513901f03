//! Bounds what all publishers together make the server hold of messages that are not complete yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Most bytes that all publishers may have under way. With the rings of `streams` they stay below 64 MiB, of which
/// buffers that grow may take a part without filling it.
const MOST: usize = 16 << 20;
/// Bytes that one publisher may have under way however much the others have.
const SHARE: usize = 128 << 10;

/// The bytes under way of all publishers.
#[derive(Clone, Default)]
pub(super) struct Incoming(Arc<AtomicUsize>);

/// The bytes under way of one publisher.
pub(super) struct Meter {
    all: Incoming,
    own: AtomicUsize,
}

impl Incoming {
    /// Counts one publisher until the meter is dropped.
    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::new(Meter { all: self.clone(), own: AtomicUsize::new(0) })
    }

    /// The bytes under way at the moment.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Meter {
    /// Sets the bytes that are held at the moment.
    pub(super) fn set(&self, bytes: usize) {
        self.all.0.fetch_add(bytes, Relaxed);
        self.all.0.fetch_sub(self.own.swap(bytes, Relaxed), Relaxed);
    }

    /// Counts bytes that came.
    fn add(&self, bytes: usize) -> io::Result<()> {
        let own = self.own.load(Relaxed) + bytes;
        self.set(own);
        if own > SHARE && self.all.bytes() > MOST {
            let why = format!("the messages of all publishers take more than {} MiB", MOST >> 20);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
        }
        Ok(())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A publisher's connection whose bytes are counted.
pub(super) struct Metered {
    pub(super) stream: TcpStream,
    pub(super) meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meter.add(buffer.filled().len() - before)?;
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    fn whoever_holds_more_than_a_share_gives_way_and_gives_back() {
        let incoming = Incoming::default();
        let meters: Vec<_> = (0..9).map(|_| incoming.meter()).collect();
        meters[..8].iter().for_each(|meter| meter.add(MOST / 8).unwrap());
        assert!(meters[8].add(SHARE).is_ok(), "it has a share");
        assert!(meters[8].add(1).is_err() && meters[0].add(1).is_err());
        meters[0].set(0);
        assert!(meters[8].add(1).is_ok());
        drop(meters);
        assert_eq!(incoming.bytes(), 0);
    }
}
