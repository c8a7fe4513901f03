//! The credentials file: logins that stand apart from the rest.

use super::error::Error;
use super::section::{NAME, Section, text};

/// What a credentials file may hold; every key of it is optional.
#[derive(Default)]
pub(super) struct CredentialsFile {
    pub(super) login_code: Option<String>,
    pub(super) login_passwd: Option<String>,
    #[cfg(feature = "ui")]
    pub(super) first_password: Option<String>,
    /// Logins of cameras; the index is the channel number.
    pub(super) channels: Vec<Login>,
}

#[derive(Default)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

pub(super) fn credentials(mut root: Section<'_, '_>) -> Result<CredentialsFile, Error> {
    let mut cloud = root.section("cloud")?;
    let login_code = cloud.insist("login_code", text(1..=NAME))?;
    let login_passwd = cloud.insist("login_passwd", text(1..=NAME))?;
    cloud.finish()?;
    #[cfg(feature = "ui")]
    let first_password = {
        let mut web = root.section("web")?;
        let first = web.insist("first_password", text(1..=NAME))?;
        web.finish()?;
        first
    };
    let mut channels = Vec::new();
    for mut section in root.sections("channel")? {
        channels.push(login(&mut section)?);
        section.finish()?;
    }
    root.finish()?;
    Ok(CredentialsFile {
        login_code,
        login_passwd,
        #[cfg(feature = "ui")]
        first_password,
        channels,
    })
}

pub(crate) fn login(section: &mut Section<'_, '_>) -> Result<Login, Error> {
    let username = section.read("username", text(1..=NAME))?;
    let password = section.read("password", text(0..=NAME))?;
    Ok(Login { username, password })
}

/// A required value that has to stand in exactly one of the two files.
pub(super) fn one(
    section: &Section<'_, '_>,
    key: &str,
    here: Option<String>,
    apart: Option<String>,
) -> Result<String, Error> {
    if here.is_some() && apart.is_some() {
        return Err(twice(section, key));
    }
    here.or(apart).ok_or_else(|| section.missing(key))
}

pub(crate) fn twice(section: &Section<'_, '_>, key: &str) -> Error {
    section.error(format!("{key} stands here and in the credentials file; keep one of them"))
}
