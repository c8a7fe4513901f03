//! A camera known only by its configured RTSP addresses.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::dial::{self, Unconnected};
use tokio::time::Instant;
use url::Url;

use crate::{
    Bitrates, Credentials, Encoder, Error, Kind, Result, RtspSource, Source, Stream, Transport,
};

/// How long a camera may take to accept a connection.
pub const REACH_TIMEOUT: Duration = Duration::from_secs(4);
const RTSP_PORT: u16 = 554;
const RTSPS_PORT: u16 = 322;

/// An encoder that is known by its RTSP addresses.
pub struct Rtsp {
    main: Url,
    sub: Option<Url>,
    credentials: Option<Credentials>,
    transport: Transport,
    bitrates: Bitrates,
}

/// Why a configured address cannot be used. The text never repeats the address, which may hold a
/// password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// The address is not a URL.
    #[error("not a URL: {0}")]
    Syntax(#[from] url::ParseError),
    /// The URL has another scheme than RTSP's. The text does not repeat it: without a scheme, it is a user name.
    #[error("expected the scheme \"rtsp\" or \"rtsps\", found another one")]
    Scheme(String),
    /// The URL names no host.
    #[error("no host in the address")]
    Host,
    /// A profile of a camera has the same addresses for every input.
    #[error(
        "input {input} of profile {profile:?}: its key rtsp.main names no {{input}}, so that input 1 would be shown and moved; \
             leave the channel's key \"input\" out, or write {{input}} in a copy of the profile"
    )]
    Input {
        /// The name of the profile, or its file.
        profile: String,
        /// The input that was asked for.
        input: u16,
    },
}

impl Rtsp {
    /// Takes `rtsp://` and `rtsps://` addresses. A user name and password inside `main` or `sub`
    /// are moved out of it; `credentials` win over them. Without `sub` the main stream serves both.
    ///
    /// # Errors
    /// An address is no URL, has another scheme, or names no host.
    pub fn new(
        main: &str,
        sub: Option<&str>,
        credentials: Option<Credentials>,
        transport: Transport,
    ) -> std::result::Result<Self, UrlError> {
        let (main, from_main) = split(main)?;
        let (sub, from_sub) = sub.map(split).transpose()?.unzip();
        let credentials = credentials.or(from_main).or(from_sub.flatten());
        Ok(Self { main, sub, credentials, transport, bitrates: Bitrates::default() })
    }

    /// Sets the bit rates that the encoder is set to, in bits per second, for cameras that cannot
    /// tell.
    #[must_use]
    pub fn with_bitrates(mut self, bitrates: Bitrates) -> Self {
        self.bitrates = bitrates;
        self
    }
}

#[async_trait]
impl Encoder for Rtsp {
    async fn source(&self, stream: Stream) -> Result<Source> {
        let url = match (stream, &self.sub) {
            (Stream::Sub, Some(sub)) => sub,
            _ => &self.main,
        };
        Ok(Source::Rtsp(RtspSource {
            url: url.to_string(),
            credentials: self.credentials.clone(),
            transport: self.transport,
        }))
    }

    async fn bitrate(&self, stream: Stream) -> Result<Option<u32>> {
        Ok(match (stream, &self.sub) {
            (Stream::Sub, Some(_)) => self.bitrates.sub,
            _ => self.bitrates.main,
        })
    }

    async fn reach(&self) -> Result<()> {
        const OP: &str = "encoder reach";
        let host = self.main.host_str().ok_or_else(|| Error::new(OP, Kind::Invalid))?;
        let host = host.trim_matches(['[', ']']);
        let port = self.main.port().unwrap_or(match self.main.scheme() {
            "rtsps" => RTSPS_PORT,
            _ => RTSP_PORT,
        });
        match dial::connect(host, port, Instant::now() + REACH_TIMEOUT, None).await {
            Ok(_) => Ok(()),
            Err(Unconnected::Connect(_, e)) if e.kind() == io::ErrorKind::TimedOut => {
                Err(Error::new(OP, Kind::Timeout))
            }
            Err(e) => Err(Error::new(OP, Kind::Offline).because(e)),
        }
    }
}

/// Splits an address into the address without a login, and the login inside it.
fn split(address: &str) -> std::result::Result<(Url, Option<Credentials>), UrlError> {
    let mut url = Url::parse(address)?;
    if !matches!(url.scheme(), "rtsp" | "rtsps") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UrlError::Host);
    }
    let decode = |s: &str| {
        url::form_urlencoded::parse(format!("v={}", s.replace('+', "%2B")).as_bytes())
            .next()
            .map_or_else(String::new, |(_, v)| v.into_owned())
    };
    let credentials = (!url.username().is_empty()).then(|| Credentials {
        username: decode(url.username()),
        password: decode(url.password().unwrap_or_default()),
    });
    // Neither call can fail: the URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    fn rtsp(main: &str, sub: Option<&str>) -> Rtsp {
        Rtsp::new(main, sub, None, Transport::Tcp).unwrap()
    }

    async fn address(camera: &Rtsp, stream: Stream) -> (String, Option<Credentials>) {
        match camera.source(stream).await.unwrap() {
            Source::Rtsp(s) => (s.url, s.credentials),
            _ => panic!("an RTSP encoder hands out RTSP addresses"),
        }
    }

    #[tokio::test]
    async fn passes_conformance() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        conformance::encoder(&rtsp(&format!("rtsp://{at}/main"), None)).await;
    }

    #[tokio::test]
    async fn an_encrypted_camera_passes_conformance_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        conformance::encoder(&rtsp(&format!("rtsps://{at}/main"), None)).await;
        let (url, credentials) = address(&rtsp("rtsps://u:p@cam/a", None), Stream::Main).await;
        assert_eq!((&*url, credentials.is_some()), ("rtsps://cam/a", true));
    }

    #[tokio::test]
    async fn a_closed_port_is_an_offline_camera() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        conformance::offline_encoder(&rtsp(&format!("rtsp://{at}/main"), None)).await;
    }

    #[tokio::test]
    async fn credentials_leave_the_address() {
        let camera = rtsp("rtsp://admin:p%40ss+%2f@10.0.0.2/ufirststream", None);
        let (url, credentials) = address(&camera, Stream::Main).await;
        assert_eq!(url, "rtsp://10.0.0.2/ufirststream");
        let credentials = credentials.unwrap();
        assert_eq!((&*credentials.username, &*credentials.password), ("admin", "p@ss+/"));
    }

    #[tokio::test]
    async fn without_a_sub_stream_the_main_one_serves() {
        let bitrates = Bitrates { main: Some(4_000_000), sub: None };
        let one = rtsp("rtsp://10.0.0.2/main", None).with_bitrates(bitrates);
        assert_eq!(address(&one, Stream::Sub).await.0, "rtsp://10.0.0.2/main");
        assert_eq!(one.bitrate(Stream::Sub).await.unwrap(), Some(4_000_000));
        let two = rtsp("rtsp://10.0.0.2/main", Some("rtsp://10.0.0.2/sub")).with_bitrates(bitrates);
        assert_eq!(address(&two, Stream::Sub).await.0, "rtsp://10.0.0.2/sub");
        assert_eq!(two.bitrate(Stream::Main).await.unwrap(), Some(4_000_000));
        assert_eq!(two.bitrate(Stream::Sub).await.unwrap(), None, "not that of the main stream");
    }

    #[test]
    fn other_addresses_are_refused_without_being_repeated() {
        for (address, want) in [
            ("http://10.0.0.2/", UrlError::Scheme("http".into())),
            ("10.0.0.2", UrlError::Syntax(url::ParseError::RelativeUrlWithoutBase)),
            ("rtsp:///stream", UrlError::Syntax(url::ParseError::EmptyHost)),
        ] {
            let got = Rtsp::new(address, None, None, Transport::Tcp).err();
            let got = got.unwrap_or_else(|| panic!("{address} must be refused"));
            assert!(got == want || got == UrlError::Host, "{address}: {got}");
        }
    }
}
