//! `backend = "onvif"`: a camera with ONVIF.

use std::sync::Arc;

use ivt_hal::Channel;
use ivt_hal::onvif::{DEVICE_PATH, Onvif, Options};
use ivt_hal::rtsp::UrlError;
use toml::de::DeValue;
use url::Url;

use super::readdressed::readdressed;
use super::{CameraOptions, Network};
use crate::config::error::Error;
use crate::config::section::{PATH, Section, text};

/// Where a camera's ONVIF device service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnvifCamera {
    /// The host in `onvif`, without brackets; default that of `web`.
    pub host: String,
    /// The port in `onvif`; default 80, or that of `web` where `onvif` is left out.
    pub port: u16,
    /// The path in `onvif`; default "/onvif/device_service".
    pub path: String,
}

impl OnvifCamera {
    pub(super) fn channel(
        &self,
        network: &Network,
        options: CameraOptions<'_>,
    ) -> Result<Channel, UrlError> {
        let channel = self.client(network, options).channel();
        let encoder = readdressed(channel.encoder.clone(), network, options.bitrates)?;
        Ok(Channel { encoder, ..channel })
    }

    /// The ONVIF client of the camera.
    pub(crate) fn client(&self, network: &Network, options: CameraOptions<'_>) -> Arc<Onvif> {
        let login = network.credentials();
        let http = options.servers.client(&self.host, self.port, login.clone());
        let options = Options {
            transport: network.transport,
            bitrates: options.bitrates,
            input: network.input,
        };
        Onvif::new(http, &self.path, login, options)
    }
}

pub(super) fn read(section: &mut Section<'_, '_>, network: &Network) -> Result<OnvifCamera, Error> {
    if let Some(camera) =
        section.insist("onvif", |value: &DeValue<'_>| address(&text(1..=PATH)(value)?))?
    {
        return Ok(camera);
    }
    let web = network.web.as_ref().ok_or_else(|| section.missing("onvif"))?;
    let host = web.host.trim_matches(['[', ']']).to_owned();
    Ok(OnvifCamera { host, port: web.port, path: DEVICE_PATH.to_owned() })
}

/// Reads `HOST[:PORT]` or `http://HOST[:PORT][/PATH]`. Errors do not repeat the text, which may hold a password.
///
/// # Errors
/// What is allowed.
pub(crate) fn address(text: &str) -> Result<OnvifCamera, String> {
    const FORM: &str = "http://HOST[:PORT][/PATH] or HOST[:PORT]";
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|e| format!("{FORM}: {e}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) if bare => {
            let path = if url.path() == "/" { DEVICE_PATH } else { url.path() };
            let host = host.trim_matches(['[', ']']).to_owned();
            Ok(OnvifCamera { host, port, path: path.to_owned() })
        }
        _ => Err(format!("{FORM} without login, which has keys of its own")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{camera, described, refused};
    use super::*;

    #[test]
    fn the_device_service_is_named_or_is_at_the_web_server() {
        let servers = |keys: &str| {
            let backend = described(&format!("backend = 'onvif'\n{keys}"));
            let servers = backend.web_servers().map(|(host, port)| (host.to_owned(), port));
            servers.collect::<Vec<_>>()
        };
        let at = |host: &str, port| (host.to_owned(), port);
        assert_eq!(servers("onvif = '192.0.2.1'"), [at("192.0.2.1", 80)]);
        assert_eq!(servers("onvif = 'http://[::1]:8000/x'"), [at("::1", 8000)]);
        assert_eq!(servers("web = 'http://cam:81'"), [at("cam", 81), at("cam", 81)]);
        assert_eq!(address("cam:8000").unwrap().path, DEVICE_PATH);
        assert_eq!(address("http://cam/svc").unwrap().path, "/svc");
    }

    #[test]
    fn only_addresses_without_a_login_are_taken() {
        for (keys, want) in [
            ("", ":5: channel.onvif is missing"),
            ("onvif = 'https://h'", ":7: channel.onvif must be http://HOST"),
            ("onvif = 'http://u:canary@h/'", "without login"),
            ("onvif = 'u:canary@h'", "without login"),
            ("onvif = 'http://h/?a=canary'", "channel.onvif must be http://HOST"),
            ("onvif = 7", "channel.onvif must be a string"),
        ] {
            let error = refused(&format!("backend = 'onvif'\n{keys}"));
            assert!(error.contains(want) && !error.contains("canary"), "{keys}: {error}");
        }
    }

    #[test]
    fn a_web_server_beside_it_serves_the_hosted_service_where_that_is_said() {
        let web = "backend = 'onvif'\nweb = 'http://h'\n";
        assert!(camera(web).cgi.is_none());
        assert!(camera(&format!("{web}web_cgi = true")).cgi.is_some());
        assert!(camera("backend = 'onvif'\nonvif = 'h'").cgi.is_none());
    }

    #[cfg(feature = "profiles")]
    #[test]
    fn beside_a_profile_both_speak_to_one_server_by_one_client() {
        use super::super::{CameraOptions, Servers};

        let keys = "backend = ['onvif', 'cgi']\nweb = 'http://h'\nprofile = 'hikvision'\n\
                    username = 'u'\npassword = 'p'\n";
        let servers = Servers::default();
        let options = CameraOptions {
            bitrates: Default::default(),
            reply_limit: 1,
            number: 0,
            servers: &servers,
        };
        for _ in 0..2 {
            described(keys).camera(options).unwrap();
        }
        assert_eq!(servers.len(), 1);
        described(&format!("{keys}onvif = 'h:8000'")).camera(options).unwrap();
        assert_eq!(servers.len(), 2);
    }
}
