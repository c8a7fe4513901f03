//! The arguments of `ivt-agent firmware`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Arguments, unknown};
use crate::config::Access;

/// Reads what follows `firmware`.
pub(super) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    match arguments.next().as_deref().and_then(|first| first.to_str()) {
        Some("verify") => {}
        Some("--help" | "-h") => return Ok(Arguments::Help),
        _ => return Err("firmware takes one thing: firmware verify IMAGE".into()),
    }
    let (mut image, mut file, mut keys, mut access) = (None, None, Vec::new(), Access::Private);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--help" | "-h") => return Ok(Arguments::Help),
            Some("--key") => {
                let key = arguments.next().and_then(|key| key.into_string().ok());
                keys.push(key.ok_or("--key needs a value")?);
            }
            Some("--config") => {
                file = Some(PathBuf::from(arguments.next().ok_or("--config needs a file")?));
            }
            Some("--allow-world-readable") => access = Access::Any,
            Some(text) if text.starts_with('-') => return Err(unknown(&argument)),
            _ if image.is_none() => image = Some(PathBuf::from(argument)),
            _ => return Err("firmware verify takes one image".into()),
        }
    }
    let image = image.ok_or("firmware verify needs the path of an image")?;
    match (&file, keys.is_empty()) {
        (Some(_), false) => Err("--config and --key exclude each other".into()),
        (None, true) => Err("firmware verify needs --config FILE or --key KEY".into()),
        _ => Ok(Arguments::VerifyFirmware { image, keys, file, access }),
    }
}
