//! What peers say, made fit for a log.

use crate::mask::mask;

/// Longest text of a peer that is kept, in characters.
const LONGEST: usize = 200;
/// How much of a text is read, in characters: more than is kept, so that a secret is known before the cut goes
/// through it.
const READ: usize = 1024;

/// A peer's text on one line, without control characters and secrets, cut to 200 characters.
pub fn shorten(text: &str) -> String {
    let line: String = text.chars().filter(|c| !is_unseen(*c)).take(READ).collect();
    mask(&line).chars().take(LONGEST).collect()
}

/// A name that a peer gave, on one line, without control characters and cut to 200 characters. It may be a secret.
pub fn name(text: &str) -> String {
    text.chars().filter(|c| !is_unseen(*c)).take(LONGEST).collect()
}

/// Whether a character is not seen but changes what is: control characters, and those that have no width or turn the
/// direction of a line.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::learn;

    #[test]
    fn a_peer_can_neither_begin_a_line_nor_fill_the_log() {
        assert_eq!(shorten("no\r\n[ERROR] forged\u{1b}[2J\u{202e}"), "no[ERROR] forged[2J");
        assert_eq!(shorten(&"é".repeat(70_000)), "é".repeat(200));
        assert_eq!(name(&"é\n".repeat(70_000)), "é".repeat(200));
    }

    #[test]
    fn the_cut_does_not_leave_the_beginning_of_a_secret() {
        let _known = learn("across-the-cut");
        for before in 180..200 {
            let shown = shorten(&format!("{}across-the-cut", " ".repeat(before)));
            assert!(shown.trim_start().trim_end_matches('*').is_empty(), "{shown:?}");
        }
        assert_eq!(shorten("acr\u{200b}oss-\rthe-cut"), "***");
    }
}
