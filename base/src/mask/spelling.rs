//! A text as it reads when its escapes, base64 or hexadecimal digits are decoded. Each byte knows its place in the
//! text as it came.

use std::ops::Range;

/// Fewest characters in a row that are read as base64.
const BASE64: usize = 4;
/// Fewest pairs of hexadecimal digits in a row that are read as bytes.
const PAIRS: usize = 4;
/// The names of characters in HTML, each with its character behind it.
const ENTITIES: &str = "amp& lt< gt> quot\" apos' excl! num# dollar$ percnt% lpar( rpar) ast* plus+ comma, period. \
     sol/ colon: semi; equals= quest? commat@ lsqb[ bsol\\ rsqb] Hat^ lowbar_ grave` lbrace{ vert| rbrace}";

/// A text in one spelling.
#[derive(Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// Where each byte stands in the text as it came.
    pub(super) places: Vec<Range<u32>>,
}

impl View {
    /// The text as it came, without control characters.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut view = Self::default();
        for (at, byte) in (0..).zip(text) {
            view.push(*byte, at..at + 1);
        }
        view
    }

    /// The view with its escapes decoded once; `None` without any.
    pub(super) fn unescaped(&self) -> Option<Self> {
        let (mut view, mut at) = (Self::default(), 0);
        while at < self.bytes.len() {
            let Some((found, length)) = escape(&self.bytes[at..]) else {
                view.push(self.bytes[at], self.places[at].clone());
                at += 1;
                continue;
            };
            let place = self.places[at].start..self.places[at + length - 1].end;
            match found {
                Escape::Byte(byte) => view.push(byte, place),
                Escape::Code(code) => {
                    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    let utf8 = c.encode_utf8(&mut [0; 4]).bytes().collect::<Vec<_>>();
                    utf8.into_iter().for_each(|byte| view.push(byte, place.clone()));
                }
            }
            at += length;
        }
        // Every escape is longer than what it stands for.
        (view.bytes.len() != self.bytes.len()).then_some(view)
    }

    /// What the base64 in the view stands for, in either alphabet, when the first `skip` characters of each run are
    /// not part of it; `None` without any.
    pub(super) fn base64(&self, skip: usize) -> Option<Self> {
        let (mut view, mut at) = (Self::default(), 0);
        while at < self.bytes.len() {
            let run = self.bytes[at..].iter().map_while(|byte| sextet(*byte));
            let run: Vec<u32> = run.collect();
            if run.len() >= BASE64 + skip {
                for nth in (skip..run.len() - 1).filter(|nth| (nth - skip) % 4 != 3) {
                    let shift = (nth - skip) % 4 * 2;
                    let byte = (run[nth] << 6 | run[nth + 1]) >> (4 - shift) & 0xff;
                    let place = self.places[at + nth].start..self.places[at + nth + 1].end;
                    view.push(byte as u8, place);
                }
                view.part();
            }
            at += run.len() + 1;
        }
        (!view.bytes.is_empty()).then_some(view)
    }

    /// What the hexadecimal digits in the view stand for, with or without a sign between two pairs; `None` without any.
    pub(super) fn hex(&self) -> Option<Self> {
        let (mut view, mut at) = (Self::default(), 0);
        while at < self.bytes.len() {
            let (mut run, mut next) = (Vec::new(), at);
            while let Some((byte, _)) = digits(&self.bytes[next..], 16, 2, 2) {
                run.push((byte as u8, self.places[next].start..self.places[next + 1].end));
                next += 2;
                let parted = matches!(self.bytes.get(next), Some(b' ' | b':' | b'-' | b','));
                next += usize::from(parted);
            }
            if run.len() >= PAIRS {
                run.into_iter().for_each(|(byte, place)| view.push(byte, place));
                view.part();
            }
            at = next.max(at + 1);
        }
        (!view.bytes.is_empty()).then_some(view)
    }

    fn push(&mut self, byte: u8, place: Range<u32>) {
        if !byte.is_ascii_control() {
            self.bytes.push(byte);
            self.places.push(place);
        }
    }

    /// Keeps two runs apart by a byte that no secret holds.
    fn part(&mut self) {
        let end = self.places.last().map_or(0, |place| place.end);
        self.bytes.push(0);
        self.places.push(end..end);
    }
}

enum Escape {
    Byte(u8),
    /// A character by its number in Unicode.
    Code(u32),
}

/// The escape that a text begins with, and its length.
fn escape(text: &[u8]) -> Option<(Escape, usize)> {
    let byte = |radix, skip, length| {
        let (byte, _) = digits(text.get(skip..)?, radix, length, length)?;
        Some((Escape::Byte(byte as u8), skip + length))
    };
    let code = |radix, skip, most, end: Option<u8>| {
        let (code, length) = digits(text.get(skip..)?, radix, 1, most)?;
        let whole =
            if end.is_some() { text.get(skip + length).copied() == end } else { length == most };
        whole.then_some((Escape::Code(code), skip + length + usize::from(end.is_some())))
    };
    match text {
        [b'\\', b'u', b'{', ..] => code(16, 3, 6, Some(b'}')),
        [b'%' | b'\\', b'u', ..] => code(16, 2, 4, None),
        [b'%', ..] => byte(16, 1, 2),
        [b'\\', b'x', ..] => byte(16, 2, 2),
        [b'\\', b'0'..=b'3', ..] => byte(8, 1, 3),
        [b'\\', b'n' | b'r' | b't', ..] => Some((Escape::Byte(b'\n'), 2)),
        [b'\\', sign, ..] if sign.is_ascii_punctuation() => Some((Escape::Byte(*sign), 2)),
        [b'&', b'#', b'x' | b'X', ..] => code(16, 3, 8, Some(b';')),
        [b'&', b'#', ..] => code(10, 2, 8, Some(b';')),
        [b'&', ..] => {
            let length = text.iter().take(8).position(|byte| *byte == b';')?;
            let mut entities =
                ENTITIES.split(' ').filter_map(|entity| entity.as_bytes().split_last());
            let (sign, _) = entities.find(|(_, name)| *name == &text[1..length])?;
            Some((Escape::Byte(*sign), length + 1))
        }
        _ => None,
    }
}

/// The number that a text begins with, and how many digits it has: at least `fewest`, at most `most`.
fn digits(text: &[u8], radix: u32, fewest: usize, most: usize) -> Option<(u32, usize)> {
    let found = text.iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix));
    let (number, length) = found.fold((0, 0), |(number, length), digit| {
        (u32::wrapping_add(u32::wrapping_mul(number, radix), digit), length + 1)
    });
    (length >= fewest).then_some((number, length))
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}
