//! Where a text holds secrets, in any spelling. A secret is known by its keys: the bytes of each run of it that is
//! hidden, as one number, without case. A sorted list of keys holds those of one text that was made known.

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
/// Bits of the filter, as a power of two: 32 KiB, enough for a few hundred signed addresses.
const BITS: u32 = 18;
/// The byte of a key that tells its kind.
const KIND: u64 = 0xff << 56;
/// Keys that begin with these bytes are no run of a secret: beginnings and ends of secrets, which are hidden beside a
/// cut, and words that are hidden where they stand alone. No view holds control characters.
const HEAD: u64 = 1 << 56;
const TAIL: u64 = 2 << 56;
const ALONE: u64 = 3 << 56;
/// The bit of a filter's `lengths` from which on they are those of words that stand alone.
const ALONES: usize = 16;

/// Adds the keys of a secret by itself, unless it is too short to be told from other text.
pub(super) fn secret(text: &[u8], keys: &mut Vec<u64>) {
    let plain = text.iter().all(u8::is_ascii_alphabetic) || text.iter().all(u8::is_ascii_digit);
    match text.len() {
        ..4 => {}
        4..RUN if plain => keys.push(ALONE | number(text)),
        _ => named(text, keys),
    }
}

/// Adds the keys of a text that is secret wherever it stands, such as a short secret with its name before it.
pub(super) fn named(text: &[u8], keys: &mut Vec<u64>) {
    let folded: Vec<u8> = text.iter().copied().map(fold).collect();
    if folded.len() < 3 {
        return;
    }
    keys.extend(folded.windows(RUN.min(folded.len())).map(number));
    for length in CUT..RUN.min(folded.len()) {
        keys.push(HEAD | number(&folded[..length]));
        keys.push(TAIL | number(&folded[folded.len() - length..]));
    }
}

/// Tells at once of most keys that they belong to no secret.
pub(super) struct Filter {
    bits: Vec<u64>,
    /// A bit for each length of a run, and behind them one for each length of a word that stands alone.
    lengths: usize,
}

impl Filter {
    pub(super) const fn new() -> Self {
        Self { bits: Vec::new(), lengths: 0 }
    }

    pub(super) fn add(&mut self, keys: &[u64]) {
        self.bits.resize(1 << (BITS - 6), 0);
        for key in keys {
            places(*key).for_each(|(at, bit)| self.bits[at] |= bit);
            self.lengths |= match key & KIND {
                HEAD | TAIL => 0,
                ALONE => 1 << (ALONES + length(key & !KIND)),
                _ => 1 << length(*key),
            };
        }
    }

    fn may_hold(&self, key: u64) -> bool {
        places(key).all(|(at, bit)| self.bits.get(at).is_some_and(|bits| bits & bit != 0))
    }
}

/// The search of one text.
pub(super) struct Search<'a> {
    pub(super) known: &'a [Arc<[u64]>],
    /// Holds all keys in `known`, and may hold others.
    pub(super) filter: &'a Filter,
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
        let length = view.bytes.len();
        // The bytes behind each place, as far as a key reaches, folded and as they are.
        let (mut folded, mut plain) = (vec![0; length + 1], vec![0; length + 1]);
        for (at, byte) in view.bytes.iter().enumerate().rev() {
            folded[at] = folded[at + 1] << 8 | u64::from(fold(*byte));
            plain[at] = plain[at + 1] << 8 | u64::from(*byte);
        }
        let lengths = self.filter.lengths;
        for n in 3..=RUN {
            let run = lengths >> n & 1 != 0;
            let alone = self.words && lengths >> (ALONES + n) & 1 != 0;
            if !run && !alone {
                continue;
            }
            for at in 0..(length + 1).saturating_sub(n) {
                let found = at..at + n;
                if run && self.holds(first(folded[at], n))
                    || alone
                        && self.holds(ALONE | first(plain[at], n))
                        && is_alone(&view.bytes, found.clone())
                {
                    self.hide(view, found);
                }
            }
        }
        for cut in self.cuts(&view.bytes) {
            for n in CUT..RUN {
                let head = cut.start.checked_sub(n);
                if let Some(at) = head.filter(|at| self.holds(HEAD | first(folded[*at], n))) {
                    self.hide(view, at..cut.start);
                }
                let end = cut.end + n;
                if end <= length && self.holds(TAIL | first(folded[cut.end], n)) {
                    self.hide(view, cut.end..end);
                }
            }
        }
    }

    fn holds(&self, key: u64) -> bool {
        self.filter.may_hold(key) && self.known.iter().any(|keys| keys.binary_search(&key).is_ok())
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

/// Whether neither a letter nor a digit stands beside a part of a text.
fn is_alone(text: &[u8], part: Range<usize>) -> bool {
    let of_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    !of_word(part.start.checked_sub(1).and_then(|before| text.get(before)))
        && !of_word(text.get(part.end))
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

/// Up to eight bytes as one number, the first byte the lowest.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The number of the first `n` of eight bytes.
fn first(number: u64, n: usize) -> u64 {
    number & u64::MAX >> (64 - 8 * n)
}

/// How many bytes a number was made of.
fn length(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as usize
}

/// The bits of a key in the filter: which number, and its bit.
fn places(key: u64) -> impl Iterator<Item = (usize, u64)> {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [hash >> (64 - BITS), (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> (64 - BITS)]
        .into_iter()
        .map(|place| ((place >> 6) as usize, 1 << (place & 63)))
}
