//! A camera's own web server: the keys `web`, `snapshot` and `web_cgi` of any kind of camera.

use toml::de::DeValue;
use url::Url;

use crate::config::error::Error;
use crate::config::section::{PATH, Section, boolean, text};

/// The path of pictures on the web servers that know the commands of the hosted service.
pub(super) const SNAPSHOT: &str = "/nvc-cgi/operator/snapshot.fcgi";

/// A camera's own web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The host in `web`.
    pub host: String,
    /// The port in `web`; default 80.
    pub port: u16,
    /// `snapshot`: path of a picture, in the place of the one that another backend knows; default
    /// the path of the uapi family for "rtsp" alone, else none.
    pub snapshot: Option<String>,
    /// `web_cgi`: whether the web server takes the commands of the hosted service; default true for "rtsp" alone
    /// and for "cgi" with a profile that says so, else false. With false the agent answers them, since the web
    /// server is of another family.
    pub cgi: Option<bool>,
}

/// Reads the keys for a channel of backends with these words.
pub(super) fn read(section: &mut Section<'_, '_>, words: &[&str]) -> Result<Option<Web>, Error> {
    let address = match words.contains(&"cgi") {
        true => Some(section.require("web", http_url)?),
        false => section.read("web", http_url)?,
    };
    let snapshot = section.read("snapshot", snapshot_path)?;
    let cgi = section.read("web_cgi", boolean)?;
    let Some((host, port)) = address else {
        if let Some(key) = snapshot.map(|_| "snapshot").or(cgi.map(|_| "web_cgi")) {
            let needs = section.error(format!("channel.{key} needs channel.web"));
            section.pass(needs, "it is left out")?;
        }
        return Ok(None);
    };
    Ok(Some(Web { host, port, snapshot, cgi }))
}

fn http_url(value: &DeValue<'_>) -> Result<(String, u16), String> {
    const FORM: &str = "http://HOST[:PORT]";
    let text = text(1..=PATH)(value)?;
    let url = Url::parse(&text).map_err(|e| format!("{FORM}: {e}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) if bare && url.query().is_none() => {
            Ok((host.to_owned(), port))
        }
        _ => Err(format!("{FORM} without path and login, which have keys of their own")),
    }
}

fn snapshot_path(value: &DeValue<'_>) -> Result<String, String> {
    let path = text(1..=PATH)(value)?;
    match path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(path),
        false => Err("a path that begins with /".into()),
    }
}
