//! Addresses to publish to: `rtmp://host[:port]/app[/more]/key[?query]`.

use std::fmt;

use url::{Host, Url};

/// A parsed address. The application is the path up to its last `/`, the stream key is the rest
/// with the query, as SRS and nginx have it. `Display` and `Debug` leave the key out: who knows it
/// may publish.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// `rtmps`: TLS from the first byte.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 1935 for rtmp and 443 for rtmps where the address has none.
    pub port: u16,
    /// Application, for `connect`.
    pub app: String,
    /// Stream key with its query, for `publish`.
    pub key: String,
}

/// Why text is no address to publish to. Never quotes it: it may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The address is of another protocol, or of none.
    #[error("the URL must begin with rtmp:// or rtmps://")]
    Scheme,
    /// The address has no host, or a host or port that cannot be.
    #[error("the URL has no valid host and port")]
    Host,
    /// The address has a user name or a password.
    #[error("RTMP servers take no user name: put the token into the stream key")]
    Login,
    /// The path has fewer than two segments.
    #[error("the URL must name an application and a stream: rtmp://host/app/stream")]
    Path,
}

impl RtmpUrl {
    /// Parses an address. Application and key are taken byte for byte, without decoding.
    ///
    /// # Errors
    ///
    /// The text is not an `rtmp://` or `rtmps://` address with an application and a stream key.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(UrlError::Scheme),
        };
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
        let parsed = Url::parse(&format!("rtmp://{authority}/")).map_err(|_| UrlError::Host)?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(UrlError::Login);
        }
        if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(UrlError::Host);
        }
        let host = match parsed.host().ok_or(UrlError::Host)? {
            Host::Domain("") => return Err(UrlError::Host),
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = parsed.port().unwrap_or(if tls { 443 } else { 1935 });
        let query_at = path.find('?').unwrap_or(path.len());
        let slash = path[..query_at].rfind('/').ok_or(UrlError::Path)?;
        let (app, key) = (path[..slash].trim_matches('/'), &path[slash + 1..]);
        if app.is_empty() || key.is_empty() || key.starts_with('?') {
            return Err(UrlError::Path);
        }
        Ok(Self { tls, host, port, app: app.to_owned(), key: key.to_owned() })
    }

    /// `host:port`, for messages about the peer.
    pub fn peer(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The address of the application, as `connect` says it.
    pub fn tc_url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        format!("{scheme}://{}/{}", self.peer(), self.app)
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.tc_url())
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, String) {
        let url = RtmpUrl::parse(text).unwrap();
        (url.peer(), url.app, url.key)
    }

    #[test]
    fn application_and_key_part_at_the_last_slash() {
        let row = |peer: &str, app: &str, key: &str| (peer.into(), app.into(), key.into());
        assert_eq!(parts("rtmp://h/live/x"), row("h:1935", "live", "x"));
        assert_eq!(parts("RTMPS://h/live/x"), row("h:443", "live", "x"));
        assert_eq!(parts("rtmps://h:80/live/x"), row("h:80", "live", "x"));
        assert_eq!(parts("rtmp://h:0443/live/x"), row("h:443", "live", "x"));
        assert_eq!(parts("rtmp://h:1/a/b/x?k=1/2&n=%20"), row("h:1", "a/b", "x?k=1/2&n=%20"));
        assert_eq!(parts("rtmp://[::1]:7/a/x"), row("[::1]:7", "a", "x"));
        assert_eq!(parts(" rtmp://10.0.0.1//a//x "), row("10.0.0.1:1935", "a", "x"));
    }

    #[test]
    fn what_cannot_be_published_to_is_refused() {
        for (text, want) in [
            ("http://h/a/x", UrlError::Scheme),
            ("h/a/x", UrlError::Scheme),
            ("rtmp://h", UrlError::Path),
            ("rtmp://h/a", UrlError::Path),
            ("rtmp://h/a/", UrlError::Path),
            ("rtmp://h/a/?k=1", UrlError::Path),
            ("rtmp://h//x", UrlError::Path),
            ("rtmp:///a/x", UrlError::Host),
            ("rtmp://h:99999/a/x", UrlError::Host),
            ("rtmp://h?q/a/x", UrlError::Host),
            ("rtmp://me:secret@h/a/x", UrlError::Login),
        ] {
            assert_eq!(RtmpUrl::parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn the_key_is_never_shown() {
        let url = RtmpUrl::parse("rtmp://h/live/secret?token=secret").unwrap();
        assert_eq!(format!("{url}"), "rtmp://h:1935/live/…");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
