//! Texts that show when they are damaged: their last line is the SHA-256 of the lines before it, `sum=` and 64
//! hexadecimal digits, as `sha256sum` prints them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Length of the last line: its key, the digits, and its end.
const SUM: usize = 4 + 64 + 1;

/// A text of whole lines with its sum.
pub fn seal(body: &str) -> String {
    format!("{body}sum={}\n", hex(&Sha256::digest(body).into()))
}

/// The lines before the sum; `None` where the text is damaged.
pub fn unseal(text: &str) -> Option<&str> {
    let (body, _) = text.split_at_checked(text.len().checked_sub(SUM)?)?;
    (seal(body) == text).then_some(body)
}

/// 64 hexadecimal digits.
pub fn hex(sum: &[u8; 32]) -> String {
    sum.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// What [`hex`] has written.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (hex(&sum) == text).then_some(sum)
}

/// The value of the line `key=value`, which is the next one.
pub fn value<'t>(lines: &mut std::str::Lines<'t>, key: &str) -> Option<&'t str> {
    lines.next()?.strip_prefix(key)?.strip_prefix('=')
}

/// A number or `none`.
pub fn number(text: &str) -> Option<Option<u64>> {
    if text == "none" { Some(None) } else { text.parse().ok().map(Some) }
}

/// What [`number`] reads.
pub fn or_none(number: Option<u64>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sealed_text_shows_every_flipped_bit_and_every_cut() {
        let sealed = seal("one\ntwo=2\n");
        assert_eq!(unseal(&sealed), Some("one\ntwo=2\n"));
        for at in 0..sealed.len() {
            assert_eq!(unseal(&sealed[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert_eq!(unseal(&text), None, "bit {bit} of byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,120}") {
            unseal(&text);
            unhex(&text);
            let sealed = seal(&text);
            prop_assert_eq!(unseal(&sealed), Some(text.as_str()));
        }
    }
}
