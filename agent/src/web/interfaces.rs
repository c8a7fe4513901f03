//! The networks that the device is in.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrLike as _;

/// Most addresses that are looked at.
const MOST: usize = 256;
/// The system's routes of IPv4 and of IPv6, and how much of them is read.
const ROUTES: [&str; 2] = ["/proc/net/route", "/proc/net/ipv6_route"];
const LONGEST: u64 = 64 << 10;

/// An address of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) address: IpAddr,
    /// How many leading bits all addresses of the network share.
    pub(super) prefix: u32,
    /// Whether it is that of a modem or a tunnel, which ends at one other device.
    pub(super) is_line: bool,
    /// Whether what is in none of the device's networks is reached through its interface.
    pub(super) is_exit: bool,
}

/// The device's own addresses at the moment; none where the system does not tell.
pub(super) fn own() -> Vec<Own> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let exits = exits(ROUTES.map(routes));
    let described = all.filter_map(|interface| {
        let address = ip(interface.address.as_ref()?)?;
        let prefix = interface.netmask.as_ref().and_then(ip).map_or(128, prefix);
        let is_line = interface.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
        // A further address may have a name of its own, `eth0:1`.
        let name = interface.interface_name.split(':').next().unwrap_or_default();
        let is_exit = exits.contains(name);
        Some(Own { address, prefix, is_line, is_exit })
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
    let way = || own.iter().filter(|own| own.address == local);
    if way().any(|own| own.is_line) {
        return false;
    }
    // A modem that looks like a cable leads to the private addresses of all its provider's customers.
    let is_private = match peer {
        IpAddr::V4(peer) => peer.is_private(),
        IpAddr::V6(peer) => peer.is_unique_local(),
    };
    is_neighbour(peer, own) || (is_private && !way().any(|own| own.is_exit))
}

/// Whether an address is in a network that the device is in itself.
pub(super) fn is_neighbour(peer: IpAddr, own: &[Own]) -> bool {
    let is_link_local = match peer {
        IpAddr::V4(peer) => peer.is_link_local(),
        IpAddr::V6(peer) => peer.is_unicast_link_local(),
    };
    is_link_local || own.iter().any(|own| !own.is_line && own.holds(peer))
}

fn routes(file: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(file) {
        file.take(LONGEST).read_to_string(&mut text).ok();
    }
    text
}

/// The interfaces of the default routes of IPv4 and of IPv6.
fn exits([v4, v6]: [String; 2]) -> HashSet<String> {
    let is_zero = |text: &&str| text.bytes().all(|digit| digit == b'0');
    // Interface, destination, gateway, flags, uses, metric, mask.
    let v4 = v4.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, _destination) = (words.next()?, words.next().filter(is_zero)?);
        let _mask = words.nth(5).filter(is_zero)?;
        Some(name)
    });
    // Destination and its length, six more, and the interface; that of the device itself refuses.
    let v6 = v6.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let _destination = (words.next().filter(is_zero)?, words.next().filter(is_zero)?);
        words.last().filter(|name| *name != "lo")
    });
    v4.chain(v6).map(str::to_owned).collect()
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
        Own { address: address.parse().unwrap(), prefix, is_line, is_exit: false }
    }

    #[test]
    fn the_way_out_is_that_of_the_default_routes() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  usb0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                  eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                  tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
        let zero = "0".repeat(32);
        let v6 = format!(
            "{zero} 00 {zero} 00 fe80{} 00000400 00000001 00000000 00000003 wwan0\n\
             fe80{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n",
            "1".repeat(28),
            "0".repeat(28),
        );
        let found = exits([v4.into(), v6]);
        assert_eq!(found, ["usb0", "wwan0"].map(String::from).into());
        assert!(exits(["".into(), "torn\n\n0".into()]).is_empty());
    }

    #[test]
    fn on_the_way_out_only_neighbours_are_near() {
        let own = [
            Own { is_exit: true, ..at("10.64.7.2", 24, false) },
            Own { is_exit: true, ..at("fd00:1::2", 64, false) },
            at("192.168.1.7", 24, false),
        ];
        for (peer, local, is_near_by) in [
            ("10.64.7.9", "10.64.7.2", true),
            ("10.9.9.9", "10.64.7.2", false),
            ("172.16.0.1", "10.64.7.2", false),
            ("169.254.1.1", "10.64.7.2", true),
            ("192.168.1.20", "10.64.7.2", true),
            ("fd00:1::9", "fd00:1::2", true),
            ("fd00:2::9", "fd00:1::2", false),
            ("fe80::9", "fd00:1::2", true),
            ("10.9.9.9", "192.168.1.7", true),
        ] {
            let [from, to] = [peer, local].map(|text| text.parse().unwrap());
            assert_eq!(is_near(from, to, &own), is_near_by, "{peer} to {local}");
        }
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
