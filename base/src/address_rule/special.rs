//! Addresses that mean this device, its link or a crowd, in every notation of IPv6 that holds one of IPv4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, if it belongs to no single other host of a network.
pub(super) fn class(address: IpAddr) -> Option<&'static str> {
    let multicast = "a multicast address";
    let (unspecified, link) = ("an unspecified address", "a link-local address");
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [0, ..] => Some(unspecified),
            [127, ..] => Some("a loopback address"),
            [169, 254, ..] => Some(link),
            [224..=239, ..] => Some(multicast),
            [240..=255, ..] => Some("a broadcast or reserved address"),
            _ => None,
        },
        IpAddr::V6(v6) if v6.is_loopback() => Some("a loopback address"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(unspecified),
        IpAddr::V6(v6) if v6.is_multicast() => Some(multicast),
        IpAddr::V6(v6) => v6.is_unicast_link_local().then_some(link),
    }
}

/// The address itself, and the addresses of IPv4 inside it, to which a gateway or the system's own
/// tunnels may lead.
pub(super) fn targets(address: IpAddr) -> Vec<IpAddr> {
    let address = address.to_canonical();
    let mut targets = vec![address];
    if let IpAddr::V6(v6) = address
        && class(address).is_none()
    {
        targets.extend(embedded(v6).into_iter().flatten().map(IpAddr::V4));
    }
    targets
}

fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let octets = address.octets();
    let v4 =
        |at: usize| Some(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]));
    let inverted = v4(12).map(|v4| Ipv4Addr::from_bits(!v4.to_bits()));
    match address.segments() {
        // IPv4-compatible (RFC 4291, 2.5.5.1) and IPv4-translated (RFC 7915) addresses.
        [0, 0, 0, 0, 0, 0, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => [v4(12), None],
        // NAT64 (RFC 6052 and RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, ..] => [v4(12), None],
        // 6to4 (RFC 3056).
        [0x2002, ..] => [v4(2), None],
        // Teredo: the server, and the client behind inverted bits (RFC 4380, 4).
        [0x2001, 0, ..] => [v4(4), inverted],
        // ISATAP (RFC 5214, 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => [v4(12), None],
        _ => [None, None],
    }
}
