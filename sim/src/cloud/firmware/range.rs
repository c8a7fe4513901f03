//! The part of a file that a request asks for (RFC 9110, section 14).

/// What a request asks for of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole file.
    Whole,
    /// The bytes from the first number up to the second, which is not part of it.
    Bytes(u64, u64),
    /// Bytes that the file does not have.
    Beyond,
}

impl Part {
    /// Reads the value of `Range` for a file of `length` bytes. What is malformed, or asks for several parts, asks for
    /// the whole file.
    pub(super) fn of(range: &str, length: u64) -> Self {
        let Some((first, last)) =
            range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Self::Whole;
        };
        match (first.trim().parse::<u64>(), last.trim()) {
            (Ok(first), _) if first >= length => Self::Beyond,
            (Ok(first), "") => Self::Bytes(first, length),
            (Ok(first), last) => match last.parse::<u64>() {
                Ok(last) if last >= first => Self::Bytes(first, last.saturating_add(1).min(length)),
                _ => Self::Whole,
            },
            (Err(_), last) if first.trim().is_empty() => match last.parse::<u64>() {
                Ok(0) => Self::Beyond,
                Ok(count) => Self::Bytes(length.saturating_sub(count), length),
                Err(_) => Self::Whole,
            },
            _ => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_the_header_says() {
        for (range, part) in [
            ("bytes=0-", Part::Bytes(0, 10)),
            ("bytes=3-", Part::Bytes(3, 10)),
            ("bytes=3-3", Part::Bytes(3, 4)),
            (" bytes=3-99", Part::Bytes(3, 10)),
            ("bytes=-4", Part::Bytes(6, 10)),
            ("bytes=-40", Part::Bytes(0, 10)),
            ("bytes=10-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=4-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=x-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=0-18446744073709551615", Part::Bytes(0, 10)),
            ("", Part::Whole),
        ] {
            assert_eq!(Part::of(range, 10), part, "{range}");
        }
    }
}
