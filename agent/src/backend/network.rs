//! What cameras on the network have in common, whichever backends serve them: the keys `main`, `sub`,
//! `username`, `password`, `transport`, `describe_seconds` and its neighbours, `login_follows_redirects`, `web`.

use std::sync::Arc;

use ivt_base::secret::Secret;
use ivt_hal::rtsp::{Rtsp, UrlError};
use ivt_hal::{Bitrates, Credentials, Encoder, Transport};
use ivt_media::rtsp::Patience;
use toml::de::DeValue;

use super::login;
use super::web::{self, Web};
use crate::config::credentials::Login;
use crate::config::error::Error;
use crate::config::section::{PATH, Section, boolean, integer, seconds, text, word};

/// The longest waiting time that can be configured for a camera, in seconds.
const PATIENCE: u64 = 300;

/// Most inputs of an NVR.
const INPUTS: u64 = 256;

const TRANSPORTS: &[(&str, Transport)] =
    &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// A camera on the network. For a channel without one, nothing is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// `main`, required by "rtsp": `rtsp://` or `rtsps://` address of the main stream, in the place of the one
    /// that another backend knows.
    pub main: Option<Secret>,
    /// `sub`: address of the sub stream, likewise; default none. Where no backend knows one, the main stream
    /// serves both.
    pub sub: Option<Secret>,
    /// `username`: default none, or what the addresses hold.
    pub username: Option<String>,
    /// `password`: default empty.
    pub password: Secret,
    /// `transport`: "auto", "tcp" or "udp"; default "auto", which is TCP, and UDP where the camera refuses TCP.
    pub transport: Transport,
    /// `describe_seconds`, `first_packet_seconds`, `silence_seconds` and `login_follows_redirects`.
    pub policy: RtspPolicy,
    /// `web`: `http://HOST[:PORT]` of the camera's own web server; default none. Required by "cgi".
    pub web: Option<Web>,
    /// `input`: number of the camera behind an NVR, from 1, the default; for "cgi" and "onvif".
    pub input: u16,
}

/// How RTSP streams are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtspPolicy {
    /// How long the camera may take; defaults 15 s to describe, 20 s to the first packet, 10 s of silence.
    pub patience: Patience,
    /// Whether the camera's login is also given to another host to which the camera redirects; default false.
    pub login_follows_redirects: bool,
}

impl Network {
    /// Reads the keys for a channel of backends with these words.
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        apart: Login,
        words: &[&str],
    ) -> Result<Self, Error> {
        if words == ["emulator"] {
            return login::refuse(section, apart, "an emulator").map(|()| Self::default());
        }
        let main = match words.contains(&"rtsp") {
            true => Some(section.require("main", rtsp_url)?),
            false => section.insist("main", rtsp_url)?,
        };
        let sub = section.read("sub", rtsp_url)?.map(Secret::from);
        let (username, password) = login::read(section, apart)?;
        Ok(Self {
            main: main.map(Secret::from),
            sub,
            username,
            password,
            transport: section.read("transport", word(TRANSPORTS))?.unwrap_or_default(),
            policy: RtspPolicy {
                patience: patience(section)?,
                login_follows_redirects: section
                    .read("login_follows_redirects", boolean)?
                    .unwrap_or(false),
            },
            web: web::read(section, words)?,
            input: match words.contains(&"cgi") || words.contains(&"onvif") {
                true => section.read("input", integer(1..=INPUTS))?.map_or(1, |n| n as u16),
                false => 1,
            },
        })
    }

    /// The camera's login.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let username = self.username.clone()?;
        Some(Credentials { username, password: self.password.expose().clone() })
    }

    /// The streams at the configured addresses.
    pub(super) fn streams(&self, bitrates: Bitrates) -> Result<Arc<dyn Encoder>, UrlError> {
        Ok(Arc::new(self.rtsp(bitrates)?))
    }

    pub(super) fn rtsp(&self, bitrates: Bitrates) -> Result<Rtsp, UrlError> {
        let [main, sub] = [&self.main, &self.sub].map(|url| url.as_ref().map(|url| url.expose()));
        let first = main.or(sub).map_or("", |url| url);
        let sub = sub.map(String::as_str);
        let rtsp = Rtsp::new(first, sub, self.credentials(), self.transport)?;
        Ok(rtsp.with_bitrates(bitrates))
    }
}

fn patience(section: &mut Section<'_, '_>) -> Result<Patience, Error> {
    let mut read = |key, usual| {
        let given = section.read(key, integer(1..=PATIENCE));
        given.map(|given| given.map_or(usual, seconds))
    };
    let usual = Patience::default();
    Ok(Patience {
        describe: read("describe_seconds", usual.describe)?,
        first_packet: read("first_packet_seconds", usual.first_packet)?,
        silence: read("silence_seconds", usual.silence)?,
    })
}

fn rtsp_url(value: &DeValue<'_>) -> Result<String, String> {
    const FORM: &str = "an address rtsp://HOST[:PORT]/PATH";
    let text = text(1..=PATH)(value)?;
    let none = None::<Credentials>;
    let checked = Rtsp::new(&text, None, none, Transport::default());
    checked.map_err(|e| format!("{FORM}: {e}"))?;
    // The address was parsed, so its scheme is valid, in upper or lower case.
    let encrypted = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtsps"));
    if encrypted && cfg!(not(feature = "tls")) {
        return Err(format!("{FORM}: this program is built without TLS"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use ivt_hal::{Source, Stream};

    use super::super::testing::{camera, described};
    use super::*;

    const ADDRESS: &str = "backend = 'rtsp'\nmain = 'rtsp://10.0.0.2/a'\n";

    #[tokio::test]
    async fn the_login_is_kept_apart_from_the_address() {
        let camera = camera(&format!(
            "{ADDRESS}username = 'u'\npassword = 'p'\ntransport = 'udp'\nbitrate = 2000000"
        ));
        let encoder = camera.channel.encoder;
        let Source::Rtsp(source) = encoder.source(Stream::Sub).await.unwrap() else {
            panic!("an RTSP source");
        };
        assert_eq!(source.url, "rtsp://10.0.0.2/a");
        assert!(source.transport == Transport::Udp);
        assert!(source.credentials.unwrap().password == "p");
        assert_eq!(encoder.bitrate(Stream::Main).await.unwrap(), Some(2_000_000));
        assert!(camera.channel.snapshot.is_none(), "RTSP alone takes no pictures");
        assert!(camera.cgi.is_none());
    }

    #[test]
    fn the_patience_for_its_streams_is_the_configured_one() {
        let usual = described(ADDRESS).rtsp_policy();
        assert_eq!(usual, RtspPolicy::default());
        let keys = "describe_seconds = 1\nsilence_seconds = 3\nlogin_follows_redirects = true";
        let policy = described(&format!("{ADDRESS}{keys}")).rtsp_policy();
        let Patience { describe, first_packet, silence } = policy.patience;
        assert_eq!([describe, first_packet, silence], [seconds(1), seconds(20), seconds(3)]);
        assert!(policy.login_follows_redirects);
    }

    #[test]
    fn it_is_made_of_no_files() {
        assert!(described(ADDRESS).files().is_empty());
    }
}
