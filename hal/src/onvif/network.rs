//! The camera's network interfaces.

use std::net::Ipv4Addr;

use async_trait::async_trait;

use super::{Onvif, is_fault, within};
use crate::xml::Element;
use crate::{Interface, MOST_NAMED, Network, Result};

const INTERFACES: &str = "network interfaces";

#[async_trait]
impl Network for Onvif {
    async fn interfaces(&self) -> Result<Vec<Interface>> {
        within(INTERFACES, async {
            let told = self.ask_device(INTERFACES, "GetNetworkInterfaces", "").await?;
            let gateway = self.ask_beside("GetNetworkDefaultGateway").await?;
            let names = self.ask_beside("GetDNS").await?;
            let gateways = addresses(&gateway, "NetworkGateway/IPv4Address");
            let is_dhcp = matches!(names.text_at("DNSInformation/FromDHCP"), "true" | "1");
            let mut servers: Vec<_> = ["DNSFromDHCP", "DNSManual"]
                .map(|kind| addresses(&names, &format!("DNSInformation/{kind}/IPv4Address")))
                .into();
            if !is_dhcp {
                servers.reverse();
            }
            let mut servers = servers.concat().into_iter();
            let dns = [(); 2].map(|()| servers.next().unwrap_or_default());
            let rows = told.children("NetworkInterfaces").take(MOST_NAMED);
            let mut interfaces: Vec<_> =
                rows.map(|row| Interface { dns: dns.clone(), ..read(row) }).collect();
            for gateway in gateways {
                // The interface that reaches the gateway has it, else the first.
                let near = interfaces.iter().position(|one| is_near(one, &gateway)).unwrap_or(0);
                if let Some(one) = interfaces.get_mut(near).filter(|one| one.gateway.is_empty()) {
                    one.gateway = gateway;
                }
            }
            Ok(interfaces)
        })
        .await
    }
}

impl Onvif {
    /// Asks what a camera may leave out: a fault is an empty answer.
    async fn ask_beside(&self, action: &'static str) -> Result<Element> {
        match self.ask_device(INTERFACES, action, "").await {
            Err(error) if is_fault(&error) => Ok(Element::default()),
            answer => answer,
        }
    }
}

fn read(row: &Element) -> Interface {
    let config = row.find("IPv4/Config").cloned().unwrap_or_default();
    let dhcp = matches!(config.text_at("DHCP"), "true" | "1");
    let order = match dhcp {
        true => ["FromDHCP", "Manual", "LinkLocal"],
        false => ["Manual", "FromDHCP", "LinkLocal"],
    };
    let set = order.into_iter().filter_map(|kind| config.child(kind));
    let set = set.into_iter().find(|set| !set.text_at("Address").is_empty());
    let prefix = set.and_then(|set| set.text_at("PrefixLength").parse::<u32>().ok());
    let name = match row.text_at("Info/Name") {
        "" => row.attribute("token").unwrap_or_default(),
        name => name,
    };
    Interface {
        name: name.to_owned(),
        ip: set.map_or("", |set| set.text_at("Address")).to_owned(),
        netmask: prefix.filter(|prefix| *prefix <= 32).map(netmask).unwrap_or_default(),
        mac: mac(row.text_at("Info/HwAddress")),
        dhcp,
        ..Interface::default()
    }
}

fn addresses(answer: &Element, path: &str) -> Vec<String> {
    let found = answer.find_all(path).into_iter().map(|address| address.text().to_owned());
    found.filter(|address| !address.is_empty() && address != "0.0.0.0").take(MOST_NAMED).collect()
}

fn netmask(prefix: u32) -> String {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).to_string()
}

/// A hardware address as `00:13:23:a0:07:ad`, however the camera parts its digits.
fn mac(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    if digits.len() != 12 {
        return text.to_owned();
    }
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    pairs.join(":").to_ascii_lowercase()
}

fn is_near(interface: &Interface, address: &str) -> bool {
    let read = |text: &str| text.parse::<Ipv4Addr>().map(u32::from).ok();
    let parts = (read(&interface.ip), read(&interface.netmask), read(address));
    matches!(parts, (Some(ip), Some(mask), Some(address)) if mask != 0 && ip & mask == address & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_becomes_a_mask_and_digits_a_hardware_address() {
        for (prefix, mask) in
            [(0, "0.0.0.0"), (8, "255.0.0.0"), (23, "255.255.254.0"), (32, "255.255.255.255")]
        {
            assert_eq!(netmask(prefix), mask);
        }
        for text in ["00:13:23:A0:07:AD", "00-13-23-a0-07-ad", "001323a007ad", "0013.23a0.07ad"] {
            assert_eq!(mac(text), "00:13:23:a0:07:ad");
        }
        assert_eq!(mac("none"), "none");
    }
}
