//! Reads values into structs, and says which member was wrong but never what was in it (it may be a
//! password). Unlike serde_json's own reader it takes no list for a struct.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::super::error::kind;
use super::super::lenient::integer;
use super::RpcError;

/// Whether `""`, `null`, `[]` and `{}` all mean "nothing" at the outermost level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    Strict,
    Lenient,
}

pub(super) fn read<T: DeserializeOwned>(value: Value, empty: Empty) -> Result<T, Fault> {
    T::deserialize(Reader { value, empty })
}

/// What is wrong with a value, and where: the path below the outermost value.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    problem: String,
    /// The value is a number, but outside the range of its type.
    out_of_range: bool,
}

impl Fault {
    /// The error to answer with; `root` is the name of the outermost value.
    pub(super) fn into_error(self, root: &str) -> RpcError {
        let Self { path, problem, out_of_range } = self;
        let channel = path == ".channel" || path.ends_with("].channel");
        if out_of_range && channel {
            RpcError::new(RpcError::NO_CHANNEL, format!("{root}{path}: there is no such channel"))
        } else {
            RpcError::internal(format!("{root}{path}: {problem}"))
        }
    }

    fn new(problem: String) -> Self {
        Self { path: String::new(), problem, out_of_range: false }
    }

    fn wrong(expected: &str, received: &Value) -> Self {
        Self::new(format!("expected {expected}, received {}", kind(received)))
    }

    fn inside(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let received = match unexpected {
            Unexpected::Unit => "null",
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) => "a whole number",
            Unexpected::Signed(_) => "a negative number",
            Unexpected::Float(_) => "a fraction or too large a number",
            Unexpected::Str(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            _ => "another type",
        };
        let out_of_range = match unexpected {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => true,
            Unexpected::Float(value) => value < 0.0 || value > f64::from(u32::MAX),
            _ => false,
        };
        Self { out_of_range, ..Self::new(format!("expected {expected}, received {received}")) }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing".to_owned()).inside(&format!(".{field}"))
    }
}

struct Reader {
    value: Value,
    empty: Empty,
}

impl Reader {
    fn inner(value: Value) -> Self {
        Self { value, empty: Empty::Strict }
    }

    fn is_nothing(&self) -> bool {
        self.empty == Empty::Lenient
            && match &self.value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Object(members) => members.is_empty(),
                Value::Bool(_) | Value::Number(_) => false,
            }
    }

    fn list<'de, V: Visitor<'de>>(list: Vec<Value>, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Items { items: list.into_iter(), next: 0 })
    }

    fn object<'de, V: Visitor<'de>>(
        members: Map<String, Value>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(Members { members: members.into_iter(), value: None })
    }
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => {
                let number = integer(&number).unwrap_or(number);
                match (number.as_u64(), number.as_i64()) {
                    (Some(whole), _) => visitor.visit_u64(whole),
                    (None, Some(negative)) => visitor.visit_i64(negative),
                    (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::INFINITY)),
                }
            }
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => Self::list(list, visitor),
            Value::Object(members) => Self::object(members, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            _ if self.is_nothing() => Self::list(Vec::new(), visitor),
            Value::Array(list) => Self::list(list, visitor),
            other => Err(Fault::wrong("a list", &other)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            _ if self.is_nothing() => Self::object(Map::new(), visitor),
            Value::Object(members) => Self::object(members, visitor),
            other => Err(Fault::wrong("an object", &other)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(name) => {
                let name: StringDeserializer<Fault> = name.into_deserializer();
                visitor.visit_enum(name)
            }
            other => Err(Fault::wrong("a string", &other)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let item = seed.deserialize(Reader::inner(item));
        item.map(Some).map_err(|fault| fault.inside(&format!("[{index}]")))
    }
}

/// The members of an object; one that is `null` counts as absent.
struct Members {
    members: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.members.find(|(_, value)| !value.is_null());
        let Some((name, _)) = &self.value else { return Ok(None) };
        seed.deserialize(de::value::StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.value.take().expect("serde asks for a key before its value");
        seed.deserialize(Reader::inner(value)).map_err(|fault| fault.inside(&format!(".{name}")))
    }
}
