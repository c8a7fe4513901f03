//! Which networks wpa_supplicant had at a moment.

use std::fmt;
use std::str::FromStr;

/// The networks that wpa_supplicant had, by their ids, all of them with their names; written
/// `USED;ENABLED,ENABLED;ALL=NAME,ALL=NAME`, names in hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) used: Option<u32>,
    pub(super) enabled: Vec<u32>,
    pub(super) all: Vec<(u32, Vec<u8>)>,
}

/// Text that is no [`Before`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotNoted;

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used: Vec<u32> = self.used.into_iter().collect();
        let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let named = |(id, name): &(u32, Vec<u8>)| format!("{id}={}", hex(name));
        let all: Vec<_> = self.all.iter().map(named).collect();
        write!(f, "{};{};{}", list(&used), list(&self.enabled), all.join(","))
    }
}

impl FromStr for Before {
    type Err = NotNoted;

    fn from_str(text: &str) -> Result<Self, NotNoted> {
        let [used, enabled, all] =
            <[&str; 3]>::try_from(text.split(';').collect::<Vec<_>>()).map_err(|_| NotNoted)?;
        let named = |text: &str| {
            let (id, name) = text.split_once('=')?;
            Some((id.parse().ok()?, bytes(name)?))
        };
        let used: Vec<u32> = list(used, |id| id.parse().ok())?;
        let enabled = list(enabled, |id| id.parse().ok())?;
        Ok(Self { used: used.first().copied(), enabled, all: list(all, named)? })
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, NotNoted> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(read).collect::<Option<_>>().ok_or(NotNoted)
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_again_and_nothing_else() {
        let name = "a,b;c=\u{529e}".as_bytes().to_vec();
        for used in [None, Some(1)] {
            let before =
                Before { used, enabled: vec![1, 2], all: vec![(1, name.clone()), (2, Vec::new())] };
            assert_eq!(before.to_string().parse(), Ok(before));
        }
        assert!(";;".parse::<Before>().is_ok());
        for text in ["", "1", "1;1;1", "1;1;x=61", "1;1;1=6g", "1;1;1=é", "x;1;1=61", "1;1;1=61;"]
        {
            assert_eq!(text.parse::<Before>(), Err(NotNoted), "{text}");
        }
    }
}
