//! The camera's part of WS-Discovery: a ProbeMatch for a Probe that it fits, Hello and Bye.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::xml::{self, Element, Limits};
use md5::{Digest as _, Md5};
use tokio::net::UdpSocket;

use super::device;
use super::envelope::Service;
use super::node::{Node, Spelling, leaf, names, node};
use super::quirk::Quirk;
use super::site::Site;
use crate::interfaces::{self, Interface};

/// Where Probes go when they are for everyone.
pub const MULTICAST: SocketAddr = SocketAddr::new(IpAddr::V4(GROUP), 3702);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The actions of the messages.
const HELLO: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Hello";
const BYE: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Bye";
const MATCHES: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches";
/// From one look for new interfaces to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The bounds of a Probe.
const LIMITS: Limits = Limits { bytes: 8 << 10, depth: 16, nodes: 300, attributes: 64, text: 4096 };

/// Opens the socket that Probes come to, and shares it with others on this machine. A multicast address is joined on every
/// interface that is up, the loopback among them.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.ip().is_multicast() && address.is_ipv4() {
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())).into())?;
    } else {
        socket.bind(&address.into())?;
    }
    UdpSocket::from_std(socket.into())
}

/// Answers Probes for ever. The addresses in an answer are those by which the asking host reaches the camera. At a multicast
/// address, the camera says Hello on each interface when it begins or the interface comes up, and Bye when this is dropped.
pub async fn run(socket: UdpSocket, group: SocketAddr, site: Arc<Site>) {
    let identity = format!("urn:uuid:{}", uuid(identity(&site)));
    let mut presence = Presence { group, site, identity, joined: HashSet::new(), messages: 0 };
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut buffer = vec![0; LIMITS.bytes];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = look.tick() => {
                presence.join(&socket);
                continue;
            }
        };
        let Ok((length, from)) = received else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(relates) = probe(&buffer[..length], &presence.site) else { continue };
        let Ok(host) = own(from) else { continue };
        let answer = presence.matches(host, &relates);
        if let Err(error) = socket.send_to(answer.as_bytes(), from).await {
            log::debug!(target: "camera", "WS-Discovery: {from}: {error}");
        }
    }
}

/// What the network was told of the camera.
struct Presence {
    group: SocketAddr,
    site: Arc<Site>,
    identity: String,
    /// The interfaces on which the camera is in the group and has said Hello.
    joined: HashSet<Interface>,
    /// Number of messages so far, for those who put them in order.
    messages: u64,
}

impl Presence {
    /// Joins the group on interfaces that have come up since the last look. One that has gone is forgotten.
    fn join(&mut self, socket: &UdpSocket) {
        let IpAddr::V4(group) = self.group.ip() else { return };
        if !group.is_multicast() {
            return;
        }
        let up: HashSet<_> = interfaces::multicast().into_iter().collect();
        self.joined.retain(|interface| up.contains(interface));
        for interface in up {
            if self.joined.contains(&interface) {
                continue;
            }
            // Also one that comes again is in the group already, and one without multicast cannot be in it.
            let joined = socket.join_multicast_v4(group, interface.address);
            if let Err(error) = joined
                && error.kind() != io::ErrorKind::AddrInUse
            {
                log::debug!(target: "camera", "WS-Discovery: {}: {error}", interface.name);
            }
            let hello = self.announcement("Hello", &interface);
            self.say(&interface, &hello);
            self.joined.insert(interface);
        }
    }

    fn say(&self, interface: &Interface, message: &str) {
        if let Err(error) = say(self.group, interface.address, message.as_bytes()) {
            log::debug!(target: "camera", "WS-Discovery: {}: {error}", interface.name);
        }
    }

    /// A Hello or a Bye.
    fn announcement(&mut self, word: &str, interface: &Interface) -> String {
        let (name, action) = match word {
            "Hello" => ("d:Hello", HELLO),
            _ => ("d:Bye", BYE),
        };
        let mut header = self.header(action);
        header.push(leaf("wsa:To", "urn:schemas-xmlsoap-org:ws:2005:04:discovery"));
        let host = IpAddr::V4(interface.address);
        self.written(header, node(name, self.description(host)))
    }

    fn matches(&mut self, host: IpAddr, relates: &str) -> String {
        let mut header = self.header(MATCHES);
        header.push(leaf("wsa:RelatesTo", relates));
        let to = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
        header.push(leaf("wsa:To", to));
        let one = node("d:ProbeMatch", self.description(host));
        self.written(header, node("d:ProbeMatches", [one]))
    }

    fn header(&mut self, action: &str) -> Vec<Node> {
        self.messages += 1;
        let order =
            node("d:AppSequence", []).with("InstanceId", 1).with("MessageNumber", self.messages);
        vec![
            leaf("wsa:MessageID", format!("urn:uuid:{}", uuid(rand::random()))),
            leaf("wsa:Action", action),
            order,
        ]
    }

    fn description(&self, host: IpAddr) -> [Node; 5] {
        [
            node("wsa:EndpointReference", [leaf("wsa:Address", &self.identity)]),
            names("d:Types", &["dn:NetworkVideoTransmitter", "tds:Device"]),
            leaf("d:Scopes", device::scopes(&self.site).join(" ")),
            leaf("d:XAddrs", self.site.service(host, Service::Device)),
            leaf("d:MetadataVersion", 1),
        ]
    }

    fn written(&self, header: Vec<Node>, body: Node) -> String {
        let envelope = [node("env:Header", header), node("env:Body", [body])];
        node("env:Envelope", envelope).document(spelling(&self.site))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        for interface in std::mem::take(&mut self.joined) {
            let bye = self.announcement("Bye", &interface);
            self.say(&interface, &bye);
        }
    }
}

/// Sends a message to the group by the interface that has this address: the system goes by the sender's address.
fn say(group: SocketAddr, from: Ipv4Addr, message: &[u8]) -> io::Result<()> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.send_to(message, &group.into()).map(drop)
}

/// What the camera's name in discoveries is made from: the machine and the port, so that recorders know it again.
fn identity(site: &Site) -> u128 {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let host = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let seed = format!("{}{}", machine.trim(), site.service(host, Service::Device));
    match machine.trim().is_empty() {
        true => rand::random(),
        false => u128::from_be_bytes(Md5::digest(seed).into()),
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
