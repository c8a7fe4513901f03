//! The addresses of this machine.

use std::net::Ipv4Addr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// An IPv4 address of this machine, and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The name that the system gives it: `eth0`, `wlan0`.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// The addresses of the interfaces that are up, without the loopback: cable and Wi-Fi first, then what programs made.
pub fn addresses() -> Vec<Interface> {
    let mut found = up(false);
    found.sort_by_key(|interface| made_by_programs(&interface.name));
    found
}

/// The addresses of the interfaces that can multicast, and that of the loopback.
pub(crate) fn multicast() -> Vec<Interface> {
    up(true)
}

fn up(with_loopback: bool) -> Vec<Interface> {
    let flags = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let wanted = |found: &InterfaceFlags| {
        found.contains(flags) && (with_loopback || !found.contains(InterfaceFlags::IFF_LOOPBACK))
    };
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let up = all.filter(|one| wanted(&one.flags));
    let one = |one: nix::ifaddrs::InterfaceAddress| {
        let address = one.address?.as_sockaddr_in()?.ip();
        Some(Interface { name: one.interface_name, address })
    };
    up.filter_map(one).collect()
}

/// Whether an interface is no cable and no Wi-Fi: bridges of containers, tunnels.
fn made_by_programs(name: &str) -> bool {
    ["docker", "br-", "veth", "virbr", "tun", "tap", "wg", "zt", "tailscale", "lxc"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_for_multicast_only() {
        let loopback = |interface: &Interface| interface.address.is_loopback();
        assert!(!addresses().iter().any(loopback));
        assert!(multicast().iter().any(loopback));
    }

    #[test]
    fn cable_and_wifi_are_told_from_what_programs_made() {
        assert!(["docker0", "wg0", "veth12"].iter().all(|name| made_by_programs(name)));
        assert!(!["eth0", "wlan0", "enp3s0", "end0"].iter().any(|name| made_by_programs(name)));
    }
}
