//! Opens a TCP connection to a name.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::address_rule::{AddressRule, Forbidden};
use crate::resolver::{self, Lookups};

/// Most addresses of one name that are tried.
const ADDRESSES: usize = 8;
/// Head start of an address before the next one is tried beside it (RFC 8305, 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why there is no connection. The text is for the log: it tells an open port from a closed one.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// The name has no address.
    #[error("the name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// The rule allows no address of the name.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No address takes connections. Holds the address tried last and what the system said.
    #[error("{0} takes no connection: {1}")]
    Connect(SocketAddr, io::Error),
}

impl Unconnected {
    /// What the system said.
    pub fn into_source(self) -> io::Error {
        match self {
            Self::Resolve(source) | Self::Connect(_, source) => source,
            Self::Forbidden(why) => io::Error::new(io::ErrorKind::PermissionDenied, why),
        }
    }
}

/// Connects to `host`, a name or an address without brackets, before `deadline`. Its addresses are
/// tried beside each other, each with a head start of 250 ms, the families in turn and the address
/// that worked last at first (RFC 8305); the first connection wins, and small writes on it leave at
/// once. `rule` is for hosts that the cloud names: only addresses that it allows are connected to.
///
/// # Errors
///
/// The name has no address, the rule allows none, or none takes a connection in time.
pub async fn connect(
    host: &str,
    port: u16,
    deadline: Instant,
    rule: Option<&AddressRule>,
) -> Result<TcpStream, Unconnected> {
    let lookups = if rule.is_some() { &resolver::CLOUD } else { &resolver::CAMERAS };
    open(host, port, deadline, rule, lookups).await
}

/// Connects to a server that the configuration names, as [`connect`] does: its name waits for no camera's.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_to_server(
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, Unconnected> {
    open(host, port, deadline, None, &resolver::SERVERS).await
}

/// The addresses of a server that the configuration names.
///
/// # Errors
///
/// The name has no address, or none is known before `deadline`.
pub async fn addresses(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let found = timeout_at(deadline, resolver::resolve(host, port, &resolver::SERVERS)).await;
    found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn open(
    host: &str,
    port: u16,
    deadline: Instant,
    rule: Option<&AddressRule>,
    lookups: &'static Lookups,
) -> Result<TcpStream, Unconnected> {
    let found = timeout_at(deadline, resolver::resolve(host, port, lookups)).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let mut addresses = found.map_err(Unconnected::Resolve)?;
    if let Some(rule) = rule {
        addresses = rule.admitted(host, addresses).await?;
    }
    let addresses = ordered(addresses, resolver::last_good(host));
    resolver::doubt(host);
    let open = |address| async move {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Ok((tcp, address))
    };
    let (tcp, address) = race(&addresses, deadline, open).await?;
    resolver::works(host, address.ip());
    Ok(tcp)
}

/// The order of tries: the families in turn, beginning with that of the first address, and `good`
/// before all others.
fn ordered(addresses: Vec<SocketAddr>, good: Option<IpAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            break;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
    if let Some(at) = ordered.iter().position(|address| Some(address.ip()) == good) {
        ordered[..=at].rotate_right(1);
    }
    ordered.truncate(ADDRESSES);
    ordered
}

/// The first that opens; the others are dropped. An address has its turn when the one before it has
/// failed, or has had its head start.
async fn race<T, F>(
    addresses: &[SocketAddr],
    deadline: Instant,
    open: impl Fn(SocketAddr) -> F,
) -> Result<T, Unconnected>
where
    T: 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    type Try<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;
    let mut running: Vec<(SocketAddr, Try<T>)> = Vec::new();
    let mut left = addresses.iter();
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut last = Unconnected::Resolve(none);
    loop {
        if let Some(address) = left.next() {
            running.push((*address, Box::pin(open(*address))));
        }
        let Some((newest, _)) = running.last() else { return Err(last) };
        let newest = *newest;
        let first = poll_fn(|cx| {
            for (at, (_, open)) in running.iter_mut().enumerate() {
                if let Poll::Ready(outcome) = open.as_mut().poll(cx) {
                    return Poll::Ready((at, outcome));
                }
            }
            Poll::Pending
        });
        let until = if left.len() > 0 { Instant::now() + HEAD_START } else { deadline };
        match timeout_at(until.min(deadline), first).await {
            Ok((_, Ok(opened))) => return Ok(opened),
            Ok((at, Err(source))) => last = Unconnected::Connect(running.remove(at).0, source),
            Err(_) if until < deadline => {}
            Err(_) => return Err(Unconnected::Connect(newest, io::ErrorKind::TimedOut.into())),
        }
    }
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
