//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::Access;

/// Shown by `--help`.
pub const USAGE: &str = "\
usage: ivt-agent --config FILE [--check-config] [--allow-world-readable]

  --config FILE            the configuration (TOML); configs/base.toml shows every key
  --check-config           say what is wrong with it or the files it names, and exit
  --allow-world-readable   accept files with passwords that everyone may read
  --version                print the version and exit
  --help                   print this and exit

RUST_LOG in the environment sets the log level, e.g. RUST_LOG=debug.";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Read the configuration.
    Config {
        /// Its path.
        file: PathBuf,
        /// Only check it.
        check: bool,
        /// Permissions demanded of it.
        access: Access,
    },
}

impl Arguments {
    /// Reads the arguments after the program's name; an error is for the user to read.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let (mut file, mut check, mut access) = (None, false, Access::Private);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--version" | "-V") => return Ok(Self::Version),
                Some("--check-config") => check = true,
                Some("--allow-world-readable") => access = Access::Any,
                Some("--config") => match arguments.next() {
                    Some(path) => file = Some(PathBuf::from(path)),
                    None => return Err("--config needs a file".into()),
                },
                _ => return Err(format!("unknown argument {argument:?}")),
            }
        }
        let file = file.ok_or("--config FILE is missing")?;
        Ok(Self::Config { file, check, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_read() {
        let config = |check, access| Arguments::Config { file: "a.toml".into(), check, access };
        for (arguments, want) in [
            (&["--config", "a.toml"][..], config(false, Access::Private)),
            (&["--check-config", "--config", "a.toml"], config(true, Access::Private)),
            (&["--config", "a.toml", "--allow-world-readable"], config(false, Access::Any)),
            (&["--version", "--nonsense"], Arguments::Version),
            (&["--help"], Arguments::Help),
        ] {
            assert_eq!(parse(arguments), Ok(want));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (arguments, want) in [
            (&[][..], "--config FILE is missing"),
            (&["--config"], "needs a file"),
            (&["--config", "a", "--chekc"], "--chekc"),
            (&["a.toml"], "a.toml"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
