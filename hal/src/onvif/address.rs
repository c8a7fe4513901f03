//! Addresses in a camera's answers. A camera behind a router, or with two networks, names hosts that cannot be
//! reached from here, so the host is the one that was dialled.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http::Http;

/// The parts of an address that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// In lower case.
    pub(super) scheme: String,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Path and query, ready to be sent.
    pub(super) target: String,
    /// The whole address as it was told.
    pub(super) told: String,
}

/// Where a service of the camera is asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) target: String,
    /// The whole address as the camera told it.
    pub(super) told: String,
    /// Headers of SOAP that each call has.
    pub(super) headers: String,
    /// The ports that it may have, the likeliest first.
    pub(super) ports: Vec<u16>,
    /// The number of the port that answered last.
    working: AtomicUsize,
}

impl Address {
    /// Takes an address apart, also one with a login, a port that comes twice, or without a scheme. None for empty
    /// text.
    pub(super) fn read(text: &str) -> Option<Self> {
        // Some cameras escape the address twice.
        let text = text.trim().replace("&amp;", "&");
        let (scheme, rest) = text.split_once("://").unwrap_or(("", &text));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, ports) = match authority.strip_prefix('[').and_then(|host| host.split_once(']'))
        {
            Some((host, ports)) => (host, ports),
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = ports.split(':').find_map(|port| port.parse().ok()).filter(|port| *port > 0);
        let path = path.split('#').next().unwrap_or_default();
        if host.is_empty() && path.is_empty() {
            return None;
        }
        let mut target = if path.starts_with('/') { String::new() } else { "/".to_owned() };
        for c in path.chars() {
            match c {
                '!'..='~' if !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}') => {
                    target.push(c);
                }
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                    target.push_str(&format!("%{byte:02X}"));
                }),
            }
        }
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port,
            target,
            told: text,
        })
    }

    /// Where the address is asked by plain HTTP, at the host of `dialled`. A port that the camera names for that host
    /// is believed first, and the dialled one where it names another host, as a router may forward that one alone.
    pub(super) fn endpoint(self, dialled: &Http) -> Endpoint {
        let told = match &*self.scheme {
            "http" => self.port.unwrap_or(80),
            _ => dialled.port(),
        };
        let is_same = self.host.eq_ignore_ascii_case(dialled.host());
        let mut ports =
            if is_same { vec![told, dialled.port()] } else { vec![dialled.port(), told] };
        ports.dedup();
        let Self { target, told, .. } = self;
        Endpoint { target, told, headers: String::new(), ports, working: AtomicUsize::new(0) }
    }
}

impl Endpoint {
    /// A path of the server that was dialled.
    pub(super) fn at(dialled: &Http, target: &str) -> Self {
        Self {
            target: target.to_owned(),
            told: format!("http://{}:{}{target}", bracketed(dialled.host()), dialled.port()),
            headers: String::new(),
            ports: vec![dialled.port()],
            working: AtomicUsize::new(0),
        }
    }

    /// The ports in the order in which they are tried, with their numbers.
    pub(super) fn order(&self) -> impl Iterator<Item = (usize, u16)> {
        let (count, first) = (self.ports.len(), self.working.load(Ordering::Relaxed));
        (0..count).map(move |n| ((first + n) % count, self.ports[(first + n) % count]))
    }

    /// Begins with the next port from now on.
    pub(super) fn turn_to_next(&self) {
        self.works((self.working.load(Ordering::Relaxed) + 1) % self.ports.len().max(1));
    }

    /// Notes that the port of this number answers.
    pub(super) fn works(&self, number: usize) {
        self.working.store(number, Ordering::Relaxed);
    }
}

/// A host as it stands in an address.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;

    #[test]
    fn an_address_is_taken_apart_however_odd_it_is() {
        for (text, scheme, host, port, target) in [
            ("http://10.0.0.1/onvif/media", "http", "10.0.0.1", None, "/onvif/media"),
            (" HTTP://Cam:8899/a?Idx=43 ", "http", "cam", Some(8899), "/a?Idx=43"),
            ("http://10.0.0.1:8106:8106/event", "http", "10.0.0.1", Some(8106), "/event"),
            ("rtsp://u:p@ss@h:554/a?x=1&amp;y=2#z", "rtsp", "h", Some(554), "/a?x=1&y=2"),
            ("http://[fe80::1]:80/o", "http", "fe80::1", Some(80), "/o"),
            ("http://h", "http", "h", None, "/"),
            ("http://h?a=b", "http", "h", None, "/?a=b"),
            ("/snap.jpg", "", "", None, "/snap.jpg"),
            ("h:99999/x", "", "h", None, "/x"),
            ("http://h/a b\r\nX: \u{e9}\"", "http", "h", None, "/a%20b%0D%0AX:%20%C3%A9%22"),
        ] {
            let read = Address::read(text).unwrap();
            assert_eq!(
                (&*read.scheme, &*read.host, read.port, &*read.target),
                (scheme, host, port, target)
            );
        }
        assert_eq!((Address::read(""), Address::read("  ")), (None, None));
    }

    #[test]
    fn a_service_is_asked_at_the_host_that_was_dialled() {
        let http = Http::new("192.168.1.9", 8080, None, Limits::default());
        for (told, ports) in [
            ("http://192.168.1.9:8080/a", &[8080][..]),
            ("http://192.168.1.9/a", &[80, 8080]),
            ("http://192.168.1.9:2020/a", &[2020, 8080]),
            ("http://10.9.9.9:80/a", &[8080, 80]),
            ("http://0.0.0.0:8080/a", &[8080]),
            ("https://192.168.1.9/a", &[8080]),
            ("/a", &[8080]),
        ] {
            let endpoint = Address::read(told).unwrap().endpoint(&http);
            assert_eq!((&*endpoint.target, &*endpoint.ports), ("/a", ports), "{told}");
        }
        let endpoint = Address::read("http://10.9.9.9/a").unwrap().endpoint(&http);
        endpoint.works(1);
        assert_eq!(endpoint.order().collect::<Vec<_>>(), [(1, 80), (0, 8080)]);
        endpoint.turn_to_next();
        assert_eq!(endpoint.order().collect::<Vec<_>>(), [(0, 8080), (1, 80)]);
    }
}
