//! Whom to dial and by which account, as the URL of the login.

use std::fmt::{self, Display, Write as _};

use ivt_base::secret::Secret;
use ivt_base::text::shorten;
use url::{Position, Url};

use crate::config;

/// Address and account of a login. Only its request reveals the password; printed is where the login
/// goes, without its query.
#[derive(Clone, Debug)]
pub struct CloudLogin {
    /// `wss`, or `ws` in clear.
    pub secure: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The address without its query.
    url: Url,
    query: Secret,
}

impl CloudLogin {
    /// The login that the configuration describes; `None` where no cloud is configured yet.
    pub fn of(cloud: &config::Cloud) -> Option<Self> {
        cloud.account.as_ref().map(|account| Self::with(account, cloud))
    }

    fn with(account: &config::Account, cloud: &config::Cloud) -> Self {
        let mut query = String::new();
        let parameters = [
            ("login_code", account.login_code.as_str()),
            ("login_passwd", account.login_passwd.expose()),
            ("hardware_model", &cloud.hardware_model),
            ("firmware_model", &cloud.firmware_model),
        ];
        for (i, (name, value)) in parameters.into_iter().enumerate() {
            query.push_str(if i == 0 { "" } else { "&" });
            query.push_str(name);
            query.push('=');
            percent_encode(value, &mut query);
        }
        // The password in it is known by itself, and the rest is no secret.
        Self::at(account.url.clone(), Secret::untold(query))
    }

    /// The login that a redirect to `location` leads to, with the same account. The address may be
    /// relative, and that of a page (http, https) stands for a WebSocket beside it.
    ///
    /// # Errors
    ///
    /// Why the redirect is not followed, as the end of "the cloud redirects …": the address is none,
    /// names a login of its own, or leads from `wss` to `ws`.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, String> {
        let unreadable = || "to something that is no address".to_owned();
        let mut url = self.url.join(location).map_err(|_| unreadable())?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(format!("to {}:, expected ws or wss", shorten(other))),
        };
        url.set_scheme(scheme).map_err(|()| unreadable())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("to an address with a login in it".to_owned());
        }
        if self.secure && scheme == "ws" {
            return Err("from wss to ws, where passwords can be read on the way".to_owned());
        }
        let query = match (url.query().unwrap_or_default(), self.query.expose()) {
            // The cloud hands on the query of the request.
            (theirs, _) if theirs.contains("login_code=") => theirs.to_owned(),
            ("", ours) => ours.clone(),
            (theirs, ours) => format!("{theirs}&{ours}"),
        };
        // The values of the query stay hidden as long as the query is held.
        let told = Secret::from(String::from(url.clone()));
        let query = told.try_map(|_| Ok::<_, String>(query))?;
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self::at(url, query))
    }

    fn at(url: Url, query: Secret) -> Self {
        Self {
            secure: url.scheme() == "wss",
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            url,
            query,
        }
    }

    /// The request of the opening handshake, with this `Sec-WebSocket-Key`. It holds the password.
    pub(super) fn request(&self, key: &str) -> String {
        let (host, path) = (&self.url[Position::BeforeHost..Position::AfterPort], self.url.path());
        let query = self.query.expose();
        format!(
            "GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
    }
}

impl Display for CloudLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shorten(self.url.as_str()))
    }
}

/// Appends `value` to `out` with everything but unreserved characters encoded (RFC 3986, 2.3).
/// A space becomes `%20`, since peers differ on `+`.
fn percent_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str, code: &str, passwd: &str) -> CloudLogin {
        let text = format!(
            "[cloud]\nurl = {url:?}\nlogin_code = '{code}'\nlogin_passwd = '{passwd}'\n\
             hardware_model = 'HW 1'\nfirmware_model = '1.0+b'\n[[channel]]\nbackend = 'emulator'"
        );
        CloudLogin::of(&text.parse::<config::Config>().unwrap().cloud).unwrap()
    }

    #[test]
    fn every_value_is_percent_encoded() {
        let login = login("ws://cloud.example:8080/ivc", "a&b=c", "p ss/?#%+ü");
        assert_eq!(
            login.request("KEY"),
            "GET /ivc?login_code=a%26b%3Dc&login_passwd=p%20ss%2F%3F%23%25%2B%C3%BC\
             &hardware_model=HW%201&firmware_model=1.0%2Bb HTTP/1.1\r\nHost: cloud.example:8080\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: KEY\r\n\r\n"
        );
    }

    #[test]
    fn scheme_decides_port_and_security() {
        let plain = login("ws://cloud.example/ivc", "a", "b");
        assert_eq!((plain.secure, plain.port), (false, 80));
        let secure = login("wss://[::1]/ivc", "a", "b");
        assert_eq!((secure.secure, secure.port, &*secure.host), (true, 443, "::1"));
    }

    #[test]
    fn a_redirect_keeps_the_account_and_never_weakens_the_connection() {
        let query = "login_code=a&login_passwd=canary&hardware_model=HW%201&firmware_model=1.0%2Bb";
        for (from, location, to, sent) in [
            ("ws://h/ivc", "/ivc2", "ws://h/ivc2", query.to_owned()),
            ("ws://h:81/a/ivc", "node2", "ws://h:81/a/node2", query.to_owned()),
            ("ws://h/ivc", "//other:82/ivc", "ws://other:82/ivc", query.to_owned()),
            ("ws://h/ivc", "http://other/ivc", "ws://other/ivc", query.to_owned()),
            ("ws://h/ivc", "https://h/ivc", "wss://h/ivc", query.to_owned()),
            ("ws://h/ivc", "HTTP://h:443/", "ws://h:443/", query.to_owned()),
            ("ws://h/ivc", "wss://[::1]:8443", "wss://[::1]:8443/", query.to_owned()),
            ("wss://h/ivc", "https://h2:443/x#y", "wss://h2/x", query.to_owned()),
            ("wss://h/ivc", "?node=2", "wss://h/ivc", format!("node=2&{query}")),
            (
                "ws://h/ivc",
                "/i?a=b&login_code=a&login_passwd=z",
                "ws://h/i",
                "a=b&login_code=a&login_passwd=z".to_owned(),
            ),
            ("ws://h/ivc", "/a b\r\nX: y", "ws://h/a%20bX:%20y", query.to_owned()),
        ] {
            let login = login(from, "a", "canary").redirected(location).unwrap();
            assert_eq!(login.to_string(), to, "{location}");
            assert_eq!(login.query.expose(), &sent, "{location}");
            assert_eq!(login.secure, to.starts_with("wss"), "{location}");
        }
        for (from, location, why) in [
            ("wss://h/ivc", "ws://h/ivc", "from wss to ws"),
            ("wss://h/ivc", "http://h/ivc", "from wss to ws"),
            ("ws://h/ivc", "ws://user@h/ivc", "a login in it"),
            ("ws://h/ivc", "ws://:canary@h/ivc", "a login in it"),
            ("ws://h/ivc", "ftp://h/ivc", "to ftp:, expected"),
            ("ws://h/ivc", "file:///etc/passwd", "to file:, expected"),
            ("ws://h/ivc", "javascript:canary", "to javascript:, expected"),
            ("ws://h/ivc", "ws://", "no address"),
            ("ws://h/ivc", "http://h:99999/", "no address"),
        ] {
            let problem = login(from, "a", "canary").redirected(location).unwrap_err();
            assert!(problem.contains(why) && !problem.contains("canary"), "{location}: {problem}");
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        let login = login("ws://cloud.example/ivc", "a", "canary");
        assert!(!format!("{login:?} {login}").contains("canary"));
    }
}
