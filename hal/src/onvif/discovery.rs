//! Cameras on the local network, by WS-Discovery (April 2005). Nothing is sent unless someone asks for it.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ivt_base::text;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::DEVICE_PATH;
use super::address::{Address, bracketed};
use crate::MOST_NAMED;
use crate::xml::{self, Element, Limits};

/// Where cameras listen for probes.
pub const MULTICAST: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// How often each form of the probe is sent, as datagrams get lost.
const REPEATS: u32 = 3;
/// Time between two sendings.
const PAUSE: Duration = Duration::from_millis(400);
/// Longest answer, in bytes.
const LONGEST: usize = 8 * 1024;
/// Most datagrams that are read.
const MOST_ANSWERS: usize = 16 * MOST_NAMED;
/// Most addresses, types or scopes of a camera.
const MOST_WORDS: usize = 64;
/// The forms of the probe: cameras answer one, another, or all of them.
const TYPES: [&str; 3] = ["dn:NetworkVideoTransmitter", "tds:Device", ""];

/// How cameras are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Our own address on the network that is searched; the system's choice without one.
    pub from: Option<IpAddr>,
    /// Where the probes are sent; default [`MULTICAST`].
    pub to: SocketAddr,
    /// How long answers are awaited; default 3 s.
    pub wait: Duration,
}

/// A device that has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Addresses of its device service, the one to try first in front.
    pub addresses: Vec<String>,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its model; empty where it says none.
    pub hardware: String,
    /// Where it is in its own words; may be empty.
    pub location: String,
    /// What it calls itself, such as `dn:NetworkVideoTransmitter`.
    pub types: Vec<String>,
    /// What it says of itself, such as `onvif://www.onvif.org/Profile/Streaming`.
    pub scopes: Vec<String>,
    /// Who has answered.
    pub sender: IpAddr,
    /// The identity of the device, which stays the same at another address.
    reference: String,
}

impl Default for Search {
    fn default() -> Self {
        Self { from: None, to: MULTICAST, wait: Duration::from_secs(3) }
    }
}

/// Searches for cameras, and returns those that answered in time, at most [`MOST_NAMED`], in the order in which they
/// answered. Other devices that answer, such as printers, are left out.
///
/// # Errors
/// No socket can be opened, or nothing can be sent.
pub async fn discover(search: &Search) -> io::Result<Vec<Found>> {
    let any = if search.to.is_ipv4() { "0.0.0.0" } else { "::" };
    let from = search.from.map_or_else(|| any.to_owned(), |from| from.to_string());
    let socket = UdpSocket::bind((&*from, 0)).await?;
    let end = Instant::now() + search.wait;
    let mut next = Instant::now();
    let (mut sent, mut answers) = (0, 0);
    let mut found: Vec<Found> = Vec::new();
    let mut buffer = vec![0; LONGEST + 1];
    while answers < MOST_ANSWERS {
        if sent < REPEATS && next <= Instant::now() {
            send(&socket, search.to, sent == 0).await?;
            sent += 1;
            next += PAUSE;
        }
        let until = if sent < REPEATS { next.min(end) } else { end };
        match timeout_at(until, socket.recv_from(&mut buffer)).await {
            Ok(Ok((length, sender))) => {
                answers += 1;
                if length <= LONGEST {
                    take(&mut found, &buffer[..length], sender.ip());
                }
            }
            // A host that refuses a datagram says so by an error.
            Ok(Err(_)) => answers += 1,
            Err(_) if Instant::now() >= end => break,
            Err(_) => {}
        }
    }
    Ok(found)
}

/// Joins what several searches have found: a camera that answered more than one of them is listed once, with all its
/// addresses.
pub fn merged(searches: impl IntoIterator<Item = Vec<Found>>) -> Vec<Found> {
    let mut found = Vec::new();
    searches.into_iter().flatten().for_each(|device| add(&mut found, device));
    found
}

/// Sends every form of the probe. A failure counts where it is the first.
async fn send(socket: &UdpSocket, to: SocketAddr, is_first: bool) -> io::Result<()> {
    for types in TYPES {
        let outcome = socket.send_to(probe(types).as_bytes(), to).await;
        if is_first {
            outcome?;
        }
    }
    Ok(())
}

fn probe(types: &str) -> String {
    // A random identity has version 4 and variant 1 (RFC 9562, 5.4).
    let id = (rand::random::<u128>() & !(0xf << 76) & !(3 << 62)) | 4 << 76 | 2 << 62;
    let id = format!("{id:032x}");
    let (a, b, c, d, e) = (&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    let types = match types {
        "" => String::new(),
        types => format!("<d:Types>{types}</d:Types>"),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\">\
         <s:Header><a:Action s:mustUnderstand=\"1\">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
         <a:MessageID>urn:uuid:{a}-{b}-{c}-{d}-{e}</a:MessageID><a:ReplyTo><a:Address>\
         http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>\
         <a:To s:mustUnderstand=\"1\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>\
         <s:Body><d:Probe>{types}</d:Probe></s:Body></s:Envelope>"
    )
}

/// Adds what an answer tells of. A device that answers again only adds addresses.
fn take(found: &mut Vec<Found>, answer: &[u8], sender: IpAddr) {
    let limits = Limits { bytes: LONGEST, nodes: 1024, ..Limits::default() };
    let Ok(answer) = xml::parse(answer, &limits) else { return };
    for matched in answer.find_all("Body/ProbeMatches/ProbeMatch") {
        let Some(device) = read(matched, sender) else { continue };
        add(found, device);
    }
}

/// Adds a device, or the addresses of one that is known.
fn add(found: &mut Vec<Found>, device: Found) {
    match found.iter().position(|one| one.reference == device.reference) {
        Some(at) => {
            let known = &mut found[at].addresses;
            for address in device.addresses {
                if known.len() < MOST_WORDS && !known.contains(&address) {
                    known.push(address);
                }
            }
        }
        None if found.len() < MOST_NAMED => found.push(device),
        None => {}
    }
}

/// What one match tells; `None` for a device that is no camera.
fn read(matched: &Element, sender: IpAddr) -> Option<Found> {
    let words = |path: &str| -> Vec<String> {
        matched.text_at(path).split_whitespace().take(MOST_WORDS).map(text::name).collect()
    };
    let (types, scopes) = (words("Types"), words("Scopes"));
    let lower = [matched.text_at("Types"), matched.text_at("Scopes"), matched.text_at("XAddrs")]
        .join(" ")
        .to_ascii_lowercase();
    if !lower.contains("onvif") && !lower.contains("networkvideo") {
        return None;
    }
    let of = |kind: &str| {
        let mut values = scopes.iter().filter_map(|scope| {
            let (_, rest) = scope.split_once("onvif.org/")?;
            let (name, value) = rest.split_once('/')?;
            name.eq_ignore_ascii_case(kind).then(|| text::name(&decode(value)))
        });
        values.find(|value| !value.is_empty()).unwrap_or_default()
    };
    let addresses = addresses(&words("XAddrs"), sender);
    let reference = match matched.text_at("EndpointReference/Address") {
        "" => addresses.first().cloned().unwrap_or_default(),
        reference => text::name(reference),
    };
    let (name, hardware, location) = (of("name"), of("hardware"), of("location"));
    Some(Found { addresses, name, hardware, location, types, scopes, sender, reference })
}

/// The addresses to dial, those at the sender first. Where none is at the sender, all of them are taken to mean the
/// sender: cameras name 0.0.0.0, their other network, or the inside of a container.
fn addresses(told: &[String], sender: IpAddr) -> Vec<String> {
    let read: Vec<Address> = told.iter().filter_map(|address| Address::read(address)).collect();
    let is_sender = |address: &Address| address.host.parse() == Ok(sender);
    let write = |address: &Address, host: &str| {
        let scheme = if address.scheme == "https" { "https" } else { "http" };
        let port = address.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}{}", bracketed(host), address.target)
    };
    let here = sender.to_string();
    let mut addresses: Vec<String> = match read.iter().any(is_sender) {
        true => {
            let near = read.iter().filter(|address| is_sender(address));
            let far =
                read.iter().filter(|address| !is_sender(address) && is_reachable(&address.host));
            near.chain(far).map(|address| write(address, &address.host)).collect()
        }
        false => read.iter().map(|address| write(address, &here)).collect(),
    };
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    if addresses.is_empty() {
        addresses.push(format!("http://{}{DEVICE_PATH}", bracketed(&here)));
    }
    addresses
}

/// Whether an address of a device may be dialled from another one.
fn is_reachable(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

/// Text without the escapes of an address.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn matched(id: &str, types: &str, scopes: &str, addresses: &str) -> String {
        format!(
            "<w:ProbeMatch><a:EndpointReference><a:Address>{id}</a:Address></a:EndpointReference><w:Types>{types}\
             </w:Types><w:Scopes>{scopes}</w:Scopes><w:XAddrs>{addresses}</w:XAddrs></w:ProbeMatch>"
        )
    }

    fn answer(matches: &str) -> String {
        format!(
            "<e:Envelope><e:Body><w:ProbeMatches>{matches}</w:ProbeMatches></e:Body></e:Envelope>"
        )
    }

    const CAMERA: &str = "dn:NetworkVideoTransmitter tds:Device";

    #[test]
    fn the_address_to_dial_is_at_the_sender() {
        for (told, sender, expected) in [
            ("http://10.0.0.5/onvif/d", "10.0.0.5", &["http://10.0.0.5/onvif/d"][..]),
            ("http://0.0.0.0:8080/d?x=1", "10.0.0.5", &["http://10.0.0.5:8080/d?x=1"]),
            (
                "http://[fe80::2]/d http://10.0.0.5/d",
                "10.0.0.5",
                &["http://10.0.0.5/d", "http://[fe80::2]/d"],
            ),
            ("http://172.17.0.2/d http://127.0.0.1/d", "10.0.0.5", &["http://10.0.0.5/d"]),
            ("http://10.0.0.5:81/d http://127.0.0.1/d", "10.0.0.5", &["http://10.0.0.5:81/d"]),
            ("http://[fe80:0::0:2]:81/d", "fe80::2", &["http://[fe80:0::0:2]:81/d"]),
            ("", "fe80::2", &["http://[fe80::2]/onvif/device_service"]),
        ] {
            let told: Vec<_> = told.split_whitespace().map(str::to_owned).collect();
            assert_eq!(addresses(&told, ip(sender)), expected, "{told:?}");
        }
    }

    #[test]
    fn printers_and_what_is_no_answer_are_left_out() {
        let mut found = Vec::new();
        let printer =
            matched("urn:p", "wsdp:Device wprt:PrintDeviceType", "ldap://x", "http://10.0.0.9/wsd");
        for document in [&*answer(&printer), "", "garbage", "<!DOCTYPE a><a/>", "<a>", &answer("")]
        {
            take(&mut found, document.as_bytes(), ip("10.0.0.9"));
        }
        assert_eq!(found, []);
        let scopes = "onvif://www.onvif.org/name/Front%20door%C3%A9 onvif://www.onvif.org/hardware/X-1%zz \
                      onvif://www.onvif.org/location/ onvif://www.onvif.org/Profile/Streaming";
        take(
            &mut found,
            answer(&matched("urn:c", "", scopes, "http://10.0.0.5/d")).as_bytes(),
            ip("10.0.0.5"),
        );
        let Found { name, hardware, location, scopes, .. } = &found[0];
        assert_eq!((&**name, &**hardware, &**location), ("Front dooré", "X-1%zz", ""));
        assert_eq!(scopes.len(), 4);
    }

    #[test]
    fn a_device_is_listed_once_and_the_list_is_bounded() {
        let mut found = Vec::new();
        let camera = |n: usize| matched(&format!("urn:{n}"), CAMERA, "", "http://10.0.0.5/d");
        take(&mut found, answer(&(camera(1) + &camera(1))).as_bytes(), ip("10.0.0.5"));
        take(&mut found, answer(&camera(1)).as_bytes(), ip("192.168.0.5"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].addresses, ["http://10.0.0.5/d", "http://192.168.0.5/d"]);
        let mut again = Vec::new();
        take(&mut again, answer(&camera(1)).as_bytes(), ip("10.9.0.5"));
        let found_twice = merged([found.clone(), again]);
        assert_eq!((found_twice.len(), found_twice[0].addresses.len()), (1, 3));
        for n in 0..1000 {
            take(&mut found, answer(&camera(n)).as_bytes(), ip("10.0.0.5"));
        }
        assert_eq!(found.len(), MOST_NAMED);
    }

    #[tokio::test]
    async fn cameras_that_answer_any_form_of_the_probe_are_found() {
        let camera = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let search = Search {
            from: Some(ip("127.0.0.1")),
            to: camera.local_addr().unwrap(),
            wait: Duration::from_millis(1_000),
        };
        let task = tokio::spawn(async move {
            let (mut seen, mut ids) = (Vec::new(), HashSet::new());
            let mut buffer = [0; 4096];
            while seen.len() < 6 {
                let (length, from) = camera.recv_from(&mut buffer).await.unwrap();
                let probe = xml::parse(&buffer[..length], &Limits::default()).unwrap();
                let types = probe.text_at("Body/Probe/Types").to_owned();
                ids.insert(probe.text_at("Header/MessageID").to_owned());
                let address = "http://0.0.0.0:8080/onvif/d";
                // Each form is answered by another camera, and the last answer is too long.
                let row = answer(&matched(&format!("urn:{types}"), CAMERA, "", address));
                camera.send_to(row.as_bytes(), from).await.unwrap();
                let long = answer(&matched("urn:long", CAMERA, &"x".repeat(9_000), address));
                camera.send_to(long.as_bytes(), from).await.unwrap();
                seen.push(types);
            }
            (seen, ids)
        });
        let found = discover(&search).await.unwrap();
        let (seen, ids) = task.await.unwrap();
        assert_eq!(seen[..3], TYPES);
        assert_eq!(seen[3..], TYPES, "each form is repeated");
        assert_eq!(ids.len(), 6);
        assert!(
            ids.iter()
                .all(|id| id.starts_with("urn:uuid:") && id.len() == 45 && &id[23..24] == "4"),
            "{ids:?}"
        );
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|one| one.addresses == ["http://127.0.0.1:8080/onvif/d"]));
    }
}
