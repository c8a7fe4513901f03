//! `[tlss]`: the hosted service.

use std::path::PathBuf;
use std::time::Duration;

use ivt_proto::tlss::sendable;
use toml::de::DeValue;

use super::error::Error;
use super::section::{NAME, Section, boolean, integer, list, path, seconds, text};

/// Longest name of a server, in bytes; DNS has no longer ones.
const HOST: usize = 253;
/// Brand and model of a device for which none is configured.
const UNNAMED: &str = "ivt";

/// Bytes of a reply's body that are allowed without a setting.
pub(super) const USUAL_REPLY: usize = 4 << 20;

/// The hosted service (TLSS), as the device's own page has it, and what its server may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlss {
    /// `server`, required: name or address.
    pub server: String,
    /// `port`, required.
    pub port: u16,
    /// `interval_minutes`: from one session to the next, 1 to 1440; default 60.
    pub interval: Duration,
    /// `tls`: the connection is encrypted; default false.
    pub tls: bool,
    /// `mac`: the hardware address by which the server knows the device; default that of its
    /// network hardware.
    pub mac: Option<[u8; 6]>,
    /// `brand`: told to the server, 1 to 64 printable ASCII characters other than `&` and `=`;
    /// default "ivt".
    pub brand: String,
    /// `model`: told to the server, in the form of `brand`; the default is `cloud.hardware_model`
    /// without the characters that cannot be sent.
    pub model: String,
    /// `profile`: TOML file of the commands that are allowed; default the built-in one.
    pub profile: Option<PathBuf>,
    /// `write`: groups of the profile's writing commands that are allowed; default none.
    pub write: Vec<String>,
    /// `reply_limit`: bytes of a reply's body; default 4 MiB.
    pub reply_limit: usize,
}

pub(super) fn tlss(
    mut section: Section<'_, '_>,
    hardware_model: &str,
) -> Result<Option<Tlss>, Error> {
    let enable = section.read("enable", boolean)?.unwrap_or(false);
    let server = section.read("server", text(1..=HOST))?;
    let port = section.read("port", integer(1..=65_535))?.and_then(|port| u16::try_from(port).ok());
    let interval = section.read("interval_minutes", integer(1..=1_440))?.unwrap_or(60);
    let (tls, mac) = (section.insist("tls", boolean)?, section.insist("mac", mac)?);
    let brand = section.read("brand", name)?;
    let model = section.read("model", name)?;
    let profile = path(&mut section, "profile")?;
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
        reply_limit: limit.map_or(USUAL_REPLY, |limit| limit as usize),
    }))
}

/// Reads a brand or a model.
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

/// The bytes of a hardware address that is written with or without separators.
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
