//! What peers say, made fit for a log.

/// Longest text of a peer that is kept, in characters.
const LONGEST: usize = 200;

/// A peer's text on one line, without control characters and cut to 200 characters.
pub fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_can_neither_begin_a_line_nor_fill_the_log() {
        assert_eq!(shorten("no\r\n[ERROR] forged\u{1b}[2J"), "no[ERROR] forged[2J");
        assert_eq!(shorten(&"é".repeat(70_000)), "é".repeat(200));
    }
}
