//! The device's own network interfaces, as the kernel and the system's files tell them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ivt_base::task::spawn_blocking;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

use super::dhcp::Clients;
use super::files::text;
use crate::{Error, Interface, Kind, MOST_NAMED, Network, Result};

/// Most addresses that are looked at; an interface may have any number of them.
const MOST_ADDRESSES: usize = 4096;
/// The flags of a route that is in use and leads to a gateway (`RTF_UP | RTF_GATEWAY`).
const TO_GATEWAY: u32 = 3;

/// The network of the system that the agent runs on, by `getifaddrs`, `/proc/net`, `/sys/class/net` and
/// `/etc/resolv.conf`. All interfaces but the loopback are listed, those with an IPv4 address first.
#[derive(Clone, Debug)]
pub struct SystemNetwork {
    root: PathBuf,
}

/// One address of an interface, or an interface without any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address {
    name: String,
    ip: Option<IpAddr>,
    netmask: Option<Ipv4Addr>,
}

impl SystemNetwork {
    /// The network of a device whose files are in the folder `root`, which is `/` but for tests.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The interface of this name, which is empty but for the name where there is none.
    ///
    /// # Errors
    /// `Other` where the system does not list its interfaces.
    pub async fn interface(&self, name: &str) -> Result<Interface> {
        let all = self.interfaces().await?;
        let found = all.into_iter().find(|interface| interface.name == name);
        Ok(found.unwrap_or_else(|| Interface { name: name.to_owned(), ..Interface::default() }))
    }

    /// Whether the interface of this name has a link: a plug with a device at its other end, or a network that is joined.
    /// `None` where the system does not tell. Reads a small file.
    pub fn link(&self, name: &str) -> Option<bool> {
        let device = name.split(':').next().filter(|device| !device.contains('/'))?;
        let folder = self.root.join("sys/class/net").join(device);
        match text(&folder.join("carrier")) {
            Some(carrier) => Some(carrier.trim() == "1"),
            // The kernel tells no carrier of an interface that is switched off.
            None => (text(&folder.join("operstate"))?.trim() == "down").then_some(false),
        }
    }

    fn described(&self, addresses: Vec<Address>) -> Vec<Interface> {
        let dns = self.name_servers();
        let gateways = Gateways::read(&self.root);
        let clients = Clients::look(&self.root);
        let mut interfaces: Vec<(bool, Interface)> = Vec::new();
        for address in merged(addresses) {
            let Address { name, ip, netmask } = address;
            // An alias such as `eth0:1` is a second address of a device.
            let device = name.split(':').next().unwrap_or_default().to_owned();
            let is_v4 = ip.is_some_and(|ip| ip.is_ipv4());
            let gateway = gateways.of(&device, ip);
            let interface = Interface {
                ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
                gateway: gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
                netmask: netmask.map(|mask| mask.to_string()).unwrap_or_default(),
                dns: dns.clone(),
                mac: self.mac(&device).unwrap_or_default(),
                dhcp: clients.serve(&device),
                name,
            };
            interfaces.push((is_v4, interface));
        }
        interfaces.sort_by_key(|(is_v4, _)| !is_v4);
        interfaces.truncate(MOST_NAMED);
        interfaces.into_iter().map(|(_, interface)| interface).collect()
    }

    /// The first two name servers. Where the system asks a program of its own on this device, those that the
    /// program asks.
    fn name_servers(&self) -> [String; 2] {
        const FILES: [&str; 4] = [
            "etc/resolv.conf",
            "run/systemd/resolve/resolv.conf",
            "tmp/resolv.conf.d/resolv.conf.auto",
            "tmp/resolv.conf.auto",
        ];
        let servers = |file: &str| {
            let text = text(&self.root.join(file)).unwrap_or_default();
            let servers = text.lines().filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let server = words.next().filter(|word| *word == "nameserver").and(words.next())?;
                server.split('%').next()?.parse::<IpAddr>().ok()
            });
            servers.take(2).collect::<Vec<_>>()
        };
        let all = FILES.into_iter().map(servers).filter(|servers| !servers.is_empty());
        let all: Vec<_> = all.collect();
        let far = all.iter().find(|servers| !servers.iter().all(IpAddr::is_loopback));
        let mut servers = far.or(all.first()).into_iter().flatten().map(IpAddr::to_string);
        [servers.next().unwrap_or_default(), servers.next().unwrap_or_default()]
    }

    fn mac(&self, device: &str) -> Option<String> {
        let text = text(&self.root.join("sys/class/net").join(device).join("address"))?;
        let mac = text.trim().to_ascii_lowercase();
        let mut pairs = mac.split(':');
        let hex = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        (pairs.by_ref().take(6).filter(|pair| hex(pair)).count() == 6 && pairs.next().is_none())
            .then_some(mac)
    }
}

#[async_trait]
impl Network for SystemNetwork {
    async fn interfaces(&self) -> Result<Vec<Interface>> {
        let network = self.clone();
        let listed = spawn_blocking(move || {
            let all = getifaddrs().map_err(io::Error::from)?;
            let near =
                |address: &InterfaceAddress| address.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            let all = all.filter(|address| !near(address)).take(MOST_ADDRESSES).map(known);
            Ok(network.described(all.collect()))
        });
        let listed = listed.await.map_err(io::Error::from).flatten();
        listed.map_err(|e| Error::new("network interfaces", Kind::Other).because(e))
    }
}

fn known(address: InterfaceAddress) -> Address {
    let InterfaceAddress { interface_name: name, address, netmask, .. } = address;
    let v4 = address.as_ref().and_then(|a| a.as_sockaddr_in()).map(|a| a.ip());
    let v6 = address.as_ref().and_then(|a| a.as_sockaddr_in6()).map(|a| a.ip());
    let netmask = netmask.as_ref().and_then(|mask| mask.as_sockaddr_in()).map(|mask| mask.ip());
    Address { name, ip: v4.map(IpAddr::V4).or(v6.map(IpAddr::V6)), netmask }
}

/// One entry for each name, in the order of their first: with its first IPv4 address, else its first IPv6 address
/// that is valid beyond the link, else any.
fn merged(addresses: Vec<Address>) -> Vec<Address> {
    let rank = |ip: Option<IpAddr>| match ip {
        Some(IpAddr::V4(_)) => 3,
        Some(IpAddr::V6(ip)) if !ip.is_unicast_link_local() => 2,
        Some(IpAddr::V6(_)) => 1,
        None => 0,
    };
    let mut names: Vec<Address> = Vec::new();
    for address in addresses {
        match names.iter_mut().find(|known| known.name == address.name) {
            Some(known) if rank(address.ip) > rank(known.ip) => *known = address,
            Some(_) => {}
            None => names.push(address),
        }
    }
    names
}

/// The gateways of default routes: device, metric, address.
struct Gateways(Vec<(String, u32, IpAddr)>);

impl Gateways {
    fn read(root: &Path) -> Self {
        let v4 = text(&root.join("proc/net/route")).unwrap_or_default();
        let v6 = text(&root.join("proc/net/ipv6_route")).unwrap_or_default();
        let all = v4.lines().filter_map(route_v4).chain(v6.lines().filter_map(route_v6));
        Self(all.collect())
    }

    /// The gateway that a device with this address prefers.
    fn of(&self, device: &str, ip: Option<IpAddr>) -> Option<IpAddr> {
        let v6 = ip?.is_ipv6();
        let ours = self.0.iter().filter(|(name, _, to)| name == device && to.is_ipv6() == v6);
        ours.min_by_key(|(_, metric, _)| *metric).map(|(_, _, to)| *to)
    }
}

/// A line of `/proc/net/route`: device, destination, gateway, flags, references, uses, metric, mask.
fn route_v4(line: &str) -> Option<(String, u32, IpAddr)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [device, destination, gateway, flags, _, _, metric, mask, ..] = *fields else {
        return None;
    };
    let number = |text| u32::from_str_radix(text, 16).ok();
    let is_default = number(destination)? == 0 && number(mask)? == 0;
    let leads = number(flags)? & TO_GATEWAY == TO_GATEWAY;
    // The kernel writes the number as it lies in memory.
    let gateway = Ipv4Addr::from(number(gateway)?.to_ne_bytes());
    (is_default && leads).then_some((device.to_owned(), metric.parse().ok()?, gateway.into()))
}

/// A line of `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, metric, references, uses,
/// flags, device.
fn route_v6(line: &str) -> Option<(String, u32, IpAddr)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [destination, length, _, _, hop, metric, _, _, flags, device] = *fields else {
        return None;
    };
    let address = |text| u128::from_str_radix(text, 16).ok();
    let number = |text| u32::from_str_radix(text, 16).ok();
    let is_default = address(destination)? == 0 && number(length)? == 0;
    let leads = number(flags)? & TO_GATEWAY == TO_GATEWAY;
    let hop = Ipv6Addr::from(address(hop)?);
    (is_default && leads).then_some((device.to_owned(), number(metric)?, hop.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::device;

    fn at(name: &str, ip: &str, netmask: &str) -> Address {
        Address { name: name.to_owned(), ip: ip.parse().ok(), netmask: netmask.parse().ok() }
    }

    const ROUTES: &[u8] =
        b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
        eth0\t00000000\tFE0200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
        wlan0\t00000000\t016433C6\t0001\t0\t0\t50\t00000000\t0\t0\t0\n\
        garbage\n";
    const ROUTES6: &[u8] =
        b"00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fe80000000000000000000000000abcd 00000400 00000001 00000000 00000003     wlan0\n\
        fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     wlan0\n";

    #[test]
    fn an_interface_has_its_address_gateway_name_servers_and_hardware() {
        let root = device(&[
            ("proc/net/route", if cfg!(target_endian = "little") { ROUTES } else { b"" }),
            ("proc/net/ipv6_route", ROUTES6),
            ("etc/resolv.conf", b"# a comment\nnameserver 192.0.2.53 # near\nsearch example.com\n nameserver fe80::1%eth0\nnameserver 192.0.2.55\n"),
            ("sys/class/net/eth0/address", b"00:13:23:A0:07:AD\n"),
            ("sys/class/net/wlan0/address", b"00:13:23:a0:07:ae\n"),
            ("sys/class/net/tun0/address", b"\n"),
            ("sys/class/net/ib0/address", b"00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\n"),
        ]);
        let network = SystemNetwork::new(root.path());
        let listed = network.described(vec![
            at("wlan0", "", ""),
            at("tun0", "", ""),
            at("ib0", "", ""),
            at("eth0", "", ""),
            at("wlan0", "fe80::2", ""),
            at("wlan0", "2001:db8::2", ""),
            at("eth0", "fe80::1", ""),
            at("eth0", "192.0.2.10", "255.255.255.0"),
            at("eth0", "192.0.2.11", "255.255.255.0"),
            at("eth0:1", "198.51.100.1", "255.255.255.252"),
        ]);
        let names: Vec<_> = listed.iter().map(|interface| &*interface.name).collect();
        assert_eq!(names, ["eth0", "eth0:1", "wlan0", "tun0", "ib0"]);
        let eth0 = Interface {
            name: "eth0".into(),
            ip: "192.0.2.10".into(),
            gateway: if cfg!(target_endian = "little") { "192.0.2.254" } else { "" }.into(),
            netmask: "255.255.255.0".into(),
            dns: ["192.0.2.53".into(), "fe80::1".into()],
            mac: "00:13:23:a0:07:ad".into(),
            dhcp: false,
        };
        assert_eq!(listed[0], eth0);
        let second = Interface {
            name: "eth0:1".into(),
            ip: "198.51.100.1".into(),
            netmask: "255.255.255.252".into(),
            ..eth0
        };
        assert_eq!(listed[1], second);
        let wlan0 = &listed[2];
        assert_eq!((&*wlan0.ip, &*wlan0.netmask), ("2001:db8::2", ""));
        assert_eq!(wlan0.gateway, "fe80::abcd");
        assert!(listed[3].mac.is_empty() && listed[4].mac.is_empty());
    }

    #[test]
    fn the_link_is_told_where_the_kernel_knows_it() {
        let root = device(&[
            ("sys/class/net/eth0/carrier", b"1\n"),
            ("sys/class/net/eth1/carrier", b"0\n"),
            ("sys/class/net/off0/operstate", b"down\n"),
            ("sys/class/net/odd0/operstate", b"unknown\n"),
        ]);
        let network = SystemNetwork::new(root.path());
        let links = ["eth0", "eth0:1", "eth1", "off0", "odd0", "none", "../net/eth0"];
        let links = links.map(|name| network.link(name));
        assert_eq!(links, [Some(true), Some(true), Some(false), Some(false), None, None, None]);
    }

    #[test]
    fn name_servers_behind_a_program_of_the_device_are_those_that_it_asks() {
        for (files, want) in [
            (
                &[
                    ("etc/resolv.conf", &b"nameserver 127.0.0.53\n"[..]),
                    ("run/systemd/resolve/resolv.conf", b"nameserver 192.0.2.1\n"),
                ][..],
                "192.0.2.1",
            ),
            (
                &[
                    ("etc/resolv.conf", b"nameserver 127.0.0.1\nnameserver ::1\n"),
                    (
                        "tmp/resolv.conf.d/resolv.conf.auto",
                        b"# Interface wan\nnameserver 192.0.2.2\n",
                    ),
                ],
                "192.0.2.2",
            ),
            (&[("etc/resolv.conf", b"nameserver 127.0.0.1\n")], "127.0.0.1"),
            (&[("etc/resolv.conf", b"nameserver\nnameserver here\n\xff\n")], ""),
            (&[], ""),
        ] {
            let root = device(files);
            assert_eq!(SystemNetwork::new(root.path()).name_servers()[0], want, "{files:?}");
        }
    }

    #[tokio::test]
    async fn the_system_lists_its_interfaces_but_the_loopback() {
        let network = SystemNetwork::new(Path::new("/"));
        let listed = network.interfaces().await.unwrap();
        assert!(listed.iter().all(|interface| interface.name != "lo"), "{listed:?}");
        let none = network.interface("none such").await.unwrap();
        assert_eq!(none, Interface { name: "none such".into(), ..Interface::default() });
    }
}
