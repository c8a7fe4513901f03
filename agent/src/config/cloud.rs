//! `[cloud]`: whom to dial, and our login there.

use std::path::PathBuf;

use ivt_base::address_rule::AllowedHost;
use ivt_base::secret::Secret;
use toml::de::DeValue;
use url::Url;

use super::credentials::{CredentialsFile, one};
use super::error::Error;
use super::section::{NAME, PATH, Section, boolean, list, path, text};

/// Where the cloud is, and our login there.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// `url`: `ws://HOST[:PORT]/PATH` or `wss://…`, without user name and query.
    pub url: Url,
    /// `login_code`: the name the cloud gave this device.
    pub login_code: String,
    /// `login_passwd`: the password that goes with it.
    pub login_passwd: Secret,
}

/// The cloud and what is agreed with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// `url`, `login_code` and `login_passwd`, required unless the device has a page, where they can be entered
    /// later: `None` until then, and no cloud is dialled.
    pub account: Option<Account>,
    /// `hardware_model`: told to the cloud; default "ivt".
    pub hardware_model: String,
    /// `firmware_model`: told to the cloud; default the version of the agent.
    pub firmware_model: String,
    /// `ca_file`: PEM file of the only authorities to trust for `wss` and `rtmps`; default those
    /// of the system.
    pub ca_file: Option<PathBuf>,
    /// `stop_publish_on_disconnect`: live streams end with the connection to the cloud; default
    /// true.
    pub stop_publish_on_disconnect: bool,
    /// `accept_bare_answers`: an answer that has neither `resp` nor `err` is a success, for clouds
    /// that break the specification so; default false.
    pub accept_bare_answers: bool,
    /// `preview`: a picture of channel 0 goes to the cloud every 15 minutes where it asks for one; default false.
    pub preview: bool,
    /// `allow_hosts`: the only servers that the cloud may name besides its own host, for live streams,
    /// recordings and redirects: names, `*.DOMAIN`, addresses or networks. Addresses that are refused
    /// otherwise are allowed by it. Default empty: every server but this device, its link and the
    /// cameras' web servers.
    pub allow_hosts: Vec<AllowedHost>,
}

pub(super) fn cloud(
    mut section: Section<'_, '_>,
    apart: &mut CredentialsFile,
    has_page: bool,
) -> Result<Cloud, Error> {
    let account = account(&mut section, apart, has_page)?;
    let cloud = Cloud {
        account,
        hardware_model: section
            .read("hardware_model", text(1..=NAME))?
            .unwrap_or_else(|| "ivt".into()),
        firmware_model: section
            .read("firmware_model", text(1..=NAME))?
            .unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
        ca_file: path(&mut section, "ca_file")?,
        stop_publish_on_disconnect: section
            .read("stop_publish_on_disconnect", boolean)?
            .unwrap_or(true),
        accept_bare_answers: section.read("accept_bare_answers", boolean)?.unwrap_or(false),
        preview: section.read("preview", boolean)?.unwrap_or(false),
        allow_hosts: section.insist("allow_hosts", list(allowed_host))?.unwrap_or_default(),
    };
    section.finish()?;
    Ok(cloud)
}

/// Reads the account. Where the device `has_page`, all three keys of it may be missing; what the credentials file still
/// has of an account that was removed is nothing then.
fn account(
    section: &mut Section<'_, '_>,
    apart: &mut CredentialsFile,
    has_page: bool,
) -> Result<Option<Account>, Error> {
    let code = section.insist("login_code", text(1..=NAME))?;
    let passwd = section.insist("login_passwd", text(1..=NAME))?;
    let (other_code, other_passwd) = (apart.login_code.take(), apart.login_passwd.take());
    let url = section.insist("url", cloud_url)?;
    if has_page && url.is_none() && code.is_none() && passwd.is_none() {
        return Ok(None);
    }
    Ok(Some(Account {
        url: url.ok_or_else(|| section.missing("url"))?,
        login_code: one(section, "login_code", code, other_code)?,
        login_passwd: one(section, "login_passwd", passwd, other_passwd)?.into(),
    }))
}

fn allowed_host(value: &DeValue<'_>) -> Result<AllowedHost, String> {
    AllowedHost::parse(&text(1..=PATH)(value)?).map_err(str::to_owned)
}

fn cloud_url(value: &DeValue<'_>) -> Result<Url, String> {
    const FORM: &str = "ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH";
    let text = text(1..=PATH)(value)?;
    let url = Url::parse(&text).map_err(|e| format!("{FORM}: {e}"))?;
    if !matches!(url.scheme(), "ws" | "wss") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM.into());
    }
    if url.scheme() == "wss" && cfg!(not(feature = "tls")) {
        return Err("ws://HOST[:PORT]/PATH: this program is built without TLS".into());
    }
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{FORM} without login and query, which have keys of their own"));
    }
    Ok(url)
}
