//! The names by which pages and scripts may call a simulator. A page of another site can give its own name the
//! simulator's address (DNS rebinding): its requests then bear that name as `Host`, and an `Origin` that agrees.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The names of one simulator. Every IP address is admitted beside them: no name server was asked for it, and the
/// simulator does not know those that port forwards and NAT give it.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Arc<[String]>,
}

impl Hosts {
    /// `localhost`, the machine's own name, that name with `.local` behind it, and `more`.
    pub fn new(more: &[String]) -> Self {
        Self::of(fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim(), more)
    }

    fn of(machine: &str, more: &[String]) -> Self {
        let mut names = vec!["localhost".to_owned()];
        if let Some(short) = machine.split('.').next().filter(|short| !short.is_empty()) {
            names.extend([machine.to_owned(), short.to_owned(), format!("{short}.local")]);
        }
        names.extend(more.iter().filter(|name| !name.is_empty()).cloned());
        Self { names: names.into() }
    }

    /// Whether `host`, which may have a port, is one of these names or an IP address.
    fn admit(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_matches(['[', ']']);
        let name = name.strip_suffix('.').unwrap_or(name);
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(digits);
        host.strip_prefix(authority.host()).is_some_and(port)
            && (self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
                || name.parse::<IpAddr>().is_ok())
    }
}

/// Middleware that refuses requests by a name that is not the simulator's.
pub async fn own_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
    let admitted = |host: Option<&str>| host.is_some_and(|host| hosts.admit(host));
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
    fn a_simulator_knows_its_names_and_every_address() {
        let hosts = Hosts::of("desk.lan", &["qa.example".into(), String::new()]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "desk",
            "desk.lan:8080",
            "Desk.local:8080",
            "qa.example",
            "QA.example.:80",
            // Port forwards, NAT, and the address itself, in any notation.
            "127.0.0.1:8080",
            "192.168.1.5:8080",
            "192.0.2.7",
            "0.0.0.0:8080",
            "8.8.8.8",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:192.0.2.7]:80",
        ] {
            assert!(hosts.admit(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "evil@127.0.0.1",
            "qa.example.evil",
            "a.localhost",
            "desk.evil",
            "evil.local",
            ".local",
            "local",
            "desk.lan.local",
            "192.0.2.7.nip.io",
            "192.0.2",
            "localhost:x",
            "127.0.0.1:x",
            "localhost/",
            "0xc0000207",
            "[::1]x",
            "local host",
        ] {
            assert!(!hosts.admit(host), "{host}");
        }
        assert!(!Hosts::of("", &[]).admit(".local"), "a machine without a name");
    }
}
