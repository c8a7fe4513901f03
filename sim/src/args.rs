//! Reads command lines of `--flag`, `--flag value` and `--flag=value`. Nothing else is allowed.

use std::fmt::Display;
use std::str::FromStr;

/// A command line, read from left to right.
#[derive(Debug)]
pub struct Args<I> {
    rest: I,
    flag: String,
    /// What followed the `=` of the flag, until it is read as the value.
    attached: Option<String>,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// A word that is no flag.
    #[error("`{0}` is no option; see --help")]
    Unexpected(String),
    /// A flag the program does not have.
    #[error("unknown option {0}; see --help")]
    Unknown(String),
    /// Nothing follows a flag that needs a value.
    #[error("{0} needs a value")]
    Missing(String),
    /// A flag that takes no value got one.
    #[error("{0} takes no value")]
    Superfluous(String),
    /// A value that does not parse.
    #[error("{flag} {value}: {reason}")]
    Invalid {
        /// The flag with its dashes.
        flag: String,
        /// The value of the flag.
        value: String,
        /// Why the value is wrong.
        reason: String,
    },
}

impl<I: Iterator<Item = String>> Args<I> {
    /// Reads the words behind the program's name.
    pub fn new(words: I) -> Self {
        Self { rest: words, flag: String::new(), attached: None }
    }

    /// The next flag, with its dashes; `None` at the end.
    ///
    /// # Errors
    /// When a word is no flag, or the flag before got a value that it does not take.
    pub fn flag(&mut self) -> Result<Option<String>, ArgsError> {
        if self.attached.take().is_some() {
            return Err(ArgsError::Superfluous(self.flag.clone()));
        }
        let Some(word) = self.rest.next() else { return Ok(None) };
        if !word.starts_with('-') {
            return Err(ArgsError::Unexpected(word));
        }
        (self.flag, self.attached) = match word.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        Ok(Some(self.flag.clone()))
    }

    /// The value of the flag just read.
    ///
    /// # Errors
    /// When there is no value, or it does not parse.
    pub fn value<T: FromStr<Err: Display>>(&mut self) -> Result<T, ArgsError> {
        let value = self.attached.take().or_else(|| self.rest.next());
        let value = value.ok_or_else(|| ArgsError::Missing(self.flag.clone()))?;
        value.parse().map_err(|error: T::Err| ArgsError::Invalid {
            flag: self.flag.clone(),
            reason: error.to_string(),
            value,
        })
    }

    /// The value of the flag just read as `read` understands it.
    ///
    /// # Errors
    /// When there is no value, or `read` tells what is wrong with it.
    pub fn value_by<T>(
        &mut self,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ArgsError> {
        let value: String = self.value()?;
        let flag = self.flag.clone();
        read(&value).map_err(|reason| ArgsError::Invalid { flag, value, reason })
    }

    /// The error for the flag just read, when the program does not know it.
    pub fn unknown(&self) -> ArgsError {
        ArgsError::Unknown(self.flag.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args<impl Iterator<Item = String>> {
        Args::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_follow_their_flag_or_its_equals_sign() {
        let mut args = args("--port 80 --name=a=b --help");
        assert_eq!(args.flag().unwrap().as_deref(), Some("--port"));
        assert_eq!(args.value::<u16>(), Ok(80));
        assert_eq!(args.flag().unwrap().as_deref(), Some("--name"));
        assert_eq!(args.value::<String>().as_deref(), Ok("a=b"));
        assert_eq!(args.flag().unwrap().as_deref(), Some("--help"));
        assert_eq!(args.flag(), Ok(None));
    }

    #[test]
    fn each_mistake_has_its_error() {
        assert_eq!(args("file").flag(), Err(ArgsError::Unexpected("file".into())));
        let mut short = args("--port");
        short.flag().unwrap();
        assert_eq!(short.value::<u16>(), Err(ArgsError::Missing("--port".into())));
        assert_eq!(short.unknown().to_string(), "unknown option --port; see --help");
        let mut wrong = args("--port=x");
        wrong.flag().unwrap();
        let error = wrong.value::<u16>().unwrap_err();
        assert_eq!(error.to_string(), "--port x: invalid digit found in string");
        let mut superfluous = args("--help=yes --port");
        superfluous.flag().unwrap();
        assert_eq!(superfluous.flag(), Err(ArgsError::Superfluous("--help".into())));
    }
}
