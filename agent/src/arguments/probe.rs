//! The arguments of `ivt-agent probe` and `ivt-agent profile`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Arguments, unknown};
use crate::config::Access;

/// Reads what follows `probe`.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let (mut address, mut username, mut input) = (None, None, None);
    let (mut file, mut channel, mut access) = (None, None, Access::Private);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut text = |name: &str| {
            let next = arguments.next().and_then(|value| value.into_string().ok());
            next.ok_or_else(|| format!("{name} needs a value"))
        };
        match argument.to_str() {
            Some("--help" | "-h") => return Ok(Arguments::Help),
            Some("--username") => username = Some(text("--username")?),
            Some("--input") => {
                let read = text("--input")?.parse().ok().filter(|n| (1..=256).contains(n));
                input = Some(read.ok_or("--input needs a number from 1 to 256")?);
            }
            Some("--channel") => {
                let read = text("--channel")?.parse().ok();
                channel = Some(read.ok_or("--channel needs a number from 0")?);
            }
            Some("--config") => {
                let path = arguments.next().ok_or("--config needs a file")?;
                file = Some(PathBuf::from(path));
            }
            Some("--allow-world-readable") => access = Access::Any,
            Some(login) if login.contains('@') => {
                return Err(
                    "an address without login, which ps would show to all: give --username".into(),
                );
            }
            Some(text) if !text.starts_with('-') && address.is_none() => {
                address = Some(text.to_owned());
            }
            Some(text) if !text.starts_with('-') => return Err("probe takes one camera".into()),
            _ => return Err(unknown(&argument)),
        }
    }
    match (address, file) {
        (Some(_), Some(_)) => Err("an address and --config exclude each other".into()),
        (Some(_), None) | (None, None) if channel.is_some() => {
            Err("--channel needs --config".into())
        }
        (None, _) if username.is_some() => Err("--username needs an address".into()),
        (None, _) if input.is_some() => Err("--input needs an address".into()),
        (None, Some(file)) => Ok(Arguments::ProbeChannels { file, access, channel }),
        (Some(address), None) => {
            Ok(Arguments::ProbeAddress { address, username, input: input.unwrap_or(1) })
        }
        (None, None) => Ok(Arguments::Discover),
    }
}

/// Reads what follows `profile`.
pub(super) fn parse_profile(
    arguments: impl Iterator<Item = OsString>,
) -> Result<Arguments, String> {
    let arguments: Vec<_> = arguments.collect();
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    match &words[..] {
        [Some("--help" | "-h"), ..] => Ok(Arguments::Help),
        [Some("list")] => Ok(Arguments::ListProfiles),
        [Some("show"), Some(name)] => Ok(Arguments::ShowProfile((*name).to_owned())),
        [Some("check"), _] => Ok(Arguments::CheckProfile(PathBuf::from(&arguments[1]))),
        _ => Err("profile takes one of: list, show NAME or check FILE".into()),
    }
}
