//! Opens a TCP connection to a name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Most addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug)]
pub enum Unconnected {
    /// The name has no address.
    Resolve(io::Error),
    /// No address takes connections. Holds the address tried last and what the system said.
    Connect(SocketAddr, io::Error),
}

impl Unconnected {
    /// What the system said.
    pub fn into_source(self) -> io::Error {
        match self {
            Self::Resolve(source) | Self::Connect(_, source) => source,
        }
    }
}

/// Tries the addresses of `host` in turn, each with `open`. `limit` says how long one try may take,
/// given the number of addresses that were not tried before.
///
/// # Errors
///
/// The name has no address, or no address takes a connection in time.
pub async fn connect<F>(
    host: &str,
    port: u16,
    limit: impl Fn(u32) -> Duration,
    open: impl Fn(SocketAddr) -> F,
) -> Result<TcpStream, Unconnected>
where
    F: Future<Output = io::Result<TcpStream>>,
{
    let addresses = lookup_host((host, port)).await.map_err(Unconnected::Resolve)?;
    let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES).collect();
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = Unconnected::Resolve(none);
    let left = (1..=addresses.len() as u32).rev();
    for (address, left) in addresses.into_iter().zip(left) {
        match timeout(limit(left), open(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(source)) => last = Unconnected::Connect(address, source),
            Err(_) => last = Unconnected::Connect(address, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}

/// Limits for [`connect`]: each address that is left gets an equal part of the time until
/// `deadline`.
pub fn shared(deadline: Instant) -> impl Fn(u32) -> Duration {
    move |left| deadline.saturating_duration_since(Instant::now()) / left.max(1)
}
