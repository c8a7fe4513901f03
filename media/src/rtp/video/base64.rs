//! Base64 (RFC 4648) as cameras write it.

/// Decodes up to `most` bytes. Padding may be missing; what follows the first foreign character is
/// left out.
pub(super) fn decode(text: &str, most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((text.len() / 4 * 3 + 3).min(most));
    let (mut bits, mut count) = (0u32, 0);
    for value in text.bytes().map_while(value) {
        if bytes.len() >= most {
            break;
        }
        bits = (bits << 6 | u32::from(value)) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
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
        assert_eq!(decode("aOvDyyLA", 4), b"\x68\xeb\xc3\xcb", "no more than asked for");
    }
}
