//! The keys of recordings, the hosted service and a camera's web server.

use std::path::Path;

use ivt_proto::tlss::sendable;
use toml::de::DeValue;
use url::Url;

use super::parse::{NAME, PATH, path, seconds};
use super::section::{Section, boolean, integer, list, text, word};
use super::{Error, Record, Spool, SpoolMode, Tlss, Web};

/// Longest name of a server that there can be.
const HOST: usize = 253;
/// Brand and model of a device that has none.
const UNNAMED: &str = "ivt";

pub(super) fn record(mut section: Section<'_, '_>, base: &Path) -> Result<Record, Error> {
    let modes = word(&[("overflow", SpoolMode::Overflow), ("always", SpoolMode::Always)]);
    let dir = section.read("spool_dir", text(1..=PATH))?.map(|dir| base.join(dir));
    let mode = section.read("spool", modes)?;
    let limit = section.read("spool_limit", integer(1 << 20..=1 << 40))?;
    if dir.is_none() && (mode.is_some() || limit.is_some()) {
        section.pass(section.error("a spool needs record.spool_dir"), "there is none")?;
    }
    let spool = dir.map(|dir| Spool {
        dir,
        mode: mode.unwrap_or(SpoolMode::Overflow),
        limit: limit.unwrap_or(1 << 30),
    });
    let patience = section.read("disconnect_seconds", integer(0..=86_400))?;
    let patience = patience.unwrap_or(if spool.is_some() { 0 } else { 600 });
    section.finish()?;
    Ok(Record { disconnect: (patience > 0).then(|| seconds(patience)), spool })
}

pub(super) fn tlss(
    mut section: Section<'_, '_>,
    hardware_model: &str,
    base: &Path,
) -> Result<Option<Tlss>, Error> {
    let enable = section.read("enable", boolean)?.unwrap_or(false);
    let server = section.read("server", text(1..=HOST))?;
    let port = section.read("port", integer(1..=65_535))?.and_then(|port| u16::try_from(port).ok());
    let interval = section.read("interval_minutes", integer(1..=1_440))?.unwrap_or(60);
    let (tls, mac) = (section.insist("tls", boolean)?, section.insist("mac", mac)?);
    let brand = section.read("brand", name)?;
    let model = section.read("model", name)?;
    let profile = path(&mut section, "profile", base)?;
    let write = section.read("write", list(|word| text(1..=NAME)(word)))?;
    let limit = section.read("reply_limit", integer(1 << 16..=1 << 26))?;
    if !enable {
        section.finish()?;
        return Ok(None);
    }
    let server = server.ok_or_else(|| section.missing("server"))?;
    let port = port.ok_or_else(|| section.missing("port"))?;
    section.finish()?;
    Ok(Some(Tlss {
        server,
        port,
        interval: seconds(interval * 60),
        tls: tls.unwrap_or(false),
        mac,
        brand: brand.unwrap_or_else(|| UNNAMED.into()),
        model: model.unwrap_or_else(|| match sendable(hardware_model).trim() {
            "" => UNNAMED.into(),
            model => model.to_owned(),
        }),
        profile,
        write: write.unwrap_or_default(),
        reply_limit: limit.unwrap_or(4 << 20) as usize,
    }))
}

pub(super) fn web(section: &mut Section<'_, '_>) -> Result<Option<Web>, Error> {
    let address = section.read("web", http_url)?;
    let snapshot = section.read("snapshot", snapshot_path)?;
    let cgi = section.read("web_cgi", boolean)?;
    let Some((host, port)) = address else {
        if let Some(key) = snapshot.map(|_| "snapshot").or(cgi.map(|_| "web_cgi")) {
            let needs = section.error(format!("channel.{key} needs channel.web"));
            section.pass(needs, "it is left out")?;
        }
        return Ok(None);
    };
    let snapshot = snapshot.unwrap_or_else(|| "/nvc-cgi/operator/snapshot.fcgi".into());
    Ok(Some(Web { host, port, snapshot, cgi: cgi.unwrap_or(true) }))
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

/// A brand or a model.
fn name(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(1..=NAME)(value)?;
    match sendable(&text) == text {
        true => Ok(text),
        false => Err("1 to 64 printable ASCII characters other than & and =".into()),
    }
}

fn mac(value: &DeValue<'_>) -> Result<[u8; 6], String> {
    let text = text(1..=NAME)(value)?;
    parse_mac(&text).ok_or_else(|| "12 hexadecimal digits, e.g. \"00:13:23:A0:07:AD\"".into())
}

/// A hardware address with or without separators.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-'))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
    (digits.len() == 12).then(|| bytes.try_into().ok())?
}
