//! `web.listen`: where the device's page is found.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The word for all local networks.
const LAN: &str = "lan";
/// Port of the page unless the configuration says otherwise.
const PORT: u16 = 80;
/// Longest name of an interface, in bytes.
const INTERFACE: usize = 15;

/// A place of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Through which of the device's networks the page is reached.
    pub place: Place,
    /// Its port.
    pub port: u16,
}

/// Through which of the device's networks the page is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `lan`: every network that the device is in by cable or Wi-Fi, and only for who is in a local network: no modem, no
    /// tunnel, nobody from the internet.
    Lan,
    /// An address of the device; `0.0.0.0` and `[::]` are all of them, for everybody.
    Address(IpAddr),
    /// The name of an interface, such as `eth0`, for everybody who comes through it.
    Interface(String),
}

impl Default for Listen {
    fn default() -> Self {
        Self { place: Place::Lan, port: PORT }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (place, port) = text.rsplit_once(':')?;
            // The sign that numbers may have is none of a port's.
            let port = port.parse().ok().filter(|_| !port.starts_with('+'))?;
            let bare = place.strip_prefix('[').and_then(|place| place.strip_suffix(']'));
            let place = match (bare, place.parse()) {
                _ if place == LAN => Place::Lan,
                (Some(bare), _) => Place::Address(IpAddr::V6(bare.parse().ok()?)),
                (None, Ok(address @ IpAddr::V4(_))) => Place::Address(address),
                _ if is_name(place) => Place::Interface(place.into()),
                _ => return None,
            };
            Some(Self { place, port })
        };
        read().ok_or_else(|| {
            "\"lan:PORT\", ADDRESS:PORT or INTERFACE:PORT, such as \"lan:80\", \"192.0.2.7:8080\", \
             \"[::]:80\" or \"eth0:80\""
                .into()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.place {
            Place::Lan => write!(f, "{LAN}:{port}"),
            Place::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
            Place::Address(address) => write!(f, "{address}:{port}"),
            Place::Interface(name) => write!(f, "{name}:{port}"),
        }
    }
}

/// Whether an interface can have this name. A name of digits and dots alone is an address with a slip.
fn is_name(place: &str) -> bool {
    (1..=INTERFACE).contains(&place.len())
        && place.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && place.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_lan_an_address_or_an_interface() {
        for text in [
            "lan:80",
            "0.0.0.0:80",
            "192.0.2.7:8080",
            "[::]:80",
            "[fd00::1]:1",
            "eth0:80",
            "br-lan.2:0",
        ] {
            let read: Listen = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        assert_eq!("eth0:80".parse::<Listen>().unwrap().place, Place::Interface("eth0".into()));
        assert_eq!(Listen::default(), "lan:80".parse().unwrap());
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "80",
            ":80",
            "lan",
            "lan:",
            "lan:65536",
            "lan:+80",
            "192.0.2:80",
            "fd00::1",
            "fd00::1:80",
            "[192.0.2.7]:80",
            "[eth0]:80",
            "a name:80",
            "sixteen-letters-:80",
            "http://192.0.2.7:80",
            "eth0/1:80",
        ] {
            assert!(text.parse::<Listen>().is_err(), "{text:?}");
        }
    }
}
