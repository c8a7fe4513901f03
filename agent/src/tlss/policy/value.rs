//! The grammar of one parameter's value.

use std::ops::RangeInclusive;

use super::uri::harmless;

/// Far above what a command needs, and below what a camera's buffers hold.
const LONGEST: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    OneOf(Vec<String>),
    Number(RangeInclusive<u64>),
    Text { prefix: String, chars: Chars, length: RangeInclusive<usize> },
}

impl Grammar {
    pub(super) fn one_of(words: Vec<String>) -> Result<Self, String> {
        match words.iter().find(|word| !word.bytes().all(harmless)) {
            Some(word) => Err(format!("{word:?} has a character that is never allowed")),
            None => Ok(Self::OneOf(words)),
        }
    }

    pub(super) fn text(
        prefix: String,
        chars: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Self, String> {
        if *length.end() > LONGEST || length.is_empty() {
            return Err(format!("length must be [from, to], at most {LONGEST}"));
        }
        if !prefix.bytes().all(harmless) {
            return Err(format!("{prefix:?} has a character that is never allowed"));
        }
        Ok(Self::Text { prefix, chars: Chars::parse(chars)?, length })
    }

    pub(super) fn fits(&self, value: &str) -> bool {
        match self {
            Self::OneOf(words) => words.iter().any(|word| word == value),
            // Leading zeros are usual in times.
            Self::Number(range) => {
                let digits =
                    (1..=10).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
                digits && value.parse().is_ok_and(|number| range.contains(&number))
            }
            Self::Text { prefix, chars, length } => value
                .strip_prefix(&**prefix)
                .is_some_and(|rest| length.contains(&rest.len()) && chars.all(rest)),
        }
    }
}

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chars(u128);

impl Chars {
    /// Characters and ranges of them, such as `A-Za-z0-9.`; a hyphen at the end is itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut set = 0;
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let (last, tail) = match tail {
                [b'-', last, tail @ ..] => (last, tail),
                _ => (first, tail),
            };
            let range = *first..=*last;
            if range.is_empty() || !range.clone().all(harmless) {
                return Err(format!(
                    "chars {text:?} has a range or character that is never allowed"
                ));
            }
            set |= range.fold(0, |set, byte| set | bit(byte));
            rest = tail;
        }
        Ok(Self(set))
    }

    pub(super) fn all(self, text: &str) -> bool {
        text.bytes().all(|byte| self.0 & bit(byte) != 0)
    }
}

/// No bit for what is no ASCII.
fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(byte.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_listed_singly_and_in_ranges() {
        let chars = Chars::parse("A-C0-9._-").unwrap();
        let fitting: String =
            (0..=127_u8).map(char::from).filter(|c| chars.all(&c.to_string())).collect();
        assert_eq!(fitting, "-.0123456789ABC_");
        assert!(chars.all("") && !chars.all("é"));
    }

    #[test]
    fn no_profile_can_allow_what_a_shell_reads() {
        for bad in [
            "$", "`", ";", "|", "&", "<", ">", "(", "'", "\"", "\\", "%", "*", "\n", "\0", "é",
            "=", "#", "~", "!",
        ] {
            assert!(Chars::parse(&format!("a-z{bad}")).is_err(), "{bad:?}");
            assert!(Grammar::one_of(vec![format!("a{bad}")]).is_err(), "{bad:?}");
            assert!(Grammar::text(bad.to_owned(), "a", 1..=2).is_err(), "{bad:?}");
        }
        assert!(Chars::parse("!-~").is_err(), "a range across harmful ones");
        assert!(Chars::parse("z-a").is_err());
    }

    #[test]
    fn a_number_is_digits_in_its_range() {
        let hour = Grammar::Number(0..=23);
        for value in ["0", "00", "07", "23"] {
            assert!(hour.fits(value), "{value}");
        }
        for value in
            ["", "24", "-1", "+1", "1.0", "0x1", " 1", "99999999999999999999", "00000000001"]
        {
            assert!(!hour.fits(value), "{value}");
        }
    }

    #[test]
    fn a_text_has_its_prefix_and_length() {
        let group = Grammar::text("VCA.Ch0".into(), "A-Za-z0-9.", 0..=4).unwrap();
        for value in ["VCA.Ch0", "VCA.Ch0.Ct1"] {
            assert!(group.fits(value), "{value}");
        }
        for value in ["", "VCA", "USER", "VCA.Ch0.Ct12", "VCA.Ch0,U", "xVCA.Ch0"] {
            assert!(!group.fits(value), "{value}");
        }
        assert!(Grammar::text(String::new(), "a", 1..=LONGEST + 1).is_err());
    }
}
