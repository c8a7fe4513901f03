//! The names by which pages and scripts may call a simulator. A page of another site can give its own name the
//! simulator's address (DNS rebinding): its requests then bear that name as `Host`, and an `Origin` that agrees.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::listener::Remote;

/// The names of one simulator.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    listening: IpAddr,
    names: Arc<[String]>,
}

impl Hosts {
    /// `localhost`, the machine's own name, and `more`; and of addresses that on which the simulator listens, and
    /// that at which a connection has reached it.
    pub(crate) fn new(listening: IpAddr, more: &[String]) -> Self {
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let machine = machine.trim();
        let short = machine.split('.').next().unwrap_or_default();
        let names = ["localhost", machine, short].map(str::to_owned).into_iter();
        let names = names.chain(more.iter().cloned()).filter(|name| !name.is_empty()).collect();
        Self { listening, names }
    }

    /// Whether `host`, which may have a port, is one of these names. The connection has reached us at `local`.
    fn admit(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_matches(['[', ']']);
        let name = name.strip_suffix('.').unwrap_or(name);
        let own = |address: IpAddr| {
            let own = [Some(self.listening), local].into_iter().flatten();
            own.map(|own| own.to_canonical()).any(|own| own == address.to_canonical())
        };
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(digits);
        host.strip_prefix(authority.host()).is_some_and(port)
            && (self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
                || name.parse().is_ok_and(own))
    }
}

/// Middleware that refuses requests by a name that is not the simulator's.
pub(crate) async fn own_host(
    State(hosts): State<Hosts>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    request: Request,
    next: Next,
) -> Response {
    let mut named = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
    let local = remote.local.map(|local| local.ip());
    let admitted = |host: Option<&str>| host.is_some_and(|host| hosts.admit(host, local));
    let header = admitted(named.next().flatten()) && named.next().is_none();
    let target = request.uri().authority().map(Authority::as_str);
    if !header || target.is_some_and(|target| !admitted(Some(target))) {
        let why = "the simulator is not known by this name: call it by its address or as localhost, or start it \
                   with --host NAME";
        return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulator_knows_its_names_and_addresses() {
        let local = Some("192.0.2.7".parse().unwrap());
        let hosts =
            Hosts::new("0.0.0.0".parse().unwrap(), &["qa.example".into(), "10.9.9.9".into()]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "192.0.2.7",
            "192.0.2.7:1",
            "0.0.0.0:8080",
            "[::ffff:192.0.2.7]:80",
            "qa.example",
            "QA.example.:80",
            "10.9.9.9:80",
        ] {
            assert!(hosts.admit(host, local), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1",
            "8.8.8.8",
            "localhost@evil.example",
            "evil@localhost",
            "qa.example.evil",
            "a.localhost",
            "192.0.2.7.nip.io",
            "localhost:x",
            "localhost/",
            "0xc0000207",
            "[::1]",
            "local host",
        ] {
            assert!(!hosts.admit(host, local), "{host}");
        }
    }

    #[test]
    fn addresses_are_compared_and_not_their_notations() {
        let hosts = Hosts::new("::1".parse().unwrap(), &[]);
        for host in ["[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]"] {
            assert!(hosts.admit(host, None), "{host}");
        }
        assert!(!hosts.admit("[::2]", None) && !hosts.admit("127.0.0.1", None));
    }
}
