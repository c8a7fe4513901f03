//! `backend = "rtsp"`: a camera known by its RTSP addresses and the address of its web server.

use std::path::Path;
use std::sync::Arc;

use ivt_base::secret::Secret;
use ivt_hal::rtsp::{Rtsp, UrlError};
use ivt_hal::{Channel, Credentials, Transport};
use ivt_media::rtsp::Patience;
use toml::de::DeValue;

use super::web::{self, Web};
use super::{Camera, CameraOptions, Described, RtspPolicy, login};
use crate::config::credentials::Login;
use crate::config::error::Error;
use crate::config::section::{PATH, Section, boolean, integer, seconds, text, word};

/// The longest waiting time that can be configured for a camera, in seconds.
const PATIENCE: u64 = 300;

const TRANSPORTS: &[(&str, Transport)] =
    &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// A camera with RTSP addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct RtspCamera {
    /// `main`, required: `rtsp://` or `rtsps://` address of the main stream.
    pub main: Secret,
    /// `sub`: address of the sub stream; default none, the main stream serves both.
    pub sub: Option<Secret>,
    /// `username`: default none, or what the addresses hold.
    pub username: Option<String>,
    /// `password`: default empty.
    pub password: Secret,
    /// `transport`: "auto", "tcp" or "udp"; default "auto", which is TCP, and UDP where the camera
    /// refuses TCP.
    pub transport: Transport,
    /// `describe_seconds`, `first_packet_seconds` and `silence_seconds`: how long the camera may take;
    /// defaults 15, 20 and 10.
    pub patience: Patience,
    /// `login_follows_redirects`: whether the login is also given to another host to which the
    /// camera redirects; default false.
    pub login_follows_redirects: bool,
    /// `web`: `http://HOST[:PORT]` of the camera's own web server, for single pictures and the hosted
    /// service; default none.
    pub web: Option<Web>,
}

impl RtspCamera {
    fn credentials(&self) -> Option<Credentials> {
        let username = self.username.clone()?;
        Some(Credentials { username, password: self.password.expose().clone() })
    }
}

impl Described for RtspCamera {
    fn has_sub(&self) -> bool {
        self.sub.is_some()
    }

    fn rtsp_policy(&self) -> RtspPolicy {
        let Self { patience, login_follows_redirects, .. } = *self;
        RtspPolicy { patience, login_follows_redirects }
    }

    fn web(&self) -> Option<&Web> {
        self.web.as_ref()
    }

    fn camera(&self, options: CameraOptions) -> Result<Camera, UrlError> {
        let sub = self.sub.as_ref().map(|sub| sub.expose().as_str());
        let rtsp = Rtsp::new(self.main.expose(), sub, self.credentials(), self.transport)?;
        let encoder = Arc::new(rtsp.with_bitrates(options.bitrates));
        let web =
            self.web.as_ref().map(|web| web.abilities(self.credentials(), options.reply_limit));
        let (snapshot, cgi) = web.unzip();
        Ok(Camera { channel: Channel { snapshot, ..Channel::new(encoder) }, cgi: cgi.flatten() })
    }
}

pub(super) fn read(
    section: &mut Section<'_, '_>,
    apart: Login,
    _base: &Path,
) -> Result<RtspCamera, Error> {
    let main = section.require("main", rtsp_url)?.into();
    let sub = section.read("sub", rtsp_url)?.map(Secret::from);
    let (username, password) = login::read(section, apart)?;
    Ok(RtspCamera {
        main,
        sub,
        username,
        password,
        transport: section.read("transport", word(TRANSPORTS))?.unwrap_or_default(),
        patience: patience(section)?,
        login_follows_redirects: section.read("login_follows_redirects", boolean)?.unwrap_or(false),
        web: web::read(section)?,
    })
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
    fn a_web_server_of_another_family_gives_pictures_alone() {
        let with_web = format!("{ADDRESS}web = 'http://h'\n");
        let both = camera(&with_web);
        assert!(both.cgi.is_some() && both.channel.snapshot.is_some());
        let pictures = camera(&format!("{with_web}web_cgi = false"));
        assert!(pictures.cgi.is_none() && pictures.channel.snapshot.is_some());
    }

    #[test]
    fn the_patience_for_its_streams_is_the_configured_one() {
        let usual = described(ADDRESS).described().rtsp_policy();
        assert_eq!(usual, RtspPolicy::default());
        let keys = "describe_seconds = 1\nsilence_seconds = 3\nlogin_follows_redirects = true";
        let policy = described(&format!("{ADDRESS}{keys}")).described().rtsp_policy();
        let Patience { describe, first_packet, silence } = policy.patience;
        assert_eq!([describe, first_packet, silence], [seconds(1), seconds(20), seconds(3)]);
        assert!(policy.login_follows_redirects);
    }

    #[test]
    fn it_is_made_of_no_files() {
        assert!(described(ADDRESS).described().files().is_empty());
    }
}
