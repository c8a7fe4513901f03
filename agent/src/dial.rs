//! From a name to an open TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// More addresses of one name are not tried.
const ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug)]
pub enum Unconnected {
    /// The name has no address.
    Resolve(io::Error),
    /// No address takes connections: the one tried last, and what the system said.
    Connect(SocketAddr, io::Error),
}

/// Tries the addresses of `host` in turn. `limit` says how long one may take, given how many are
/// left with it; `tune` sets up what was connected.
pub async fn connect(
    host: &str,
    port: u16,
    limit: impl Fn(u32) -> Duration,
    tune: impl Fn(&TcpStream) -> io::Result<()>,
) -> Result<TcpStream, Unconnected> {
    let addresses = lookup_host((host, port)).await.map_err(Unconnected::Resolve)?;
    let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES).collect();
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = Unconnected::Resolve(none);
    let left = (1..=addresses.len() as u32).rev();
    for (address, left) in addresses.into_iter().zip(left) {
        let connected = match timeout(limit(left), TcpStream::connect(address)).await {
            Ok(connected) => connected.and_then(|tcp| tune(&tcp).map(|()| tcp)),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match connected {
            Ok(tcp) => return Ok(tcp),
            Err(source) => last = Unconnected::Connect(address, source),
        }
    }
    Err(last)
}
