//! Which calls come from the page itself: those that name the device as their host, and no other site as where they
//! come from. Another site's script, or its name that suddenly leads to the device, gets nothing.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use super::interfaces;
use super::reply::Refusal;

/// Where a browser says how the site that makes the call is related to the device.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Where a browser says that a person has asked for the page.
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// How a call reached the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The address of the device that was called.
    pub(crate) local: IpAddr,
    /// The port that was called.
    pub(crate) port: u16,
    /// Whether it came encrypted.
    pub(crate) is_secure: bool,
    /// Whether it came to a new place of the page that is still on trial.
    pub(crate) is_on_trial: bool,
}

/// Refuses a call that names another host, or comes from another site. `hosts` are the names that the configuration
/// allows.
pub(super) fn check(parts: &Parts, way: Way, hosts: &[String]) -> Result<(), Refusal> {
    let host = host(parts)?;
    if !is_ours(host.host(), way.local, hosts) {
        let name: String = host.host().chars().take(64).collect();
        let message = format!(
            "this device does not know itself as {name}: open the page by the device's address, or add the name to \
             web.hosts"
        );
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "other_host", message));
    }
    let header =
        |name: &HeaderName| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let scheme = if way.is_secure { "https" } else { "http" };
    let is_own = |origin: &str| {
        let rest = origin.split_once("://").filter(|(found, _)| *found == scheme);
        let other = rest.and_then(|(_, rest)| rest.parse::<Authority>().ok());
        other.is_some_and(|other| is_same(&other, &host, way.is_secure))
    };
    let is_foreign = match header(&ORIGIN) {
        Some(origin) => !is_own(origin),
        // A browser that names no origin of a call tells whether it is another site's. A person may follow a link.
        None => match header(&FETCH_SITE) {
            None | Some("same-origin" | "none") => false,
            Some(_) => parts.method != Method::GET || header(&FETCH_MODE) != Some("navigate"),
        },
    };
    if is_foreign {
        let message = "this call comes from another site: open the device's own page";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "other_origin", message));
    }
    Ok(())
}

/// The host that a call names.
///
/// # Errors
/// It names none, or several.
pub(super) fn host(parts: &Parts) -> Result<Authority, Refusal> {
    let wrong = || {
        let message = "a call needs exactly one host";
        Refusal::new(StatusCode::BAD_REQUEST, "host", message)
    };
    let mut named = parts.headers.get_all(HOST).into_iter();
    let (Some(named), None) = (named.next(), named.next()) else { return Err(wrong()) };
    let named: Authority =
        named.to_str().ok().and_then(|name| name.parse().ok()).ok_or_else(wrong)?;
    let is_bare = !named.as_str().contains('@') && !named.host().is_empty();
    let agrees = parts.uri.authority().is_none_or(|other| *other == named);
    if is_bare && agrees { Ok(named) } else { Err(wrong()) }
}

/// Whether the device goes by this name.
fn is_ours(host: &str, local: IpAddr, hosts: &[String]) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address == local
            || hosts.contains(&host)
            || interfaces::own().iter().any(|own| own.address == address);
    }
    let host = host.trim_end_matches('.');
    let bare = host.strip_suffix(".local").unwrap_or(host);
    let name = interfaces::name();
    let name = name.strip_suffix(".local").unwrap_or(&name);
    hosts.iter().any(|known| known == host)
        || (!name.is_empty() && bare == name)
        || (host == "localhost" && local.is_loopback())
}

/// Whether two hosts are one, with the port that the scheme implies.
fn is_same(one: &Authority, other: &Authority, is_secure: bool) -> bool {
    let implied = if is_secure { 443 } else { 80 };
    let port = |host: &Authority| host.port_u16().unwrap_or(implied);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hyper::Request;

    use super::*;

    const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    fn judged(method: Method, target: &str, is_secure: bool, headers: &[(&str, &str)]) -> u16 {
        let request = Request::builder().method(method).uri(target);
        let request = headers.iter().fold(request, |request, (k, v)| request.header(*k, *v));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let way = Way { local: IpAddr::V4(LOCAL), port: 80, is_secure, is_on_trial: false };
        let hosts = ["camera.example.com".to_owned(), "198.51.100.1".into()];
        check(&parts, way, &hosts).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn the_device_goes_by_its_addresses_and_its_names() {
        let own = interfaces::name();
        let local = format!("{own}.local:80");
        for (host, status) in [
            ("192.0.2.7", 200),
            ("192.0.2.7:8080", 200),
            ("127.0.0.1", 200),
            ("[::ffff:192.0.2.7]", 200),
            ("camera.example.com", 200),
            ("Camera.Example.com.", 200),
            ("198.51.100.1:1234", 200),
            (&own, 200),
            (&local, 200),
            ("192.0.2.8", 421),
            ("evil.example", 421),
            ("camera.example.com.evil.example", 421),
            ("localhost", 421),
            ("192.0.2.7.evil.example", 421),
            ("0.0.0.0", 421),
            ("user@192.0.2.7", 400),
            ("192.0.2.7/x", 400),
            ("", 400),
        ] {
            assert_eq!(judged(Method::GET, "/", false, &[("host", host)]), status, "{host}");
        }
        assert_eq!(judged(Method::GET, "/", false, &[]), 400);
        let twice = [("host", "192.0.2.7"), ("host", "192.0.2.7")];
        assert_eq!(judged(Method::GET, "/", false, &twice), 400);
        let host = [("host", "192.0.2.7")];
        assert_eq!(judged(Method::GET, "http://evil.example/", false, &host), 400);
        assert_eq!(judged(Method::GET, "http://192.0.2.7/", false, &host), 200);
    }

    #[test]
    fn a_call_of_another_site_is_refused() {
        for (host, origin, is_secure, status) in [
            ("192.0.2.7", "http://192.0.2.7", false, 200),
            ("192.0.2.7", "http://192.0.2.7:80", false, 200),
            ("192.0.2.7:8080", "http://192.0.2.7:8080", false, 200),
            ("192.0.2.7", "https://192.0.2.7", true, 200),
            ("192.0.2.7:443", "https://192.0.2.7", true, 200),
            ("192.0.2.7", "https://192.0.2.7", false, 403),
            ("192.0.2.7", "http://192.0.2.7", true, 403),
            ("192.0.2.7", "http://192.0.2.7:8080", false, 403),
            ("192.0.2.7", "http://evil.example", false, 403),
            ("192.0.2.7", "http://evil.example/192.0.2.7", false, 403),
            ("192.0.2.7", "http://192.0.2.7@evil.example", false, 403),
            ("192.0.2.7", "null", false, 403),
            ("192.0.2.7", "", false, 403),
        ] {
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::GET] {
                let found = judged(method, "/", is_secure, &[("host", host), ("origin", origin)]);
                assert_eq!(found, status, "{host} {origin}");
            }
        }
        let call = |method, headers: &[(&str, &str)]| {
            judged(method, "/", false, &[&[("host", "192.0.2.7")], headers].concat())
        };
        for site in ["cross-site", "same-site", "odd"] {
            let site = ("sec-fetch-site", site);
            assert_eq!(call(Method::GET, &[site]), 403);
            assert_eq!(call(Method::POST, &[site]), 403);
            // A link on another page.
            assert_eq!(call(Method::GET, &[site, ("sec-fetch-mode", "navigate")]), 200);
            assert_eq!(call(Method::POST, &[site, ("sec-fetch-mode", "navigate")]), 403);
        }
        assert_eq!(call(Method::POST, &[("sec-fetch-site", "same-origin")]), 200);
        assert_eq!(call(Method::POST, &[]), 200, "a program that is no browser");
    }
}
