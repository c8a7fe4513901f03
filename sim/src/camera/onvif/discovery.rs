//! The camera's answer to WS-Discovery: a ProbeMatch for a Probe that it fits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ivt_hal::xml::{self, Element, Limits};
use tokio::net::UdpSocket;

use super::device;
use super::envelope::Service;
use super::node::{Node, Spelling, leaf, names, node};
use super::quirk::Quirk;
use super::site::Site;

/// Where Probes go when they are for everyone.
pub const MULTICAST: SocketAddr = SocketAddr::new(IpAddr::V4(GROUP), 3702);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The bounds of a Probe.
const LIMITS: Limits = Limits { bytes: 8 << 10, depth: 16, nodes: 300, attributes: 64, text: 4096 };

/// Opens the socket that Probes come to. A multicast address is joined on the interface that the system chooses for it
/// and on the loopback, and shared with others on this machine.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if let IpAddr::V4(group) = address.ip()
        && group.is_multicast()
    {
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())).into())?;
        let joined = socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED);
        // A machine without a network has no interface to choose, but the loopback.
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).or(joined)?;
    } else {
        socket.bind(&address.into())?;
    }
    UdpSocket::from_std(socket.into())
}

/// Answers Probes for ever. The addresses in an answer are those by which the asking host reaches the camera.
pub async fn run(socket: UdpSocket, site: Arc<Site>) {
    let identity = format!("urn:uuid:{}", uuid(rand::random()));
    let mut buffer = vec![0; LIMITS.bytes];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let Some(relates) = probe(&buffer[..length], &site) else { continue };
        let Ok(host) = own(from) else { continue };
        let answer = matches(&site, host, &identity, &relates);
        if let Err(error) = socket.send_to(answer.document(spelling(&site)).as_bytes(), from).await
        {
            log::debug!(target: "camera", "WS-Discovery: {from}: {error}");
        }
    }
}

/// The identity of a Probe that the camera answers; `None` for any other message.
fn probe(message: &[u8], site: &Site) -> Option<String> {
    let envelope = xml::parse(message, &LIMITS).ok()?;
    let probe = envelope.find("Body/Probe")?;
    let id = envelope.text_at("Header/MessageID");
    let types = probe.text_at("Types").split_whitespace();
    let fits = |kind: &str| {
        let local = kind.rsplit(':').next().unwrap_or_default();
        matches!(local, "NetworkVideoTransmitter" | "Device")
    };
    let scopes = device::scopes(site);
    let wanted = probe.child("Scopes").map(Element::text).unwrap_or_default();
    let has = |wanted: &str| {
        let wanted = wanted.trim_end_matches('/');
        let within = |scope: &String| {
            scope.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        scopes.iter().any(within)
    };
    let known = types.into_iter().all(fits) && wanted.split_whitespace().all(has);
    (known && !id.is_empty()).then(|| id.to_owned())
}

fn matches(site: &Site, host: IpAddr, identity: &str, relates: &str) -> Node {
    let header = [
        leaf("wsa:MessageID", format!("urn:uuid:{}", uuid(rand::random()))),
        leaf("wsa:RelatesTo", relates),
        leaf("wsa:To", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"),
        leaf("wsa:Action", "http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches"),
    ];
    let one = [
        node("wsa:EndpointReference", [leaf("wsa:Address", identity)]),
        names("d:Types", &["dn:NetworkVideoTransmitter", "tds:Device"]),
        leaf("d:Scopes", device::scopes(site).join(" ")),
        leaf("d:XAddrs", site.service(host, Service::Device)),
        leaf("d:MetadataVersion", 1),
    ];
    let matches = node("d:ProbeMatches", [node("d:ProbeMatch", one)]);
    node("env:Envelope", [node("env:Header", header), node("env:Body", [matches])])
}

fn spelling(site: &Site) -> Spelling {
    match () {
        () if site.quirks.has(Quirk::Bare) => Spelling::Bare,
        () if site.quirks.has(Quirk::Letters) => Spelling::Letters,
        () => Spelling::Usual,
    }
}

/// The address of this computer from which packets to `peer` leave. Nothing is sent.
fn own(peer: SocketAddr) -> io::Result<IpAddr> {
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

/// A random UUID (RFC 4122, 4.4).
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf000_c000 << 64) | (0x4000_8000_u128 << 64);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
