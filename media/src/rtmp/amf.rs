//! AMF0, the value format of RTMP commands and of FLV metadata. Pure.
//!
//! Values from the wire are bounded in depth and number, so that no message can exhaust the stack
//! or cost more than a fixed multiple of its own size.

use crate::rtmp::amf3::{self, Scalar};

/// Deepest nesting accepted; commands in the field need three levels.
const MAX_DEPTH: usize = 8;
/// Most values accepted in one message, nested ones included.
const MAX_VALUES: usize = 1024;

/// One AMF0 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// IEEE double; all numbers of RTMP are of this kind.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string of either length class, or an XML document.
    String(String),
    /// Named members in wire order; typed objects lose their class name.
    Object(Vec<(String, Value)>),
    /// An associative array: an object with another marker.
    EcmaArray(Vec<(String, Value)>),
    /// Values without names.
    Array(Vec<Value>),
    /// Milliseconds since 1970, UTC.
    Date(f64),
    /// A value that says it is none.
    Null,
    /// No value. References, unsupported values and objects of AMF3 are read as this.
    Undefined,
}

/// Why bytes are not AMF0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// The bytes end inside a value.
    #[error("AMF0 value is cut short")]
    Truncated,
    /// A marker without meaning in AMF0.
    #[error("unknown AMF0 marker {0:#04x}")]
    Marker(u8),
    /// Nested deeper than any command.
    #[error("AMF0 values nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values than any command has.
    #[error("more than {MAX_VALUES} AMF0 values in a message")]
    TooMany,
}

/// Reads every value of `input`, which must end with the last one.
///
/// # Errors
///
/// The bytes are not AMF0, or hold more or deeper values than any command.
pub fn decode(input: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut decoder = Decoder { rest: input, values: 0 };
    let mut values = Vec::new();
    while !decoder.rest.is_empty() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// Writes `values` one after the other.
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    for value in values {
        value.encode(&mut out);
    }
    out
}

impl Value {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The member `name` of an object or associative array.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(members) | Self::EcmaArray(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(marker::NUMBER);
                out.extend(number.to_be_bytes());
            }
            Self::Boolean(value) => out.extend([marker::BOOLEAN, u8::from(*value)]),
            Self::String(text) => match u16::try_from(text.len()) {
                Ok(len) => {
                    out.push(marker::STRING);
                    out.extend(len.to_be_bytes());
                    out.extend(text.as_bytes());
                }
                Err(_) => {
                    out.push(marker::LONG_STRING);
                    out.extend((text.len() as u32).to_be_bytes());
                    out.extend(text.as_bytes());
                }
            },
            Self::Object(members) => {
                out.push(marker::OBJECT);
                encode_members(members, out);
            }
            Self::EcmaArray(members) => {
                out.push(marker::ECMA_ARRAY);
                out.extend((members.len() as u32).to_be_bytes());
                encode_members(members, out);
            }
            Self::Array(values) => {
                out.push(marker::STRICT_ARRAY);
                out.extend((values.len() as u32).to_be_bytes());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Date(millis) => {
                out.push(marker::DATE);
                out.extend(millis.to_be_bytes());
                out.extend([0, 0]);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// First byte of a value, which tells its type (AMF0 specification 2.1).
mod marker {
    /// Followed by 8 bytes.
    pub const NUMBER: u8 = 0;
    /// Followed by one byte.
    pub const BOOLEAN: u8 = 1;
    /// Followed by a length of 2 bytes and UTF-8.
    pub const STRING: u8 = 2;
    /// Followed by members up to [`OBJECT_END`].
    pub const OBJECT: u8 = 3;
    /// Complete by itself.
    pub const NULL: u8 = 5;
    /// Complete by itself.
    pub const UNDEFINED: u8 = 6;
    /// Followed by an index of 2 bytes.
    pub const REFERENCE: u8 = 7;
    /// Followed by a count of 4 bytes and members up to [`OBJECT_END`].
    pub const ECMA_ARRAY: u8 = 8;
    /// Stands behind an empty name, in place of a value.
    pub const OBJECT_END: u8 = 9;
    /// Followed by a count of 4 bytes and values.
    pub const STRICT_ARRAY: u8 = 10;
    /// Followed by a number and a time zone of 2 bytes.
    pub const DATE: u8 = 11;
    /// Followed by a length of 4 bytes and UTF-8.
    pub const LONG_STRING: u8 = 12;
    /// Complete by itself.
    pub const UNSUPPORTED: u8 = 13;
    /// Written as a long string.
    pub const XML: u8 = 15;
    /// Followed by a class name, and then as an object.
    pub const TYPED_OBJECT: u8 = 16;
    /// Followed by a value of AMF3.
    pub const AVMPLUS_OBJECT: u8 = 17;
}

/// Writes named members. Names longer than 65,535 bytes cannot be said and are cut at a character.
fn encode_members(members: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in members {
        let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
        out.extend((name.len() as u16).to_be_bytes());
        out.extend(name.as_bytes());
        value.encode(out);
    }
    out.extend([0, 0, marker::OBJECT_END]);
}

struct Decoder<'a> {
    rest: &'a [u8],
    values: usize,
}

impl Decoder<'_> {
    /// Reads a value, recursing at most [`MAX_DEPTH`] deep.
    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(AmfError::TooMany);
        }
        if depth >= MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        let [kind] = self.array()?;
        Ok(match kind {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::String(self.short_string()?),
            marker::OBJECT => Value::Object(self.members(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            marker::REFERENCE => {
                self.array::<2>()?;
                Value::Undefined
            }
            marker::ECMA_ARRAY => {
                self.array::<4>()?; // The count is a hint: the end marker decides.
                Value::EcmaArray(self.members(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::Array(values)
            }
            marker::DATE => {
                let millis = f64::from_be_bytes(self.array()?);
                self.array::<2>()?; // Time zone: reserved, always zero.
                Value::Date(millis)
            }
            marker::LONG_STRING | marker::XML => {
                let len = u32::from_be_bytes(self.array()?);
                Value::String(self.string(len as usize)?)
            }
            marker::TYPED_OBJECT => {
                self.short_string()?;
                Value::Object(self.members(depth)?)
            }
            marker::AVMPLUS_OBJECT => self.foreign(),
            other => return Err(AmfError::Marker(other)),
        })
    }

    /// Reads a value of AMF3. Where its end cannot be told, what follows it is left out.
    fn foreign(&mut self) -> Value {
        match amf3::take(&mut self.rest) {
            Some(Scalar::Number(number)) => Value::Number(number),
            Some(Scalar::Boolean(value)) => Value::Boolean(value),
            Some(Scalar::Text(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
            Some(Scalar::Null) => Value::Null,
            Some(Scalar::Other) => Value::Undefined,
            None => {
                self.rest = &[];
                Value::Undefined
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut members = Vec::new();
        loop {
            let name = self.short_string()?;
            if self.rest.first() == Some(&marker::OBJECT_END) {
                self.array::<1>()?;
                return Ok(members);
            }
            members.push((name, self.value(depth + 1)?));
        }
    }

    fn short_string(&mut self) -> Result<String, AmfError> {
        let len = u16::from_be_bytes(self.array()?);
        self.string(usize::from(len))
    }

    fn string(&mut self, len: usize) -> Result<String, AmfError> {
        let (text, rest) = self.rest.split_at_checked(len).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9f64..1e9).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            "[a-zä]{0,20}".prop_map(Value::String),
            (0f64..1e13).prop_map(Value::Date),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let members = prop::collection::vec(("[a-z]{1,8}", inner.clone()), 0..6);
            prop_oneof![
                members.clone().prop_map(Value::Object),
                members.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec(any_value(), 0..5)) {
            prop_assert_eq!(decode(&encode(&values)), Ok(values));
        }

        #[test]
        fn a_cut_value_is_never_read_as_another(value in any_value(), at in any::<prop::sample::Index>()) {
            let bytes = encode(std::slice::from_ref(&value));
            let at = at.index(bytes.len());
            if at > 0 {
                prop_assert_eq!(decode(&bytes[..at]), Err(AmfError::Truncated));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn long_strings_keep_their_length() {
        let value = Value::String("x".repeat(70_000));
        assert_eq!(decode(&encode(std::slice::from_ref(&value))), Ok(vec![value]));
        // A length that 32 bits cannot address beside the program.
        let lie = [marker::LONG_STRING, 0xff, 0xff, 0xff, 0xff, b'x'];
        assert_eq!(decode(&lie), Err(AmfError::Truncated));
    }

    #[test]
    fn nesting_is_refused_before_the_stack_notices() {
        let arrays = [marker::STRICT_ARRAY, 0, 0, 0, 1].repeat(100_000);
        assert_eq!(decode(&arrays), Err(AmfError::TooDeep));
        let objects = [marker::OBJECT, 0, 1, b'a'].repeat(100_000);
        assert_eq!(decode(&objects), Err(AmfError::TooDeep));
    }

    #[test]
    fn a_huge_array_costs_no_more_than_its_bytes() {
        let mut lie = vec![marker::STRICT_ARRAY, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(decode(&lie), Err(AmfError::Truncated));
        lie.extend(vec![marker::NULL; 1 << 20]);
        assert_eq!(decode(&lie), Err(AmfError::TooMany));
    }

    #[test]
    fn values_of_amf3_are_passed_over_and_what_follows_is_read() {
        let object = [0x11, 10, 0x0b, 1, 3, b'a', 4, 5, 1];
        let number = Value::Number(4.0);
        let behind = encode(std::slice::from_ref(&number));
        let wire = [&encode(&["_result".into()])[..], &object, &behind].concat();
        assert_eq!(decode(&wire), Ok(vec!["_result".into(), Value::Undefined, number.clone()]));
        assert_eq!(decode(&[0x11, 4, 4]), Ok(vec![number]), "a scalar is read");
        let unknown = [&encode(&["a".into()])[..], &[0x11, 10, 7, 3, b'C', 1, 2, 3]].concat();
        assert_eq!(decode(&unknown), Ok(vec!["a".into(), Value::Undefined]), "no known end");
    }

    #[test]
    fn rare_types_are_tolerated() {
        let wire = [
            &[marker::REFERENCE, 0, 1][..],
            &[marker::UNSUPPORTED],
            &[marker::XML, 0, 0, 0, 1, b'<'],
            &[marker::TYPED_OBJECT, 0, 1, b'C', 0, 1, b'n', marker::NULL, 0, 0, marker::OBJECT_END],
        ]
        .concat();
        let members = Value::Object(vec![("n".into(), Value::Null)]);
        let want = vec![Value::Undefined, Value::Undefined, "<".into(), members];
        assert_eq!(decode(&wire), Ok(want));
        assert_eq!(decode(&[0x12]), Err(AmfError::Marker(0x12)));
    }
}
