//! The networks that the device is in.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrLike as _;

/// Most addresses that are looked at.
const MOST: usize = 256;

/// An address of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) address: IpAddr,
    /// How many leading bits all addresses of the network share.
    pub(super) prefix: u32,
    /// Whether it is that of a modem or a tunnel, which ends at one other device.
    pub(super) is_line: bool,
}

/// The device's own addresses at the moment; none where the system does not tell.
pub(super) fn own() -> Vec<Own> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let described = all.filter_map(|interface| {
        let address = ip(interface.address.as_ref()?)?;
        let prefix = interface.netmask.as_ref().and_then(ip).map_or(128, prefix);
        let is_line = interface.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
        Some(Own { address, prefix, is_line })
    });
    described.take(MOST).collect()
}

/// The device's own name; empty where it has none.
pub(super) fn name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().to_ascii_lowercase()
}

/// Whether somebody at `peer`, who reached the device at `local`, is in a local network of it.
pub(super) fn is_near(peer: IpAddr, local: IpAddr, own: &[Own]) -> bool {
    if peer.is_loopback() {
        return true;
    }
    if own.iter().any(|own| own.address == local && own.is_line) {
        return false;
    }
    let is_private = match peer {
        IpAddr::V4(peer) => peer.is_private() || peer.is_link_local(),
        IpAddr::V6(peer) => peer.is_unique_local() || peer.is_unicast_link_local(),
    };
    is_private || own.iter().any(|own| own.address == local && own.holds(peer))
}

impl Own {
    /// Whether an address is in the network of this one.
    fn holds(&self, other: IpAddr) -> bool {
        let (differing, length) = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits() ^ other.to_bits()) << 96, 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits(), 128),
            _ => return false,
        };
        // A network of one address has no neighbours; one of all addresses is no network.
        (1..length).contains(&self.prefix) && differing.leading_zeros() >= self.prefix
    }
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    address.family()?;
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or(address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn prefix(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, prefix: u32, is_line: bool) -> Own {
        Own { address: address.parse().unwrap(), prefix, is_line }
    }

    #[test]
    fn the_system_tells_its_loopback() {
        let own = own();
        let loopback = own.iter().find(|own| own.address.is_loopback()).unwrap();
        assert!(!loopback.is_line && loopback.prefix > 0, "{loopback:?}");
    }

    #[test]
    fn only_who_is_in_a_local_network_is_near() {
        let own = [
            at("192.168.1.7", 24, false),
            at("203.0.113.7", 28, false),
            at("2001:db8:1:2::7", 64, false),
            at("fe80::7", 64, false),
            at("10.64.0.2", 32, true),
            at("198.51.100.2", 8, true),
        ];
        for (peer, local, is_near_by) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("192.168.1.20", "192.168.1.7", true),
            // The next floor of the same house.
            ("10.2.3.4", "192.168.1.7", true),
            ("169.254.9.9", "192.168.1.7", true),
            ("172.31.0.1", "192.168.1.7", true),
            ("172.32.0.1", "192.168.1.7", false),
            ("8.8.8.8", "192.168.1.7", false),
            // Public addresses in a local network.
            ("203.0.113.1", "203.0.113.7", true),
            ("203.0.113.16", "203.0.113.7", false),
            ("2001:db8:1:2::99", "2001:db8:1:2::7", true),
            ("2001:db8:1:3::99", "2001:db8:1:2::7", false),
            ("fe80::1", "fe80::7", true),
            ("fd00::1", "2001:db8:1:2::7", true),
            // Through a modem or a tunnel, whoever it is.
            ("10.64.0.1", "10.64.0.2", false),
            ("192.168.1.20", "10.64.0.2", false),
            ("198.51.100.9", "198.51.100.2", false),
        ] {
            let [from, to] = [peer, local].map(|text| text.parse().unwrap());
            assert_eq!(is_near(from, to, &own), is_near_by, "{peer} to {local}");
        }
    }
}
