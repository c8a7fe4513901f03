//! The hops from the device to its cloud, in the order in which each needs those before it.

use std::net::IpAddr;

use tokio::time::Instant;

use super::hop::Hop;
use crate::cloud::CloudState;
use crate::cloud::progress::{Seen, Step};
use crate::deadlines::KEEPALIVE;

/// The hops' names, in the order of their steps.
const NAMES: [&str; 6] = ["network", "name_server", "cloud_tcp", "tls", "login", "keepalive"];

/// What is known of the way to the cloud.
pub(super) struct Facts {
    /// Where the cloud is; `None` until one is configured.
    pub(super) server: Option<Server>,
    pub(super) state: CloudState,
    pub(super) seen: Seen,
    /// When the newest Keepalive was answered.
    pub(super) answered: Option<Instant>,
    /// When the next attempt begins, for people.
    pub(super) next_try: Option<String>,
    /// The interfaces but the loopback, and whether each has a link; empty where the system does not tell.
    pub(super) interfaces: Vec<(String, bool)>,
    /// The device's own address on the way out; `None` without a way out.
    pub(super) address: Option<IpAddr>,
    /// The system's name servers.
    pub(super) name_servers: Vec<String>,
}

/// Where the cloud is.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it is reached by TLS.
    pub(super) secure: bool,
}

/// The hops at a moment.
pub(super) fn hops(facts: &Facts, now: Instant) -> Vec<Hop> {
    let mut broken = None;
    let steps = [Step::Network, Step::Name, Step::Tcp, Step::Tls, Step::Login, Step::Keepalive];
    let hops = steps.into_iter().map(|step| {
        let name = NAMES[step as usize];
        let hop = match broken {
            Some(other) => Hop::behind(name, other),
            None => hop(facts, step, now),
        };
        if broken.is_none() && (hop.is_trouble() && step < Step::Keepalive) {
            broken = Some(name);
        }
        dressed(facts, step, unneeded(facts, step).unwrap_or(hop))
    });
    hops.collect()
}

/// How a step is, provided that those before it work.
fn hop(facts: &Facts, step: Step, now: Instant) -> Hop {
    let name = NAMES[step as usize];
    let is_online = facts.state == CloudState::Online;
    if step == Step::Network {
        return network(facts, is_online);
    }
    if facts.server.is_none() {
        return Hop::because(name, "no_cloud");
    }
    if is_online {
        return match step {
            Step::Keepalive => keepalive(facts, now),
            _ => Hop::ok(name),
        };
    }
    match &facts.seen.trouble {
        Some(trouble) if trouble.step == step => {
            Hop::because(name, trouble.reason).said(&trouble.said)
        }
        Some(trouble) if trouble.step > step => Hop::ok(name),
        // The first attempt has come so far.
        None if facts.seen.step > step => Hop::ok(name),
        _ => Hop::because(name, "dialling"),
    }
}

fn network(facts: &Facts, is_online: bool) -> Hop {
    let name = NAMES[0];
    if is_online {
        return Hop::ok(name);
    }
    if !facts.interfaces.is_empty() && facts.interfaces.iter().all(|(_, is_up)| !is_up) {
        return Hop::because(name, "no_link");
    }
    match &facts.seen.trouble {
        Some(trouble) if trouble.step == Step::Network => {
            Hop::because(name, trouble.reason).said(&trouble.said)
        }
        // A cloud in the same network needs no way out of it.
        Some(trouble) if trouble.step == Step::Name && facts.address.is_none() => {
            Hop::because(name, "no_route")
        }
        None if facts.server.is_none() && facts.address.is_none() => Hop::because(name, "no_route"),
        _ => Hop::ok(name),
    }
}

/// How a Keepalive is while the device is logged in.
fn keepalive(facts: &Facts, now: Instant) -> Hop {
    let name = NAMES[Step::Keepalive as usize];
    let Some(online) = facts.seen.online else { return Hop::because(name, "first_keepalive") };
    match facts.answered.filter(|answered| *answered >= online) {
        None if now < online + 2 * KEEPALIVE => Hop::because(name, "first_keepalive"),
        None => Hop::because(name, "keepalive_late"),
        Some(answered) if now > answered + 2 * KEEPALIVE => Hop::because(name, "keepalive_late"),
        Some(_) => Hop::ok(name),
    }
}

/// A step that this cloud does not need.
fn unneeded(facts: &Facts, step: Step) -> Option<Hop> {
    let server = facts.server.as_ref()?;
    match step {
        Step::Name if server.host.parse::<IpAddr>().is_ok() => {
            Some(Hop::because(NAMES[step as usize], "name_not_needed"))
        }
        Step::Tls if !server.secure => Some(Hop::because(NAMES[step as usize], "in_clear")),
        _ => None,
    }
}

/// The hop with what is known beside it.
fn dressed(facts: &Facts, step: Step, hop: Hop) -> Hop {
    let server = facts.server.as_ref();
    match step {
        Step::Network => {
            let up = facts.interfaces.iter().filter(|(_, is_up)| *is_up);
            let up: Vec<_> = up.map(|(name, _)| name.as_str()).collect();
            hop.with("address", facts.address.map(|address| address.to_string()))
                .with("interfaces", up)
        }
        Step::Name => hop
            .with("name", server.map(|server| server.host.as_str()))
            .with("name_servers", facts.name_servers.as_slice()),
        Step::Tcp => hop
            .with("server", server.map(|server| format!("{}:{}", server.host, server.port)))
            .with("peer", facts.seen.peer.map(|peer| peer.to_string()))
            .with("next_try", facts.next_try.clone()),
        Step::Tls | Step::Login => hop,
        Step::Keepalive => hop.with("period_seconds", KEEPALIVE.as_secs()),
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
