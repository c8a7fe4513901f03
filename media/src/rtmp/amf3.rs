//! AMF3 values inside AMF0 commands: scalars are read, everything else is passed over. Pure.
//!
//! Adobe's AMF3 specification of 2013, chapter 3.

/// Deepest nesting that is passed over.
const MAX_DEPTH: usize = 16;
/// Most values that are passed over, nested ones included.
const MAX_VALUES: usize = 1024;

/// One AMF3 value, as far as commands need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// An integer or a double.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string that stands there in full.
    Text(&'a [u8]),
    /// A value that says it is none.
    Null,
    /// Anything else.
    Other,
}

/// Takes one value off `input`. `None` where its end cannot be told: it is cut short, nested too
/// deep, or of a class that is written by rules of its own.
pub fn take<'a>(input: &mut &'a [u8]) -> Option<Scalar<'a>> {
    let mut reader = Reader { rest: input, values: 0, traits: Vec::new() };
    let value = reader.value(0)?;
    *input = reader.rest;
    Some(value)
}

/// First byte of a value (3.1).
mod marker {
    pub const UNDEFINED: u8 = 0;
    pub const NULL: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const TRUE: u8 = 3;
    pub const INTEGER: u8 = 4;
    pub const DOUBLE: u8 = 5;
    pub const STRING: u8 = 6;
    pub const XML_DOCUMENT: u8 = 7;
    pub const DATE: u8 = 8;
    pub const ARRAY: u8 = 9;
    pub const OBJECT: u8 = 10;
    pub const XML: u8 = 11;
    pub const BYTE_ARRAY: u8 = 12;
    pub const VECTOR_INT: u8 = 13;
    pub const VECTOR_UINT: u8 = 14;
    pub const VECTOR_DOUBLE: u8 = 15;
    pub const VECTOR_OBJECT: u8 = 16;
    pub const DICTIONARY: u8 = 17;
}

struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
    /// The classes met so far, to which later objects refer by number.
    traits: Vec<Traits>,
}

/// How the objects of a class are written.
#[derive(Clone, Copy)]
struct Traits {
    /// Values without names.
    sealed: usize,
    /// Whether named values follow.
    dynamic: bool,
}

impl<'a> Reader<'a> {
    /// Reads a value, recursing at most [`MAX_DEPTH`] deep.
    fn value(&mut self, depth: usize) -> Option<Scalar<'a>> {
        self.values += 1;
        if self.values > MAX_VALUES || depth >= MAX_DEPTH {
            return None;
        }
        match self.bytes(1)?[0] {
            marker::UNDEFINED => {}
            marker::NULL => return Some(Scalar::Null),
            marker::FALSE => return Some(Scalar::Boolean(false)),
            marker::TRUE => return Some(Scalar::Boolean(true)),
            marker::INTEGER => {
                // Integers are signed and have 29 bits.
                let number = (self.u29()? << 3).cast_signed() >> 3;
                return Some(Scalar::Number(number.into()));
            }
            marker::DOUBLE => {
                let (bytes, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                return Some(Scalar::Number(f64::from_be_bytes(*bytes)));
            }
            marker::STRING => return Some(self.string()?.map_or(Scalar::Other, Scalar::Text)),
            marker::XML_DOCUMENT | marker::XML | marker::BYTE_ARRAY => {
                self.string()?;
            }
            marker::DATE => {
                if self.length()?.is_some() {
                    self.bytes(8)?;
                }
            }
            marker::ARRAY => {
                if let Some(count) = self.length()? {
                    self.members(depth)?;
                    self.items(count, depth)?;
                }
            }
            marker::OBJECT => self.object(depth)?,
            kind @ (marker::VECTOR_INT | marker::VECTOR_UINT | marker::VECTOR_DOUBLE) => {
                let size = if kind == marker::VECTOR_DOUBLE { 8 } else { 4 };
                if let Some(count) = self.length()? {
                    self.bytes(1 + count * size)?;
                }
            }
            marker::VECTOR_OBJECT => {
                if let Some(count) = self.length()? {
                    self.bytes(1)?;
                    self.string()?;
                    self.items(count, depth)?;
                }
            }
            marker::DICTIONARY => {
                if let Some(count) = self.length()? {
                    self.bytes(1)?;
                    self.items(2 * count, depth)?;
                }
            }
            _ => return None,
        }
        Some(Scalar::Other)
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let head = self.u29()? as usize;
        let traits = match head & 0b111 {
            0b001 | 0b101 => *self.traits.get(head >> 2)?,
            0b011 => {
                let traits = Traits { sealed: head >> 4, dynamic: head & 0b1000 != 0 };
                // The class and its members have names.
                for _ in 0..=traits.sealed {
                    self.string()?;
                }
                self.traits.push(traits);
                traits
            }
            // A class that is written by rules of its own.
            0b111 => return None,
            _ => return Some(()),
        };
        self.items(traits.sealed, depth)?;
        if traits.dynamic { self.members(depth) } else { Some(()) }
    }

    /// Passes over named values, up to the empty name.
    fn members(&mut self, depth: usize) -> Option<()> {
        while self.string()?.is_none_or(|name| !name.is_empty()) {
            self.value(depth + 1)?;
        }
        Some(())
    }

    fn items(&mut self, count: usize, depth: usize) -> Option<()> {
        for _ in 0..count {
            self.value(depth + 1)?;
        }
        Some(())
    }

    /// The bytes of a string; `Some(None)` for a reference to one that came before.
    fn string(&mut self) -> Option<Option<&'a [u8]>> {
        match self.length()? {
            Some(len) => self.bytes(len).map(Some),
            None => Some(None),
        }
    }

    /// A length; `Some(None)` for a reference in its place.
    fn length(&mut self) -> Option<Option<usize>> {
        let head = self.u29()?;
        Some((head & 1 == 1).then_some(head as usize >> 1))
    }

    /// An integer of 29 bits in one to four bytes (1.3.1).
    fn u29(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = u32::from(self.bytes(1)?[0]);
            number = number << 7 | byte & 0x7f;
            if byte < 0x80 {
                return Some(number);
            }
        }
        Some(number << 8 | u32::from(self.bytes(1)?[0]))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scalars_are_read() {
        let rows: [(&[u8], Scalar<'_>); 9] = [
            (&[0], Scalar::Other),
            (&[1], Scalar::Null),
            (&[2], Scalar::Boolean(false)),
            (&[3], Scalar::Boolean(true)),
            (&[4, 0x81, 0x01], Scalar::Number(129.0)),
            (&[4, 0xff, 0xff, 0xff, 0xff], Scalar::Number(-1.0)),
            (&[5, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], Scalar::Number(1.0)),
            (&[6, 7, b'a', b'b', b'c'], Scalar::Text(b"abc")),
            (&[6, 0], Scalar::Other),
        ];
        for (bytes, want) in rows {
            let mut input = [bytes, b"rest"].concat();
            input.push(0);
            let mut input = &input[..];
            assert_eq!(take(&mut input), Some(want), "{bytes:x?}");
            assert_eq!(input, b"rest\0", "{bytes:x?}");
        }
    }

    #[test]
    fn everything_else_is_passed_over() {
        let rows: [(&str, &[u8]); 12] = [
            ("a dynamic object", &[10, 0x0b, 1, 3, b'a', 4, 5, 5, b'b', b'c', 1, 1]),
            ("an object of a class", &[10, 0x23, 3, b'C', 3, b'x', 3, b'y', 4, 1, 3]),
            (
                "two objects of one class, the second by reference",
                &[9, 5, 1, 10, 0x13, 3, b'C', 3, b'x', 1, 10, 1, 6, 3, b'v'],
            ),
            ("an object by reference", &[10, 0]),
            ("an array with names", &[9, 3, 3, b'n', 2, 1, 4, 9]),
            ("a date", &[8, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("XML", &[7, 7, b'<', b'a', b'>']),
            ("bytes", &[12, 5, 0, 1]),
            ("integers", &[13, 5, 0, 0, 0, 0, 1, 0, 0, 0, 2]),
            ("doubles", &[15, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("objects", &[16, 3, 0, 1, 10, 0x0b, 1, 1]),
            ("a dictionary", &[17, 3, 0, 6, 3, b'k', 3]),
        ];
        for (what, bytes) in rows {
            let input = [bytes, &[9; 4]].concat();
            let mut input = &input[..];
            assert_eq!(take(&mut input), Some(Scalar::Other), "{what}");
            assert_eq!(input, [9; 4], "{what}");
        }
    }

    #[test]
    fn what_has_no_known_end_is_none() {
        let nested = [9, 3, 1].repeat(100_000);
        let huge = [9, 0xff, 0xff, 0xff, 0xff, 1].into_iter().chain([1; 5000]).collect();
        for bytes in [vec![10, 7, 3, b'C'], vec![18], vec![], vec![6, 99, 0], nested, huge] {
            assert_eq!(take(&mut &bytes[..]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(0u8..32, 0..400)) {
            let _ = take(&mut &bytes[..]);
        }
    }
}
