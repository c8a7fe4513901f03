//! The name of a setting, such as `log.level` or `channel.0.main`.

use std::fmt;
use std::str::FromStr;

/// Most parts of a name: `channel.0.quality.hd` has four.
const PARTS: usize = 4;
/// The highest number of a channel: a configuration has 256 at most.
pub(super) const LAST: usize = 255;

/// Where a value stands in a configuration: sections, the numbers of channels, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<Part>);

/// One step from the top of a file to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A key of a table.
    Name(String),
    /// An element of an array of tables, by its number from 0.
    Number(usize),
}

/// The text is not the name of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a setting: expected e.g. log.level or channel.0.main")]
pub struct KeyError(String);

impl Key {
    /// The parts from the top of the file down; never empty.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The number of the channel that the key belongs to.
    pub(crate) fn number(&self) -> Option<usize> {
        self.0.iter().find_map(|part| match part {
            Part::Number(number) => Some(*number),
            Part::Name(_) => None,
        })
    }

    /// The names alone, without numbers, joined by dots: `channel.main`.
    pub(crate) fn general(&self) -> String {
        let mut names = Vec::new();
        for part in &self.0 {
            if let Part::Name(name) = part {
                names.push(name.as_str());
            }
        }
        names.join(".")
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let part = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => number(text).map(Part::Number),
            false => bare(text).then(|| Part::Name(text.to_owned())),
        };
        let parts: Option<Vec<Part>> = text.split('.').map(part).collect();
        match parts {
            Some(parts) if parts.len() <= PARTS && ends_are_names(&parts) => Ok(Self(parts)),
            _ => Err(KeyError(text.to_owned())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.0.iter().enumerate() {
            let dot = if n > 0 { "." } else { "" };
            match part {
                Part::Name(name) => write!(f, "{dot}{name}")?,
                Part::Number(number) => write!(f, "{dot}{number}")?,
            }
        }
        Ok(())
    }
}

/// The number of a channel, written as it is shown.
fn number(digits: &str) -> Option<usize> {
    let number = digits.parse().ok().filter(|number| *number <= LAST)?;
    (digits == "0" || !digits.starts_with('0')).then_some(number)
}

/// Whether TOML takes the text as a key without quotes.
fn bare(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

fn ends_are_names(parts: &[Part]) -> bool {
    let ends = [parts.first(), parts.last()];
    ends.iter().all(|end| matches!(end, Some(Part::Name(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for text in ["version", "log.level", "channel.0.main", "channel.12.quality.hd"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("channel.12.quality.hd".parse::<Key>().unwrap().general(), "channel.quality.hd");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", ".", "log.", "channel.0", "0.main", "a.b.c.d.e", "log.le vel", "[log]", "a=b"]
        {
            assert!(text.parse::<Key>().unwrap_err().to_string().contains("log.level"), "{text}");
        }
    }

    #[test]
    fn a_channel_that_no_configuration_has_is_no_name() {
        assert_eq!("channel.255.main".parse::<Key>().unwrap().number(), Some(255));
        for number in ["256", "4294967295", "18446744073709551615", "99999999999999999999"] {
            assert!(format!("channel.{number}.main").parse::<Key>().is_err(), "{number}");
        }
        for other in ["+7", "07", "00", "-1"] {
            let key = format!("channel.{other}.main").parse::<Key>();
            assert!(key.is_ok_and(|key| key.number().is_none()) == (other == "-1"), "{other}");
        }
    }
}
