//! Addresses of services and stores, as the cloud gave them. What is signed must not be rewritten, so
//! path and query keep their bytes.

use std::fmt::Write as _;

use ivt_base::text::shorten;
use url::Url;

/// Longest address of a store, in bytes.
pub(crate) const LONGEST_URI: usize = 8192;

/// An `http` or `https` address without a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The address as it was given.
    text: String,
    /// Where path and query begin in `text`.
    path_at: usize,
    /// Scheme, host and port, as connections need them.
    origin: Url,
}

impl Address {
    /// Reads an address of at most `longest` bytes. The error shows neither path nor query.
    ///
    /// # Errors
    ///
    /// What is wrong with the address.
    pub fn parse(text: &str, longest: usize) -> Result<Self, String> {
        if text.len() > longest {
            let length = text.len();
            return Err(format!("has {length} bytes: at most {longest} are taken"));
        }
        let no_url = |why: &str| format!("is no URL ({why}): expected http(s)://...");
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(no_url("it holds control characters"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| no_url("it has no scheme"))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {}
            other if other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err(format!("has scheme {:?}: expected http or https", shorten(other)));
            }
            _ => return Err(no_url("its scheme is none")),
        }
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains(['@', '\\']) {
            return Err("has a user name or password: expected http(s)://HOST...".into());
        }
        let path_at = scheme.len() + "://".len() + authority.len();
        // The library reads the host alone, since it rewrites what follows.
        let origin =
            Url::parse(&format!("{}/", &text[..path_at])).map_err(|e| no_url(&e.to_string()))?;
        Ok(Self { text: text.to_owned(), path_at, origin })
    }

    /// The part of the address that a log may show: no query.
    pub fn place(&self) -> String {
        shorten(&format!("{}{}", self.origin.origin().ascii_serialization(), self.path()))
    }

    /// The path as it was given.
    pub fn path(&self) -> &str {
        let behind = &self.text[self.path_at..];
        &behind[..behind.find(['?', '#']).unwrap_or(behind.len())]
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.origin.scheme() == "https"
    }

    /// The name or the address of the host, without brackets.
    pub fn host(&self) -> &str {
        self.origin.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port, also where the address does not name it.
    pub fn port(&self) -> u16 {
        self.origin.port_or_known_default().unwrap_or_default()
    }

    /// The `Host` of a request: the port only where it is not that of the scheme.
    pub(super) fn authority(&self) -> String {
        let host = self.origin.host_str().unwrap_or_default();
        self.origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Scheme, host and port: addresses that share them can share a connection.
    pub(super) fn origin(&self) -> &Url {
        &self.origin
    }

    /// Path and query as they were given. Only what no request line can hold is percent-encoded.
    pub(super) fn target(&self) -> String {
        let behind = self.text[self.path_at..].split('#').next().unwrap_or_default();
        let mut target = String::with_capacity(behind.len() + 1);
        if !behind.starts_with('/') {
            target.push('/');
        }
        let mut in_query = false;
        for c in behind.chars() {
            in_query |= c == '?';
            match c {
                ' ' | '<' | '>' => write!(target, "%{:02X}", u32::from(c)).unwrap_or_default(),
                '"' if in_query => target.push_str("%22"),
                '`' if !in_query => target.push_str("%60"),
                c => target.push(c),
            }
        }
        target
    }

    /// The address whose path ends with `suffix` in addition. The query is the same.
    ///
    /// # Errors
    /// The address names no file, or the other one would be too long.
    #[cfg(feature = "update")]
    pub fn beside(&self, suffix: &str) -> Result<Self, String> {
        if self.path().ends_with('/') || self.path().is_empty() {
            return Err("names no file".into());
        }
        let (before, behind) = self.text.split_at(self.path_at + self.path().len());
        let behind = behind.split('#').next().unwrap_or_default();
        Self::parse(&format!("{before}{suffix}{behind}"), LONGEST_URI)
    }

    /// The address that a `Location` in an answer from here names.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it is no address, or less safe than this one.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.trim();
        let (here, path) = (&self.text[..self.path_at], self.path());
        let path = if path.is_empty() { "/" } else { path };
        let text = match location.split(['/', '?', '#']).next() {
            _ if location.is_empty() => return Err("is empty".into()),
            Some(scheme) if scheme.contains(':') => location.to_owned(),
            _ if location.starts_with("//") => format!("{}:{location}", self.origin.scheme()),
            _ if location.starts_with('/') => format!("{here}{location}"),
            _ if location.starts_with(['?', '#']) => format!("{here}{path}{location}"),
            _ => {
                let (mut folder, mut name) =
                    (path.rsplit_once('/').map_or("", |it| it.0), location);
                loop {
                    if let Some(rest) = name.strip_prefix("./") {
                        name = rest;
                    } else if let Some(rest) = name.strip_prefix("../") {
                        (folder, name) = (folder.rsplit_once('/').map_or("", |it| it.0), rest);
                    } else {
                        break format!("{here}{folder}/{name}");
                    }
                }
            }
        };
        let to = Self::parse(&text, LONGEST_URI)?;
        match self.is_encrypted() && !to.is_encrypted() {
            true => Err("leads from https to http".into()),
            false => Ok(to),
        }
    }
}

impl AsRef<str> for Address {
    /// The address as it was given.
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, LONGEST_URI).unwrap_or_else(|e| panic!("{text} {e}"))
    }

    #[cfg(feature = "update")]
    #[test]
    fn a_file_beside_another_has_the_same_query() {
        for (from, beside) in [
            ("http://h/a.img", "http://h/a.img.sig"),
            ("https://h:1/x/a?sign=b/c&d=?", "https://h:1/x/a.sig?sign=b/c&d=?"),
            ("http://h/a#b?c", "http://h/a.sig"),
            ("http://h/a%20b;v=1", "http://h/a%20b;v=1.sig"),
        ] {
            assert_eq!(address(from).beside(".sig").unwrap().as_ref(), beside);
        }
        // The host must not become another one.
        for none in ["http://h", "http://h?x", "http://h/", "http://h/x/?y", "http://h#/x"] {
            assert!(address(none).beside(".sig").is_err(), "{none}");
        }
        let long = address(&format!("http://h/{}", "x".repeat(LONGEST_URI - 10)));
        assert!(long.beside(".sig").is_err());
    }

    #[test]
    fn what_is_behind_the_host_keeps_its_bytes() {
        for target in [
            "/a'b|c^d{e}f;g+h",
            "/%2f%2F//x/../y/./z",
            "/x?",
            "/x?sign=a'b|c^d{e}`+%2f%2F;&&=?/\\[]~!*()$,:@",
            "//twice?x",
            "/;v=1",
            "/\\\"",
            "/é?ü",
        ] {
            for origin in ["http://h", "HTTPS://H:8443", "http://[::1]:81"] {
                assert_eq!(address(&format!("{origin}{target}")).target(), target);
            }
        }
        for (text, target) in [
            ("http://h", "/"),
            ("http://h?a=b", "/?a=b"),
            ("http://h/x#fragment?y", "/x"),
            (" http://h/a b<c>`?\"d\"` \r\n", "/a%20b%3Cc%3E%60?%22d%22`"),
        ] {
            assert_eq!(address(text).target(), target, "{text}");
        }
    }

    #[test]
    fn the_host_is_named_as_in_the_address() {
        for (text, host, port, authority) in [
            ("http://Store.Example/x", "store.example", 80, "store.example"),
            ("https://h:443/x", "h", 443, "h"),
            ("https://h:80/x", "h", 80, "h:80"),
            ("http://[::1]:81?x", "::1", 81, "[::1]:81"),
            ("http://0x7f.1:81/", "127.0.0.1", 81, "127.0.0.1:81"),
        ] {
            let read = address(text);
            assert_eq!((read.host(), read.port(), &*read.authority()), (host, port, authority));
        }
    }

    #[test]
    fn what_a_library_would_read_as_another_host_is_refused() {
        for text in [
            "http:h/x",
            "http:/h/x",
            "http:////h/x",
            "http:\\\\h\\x",
            "http://good\\@evil/x",
            "http://evil\\.good/x",
            "http://user:secret@h/x",
            "http://@h/x",
            "http://h\t/x",
            "http://h/\r\nHost: evil",
            "http://h:99999/",
            "sign=secret://x",
        ] {
            let error = Address::parse(text, LONGEST_URI).err().unwrap_or_else(|| panic!("{text}"));
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_location_leads_on_from_where_it_was_given() {
        let from = address("http://h:81/a/b/c?sign=1");
        for (location, to) in [
            ("http://o/x|y?'", "http://o/x|y?'"),
            ("https://o/x", "https://o/x"),
            ("//o:82/x", "http://o:82/x"),
            ("/x?y", "http://h:81/x?y"),
            ("?y", "http://h:81/a/b/c?y"),
            ("x", "http://h:81/a/b/x"),
            ("./x:y?u=http://z/", "http://h:81/a/b/x:y?u=http://z/"),
            ("../../../x", "http://h:81/x"),
        ] {
            assert_eq!(from.join(location).map(|to| to.text), Ok(to.to_owned()), "{location}");
        }
        let safe = address("https://h/a");
        assert!(safe.join("https://o/x").is_ok() && safe.join("/x").is_ok());
        for location in ["http://h/a", "HTTP://h/a", "ftp://h/a", "file:///x", "", "http://u@h/"] {
            assert!(safe.join(location).is_err(), "{location}");
        }
        assert_eq!(address("http://h").join("x").map(|to| to.text), Ok("http://h/x".into()));
    }

    #[test]
    fn no_text_shows_a_query() {
        let place = address("https://h:8443/a/b?sign=secret#secret").place();
        assert_eq!(place, "https://h:8443/a/b");
    }
}
