//! Base64 (RFC 4648) as cameras write it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Padding is not needed, and bits behind the last byte may be any.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes up to `most` bytes. Padding may be missing, digits may be those of addresses, and what
/// follows the first other character is left out.
pub(super) fn decode(text: &str, most: usize) -> Vec<u8> {
    let digits = text.bytes().map_while(|digit| match digit {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'+' | b'/' => Some(digit),
        _ => digit.is_ascii_alphanumeric().then_some(digit),
    });
    let mut digits: Vec<u8> = digits.take(most.div_ceil(3) * 4).collect();
    if digits.len() % 4 == 1 {
        // A lone digit tells no byte.
        digits.pop();
    }
    let mut bytes = LENIENT.decode(digits).unwrap_or_default();
    bytes.truncate(most);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_may_be_missing_and_junk_may_follow() {
        for text in ["aOvDyyLA", "aOvDyyLA;", "aOvDyyLA\r\n", "aOvDyyLA=="] {
            assert_eq!(decode(text, 100), b"\x68\xeb\xc3\xcb\x22\xc0", "{text}");
        }
        assert_eq!(decode("KO4CXLA=;", 100), decode("KO4CXLA", 100));
        assert_eq!(decode("KO4CXLA", 100), b"\x28\xee\x02\x5c\xb0");
        assert_eq!(decode("", 100), b"");
        assert_eq!(decode("a", 100), b"");
        assert_eq!(decode("KO4CX", 100), b"\x28\xee\x02");
        assert_eq!(decode("-_+/", 100), b"\xfb\xff\xbf", "either alphabet, or both");
        assert_eq!(decode("//", 100), b"\xff", "bits behind the last byte");
        assert_eq!(decode("aOvDyyLA", 4), b"\x68\xeb\xc3\xcb", "no more than asked for");
    }
}
