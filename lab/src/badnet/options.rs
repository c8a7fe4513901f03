//! The settings of a bad network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;

/// Longest name of a link or a line, in bytes.
const MOST_NAME: usize = 32;

/// The settings of a bad network.
#[derive(Clone, Debug)]
pub struct BadNetOptions {
    /// Everything is drawn from this.
    pub seed: u64,
    /// The ways through the network.
    pub links: Vec<LinkOptions>,
    /// The conditions of every line at the start.
    pub conditions: Conditions,
    /// Where each decision is written, as JSON lines.
    pub log: Option<PathBuf>,
    /// Most connections of all links together, and senders of UDP.
    pub connections: usize,
    /// Most bytes that are held for each connection and direction.
    pub buffer: usize,
}

impl Default for BadNetOptions {
    /// A seed that is drawn, no link, no fault, 64 connections of 256 KiB each way.
    fn default() -> Self {
        Self {
            seed: rand::random::<u32>().into(),
            links: Vec::new(),
            conditions: Conditions::default(),
            log: None,
            connections: 64,
            buffer: 256 << 10,
        }
    }
}

/// A way through the network. Written `[LINE/]NAME=[udp:]LISTEN,UPSTREAM`, such as
/// `cloud=127.0.0.1:9000,cloud.example.com:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    pub(super) name: String,
    pub(super) line: String,
    pub(super) transport: Transport,
    pub(super) listen: SocketAddr,
    pub(super) upstream: String,
}

/// What goes over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Connections of TCP.
    Tcp,
    /// Packets of UDP.
    Udp,
}

/// The error for settings of a link that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongLink {
    /// The parts are not there.
    #[error(
        "expected [LINE/]NAME=[udp:]LISTEN:PORT,UPSTREAM:PORT, such as cloud=127.0.0.1:9000,127.0.0.1:8080"
    )]
    Parts,
    /// A name that is none.
    #[error("`{0}` is no name: expected 1 to 32 letters, digits, - and _")]
    Name(String),
    /// An address where nothing can listen.
    #[error(
        "`{0}` is no address to listen at: expected ADDRESS:PORT, such as 127.0.0.1:9000 or [::1]:9000"
    )]
    Listen(String),
    /// An upstream that cannot be called.
    #[error(
        "`{0}` cannot be called: expected HOST:PORT, such as 127.0.0.1:8080 or cloud.example.com:443"
    )]
    Upstream(String),
    /// An upstream that is the link itself.
    #[error("`{0}` is where the link itself listens: it would call itself")]
    Itself(String),
}

impl LinkOptions {
    /// A link of TCP with a line of its own.
    ///
    /// # Errors
    /// When a name or an address is none.
    pub fn tcp(name: &str, listen: &str, upstream: &str) -> Result<Self, WrongLink> {
        Self::new(name, Transport::Tcp, listen, upstream)
    }

    /// A link of UDP with a line of its own.
    ///
    /// # Errors
    /// When a name or an address is none.
    pub fn udp(name: &str, listen: &str, upstream: &str) -> Result<Self, WrongLink> {
        Self::new(name, Transport::Udp, listen, upstream)
    }

    /// The same over this line, which other links may share.
    #[must_use]
    pub fn over(self, line: &str) -> Self {
        Self { line: line.to_owned(), ..self }
    }

    fn new(
        name: &str,
        transport: Transport,
        listen: &str,
        upstream: &str,
    ) -> Result<Self, WrongLink> {
        check_name(name)?;
        let listen: SocketAddr =
            listen.parse().map_err(|_| WrongLink::Listen(listen.to_owned()))?;
        let callable = upstream.rsplit_once(':').is_some_and(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let named = !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']);
            (named || bare.is_some_and(|host| host.contains(':')))
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !callable {
            return Err(WrongLink::Upstream(upstream.to_owned()));
        }
        if upstream.parse().is_ok_and(|upstream| is_itself(listen, upstream)) {
            return Err(WrongLink::Itself(upstream.to_owned()));
        }
        let (line, name) = (name.to_owned(), name.to_owned());
        Ok(Self { name, line, transport, listen, upstream: upstream.to_owned() })
    }
}

impl FromStr for LinkOptions {
    type Err = WrongLink;

    fn from_str(text: &str) -> Result<Self, WrongLink> {
        let (name, ways) = text.split_once('=').ok_or(WrongLink::Parts)?;
        let (listen, upstream) = ways.split_once(',').ok_or(WrongLink::Parts)?;
        let (line, name) = match name.split_once('/') {
            Some((line, name)) => (Some(line), name),
            None => (None, name),
        };
        let link = match listen.strip_prefix("udp:") {
            Some(listen) => Self::udp(name, listen, upstream)?,
            None => Self::tcp(name, listen, upstream)?,
        };
        match line {
            Some(line) => check_name(line).map(|()| link.over(line)),
            None => Ok(link),
        }
    }
}

/// Whether who calls `upstream` gets to `listen`.
fn is_itself(listen: SocketAddr, upstream: SocketAddr) -> bool {
    let here =
        listen.ip() == upstream.ip() || listen.ip().is_unspecified() && upstream.ip().is_loopback();
    here && listen.port() == upstream.port()
}

/// Checks that this names a link or a line.
pub(super) fn check_name(name: &str) -> Result<(), WrongLink> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (1..=MOST_NAME).contains(&name.len()) && name.bytes().all(known) {
        true => Ok(()),
        false => Err(WrongLink::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        let link: LinkOptions = "wan/cloud=127.0.0.1:9000,cloud.example.com:443".parse().unwrap();
        let tcp = LinkOptions::tcp("cloud", "127.0.0.1:9000", "cloud.example.com:443").unwrap();
        assert_eq!(link, tcp.over("wan"));
        let link: LinkOptions = "a=udp:[::1]:9,[::1]:10".parse().unwrap();
        assert_eq!(link, LinkOptions::udp("a", "[::1]:9", "[::1]:10").unwrap());
        assert_eq!(link.line, "a");
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        for (text, named) in [
            ("cloud", "expected [LINE/]NAME="),
            ("cloud=127.0.0.1:9000", "expected [LINE/]NAME="),
            ("=127.0.0.1:1,a:1", "`` is no name"),
            ("a b=127.0.0.1:1,a:1", "`a b` is no name"),
            ("/a=127.0.0.1:1,a:1", "`` is no name"),
            ("a=localhost:1,a:1", "`localhost:1` is no address"),
            ("a=127.0.0.1,a:1", "`127.0.0.1` is no address"),
            ("a=127.0.0.1:1,a", "`a` cannot be called"),
            ("a=127.0.0.1:1,:1", "`:1` cannot be called"),
            ("a=127.0.0.1:1,a:0", "`a:0` cannot be called"),
            ("a=127.0.0.1:1,127.0.0.1:1", "would call itself"),
            ("a=0.0.0.0:1,127.0.0.1:1", "would call itself"),
            ("a=127.0.0.1:1,::1:5", "`::1:5` cannot be called"),
            ("a=127.0.0.1:1,http://a:1", "`http://a:1` cannot be called"),
        ] {
            let error = text.parse::<LinkOptions>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
