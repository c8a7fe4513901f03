//! The camera as a device: its networks, and restarting it.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use ivt_base::secret::Secret;

use super::Unit;
use crate::http::hung_up;
use crate::profile::answer::Row;
use crate::{
    Error, Interface, Kind, MOST_NAMED, Network, Power, Result, Wifi, WifiNetwork, WifiStatus,
};

/// Longest name and password of a wireless network, in bytes. A key of 64 digits is the password in another form.
const SSID: usize = 32;
const PASSWORD: usize = 64;

#[async_trait]
impl Network for Unit {
    async fn interfaces(&self) -> Result<Vec<Interface>> {
        let rows = self.run("network read", &self.values()).await?;
        Ok(rows.into_iter().map(|row| interface(row, "eth0")).take(MOST_NAMED).collect())
    }
}

#[async_trait]
impl Wifi for Unit {
    async fn status(&self) -> Result<WifiStatus> {
        let rows = self.run("wifi status", &self.values()).await?;
        let mut row = rows.into_iter().next().unwrap_or_default();
        let mut take = |name| row.remove(name).unwrap_or_default();
        if !is_true(&take("enable")) {
            return Ok(WifiStatus::default());
        }
        let (ssid, password) = (take("ssid"), take("password"));
        let (encrypt, status, signal) = (take("encrypt"), take("status"), number(&take("signal")));
        let password = (!password.is_empty()).then(|| Secret::new(password));
        let interface = interface(row, "wlan0");
        Ok(WifiStatus { enable: true, interface, ssid, password, encrypt, status, signal })
    }

    async fn networks(&self) -> Result<Vec<WifiNetwork>> {
        let rows = self.run("wifi networks", &self.values()).await?;
        let network = |mut row: Row| {
            let mut take = |name| row.remove(name).unwrap_or_default();
            let signal = number(&take("signal")).unwrap_or_default();
            WifiNetwork { ssid: take("ssid"), signal, encrypt: take("encrypt") }
        };
        let mut networks: Vec<_> = rows.into_iter().map(network).collect();
        networks.retain(|network| !network.ssid.is_empty());
        networks.sort_by_key(|network| std::cmp::Reverse(network.signal));
        networks.truncate(MOST_NAMED);
        Ok(networks)
    }

    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()> {
        const OP: &str = "wifi join";
        let mut values = self.values();
        let fits = |text: &str, most: usize| text.len() <= most && !text.contains('\0');
        if let Some(ssid) = ssid {
            if ssid.is_empty() || !fits(ssid, SSID) {
                return Err(Error::new(OP, Kind::Invalid));
            }
            values = values.text("ssid", ssid);
        }
        if let Some(password) = password {
            if !fits(password.expose(), PASSWORD) {
                return Err(Error::new(OP, Kind::Invalid));
            }
            let is_open = password.expose().is_empty();
            values = values.text("password", password.expose()).number("is_open", is_open);
        }
        match (ssid, password) {
            (None, None) => Ok(()),
            _ => self.run(OP, &values).await.map(drop),
        }
    }
}

#[async_trait]
impl Power for Unit {
    async fn reboot(&self) -> Result<()> {
        match self.run("power reboot", &self.values()).await {
            Err(error) if hung_up(&error) => Ok(()),
            done => done.map(drop),
        }
    }
}

/// An interface as far as its row makes sense.
fn interface(mut row: Row, name: &str) -> Interface {
    let mut take = |name| row.remove(name).unwrap_or_default();
    let dhcp = is_true(&take("dhcp"));
    let mac = take("mac").replace('-', ":");
    let pairs = mac
        .split(':')
        .filter(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_mac = pairs.count() == 6 && mac.len() == 17;
    let given = take("name");
    Interface {
        name: if given.is_empty() { name.to_owned() } else { given },
        ip: address(&take("ip")),
        gateway: address(&take("gateway")),
        netmask: netmask(&take("netmask")),
        dns: [address(&take("dns1")), address(&take("dns2"))],
        mac: if is_mac { mac } else { String::new() },
        dhcp,
    }
}

/// An address; empty for what is none.
fn address(text: &str) -> String {
    text.trim().parse::<IpAddr>().map(|address| address.to_string()).unwrap_or_default()
}

/// A mask, which some cameras give by the count of its bits.
fn netmask(text: &str) -> String {
    let bits = |bits: u32| (bits <= 32).then(|| u32::MAX.checked_shl(32 - bits).unwrap_or(0));
    let mask = match text.trim().parse::<u32>() {
        Ok(count) => bits(count).map(Ipv4Addr::from_bits),
        Err(_) => text.trim().parse().ok(),
    };
    mask.map(|mask: Ipv4Addr| mask.to_string()).unwrap_or_default()
}

fn is_true(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    matches!(&*text, "1" | "true" | "yes" | "on" | "enable" | "enabled" | "dynamic" | "dhcp")
}

/// The whole number that a text begins with, such as `-61 dBm`.
fn number(text: &str) -> Option<i32> {
    let text = text.trim();
    let end = text.char_indices().find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && *c == '-'));
    text[..end.map_or(text.len(), |(at, _)| at)].parse().ok()
}
