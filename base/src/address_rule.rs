//! Which addresses the cloud may name: servers on the internet and on the LAN, but not this device
//! itself, what only a host on the same link reaches, and the web servers of the cameras, whose commands
//! go through lists of their own. The rule is about the address that is connected to, so that neither
//! another notation nor a name that resolves to it leads around the rule.

mod allowed;
mod special;

use std::iter;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::resolver::{self, Lookups};
use crate::text::shorten;

pub use allowed::AllowedHost;

/// What the cloud is told of an address that the rule refuses. It does not say why, which would tell
/// the cloud what is in our network.
pub const FORBIDDEN: &str =
    "the device's rule for addresses (cloud.allow_hosts) refuses the address";
/// What the cloud is told of every other server that is of no use: whether a port is open, closed or
/// something else answers there is for our log alone.
pub const UNREACHABLE: &str = "the server cannot be reached, or does not answer as it should";

/// How long the addresses of a name in the configuration are taken for granted, and after a failure of
/// the resolver.
const FRESH: Duration = Duration::from_secs(60);
const FRESH_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Longest wait for all the names in the configuration together.
const LIMIT: Duration = Duration::from_secs(2);

/// What the rule is made of. Hosts are names or addresses, without brackets.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The host of `cloud.url`, which is always allowed.
    pub cloud: String,
    /// `cloud.allow_hosts`. When not empty, other hosts are refused.
    pub allowed: Vec<AllowedHost>,
    /// Hosts and ports of the cameras' web servers.
    pub cameras: Vec<(String, u16)>,
}

/// Which addresses the cloud may name. Clones share one rule.
#[derive(Clone, Debug, Default)]
pub struct AddressRule(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    terms: RwLock<Arc<Terms>>,
    known: Mutex<Vec<Known>>,
}

/// A name in the terms, until when its addresses are taken for granted, and these.
type Known = (String, Instant, Vec<IpAddr>);

/// The rule refuses a host. The text is for the log: it tells where the cameras are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} ({address}) is {why}; see cloud.allow_hosts")]
pub struct Forbidden {
    host: String,
    address: IpAddr,
    why: &'static str,
}

/// The hosts of the terms, resolved.
struct Hosts {
    cloud: Vec<IpAddr>,
    /// The address of the cloud's name to which a connection was made last.
    login: Option<IpAddr>,
    cameras: Vec<(IpAddr, u16)>,
}

impl AddressRule {
    /// The rule of these terms.
    pub fn new(terms: Terms) -> Self {
        let rule = Self::default();
        rule.exchange(terms);
        rule
    }

    /// The rule without settings for a cloud at this host.
    pub fn for_cloud(host: &str) -> Self {
        Self::new(Terms { cloud: host.to_owned(), ..Terms::default() })
    }

    /// Replaces the terms, for all clones.
    pub fn exchange(&self, terms: Terms) {
        *self.0.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
        self.known().clear();
    }

    /// Checks a host before anything is begun. A name that has no address now passes; whoever connects
    /// checks again.
    ///
    /// # Errors
    /// The rule allows no address of the host.
    pub async fn check(&self, host: &str, port: u16) -> Result<(), Forbidden> {
        match resolver::resolve(host, port, &resolver::CLOUD).await {
            Ok(addresses) => self.admitted(host, addresses).await.map(drop),
            Err(_) => Ok(()),
        }
    }

    /// The addresses of `host` that may be connected to.
    ///
    /// # Errors
    /// There are addresses, and all of them are refused.
    pub(crate) async fn admitted(
        &self,
        host: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        let terms = Arc::clone(&self.0.terms.read().unwrap_or_else(PoisonError::into_inner));
        let hosts = self.hosts(&terms).await;
        let mut refused = None;
        addresses.retain(|address| match terms.refusal(host, *address, &hosts) {
            None => true,
            Some(why) => {
                let host = shorten(host);
                refused = Some(Forbidden { host, address: address.ip().to_canonical(), why });
                false
            }
        });
        match refused {
            Some(refused) if addresses.is_empty() => Err(refused),
            _ => Ok(addresses),
        }
    }

    async fn hosts(&self, terms: &Terms) -> Hosts {
        let until = Instant::now() + LIMIT;
        let cameras = terms.cameras.iter().map(|(host, _)| (host, &resolver::CAMERAS));
        let names = iter::once((&terms.cloud, &resolver::SERVERS)).chain(cameras);
        let stale = names.filter(|(name, _)| !self.is_fresh(name)).map(|(name, lookups)| {
            crate::task::spawn(self.clone().refresh(name.clone(), lookups, until))
        });
        for refreshed in stale.collect::<Vec<_>>() {
            // A name that is not looked up any more has the addresses that are known.
            refreshed.await.ok();
        }
        let cameras = terms
            .cameras
            .iter()
            .flat_map(|(host, port)| self.addresses(host).into_iter().map(move |ip| (ip, *port)));
        Hosts {
            cloud: self.addresses(&terms.cloud),
            login: resolver::last_good(&terms.cloud),
            cameras: cameras.collect(),
        }
    }

    /// Whether a host of the terms needs no look-up now.
    fn is_fresh(&self, host: &str) -> bool {
        let fresh = |(name, until, _): &Known| name == host && *until > Instant::now();
        host.is_empty() || host.parse::<IpAddr>().is_ok() || self.known().iter().any(fresh)
    }

    /// Looks a name of the terms up. When the resolver fails, the addresses of before stay.
    async fn refresh(self, name: String, lookups: &'static Lookups, until: Instant) {
        let found = timeout_at(until, resolver::resolve(&name, 0, lookups)).await;
        let found = found.ok().and_then(Result::ok);
        let mut known = self.known();
        let at = known.iter().position(|(other, ..)| *other == name);
        let before = at.map(|at| known.swap_remove(at).2);
        let (addresses, fresh) = match found {
            Some(found) => (found.iter().map(|found| found.ip().to_canonical()).collect(), FRESH),
            None => (before.unwrap_or_default(), FRESH_AFTER_FAILURE),
        };
        known.push((name, Instant::now() + fresh, addresses));
    }

    /// The addresses of a host of the terms; for a name that was never resolved, the one that took a
    /// connection last.
    fn addresses(&self, host: &str) -> Vec<IpAddr> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return vec![address.to_canonical()];
        }
        match self.known().iter().find(|(name, ..)| name == host) {
            Some((.., addresses)) if !addresses.is_empty() => addresses.clone(),
            _ => resolver::last_good(host).iter().map(IpAddr::to_canonical).collect(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terms {
    /// Why `address` is refused for `host`; `None` where it is allowed.
    fn refusal(&self, host: &str, address: SocketAddr, hosts: &Hosts) -> Option<&'static str> {
        let ip = address.ip().to_canonical();
        let targets = special::targets(ip);
        let is_camera =
            |(camera, port): &(IpAddr, u16)| *port == address.port() && targets.contains(camera);
        // Nobody stores at a camera's web server, whatever else its host is for.
        if hosts.cameras.iter().any(is_camera) {
            return Some("a camera's web server");
        }
        let is_cloud = same(host, &self.cloud) || hosts.cloud.contains(&ip);
        // A name that logged in elsewhere may not lead to this device.
        if is_cloud && (hosts.login.is_none_or(is_local) || !is_local(ip)) {
            return None;
        }
        let matching = self.allowed.iter().filter(|allowed| allowed.covers(host, ip));
        let (mut listed, mut opened) = (false, false);
        for allowed in matching {
            if allowed.is_exact() {
                return None;
            }
            listed = true;
            opened |= allowed.is_network();
        }
        if !self.allowed.is_empty() && !listed {
            return Some("not in cloud.allow_hosts");
        }
        if let Some(special) = targets.iter().find_map(|target| special::class(*target))
            && !opened
        {
            return Some(special);
        }
        if targets.iter().any(|target| special::class(*target).is_none() && is_own(*target)) {
            return Some("an address of this device, or of all on its network");
        }
        let is_camera = |(camera, _): &(IpAddr, u16)| targets.contains(camera);
        hosts.cameras.iter().any(is_camera).then_some("a camera's address")
    }
}

/// Whether two hosts are written alike, but for case and the dot of the root.
fn same(one: &str, other: &str) -> bool {
    let bare = |host: &str| host.strip_suffix('.').unwrap_or(host).len();
    let (one, other) = (&one[..bare(one)], &other[..bare(other)]);
    !one.is_empty() && one.eq_ignore_ascii_case(other)
}

/// Whether an address leads to this device, to its own link only, or to a multicast group.
fn is_local(address: IpAddr) -> bool {
    let local = |target: &IpAddr| special::class(*target).is_some() || is_own(*target);
    special::targets(address).iter().any(local)
}

/// Whether the system takes `address` for its own. A datagram socket asks without sending anything.
fn is_own(address: IpAddr) -> bool {
    // No host has these: they tell a system that lets every address be bound.
    let nobodys = if address.is_ipv4() { "240.0.0.1" } else { "100::1" };
    let binds = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    let leads_back = || {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect((address, 9))?;
        Ok::<_, std::io::Error>(socket.local_addr()?.ip() == address)
    };
    match binds(address) {
        true if nobodys.parse().is_ok_and(binds) => leads_back().unwrap_or(false),
        bound => bound,
    }
}

#[cfg(test)]
#[path = "address_rule_tests.rs"]
mod tests;
