//! XML elements of one name amid other bytes: the alarms of Hikvision between boundaries and pictures, the metadata of
//! uapi cameras between binary headers.

use super::LONGEST_PART;

/// Longest prefix of a name, in bytes.
const LONGEST_PREFIX: usize = 32;
/// Most blanks between the name of an end tag and its bracket.
const MOST_BLANKS: usize = 16;

/// Cuts out the elements of one name, with any prefix. An element that begins inside another one of the name ends that one
/// unheard, as an element whose end is missing must not take the next one with it.
pub struct Elements {
    name: Vec<u8>,
    held: Vec<u8>,
    /// Where the open element begins in `held`.
    open: Option<usize>,
    /// What of `held` has been searched.
    searched: usize,
}

/// What stands at a `<`.
enum Tag {
    Start,
    /// An end tag, and its length.
    End(usize),
    Other,
    /// The bytes so far do not tell.
    Cut,
}

impl Elements {
    /// Elements of this local name.
    pub fn new(name: &str) -> Self {
        Self { name: name.as_bytes().to_vec(), held: Vec::new(), open: None, searched: 0 }
    }

    /// Takes the next bytes and hands over the elements that end in them, from `<` to `>`.
    pub fn push(&mut self, bytes: &[u8], part: &mut dyn FnMut(&[u8])) {
        self.held.extend_from_slice(bytes);
        while let Some(found) = self.held[self.searched..].iter().position(|byte| *byte == b'<') {
            let at = self.searched + found;
            match self.tag(at) {
                Tag::Cut => {
                    self.searched = at;
                    return self.drop_passed(at);
                }
                Tag::Start => self.open = Some(at),
                Tag::End(length) => {
                    if let Some(open) =
                        self.open.take().filter(|open| at + length - open <= LONGEST_PART)
                    {
                        part(&self.held[open..at + length]);
                    }
                }
                Tag::Other => {}
            }
            self.searched = at + 1;
        }
        self.searched = self.held.len();
        self.drop_passed(self.searched);
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn tag(&self, at: usize) -> Tag {
        let rest = &self.held[at + 1..];
        let (rest, is_end) = match rest {
            [] => return Tag::Cut,
            [b'/', rest @ ..] => (rest, true),
            rest => (rest, false),
        };
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte) || *byte > 127;
        let most = LONGEST_PREFIX + 1 + self.name.len();
        let length = rest.iter().take(most + 1).take_while(|byte| is_name(byte)).count();
        if length > most {
            return Tag::Other;
        }
        let Some(behind) = rest.get(length) else { return Tag::Cut };
        let local = rest[..length].rsplit(|byte| *byte == b':').next().unwrap_or_default();
        if local != self.name {
            return Tag::Other;
        }
        if !is_end {
            let is_start = behind.is_ascii_whitespace() || matches!(behind, b'>' | b'/');
            return if is_start { Tag::Start } else { Tag::Other };
        }
        let rest = &rest[length..];
        let blanks = rest.iter().take(MOST_BLANKS).take_while(|byte| byte.is_ascii_whitespace());
        let blanks = blanks.count();
        match rest.get(blanks) {
            Some(b'>') => Tag::End(2 + length + blanks + 1),
            Some(_) => Tag::Other,
            None => Tag::Cut,
        }
    }

    /// Drops what is before `at`, or before the open element unless that has grown too long.
    fn drop_passed(&mut self, at: usize) {
        if self.open.is_some_and(|open| self.held.len() - open > LONGEST_PART) {
            self.open = None;
        }
        let keep = self.open.unwrap_or(at);
        self.held.drain(..keep);
        self.searched -= keep;
        self.open = self.open.map(|_| 0);
        if self.held.is_empty() && self.held.capacity() > LONGEST_PART / 8 {
            self.held = Vec::new();
        }
    }
}
