//! A camera's login: the keys `username` and `password` of any kind of camera.

use ivt_base::secret::Secret;

use crate::config::credentials::{Login, login, twice};
use crate::config::error::Error;
use crate::config::section::Section;

/// Reads user name and password, each from the section or from the credentials file. A password
/// without a user name is refused.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    apart: Login,
) -> Result<(Option<String>, Secret), Error> {
    let here = login(section)?;
    if here.username.is_some() && apart.username.is_some() {
        return Err(twice(section, "username"));
    }
    if here.password.is_some() && apart.password.is_some() {
        return Err(twice(section, "password"));
    }
    let username = here.username.or(apart.username);
    let password = here.password.or(apart.password);
    if username.is_none() && password.is_some() {
        return Err(section.error("channel.password needs channel.username"));
    }
    Ok((username, password.unwrap_or_default().into()))
}

/// Refuses the credentials file's login for a camera that has none.
pub(super) fn refuse(section: &Section<'_, '_>, apart: Login, what: &str) -> Result<(), Error> {
    match apart.username.or(apart.password) {
        Some(_) => Err(section.error(format!("{what} takes no user name and password"))),
        None => Ok(()),
    }
}
