//! Where a text holds secrets, in any spelling.

use std::ops::Range;
use std::sync::Arc;

use super::spelling::View;

/// How many bytes in a row of a longer secret are hidden.
const RUN: usize = 8;
/// Fewest bytes of a secret that are hidden where a text was cut.
const CUT: usize = 5;
/// Spellings of one text that are searched at most, so that a text made for it does not take long.
const MOST_VIEWS: usize = 64;
/// How often a text is decoded as text with escapes, one after the other.
const MOST_ROUNDS: usize = 4;
/// How often a text is decoded as base64 or hexadecimal digits, one within the other.
const DEPTH: usize = 2;
/// Bits that tell which runs of bytes a text may hold.
const BITS: u32 = 12;

/// One spelling of a secret, and when it is hidden.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Word {
    bytes: Box<[u8]>,
    alone: bool,
}

impl Word {
    /// A secret by itself; `None` if it is too short to be told from other text.
    pub(super) fn secret(text: &[u8]) -> Option<Self> {
        let plain = text.iter().all(u8::is_ascii_alphabetic) || text.iter().all(u8::is_ascii_digit);
        let alone = plain && text.len() < RUN;
        (text.len() >= 4).then(|| Self { bytes: text.into(), alone })
    }

    /// A short secret with its name before it.
    pub(super) fn named(text: &[u8]) -> Option<Self> {
        (text.len() >= 3).then(|| Self { bytes: text.into(), alone: false })
    }
}

/// The search of one text.
pub(super) struct Search<'a> {
    pub(super) known: &'a [Arc<[Word]>],
    /// Whether secrets that may be ordinary words are searched as well.
    pub(super) words: bool,
    /// Whether the text was cut at its beginning and its end, and not by us to search it in pieces.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// Views that were searched so far.
    pub(super) views: usize,
    /// Which bytes of the text belong to a secret.
    pub(super) hidden: &'a mut [bool],
}

impl Search<'_> {
    /// Marks what is hidden of a text.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.search(View::of(text), DEPTH);
    }

    /// Searches a view and everything that it may be decoded to.
    fn search(&mut self, mut view: View, depth: usize) {
        for _ in 0..=MOST_ROUNDS {
            self.views += 1;
            if self.views > MOST_VIEWS || view.bytes.is_empty() {
                return;
            }
            self.look(&view);
            if depth > 0 {
                let decoded = (0..4).map(|skip| view.base64(skip)).chain([view.hex()]);
                let decoded: Vec<_> = decoded.collect();
                decoded.into_iter().flatten().for_each(|inner| self.search(inner, depth - 1));
            }
            let Some(next) = view.unescaped() else { return };
            view = next;
        }
    }

    fn look(&mut self, view: &View) {
        let folded: Vec<u8> = view.bytes.iter().copied().map(fold).collect();
        let runs: Vec<u64> = folded.windows(RUN).filter_map(number).collect();
        let mut may_hold = vec![false; 1 << BITS];
        runs.iter().for_each(|run| may_hold[hash(*run)] = true);
        let cuts = self.cuts(&view.bytes);
        for word in self.known.iter().flat_map(|known| known.iter()) {
            if word.alone {
                if self.words {
                    self.look_alone(view, &word.bytes);
                }
                continue;
            }
            let secret: Vec<u8> = word.bytes.iter().copied().map(fold).collect();
            if secret.len() < RUN {
                for (at, found) in folded.windows(secret.len()).enumerate() {
                    if *found == secret[..] {
                        self.hide(view, at..at + secret.len());
                    }
                }
            }
            for run in secret.windows(RUN).filter_map(number) {
                if may_hold[hash(run)] {
                    let found = runs.iter().enumerate().filter(|(_, other)| **other == run);
                    found.for_each(|(at, _)| self.hide(view, at..at + RUN));
                }
            }
            self.look_cut(view, &folded, &secret, &cuts);
        }
    }

    fn look_alone(&mut self, view: &View, word: &[u8]) {
        let part_of_word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
        };
        for (at, found) in view.bytes.windows(word.len()).enumerate() {
            let (before, behind) = (at.checked_sub(1), at + word.len());
            if found == word
                && !part_of_word(before.and_then(|before| view.bytes.get(before)))
                && !part_of_word(view.bytes.get(behind))
            {
                self.hide(view, at..behind);
            }
        }
    }

    /// Looks for the beginning of a secret before each cut, and for its end behind it.
    fn look_cut(&mut self, view: &View, folded: &[u8], secret: &[u8], cuts: &[Range<usize>]) {
        for length in CUT..RUN.min(secret.len()) {
            let (head, tail) = (&secret[..length], &secret[secret.len() - length..]);
            for cut in cuts {
                if folded[..cut.start].ends_with(head) {
                    self.hide(view, cut.start - length..cut.start);
                }
                if folded[cut.end..].starts_with(tail) {
                    self.hide(view, cut.end..cut.end + length);
                }
            }
        }
    }

    /// Where text may be missing: at both ends, and where an ellipsis or stars stand.
    fn cuts(&self, text: &[u8]) -> Vec<Range<usize>> {
        let signs = text.windows(3).enumerate();
        let signs = signs.filter(|(_, sign)| matches!(*sign, b"..." | b"***" | [0xe2, 0x80, 0xa6]));
        let within = signs.map(|(at, _)| at..at + 3);
        let end = text.len()..text.len();
        within.chain(self.begins.then_some(0..0)).chain(self.ends.then_some(end)).collect()
    }

    fn hide(&mut self, view: &View, found: Range<usize>) {
        let (from, to) = (view.places[found.start].start, view.places[found.end - 1].end);
        if from < to {
            self.hidden[from as usize..to as usize].fill(true);
        }
    }
}

/// The part of a line that is the value of an `Authorization` header, whoever wrote it; empty if there is none.
pub(super) fn authorization(line: &[u8]) -> Range<usize> {
    const NAME: &[u8] = b"authorization";
    let mut names = line.windows(NAME.len());
    let Some(name) = names.position(|name| name.eq_ignore_ascii_case(NAME)) else { return 0..0 };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\');
    let mut at = name + NAME.len();
    at += line[at..].iter().take_while(|byte| blank(byte)).count();
    if !matches!(line.get(at), Some(b':' | b'=')) {
        return 0..0;
    }
    at += 1;
    at += line[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let quote = line.get(at).copied().filter(|quote| matches!(quote, b'"' | b'\''));
    at += usize::from(quote.is_some());
    let mut escaped = false;
    let length = line[at..].iter().take_while(|byte| {
        let ends = matches!(byte, b'\r' | b'\n') || (!escaped && quote == Some(**byte));
        escaped = **byte == b'\\' && !escaped;
        !ends
    });
    at..at + length.count()
}

/// Case does not count, nor whether a blank is a plus sign as in forms.
fn fold(byte: u8) -> u8 {
    if byte == b' ' { b'+' } else { byte.to_ascii_lowercase() }
}

fn number(run: &[u8]) -> Option<u64> {
    run.try_into().ok().map(u64::from_le_bytes)
}

fn hash(run: u64) -> usize {
    (run.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS)) as usize
}
