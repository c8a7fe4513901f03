//! `[web]`: the device's page.

mod listen;

use std::path::PathBuf;

use ivt_base::secret::Secret;
use toml::de::DeValue;

use super::credentials::{CredentialsFile, twice};
use super::error::Error;
use super::section::{NAME, PATH, Section, boolean, list, path, text, word};

pub use listen::{Listen, Place};

/// The file that a button makes, unless the configuration names another one.
const RESET: &str = "/data/ivt/reset";
/// Longest name of a host, in bytes.
const HOST: usize = 253;

/// The device's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// `listen`: where the page is found; default `lan:80`.
    pub listen: Listen,
    /// `hosts`: further names and addresses by which browsers may call the device, such as that of a gateway which
    /// forwards a port; default none.
    pub hosts: Vec<String>,
    /// `https`, "on" or "off": the page is served encrypted, and a browser that comes without is sent there; default
    /// off.
    pub https: bool,
    /// `https_certificate` and `https_key`: PEM files of the certificate, with those that it is signed by, and of its
    /// key; by default the device makes its own.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `first_password`: opens the device until somebody has chosen a password; without it a new device belongs to
    /// who claims it. May stand in the credentials file.
    pub first_password: Option<Secret>,
    /// `metrics`: counts are exposed at `/metrics`, to everyone who reaches the page; default false.
    pub metrics: bool,
    /// `reset_file`: when this file appears, the device forgets its owner and its secrets; default `/data/ivt/reset`.
    pub reset_file: PathBuf,
}

/// Reads the section; `None` while `enable` is false.
pub(super) fn web(
    mut section: Section<'_, '_>,
    apart: &mut CredentialsFile,
) -> Result<Option<Web>, Error> {
    let is_on = section.read("enable", boolean)?.unwrap_or(false);
    let metrics = section.read("metrics", boolean)?.unwrap_or(false);
    let listen = section.read("listen", |value| text(1..=PATH)(value)?.parse())?;
    let hosts = section.read("hosts", list(host))?.unwrap_or_default();
    let https = section.insist("https", word(&[("off", false), ("on", true)]))?.unwrap_or(false);
    let certificate = path(&mut section, "https_certificate")?;
    let key = path(&mut section, "https_key")?;
    let first = section.insist("first_password", text(1..=NAME))?;
    let other = apart.first_password.take();
    if first.is_some() && other.is_some() {
        return Err(twice(&section, "first_password"));
    }
    let reset_file = path(&mut section, "reset_file")?;
    let certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(section.missing("https_key")),
        (None, Some(_)) => return Err(section.missing("https_certificate")),
    };
    section.finish()?;
    Ok(is_on.then(|| Web {
        listen: listen.unwrap_or_default(),
        hosts,
        https,
        certificate,
        first_password: first.or(other).map(Secret::untold),
        metrics,
        reset_file: reset_file.unwrap_or_else(|| RESET.into()),
    }))
}

fn host(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(1..=HOST)(value)?;
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:[]".contains(c));
    let bare = name.trim_matches(['[', ']']);
    match is_bare && (!bare.contains(':') || bare.parse::<std::net::Ipv6Addr>().is_ok()) {
        true => Ok(bare.to_ascii_lowercase()),
        false => Err("names or addresses without a port, such as \"camera.example.com\"".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(keys: &str) -> Result<Web, String> {
        let read = format!("[web]\nenable = true\n{keys}").parse::<Config>();
        read.map(|config| config.web.unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_page_is_found_in_the_lan_unless_the_configuration_says_otherwise() {
        let web = read("").unwrap();
        assert_eq!(
            (web.listen.to_string(), web.https, web.certificate),
            ("lan:80".into(), false, None)
        );
        assert_eq!(web.reset_file, Path::new("/data/ivt/reset"));
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        for (key, other) in [("https_certificate", "https_key"), ("https_key", "https_certificate")]
        {
            let error = read(&format!("{key} = 'a'")).unwrap_err();
            assert!(error.contains(&format!("web.{other} is missing")), "{error}");
        }
        let web = read("https = 'on'\nhttps_certificate = 'a'\nhttps_key = 'b'").unwrap();
        assert!(web.https && web.certificate == Some(("a".into(), "b".into())));
        assert!(read("https = true").is_err());
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let web = read("hosts = ['Gate.example.com', '192.0.2.1', '[2001:db8::1]', 'fd00::1']");
        let wanted = ["gate.example.com", "192.0.2.1", "2001:db8::1", "fd00::1"];
        assert_eq!(web.unwrap().hosts, wanted);
        for wrong in ["", "a b", "http://a", "a:80", "*", "a/"] {
            assert!(read(&format!("hosts = ['{wrong}']")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_first_password_may_stand_apart_and_is_never_printed() {
        let web = read("first_password = 'printed on 1abel'").unwrap();
        assert!(!format!("{web:?}").contains("1abel"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ivt.toml");
        let apart = folder.path().join("secrets.toml");
        std::fs::write(&apart, "[web]\nfirst_password = 'printed on 1abel'\n").unwrap();
        let load = |rest: &str| {
            let text = format!("credentials = 'secrets.toml'\n[web]\nenable = true\n{rest}");
            std::fs::write(&file, text).unwrap();
            Config::load(&file, crate::config::Access::Any)
        };
        let web = load("").unwrap().web.unwrap();
        assert_eq!(web.first_password.unwrap().expose(), "printed on 1abel");
        let error = load("first_password = 'x'").unwrap_err().to_string();
        assert!(error.contains("keep one of them"), "{error}");
    }
}
