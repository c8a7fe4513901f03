//! Checks of the camera as a device.

use std::net::{IpAddr, Ipv4Addr};

use ivt_base::secret::Secret;

use super::{done, offline};
use crate::{Interface, MOST_NAMED, Network, Power, Wifi};

/// Checks the wired network of a camera that is there.
pub async fn network(network: &dyn Network) {
    let interfaces = done("network interfaces", network.interfaces()).await;
    assert!(!interfaces.is_empty(), "network: a camera that answers has an interface");
    assert!(interfaces.len() <= MOST_NAMED, "network: {} are too many", interfaces.len());
    for interface in &interfaces {
        assert!(!interface.name.is_empty(), "network: an interface without a name");
        check_interface(interface);
    }
}

/// Checks the wired network of a camera that is away.
pub async fn offline_network(network: &dyn Network) {
    offline("network interfaces", network.interfaces()).await;
}

/// Checks the wireless network of a camera that is there. It is left with a network that does not exist.
pub async fn wifi(wifi: &dyn Wifi) {
    let status = done("wifi status", wifi.status()).await;
    check_interface(&status.interface);
    if !status.enable {
        assert!(status.ssid.is_empty() && status.signal.is_none(), "wifi: off, yet connected");
    }
    let networks = done("wifi networks", wifi.networks()).await;
    assert!(networks.len() <= MOST_NAMED, "wifi: {} networks are too many", networks.len());
    let ordered = networks.is_sorted_by(|a, b| a.signal >= b.signal);
    assert!(ordered, "wifi: the strongest network comes first");
    let longest = format!("{}\u{e9}", "x".repeat(61));
    for (ssid, password) in [
        ("plain", "password"),
        ("with space", " a b c d "),
        ("quotes \"'` & <b>", "\"';<>&=?%+#/\\ $(x) `y`"),
        ("\u{529e}\u{516c}\u{5ba4} 5G", "p\u{e4}ssw\u{f6}rd \u{5bc6}\u{7801}"),
        ("open", ""),
        ("thirty-two bytes is the longest.", longest.as_str()),
    ] {
        let secret = Secret::new(password.to_owned());
        done(&format!("wifi join {ssid:?}"), wifi.join(Some(ssid), Some(&secret))).await;
    }
    done("wifi join by name alone", wifi.join(Some("plain"), None)).await;
    let secret = Secret::new("another password".to_owned());
    done("wifi join by password alone", wifi.join(None, Some(&secret))).await;
    let status = done("wifi status after joining", wifi.status()).await;
    assert!(status.enable, "wifi: a network is joined while it is off");
    assert_eq!(status.ssid, "plain", "wifi: the name stays where none is given");
    if let Some(password) = status.password {
        assert!(password == secret, "wifi: the camera tells another password than it was given");
    }
}

/// Checks the wireless network of a camera that is away.
pub async fn offline_wifi(wifi: &dyn Wifi) {
    offline("wifi status", wifi.status()).await;
    offline("wifi networks", wifi.networks()).await;
    offline("wifi join", wifi.join(Some("any"), None)).await;
}

/// Checks the restart of a camera that is there, and is away afterwards.
pub async fn power(power: &dyn Power) {
    done("power reboot", power.reboot()).await;
}

/// Checks the restart of a camera that is away.
pub async fn offline_power(power: &dyn Power) {
    offline("power reboot", power.reboot()).await;
}

fn check_interface(interface: &Interface) {
    let Interface { name, ip, gateway, netmask, dns, mac, .. } = interface;
    for address in [ip, gateway, &dns[0], &dns[1]] {
        let valid = address.is_empty() || address.parse::<IpAddr>().is_ok();
        assert!(valid, "interface {name:?}: {address:?} is no address");
    }
    let mask = netmask.is_empty() || netmask.parse::<Ipv4Addr>().is_ok();
    assert!(mask, "interface {name:?}: {netmask:?} is no network mask");
    let pairs: Vec<_> = mac.split(':').collect();
    let hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let valid = mac.is_empty() || (pairs.len() == 6 && pairs.iter().all(hex));
    assert!(valid, "interface {name:?}: {mac:?} is no hardware address");
}
