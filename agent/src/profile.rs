//! `ivt-agent profile`: lists, shows and checks profiles of cameras.

use std::path::Path;

use ivt_hal::profile::Profile;

use crate::backend::cgi::read_file;
use crate::config::nearest::nearest;

/// The names of the built-in profiles, a line each, with what each is for.
pub fn list() -> String {
    let line = |name: &&str| {
        let profile = Profile::builtin(name);
        let title = profile.as_ref().map_or("", Profile::title);
        format!("{name:12} {title}\n")
    };
    Profile::names().iter().map(line).collect()
}

/// The text of a built-in profile.
///
/// # Errors
/// There is none of that name.
pub fn show(name: &str) -> Result<String, String> {
    Profile::text(name).ok_or_else(|| {
        let names = Profile::names().join(", ");
        match nearest(name, Profile::names()) {
            Some(meant) => format!("no profile of that name; did you mean {meant:?}?"),
            None => format!("no profile of that name; there are {names}"),
        }
    })
}

/// Every request that the profile in a file makes, with sample values.
///
/// # Errors
/// The file cannot be read, or what is wrong with it, with its line and what is allowed.
pub fn check(file: &Path) -> Result<String, String> {
    let text = read_file(file).map_err(|e| e.to_string())?;
    let profile = Profile::parse(&file.display().to_string(), &text).map_err(|e| e.to_string())?;
    let mut said = format!("{}: good: {}\n", file.display(), profile.title());
    for request in profile.dry_run() {
        said.push_str(&format!("\n{request}\n"));
    }
    Ok(said)
}
