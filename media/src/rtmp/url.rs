//! Addresses to publish to: `rtmp://[user:password@]host[:port]/app[/more]/key[?query]`, and the
//! forms that servers ask for beside it.

use std::fmt;

use ivt_base::auth::Credentials;
use url::{Host, Url};

/// Longest address of a redirect that is followed, in bytes.
const LONGEST_REDIRECT: usize = 2048;

/// A parsed address. `Display` and `Debug` leave out the login, the key and every query: who knows
/// them may publish.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// `rtmps`: TLS from the first byte.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 1935 for rtmp and 443 for rtmps where the address has none.
    pub port: u16,
    /// Login, for servers that ask for one.
    pub login: Option<Credentials>,
    /// Application, for `connect`; with its query where that stands before the stream key.
    pub app: String,
    /// Stream key with its query, for `publish`. Empty where the path has one segment only.
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
    /// The address ends with its host.
    #[error("the URL must name an application or a stream: rtmp://host/app/stream")]
    Path,
}

impl RtmpUrl {
    /// Parses an address. Application and key are taken byte for byte, without decoding. They part
    /// at the last `/` before the query, as SRS and nginx have it; where none is there, at the `/`
    /// behind it, as FMLE has it (`/live?vhost=v/stream`). A path of one segment is an application
    /// without a key, as ffmpeg has it and MediaMTX asks for it.
    ///
    /// # Errors
    ///
    /// The text is not an `rtmp://` or `rtmps://` address with a path or a query.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (server, path) = Self::server(text)?;
        if path.is_empty() {
            return Err(UrlError::Path);
        }
        let (app, key) = part(path);
        Ok(Self { app: app.to_owned(), key: key.to_owned(), ..server })
    }

    /// The address that a server of this one redirects to by `place`. `place` names an application
    /// and may name the stream; without a path it is the same application at another server. The
    /// login and, where `place` names no other, the key stay. `None` where `place` is no RTMP
    /// address, has a login of its own, or gives up TLS.
    pub fn redirected(&self, place: &str) -> Option<Self> {
        let place = Some(place).filter(|place| place.len() <= LONGEST_REDIRECT)?;
        let (server, path) = Self::server(place).ok()?;
        if server.login.is_some() || self.tls && !server.tls {
            return None;
        }
        let (app, key) = match path {
            "" => (self.app.as_str(), self.key.as_str()),
            path => match part(path) {
                (app, key) if without_query(key) == without_query(&self.key) => {
                    (app, if key.contains('?') { key } else { self.key.as_str() })
                }
                _ => (path.trim_end_matches('/'), self.key.as_str()),
            },
        };
        let (app, key, login) = (app.to_owned(), key.to_owned(), self.login.clone());
        Some(Self { app, key, login, ..server })
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
        format!("{}/{}", self.origin(), self.app)
    }

    /// What nobody else may read: the login, the key, every query and each value of a query.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let login = self.login.iter().flat_map(|l| [l.password.as_str(), l.username.as_str()]);
        let name = if self.key.is_empty() { without_query(&self.app) } else { &self.key };
        let queries = [&self.app, &self.key].into_iter().filter_map(|text| text.split_once('?'));
        let parts = queries.flat_map(|(_, query)| {
            let pairs = query.split(['&', '?']);
            let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
            [query].into_iter().chain(values)
        });
        [name].into_iter().chain(login).chain(parts)
    }

    /// Everything but application and key, and the path with its query.
    fn server(text: &str) -> Result<(Self, &str), UrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(UrlError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let parsed = Url::parse(&format!("rtmp://{authority}/")).map_err(|_| UrlError::Host)?;
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
        let (username, password) = (decoded(parsed.username()), parsed.password().map(decoded));
        let login = (!username.is_empty() || password.is_some())
            .then(|| Credentials { username, password: password.unwrap_or_default() });
        let server = Self { tls, host, port, login, app: String::new(), key: String::new() };
        Ok((server, path.trim_start_matches('/')))
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "rtmps" } else { "rtmp" }, self.peer())
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = without_query(&self.app);
        match self.key.is_empty() || app.is_empty() {
            true => write!(f, "{}/…", self.origin()),
            false => write!(f, "{}/{app}/…", self.origin()),
        }
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({self})")
    }
}

/// Application and key of a path that does not begin with `/`.
fn part(path: &str) -> (&str, &str) {
    let query = path.find('?').unwrap_or(path.len());
    let slash = path[..query].rfind('/').or_else(|| {
        let rest = path.get(query + 1..)?;
        let end = rest.find('?').map_or(path.len(), |at| query + 1 + at);
        let slash = path[..end].rfind('/')?;
        // A value of the query may hold a slash, a stream's name holds no pair.
        (!path[slash..end].contains(['=', '&'])).then_some(slash)
    });
    match slash {
        Some(slash) => (path[..slash].trim_end_matches('/'), &path[slash + 1..]),
        None => (path, ""),
    }
}

fn without_query(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
}

/// A user name or password without its percent escapes. What is no escape stays.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let digits = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let escaped = digits.and_then(|digits| str::from_utf8(digits).ok());
        let escaped = escaped.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    fn a_query_may_come_first_and_the_key_may_be_missing() {
        for (text, app, key) in [
            ("rtmp://h/live?vhost=v&token=t/stream", "live?vhost=v&token=t", "stream"),
            ("rtmp://h/live?vhost=v/stream?token=a/b", "live?vhost=v", "stream?token=a/b"),
            ("rtmp://h/stream?user=a&pass=b", "stream?user=a&pass=b", ""),
            ("rtmp://h/stream?sign=a/b==", "stream?sign=a/b==", ""),
            ("rtmp://h/stream?sign=a/b&user=c", "stream?sign=a/b&user=c", ""),
            ("rtmp://h/stream", "stream", ""),
            ("rtmp://h/stream/", "stream", ""),
            ("rtmp://h//stream", "stream", ""),
            ("rtmp://h/?token=t", "?token=t", ""),
            ("rtmp://h?token=t", "?token=t", ""),
            ("rtmp://h?q/a/x", "?q/a", "x"),
            ("rtmp://h/live/?token=t", "live", "?token=t"),
            ("rtmp://h/a/b/x?sign=a/b", "a/b", "x?sign=a/b"),
        ] {
            assert_eq!(parts(text), ("h:1935".into(), app.into(), key.into()), "{text}");
        }
        let url = RtmpUrl::parse("rtmp://h/live?vhost=v&token=secret/stream").unwrap();
        assert_eq!(url.tc_url(), "rtmp://h:1935/live?vhost=v&token=secret");
    }

    #[test]
    fn a_login_is_taken_and_never_shown() {
        let login = |text: &str| {
            let url = RtmpUrl::parse(text).unwrap();
            assert_eq!(url.peer(), "h:1935");
            assert!(!format!("{url} {url:?} {}", url.tc_url()).contains("secret"), "{text}");
            url.login.map(|login| (login.username, login.password))
        };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(login("rtmp://me:secret@h/a/x"), pair("me", "secret"));
        assert_eq!(
            login("rtmp://me%40home:secret%2F%25%zz%e4%bd%a0@h/a/x"),
            pair("me@home", "secret/%%zz你")
        );
        assert_eq!(login("rtmp://me:secret:2@h/a/x"), pair("me", "secret:2"));
        assert_eq!(login("rtmp://secret@h/a/x"), pair("secret", ""));
        assert_eq!(login("rtmp://h/a/x?mail=me@home"), None);
    }

    #[test]
    fn a_redirect_keeps_what_it_does_not_name() {
        let from = RtmpUrl::parse("rtmp://u:p@h/live/x?token=1").unwrap();
        let to = |place: &str| {
            let url = from.redirected(place)?;
            assert_eq!(url.login, from.login);
            Some((url.peer(), url.app, url.key))
        };
        let row = |peer: &str, app: &str, key: &str| Some((peer.into(), app.into(), key.into()));
        assert_eq!(to("rtmp://edge/live"), row("edge:1935", "live", "x?token=1"));
        assert_eq!(to("rtmps://edge/live/"), row("edge:443", "live", "x?token=1"));
        assert_eq!(to("rtmp://edge:1936"), row("edge:1936", "live", "x?token=1"));
        assert_eq!(to("rtmp://edge/live/x"), row("edge:1935", "live", "x?token=1"));
        assert_eq!(to("rtmp://edge/live/x?token=2"), row("edge:1935", "live", "x?token=2"));
        assert_eq!(to("rtmp://edge/live/inst"), row("edge:1935", "live/inst", "x?token=1"));
        assert_eq!(to("rtmp://edge/live?vhost=v"), row("edge:1935", "live?vhost=v", "x?token=1"));
        for place in ["http://edge/live", "//edge/live", "", "rtmp://", "rtmp://a:b@edge/live"] {
            assert_eq!(to(place), None, "{place}");
        }
        let secure = RtmpUrl::parse("rtmps://h/live/x").unwrap();
        assert!(secure.redirected("rtmp://edge/live").is_none(), "TLS is not given up");
        let alone = RtmpUrl::parse("rtmp://h/stream").unwrap().redirected("rtmp://edge/stream");
        assert_eq!(alone.map(|url| (url.app, url.key)), Some(("stream".into(), String::new())));
    }

    #[test]
    fn every_part_of_an_address_that_lets_publish_is_a_secret() {
        let secrets = |text: &str| {
            RtmpUrl::parse(text).unwrap().secrets().map(str::to_owned).collect::<Vec<_>>()
        };
        let all = secrets("rtmp://me:word@h/live?vhost=v&token=t/x?sign=s");
        for secret in ["me", "word", "vhost=v&token=t", "t", "x?sign=s", "sign=s", "s"] {
            assert!(all.iter().any(|one| one == secret), "{secret}: {all:?}");
        }
        assert!(secrets("rtmp://h/stream?user=a").contains(&"stream".to_owned()));
    }

    #[test]
    fn what_cannot_be_published_to_is_refused() {
        for (text, want) in [
            ("http://h/a/x", UrlError::Scheme),
            ("h/a/x", UrlError::Scheme),
            ("rtmp://h", UrlError::Path),
            ("rtmp://h/", UrlError::Path),
            ("rtmp://h//", UrlError::Path),
            ("rtmp://", UrlError::Host),
            ("rtmp://?k=1", UrlError::Host),
            ("rtmp:///a/x", UrlError::Host),
            ("rtmp://h:99999/a/x", UrlError::Host),
            ("rtmp://h#q/a/x", UrlError::Host),
            ("rtmp://me:secret@/a/x", UrlError::Host),
        ] {
            assert_eq!(RtmpUrl::parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn the_key_is_never_shown() {
        let url = RtmpUrl::parse("rtmp://h/live/secret?token=secret").unwrap();
        assert_eq!(format!("{url}"), "rtmp://h:1935/live/…");
        assert!(!format!("{url:?}").contains("secret"));
        for text in ["rtmp://h/secret", "rtmp://h/live?token=secret/x", "rtmp://h?token=secret"] {
            let url = RtmpUrl::parse(text).unwrap();
            assert!(!format!("{url} {url:?}").contains("secret"), "{url}");
        }
    }
}
