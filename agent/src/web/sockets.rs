//! The sockets on which the page listens.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::interfaces;
use crate::config::{Listen, PagePlace as Place, Web};

/// Connections that wait to be taken in.
const WAITING: i32 = 128;
/// Where browsers look for a page, and for an encrypted one.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// A socket that is listened on.
pub(super) struct Listening {
    pub(super) at: Listen,
    pub(super) socket: Arc<TcpListener>,
    /// The task that takes connections in, which ends with this.
    pub(super) task: AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a page listens. An encrypted one at port 80 is found at port 443, too; at any other port it is encrypted there.
pub(super) fn places(web: &Web) -> Vec<Listen> {
    let mut places = vec![web.listen.clone()];
    if web.https && web.listen.port == HTTP {
        places.push(Listen { port: HTTPS, ..web.listen.clone() });
    }
    places
}

/// The port at which the page itself is, by its socket's own where the system chose one.
pub(super) fn port(web: &Web, own: &[Listening]) -> u16 {
    match web.listen.port {
        HTTP if web.https => HTTPS,
        0 => {
            let chosen = own.iter().find(|own| own.at == web.listen);
            chosen.and_then(|own| own.socket.local_addr().ok()).map_or(0, |at| at.port())
        }
        port => port,
    }
}

/// The address of a page at a host, without a slash at its end.
pub(super) fn url(host: &str, is_secure: bool, port: u16) -> String {
    let (scheme, implied) = if is_secure { ("https", HTTPS) } else { ("http", HTTP) };
    match port == implied {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{port}"),
    }
}

/// The addresses at which a page is found.
pub(super) fn urls(web: &Web, port: u16) -> Vec<String> {
    let url = |address: IpAddr| match address {
        IpAddr::V4(address) => url(&address.to_string(), web.https, port),
        IpAddr::V6(address) => url(&format!("[{address}]"), web.https, port),
    };
    if let Place::Address(address) = &web.listen.place
        && !address.is_unspecified()
    {
        return vec![url(*address)];
    }
    let is_told = |address: &IpAddr| match address {
        // Browsers cannot call an address that counts for one link only.
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
        IpAddr::V4(address) => !address.is_loopback(),
    };
    let own =
        interfaces::own().into_iter().filter(|own| web.listen.place != Place::Lan || !own.is_line);
    own.map(|own| own.address).filter(is_told).map(url).collect()
}

/// Listens at a place, beside the page's own sockets, which may have the same port for other networks of the device.
///
/// # Errors
/// It says what to do.
pub(super) fn listen(at: &Listen, own: &[Listening]) -> Result<TcpListener, String> {
    let bound = bind(at, false).or_else(|e| {
        let own: Vec<_> = own.iter().filter(|own| own.at.port == at.port).collect();
        if e.kind() != io::ErrorKind::AddrInUse || own.is_empty() {
            return Err(e);
        }
        // Shared for this moment only, so that a port that another program has is noticed.
        let share = |is_shared| {
            own.iter().try_for_each(|own| SockRef::from(&*own.socket).set_reuse_port(is_shared))
        };
        let bound = share(true).and_then(|()| bind(at, true));
        share(false).ok();
        if let Ok(bound) = &bound {
            SockRef::from(bound).set_reuse_port(false).ok();
        }
        bound
    });
    let bound = bound.and_then(TcpListener::from_std);
    bound.map_err(|e| explained(at, &e))
}

/// Why it cannot be listened at a place, and what to do.
fn explained(at: &Listen, e: &io::Error) -> String {
    let port = at.port;
    let advice = match e.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens at port {port}: end it, or choose another port in web.listen")
        }
        io::ErrorKind::PermissionDenied => format!(
            "port {port} is for root: run as root or with CAP_NET_BIND_SERVICE, or choose a port from 1024 on in \
             web.listen"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "the device does not have this address: choose one of its own, or \"lan\", in web.listen".into()
        }
        _ if e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
            "the device has no interface of this name: choose another one in web.listen".into()
        }
        _ => format!("{e}; choose another web.listen"),
    };
    format!("cannot listen at {at}: {advice}")
}

fn bind(at: &Listen, is_shared: bool) -> io::Result<std::net::TcpListener> {
    let everywhere = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    match &at.place {
        Place::Address(address) => open(*address, at.port, None, is_shared),
        // A system without IPv6 has IPv4 at least.
        Place::Lan => first(everywhere, |address| open(address, at.port, None, is_shared)),
        Place::Interface(name) => {
            first(everywhere, |address| open(address, at.port, Some(name), is_shared))
        }
    }
}

fn first(
    addresses: [IpAddr; 2],
    open: impl Fn(IpAddr) -> io::Result<std::net::TcpListener>,
) -> io::Result<std::net::TcpListener> {
    let [six, four] = addresses;
    open(six).or_else(|e| match e.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(e),
        _ => open(four),
    })
}

fn open(
    address: IpAddr,
    port: u16,
    interface: Option<&str>,
    is_shared: bool,
) -> io::Result<std::net::TcpListener> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if let Some(name) = interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    Ok(socket.into())
}

/// Looks whether a page could listen at its new places, but where it is itself at the same port already.
///
/// # Errors
/// It says what to do.
pub(super) fn probe(new: &Web, old: &Web) -> Result<(), String> {
    let own: Vec<_> = places(old).iter().map(|place| place.port).collect();
    let mut fresh = places(new).into_iter().filter(|place| !own.contains(&place.port));
    fresh.try_for_each(|place| bind(&place, false).map(drop).map_err(|e| explained(&place, &e)))
}

/// Prepares a connection: what is written leaves at once, and a browser that takes nothing for so long is gone.
pub(super) fn prepare(socket: &TcpStream, patience: Duration) {
    socket.set_nodelay(true).ok();
    SockRef::from(socket).set_tcp_user_timeout(Some(patience)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(keys: &str) -> Web {
        let text = format!("[web]\nenable = true\n{keys}");
        text.parse::<crate::config::Config>().unwrap().web.unwrap()
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_had_says_what_to_do() {
        let taken = listen(&"127.0.0.1:0".parse().unwrap(), &[]).unwrap();
        let port = taken.local_addr().unwrap().port();
        for (place, words) in [
            (format!("127.0.0.1:{port}"), "another program listens at port"),
            (format!("lan:{port}"), "another program listens at port"),
            ("192.0.2.99:0".into(), "the device does not have this address"),
            ("nosuch0:0".into(), "no interface of this name"),
        ] {
            let error = listen(&place.parse().unwrap(), &[]).unwrap_err();
            assert!(error.contains(words) && error.contains("web.listen"), "{error}");
        }
        for place in ["lan:0", "[::]:0", "0.0.0.0:0", "lo:0"] {
            listen(&place.parse().unwrap(), &[]).unwrap();
        }
    }

    #[tokio::test]
    async fn the_page_moves_to_other_networks_at_the_same_port() {
        let socket = Arc::new(listen(&"lan:0".parse().unwrap(), &[]).unwrap());
        let port = socket.local_addr().unwrap().port();
        let at: Listen = format!("lan:{port}").parse().unwrap();
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        let own = [Listening { at, socket, task }];
        for place in ["127.0.0.1", "0.0.0.0"] {
            let place = format!("{place}:{port}").parse().unwrap();
            let beside = listen(&place, &own).unwrap();
            assert!(listen(&place, &[]).is_err(), "it is shared with nobody else");
            drop(beside);
        }
    }

    #[test]
    fn an_encrypted_page_is_where_browsers_look_for_it() {
        for (keys, ports, url_of) in [
            ("", vec![80], "http://h"),
            ("listen = 'lan:8080'", vec![8080], "http://h:8080"),
            ("https = 'on'", vec![80, 443], "https://h"),
            ("https = 'on'\nlisten = 'lan:8443'", vec![8443], "https://h:8443"),
            ("https = 'on'\nlisten = 'lan:443'", vec![443], "https://h"),
        ] {
            let web = web(keys);
            let found: Vec<_> = places(&web).iter().map(|place| place.port).collect();
            let found_at = url("h", web.https, port(&web, &[]));
            assert_eq!((found, &*found_at), (ports, url_of), "{keys}");
        }
    }
}
