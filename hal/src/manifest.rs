//! What a firmware image is, as the trusted comment of its signature says: one line of `key=value` words.
//!
//! ```text
//! model=IPC-1 version=1.4.2 counter=42 size=16777216 sha256=HEX expires=2027-06-30
//! ```

use std::fmt::{self, Display, Formatter, Write as _};
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use ivt_base::date::Utc;
use ivt_base::wall_time::WallTime;

/// Longest comment, in bytes.
pub const LONGEST: usize = 1024;
/// Longest model or version, in bytes.
const LONGEST_NAME: usize = 128;
/// How the keys begin that a reader must know.
const STRICT: &str = "must-";
/// Seconds of a day.
const DAY: u64 = 86_400;

/// What a firmware image is. Printed as the comment that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The model of the devices that it is made for, 1 to 128 bytes without a space.
    pub model: String,
    /// Its version, for people; 1 to 128 bytes without a space.
    pub version: String,
    /// Grows with each version.
    pub counter: u64,
    /// Its size in bytes, 1 or more.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The first second since 1970 at which it is no longer installed: the end of a day in UTC.
    pub expires: u64,
}

/// What is wrong with a comment. Repeats nothing of it but the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is longer than it may be.
    #[error("is longer than {LONGEST} bytes")]
    TooLong,
    /// It is no line of words.
    #[error("is no line of key=value words, each separated by one space")]
    NoWords,
    /// A key that is needed is not there.
    #[error("lacks {0}")]
    Missing(&'static str),
    /// A key is there twice.
    #[error("says {0} twice")]
    Twice(&'static str),
    /// A value is none.
    #[error("{0} must be {1}")]
    Value(&'static str, &'static str),
    /// A restriction that this program does not know.
    #[error("has a word of {STRICT}, which this program does not know: it needs a newer one")]
    Unknown,
}

impl Manifest {
    /// The last day on which it is installed, as `2027-06-30`.
    pub fn last_day(&self) -> String {
        let last = UNIX_EPOCH + Duration::from_secs(self.expires.saturating_sub(1));
        Utc::from(last).to_string().chars().take("2027-06-30".len()).collect()
    }
}

impl FromStr for Manifest {
    type Err = ManifestError;

    /// Reads a comment. Words that it does not know are passed over, so that there may be new ones, but for
    /// those that begin with `must-`.
    fn from_str(comment: &str) -> Result<Self, ManifestError> {
        if comment.len() > LONGEST {
            return Err(ManifestError::TooLong);
        }
        let [mut model, mut version, mut counter] = [None; 3];
        let [mut size, mut sha256, mut expires] = [None; 3];
        for word in comment.split(' ') {
            let (key, value) = word.split_once('=').ok_or(ManifestError::NoWords)?;
            if key.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ManifestError::NoWords);
            }
            let (name, slot) = match key {
                "model" => ("model", &mut model),
                "version" => ("version", &mut version),
                "counter" => ("counter", &mut counter),
                "size" => ("size", &mut size),
                "sha256" => ("sha256", &mut sha256),
                "expires" => ("expires", &mut expires),
                key if key.starts_with(STRICT) => return Err(ManifestError::Unknown),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(ManifestError::Twice(name));
            }
        }
        Ok(Self {
            model: read(model, "model", "1 to 128 characters", name)?,
            version: read(version, "version", "1 to 128 characters", name)?,
            counter: read(counter, "counter", "a whole number", number)?,
            size: read(size, "size", "a number of bytes, 1 or more", |text| {
                number(text).filter(|size| *size > 0)
            })?,
            sha256: read(sha256, "sha256", "64 hexadecimal digits", digest)?,
            expires: read(expires, "expires", "a day like 2027-06-30", end_of_day)?,
        })
    }
}

impl Display for Manifest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { model, version, counter, size, .. } = self;
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256 {
            write!(sha256, "{byte:02x}")?;
        }
        let day = self.last_day();
        write!(f, "model={model} version={version} counter={counter} size={size} ")?;
        write!(f, "sha256={sha256} expires={day}")
    }
}

fn read<T>(
    value: Option<&str>,
    key: &'static str,
    form: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ManifestError> {
    let value = value.ok_or(ManifestError::Missing(key))?;
    parse(value).ok_or(ManifestError::Value(key, form))
}

fn name(text: &str) -> Option<String> {
    (1..=LONGEST_NAME).contains(&text.len()).then(|| text.to_owned())
}

/// A decimal number that is written in one way only.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

/// The first second after a day.
fn end_of_day(text: &str) -> Option<u64> {
    // A year of two digits would be one of a date, too.
    let begin = (text.len() == "2027-06-30".len()).then(|| format!("{text}T00:00:00"))?;
    Some(begin.parse::<WallTime>().ok()?.seconds()? + DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn comment() -> String {
        format!(
            "model=IPC-1 version=1.4.2 counter=42 size=16777216 sha256={DIGEST} expires=2027-06-30"
        )
    }

    #[test]
    fn a_comment_says_what_an_image_is() {
        let read: Manifest = comment().parse().unwrap();
        let Manifest { model, version, counter, size, sha256, expires } = &read;
        assert_eq!((&**model, &**version, *counter, *size), ("IPC-1", "1.4.2", 42, 16_777_216));
        assert_eq!((sha256[1], sha256[31]), (0x11, 0xff));
        assert_eq!(*expires, 1_814_400_000, "2027-07-01T00:00:00Z");
        assert_eq!(read.to_string(), comment().replace("AABBCCDDEEFF", "aabbccddeeff"));
        let words: Vec<_> = comment().split(' ').rev().map(str::to_owned).collect();
        assert_eq!(words.join(" ").parse(), Ok(read.clone()), "in any order");
        let more = format!("{} file=a.img note=", comment());
        assert_eq!(more.parse(), Ok(read), "with words that are not known yet");
    }

    #[test]
    fn what_is_wrong_with_a_comment_is_said() {
        use ManifestError::{Missing, NoWords, TooLong, Twice, Unknown, Value};
        let change = |from: &str, to: &str| comment().replace(from, to);
        let number = "a whole number";
        let size = "a number of bytes, 1 or more";
        let day = "a day like 2027-06-30";
        let hex = "64 hexadecimal digits";
        for (comment, error) in [
            (String::new(), NoWords),
            ("timestamp:1633700835\tfile:test\tprehashed".into(), NoWords),
            (change(" version", "  version"), NoWords),
            (change(" version", "\tversion"), NoWords),
            (change("IPC-1", "IPC 1"), NoWords),
            (change("IPC-1", "IPC\u{e9}"), NoWords),
            (change("IPC-1", "IPC\u{7f}"), NoWords),
            (format!("{} =1", comment()), NoWords),
            (format!("{} ", comment()), NoWords),
            (format!("{}\r", comment()), NoWords),
            (format!("{} counter=43", comment()), Twice("counter")),
            (format!("{} model=IPC-1", comment()), Twice("model")),
            (format!("{} must-have=battery", comment()), Unknown),
            (format!("{} x={}", comment(), "y".repeat(LONGEST)), TooLong),
            (change("model=IPC-1 ", ""), Missing("model")),
            (change("counter", "Counter"), Missing("counter")),
            (change(" expires=2027-06-30", ""), Missing("expires")),
            (change("IPC-1", ""), Value("model", "1 to 128 characters")),
            (change("1.4.2", &"1".repeat(129)), Value("version", "1 to 128 characters")),
            (change("=42", "=+42"), Value("counter", number)),
            (change("=42", "=042"), Value("counter", number)),
            (change("=42", "=-1"), Value("counter", number)),
            (change("=42", "="), Value("counter", number)),
            (change("=42", "=18446744073709551616"), Value("counter", number)),
            (change("=16777216", "=0"), Value("size", size)),
            (change("=16777216", "=1e9"), Value("size", size)),
            (change("0011", "001"), Value("sha256", hex)),
            (change("0011", "0011aa"), Value("sha256", hex)),
            (change("0011", "0g11"), Value("sha256", hex)),
            (change("06-30", "06-31"), Value("expires", day)),
            (change("2027-06-30", "2027-6-30"), Value("expires", day)),
            (change("2027-06-30", "2027-06-30T00"), Value("expires", day)),
            (change("2027-06-30", "20270630"), Value("expires", day)),
            (change("2027-06-30", "+027-06-30"), Value("expires", day)),
            (change("2027-06-30", "never"), Value("expires", day)),
        ] {
            assert_eq!(comment.parse::<Manifest>(), Err(error), "{comment}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(
            model in "[!-~]{1,128}",
            version in "[!-~]{1,128}",
            (counter, size, sha256) in (any::<u64>(), 1..=u64::MAX, any::<[u8; 32]>()),
            days in 1u64..2_932_896,
        ) {
            let said = Manifest { model, version, counter, size, sha256, expires: days * DAY };
            prop_assert_eq!(said.to_string().parse(), Ok(said));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            if let Ok(read) = text.parse::<Manifest>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }

        #[test]
        fn a_comment_with_another_byte_means_something_else_or_nothing(
            at in 0usize..137,
            byte in 0u8..128,
        ) {
            let (was, mut bytes) = (comment().parse::<Manifest>().unwrap(), comment().into_bytes());
            prop_assume!(at < bytes.len() && !bytes[at].eq_ignore_ascii_case(&byte));
            bytes[at] = byte;
            let read = String::from_utf8(bytes).unwrap().parse::<Manifest>();
            prop_assert_ne!(read, Ok(was));
        }
    }
}
