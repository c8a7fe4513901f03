//! From files to a [`Config`].

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr;

use super::section::File;
use super::{Config, Error, parse};

/// Anyone on the system may read the file.
const WORLD_READABLE: u32 = 0o004;

/// What the files' permissions have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not readable by everyone.
    Private,
    /// Whatever they are.
    Any,
}

impl Config {
    /// Reads `file` and the credentials file it names. Relative paths inside count from the
    /// directory of `file`.
    pub fn load(file: &Path, access: Access) -> Result<Self, Error> {
        let text = read(file, access)?;
        let base = file.parent().unwrap_or(Path::new(""));
        assemble(&file.display().to_string(), &text, base, access)
    }
}

impl FromStr for Config {
    type Err = Error;

    /// As [`Config::load`], without a file: relative paths count from the working directory.
    fn from_str(text: &str) -> Result<Self, Error> {
        assemble("configuration", text, Path::new(""), Access::Private)
    }
}

fn assemble(name: &str, text: &str, base: &Path, access: Access) -> Result<Config, Error> {
    let file = File::new(name.to_owned(), text);
    let mut root = file.root()?;
    let Some(path) = parse::credentials_path(&mut root, base)? else {
        let config = parse::config(root, None, base)?;
        return Ok(Config { notes: file.notes(), ..config });
    };
    let text = read(&path, access)?;
    let apart = File::new(path.display().to_string(), &text);
    let credentials = parse::credentials(apart.root()?)?;
    let config = parse::config(root, Some(credentials), base)?;
    Ok(Config { notes: [file.notes(), apart.notes()].concat(), ..config })
}

fn read(file: &Path, access: Access) -> Result<String, Error> {
    let name = || file.display().to_string();
    let failed = |source| Error::Read { file: name(), source };
    let mode = std::fs::metadata(file).map_err(failed)?.permissions().mode();
    if access == Access::Private && mode & WORLD_READABLE != 0 {
        return Err(Error::WorldReadable { file: name() });
    }
    std::fs::read_to_string(file).map_err(failed)
}
