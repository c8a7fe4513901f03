//! One entry of `cloud.allow_hosts`.

use std::net::IpAddr;

use super::same;

/// A host or several hosts that the cloud may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// A name, or one address in the place of a name.
    Name(String),
    /// Every name below a domain, which is written as `*.example.com`.
    Below(String),
    /// The addresses that share so many first bits with this one.
    Network(IpAddr, u8),
}

impl AllowedHost {
    /// Reads a name, `*.DOMAIN`, an address or a network such as `10.0.0.0/8`.
    ///
    /// # Errors
    /// The forms that are taken.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORMS: &str = "a host name, *.DOMAIN, an address, or a network as 10.0.0.0/8";
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Ok(Self::Network(address, bits(address)));
        }
        if let Some((address, length)) = text.split_once('/') {
            let address = address.parse::<IpAddr>().map_err(|_| FORMS)?;
            let length = length.parse::<u8>().map_err(|_| FORMS)?;
            return match address.to_canonical() {
                _ if length > bits(address) => Err(FORMS),
                // An address of IPv4 in the notation of IPv6 has 96 bits before it.
                v4 if v4 != address => {
                    length.checked_sub(96).map(|n| Self::Network(v4, n)).ok_or(FORMS)
                }
                address => Ok(Self::Network(address, length)),
            };
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        match name.split('.').all(label) && name.len() <= 253 {
            true if below => Ok(Self::Below(name.to_ascii_lowercase())),
            true => Ok(Self::Name(name.to_ascii_lowercase())),
            false => Err(FORMS),
        }
    }

    /// Whether `host`, which has this address, is meant.
    pub(super) fn covers(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Name(name) => same(host, name),
            Self::Below(domain) => {
                host.match_indices('.').any(|(at, _)| at > 0 && same(&host[at + 1..], domain))
            }
            Self::Network(network, length) => match (network, address) {
                (IpAddr::V4(network), IpAddr::V4(address)) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.leading_zeros() >= u32::from(*length)
                }
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    let differing = network.to_bits() ^ address.to_bits();
                    differing.leading_zeros() >= u32::from(*length)
                }
                _ => false,
            },
        }
    }

    /// Whether the entry names one host. Such an entry allows everything but a camera's web server.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Name(_) => true,
            Self::Below(_) => false,
            Self::Network(network, length) => *length == bits(*network),
        }
    }

    /// Whether the entry is about addresses. Such an entry allows also loopback and link-local ones.
    pub(super) fn is_network(&self) -> bool {
        matches!(self, Self::Network(..))
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
