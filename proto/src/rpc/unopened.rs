//! A request as it waits: its params are text until its turn comes, so that a queue of requests takes no more
//! memory than their packets. A value that was read can take ninety times its text.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use super::message::Call;
use super::{RpcError, Subject};

/// Most values in one text that is read: members, items, and the objects and lists around them. The largest of
/// use, a list of 256 constant publishes, has 1,281.
const VALUES: usize = 4096;
/// Most memory that one text takes when it is read, in bytes.
const BYTES: usize = 1 << 20;
/// Memory of an object, in bytes: its map makes room for eleven members at once.
const OBJECT: usize = 720;
/// Memory of a list, in bytes: it makes room for four items at once.
const LIST: usize = 160;
/// Memory of one more member or item, in bytes, with a name and a share of the room that is made ahead.
const ITEM: usize = 160;
/// Longest method that waits, in characters. A longer one is unknown, and shown shorter than this.
const METHOD: usize = 65;

/// A request whose params are still text.
pub(super) struct Unopened {
    method: String,
    /// `Err`: they cannot be read.
    params: Result<Option<Box<RawValue>>, Unreadable>,
}

impl Unopened {
    /// Keeps a request, and says what it is about. Its params are read once for that, and not kept if they cannot
    /// be read.
    pub(super) fn new(method: &str, params: Option<&RawValue>) -> (Self, Subject) {
        let (params, subject) = match (params, params.map(open).transpose()) {
            (Some(text), Ok(Some(value))) if !value.is_null() => {
                (Ok(Some(text.to_owned())), Subject::of(&value))
            }
            (_, Err(unreadable)) => (Err(unreadable), Subject::default()),
            _ => (Ok(None), Subject::default()),
        };
        (Self { method: method.chars().take(METHOD).collect(), params }, subject)
    }

    /// Reads the params.
    pub(super) fn open(self) -> Call {
        let Self { method, params } = self;
        let params = params.and_then(|text| text.as_deref().map(open).transpose());
        Call::read(&method, params.map_err(|unreadable| unreadable.error(&method)))
    }

    /// Length of its texts in bytes.
    pub(super) fn bytes(&self) -> usize {
        let params = self.params.as_ref().ok().and_then(Option::as_ref);
        self.method.len() + params.map_or(0, |text| text.get().len())
    }
}

/// Why a text that is JSON is not read.
pub(super) enum Unreadable {
    /// It has too many values.
    TooMany,
    /// It has a number or a string that cannot be held, or is nested too deeply.
    Json(serde_json::Error),
}

/// The value of a text.
///
/// # Errors
///
/// The text is [`Unreadable`].
pub(super) fn open(text: &RawValue) -> Result<Value, Unreadable> {
    let (values, bytes) = weigh(text.get());
    if values > VALUES || bytes > BYTES {
        return Err(Unreadable::TooMany);
    }
    serde_json::from_str(text.get()).map_err(Unreadable::Json)
}

impl Unreadable {
    /// The error for a message whose params these are.
    pub(super) fn error(&self, name: &str) -> RpcError {
        RpcError::internal(format!("{name}: params: {self}"))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(
                f,
                "expected at most {VALUES} values in {} KiB of memory, received more",
                BYTES >> 10
            ),
            Self::Json(error) => write!(f, "expected JSON that can be read, received {error}"),
        }
    }
}

/// How many values a text has, and how many bytes of memory they take when they are read, at most.
fn weigh(json: &str) -> (usize, usize) {
    let (mut values, mut bytes) = (1, json.len());
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' | b',' => {
                values += 1;
                bytes += match byte {
                    b'{' => OBJECT,
                    b'[' => LIST,
                    _ => ITEM,
                };
            }
            _ => {}
        }
    }
    (values, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(list) => list.iter().map(count).sum(),
            Value::Object(members) => members.values().map(count).sum(),
            _ => 0,
        }
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_text_never_has_more_values_than_it_is_weighed_for() {
        for json in [
            "1",
            r#"",{[\",[""#,
            r#""\\""#,
            "[]",
            "[[],[],{}]",
            r#"{"a,{":[1,2,{"b\"":null}],"c":"[[["}"#,
            r#"[1,2,[3,[4,{"a":{"b":[]}}]]]"#,
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            let (values, _) = weigh(json);
            assert!((count(&value)..=2 * count(&value)).contains(&values), "{json}: {values}");
        }
    }

    #[test]
    fn lists_for_256_channels_are_read_and_packets_of_nothing_but_values_are_not() {
        let publish = format!(
            r#"{{"enable":true,"channel":255,"quality":"fhd","url":"rtmp://h/{}"}}"#,
            "x".repeat(180)
        );
        let status = r#"{"channel":255,"state":2,"stream_id":"s","record_session":"r","alarm":0}"#;
        for item in [&*publish, status] {
            let list = format!("[{}]", vec![item; 256].join(","));
            assert!(open(&raw(&list)).is_ok(), "{item}");
        }
        for item in ["[]", "{}", "0", r#"{"":0}"#, r#""""#, "[[[[[]]]]]", "null", r#""\u0000""#] {
            let list = format!("[{}]", vec![item; 65_000 / (item.len() + 1)].join(","));
            assert!(matches!(open(&raw(&list)), Err(Unreadable::TooMany)), "{item}");
        }
        assert!(open(&raw(&format!(r#""{}""#, r"\n".repeat(30_000)))).is_ok());
    }

    #[test]
    fn a_request_with_too_many_values_is_refused_only_where_they_are_read() {
        let many = raw(&format!("[{}0]", "0,".repeat(VALUES)));
        let open = |method: &str| Unopened::new(method, Some(&many)).0.open();
        assert_eq!(open("GetFirmware"), Call::GetFirmware);
        assert_eq!(open("Nonsense"), Call::Unknown("Nonsense".into()));
        let Call::RebootChannel(Err(error)) = open("RebootChannel") else { panic!("it was read") };
        assert!(error.code == 1 && error.msg.starts_with("RebootChannel: params: "), "{error}");
        let (kept, subject) = Unopened::new(&"é".repeat(9_000), Some(&many));
        assert_eq!((kept.bytes(), subject), (2 * METHOD, Subject::default()));
    }
}
