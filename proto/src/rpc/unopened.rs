//! A request as it waits: its params are text until its turn comes, so that a queue of requests takes no more
//! memory than their packets. A value that was read can take ninety times its text.

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
    /// `Err`: they have too many values to be read.
    params: Result<Option<Box<RawValue>>, ()>,
}

impl Unopened {
    /// Keeps a request, and says what it is about. Its params are read once for that, and not kept if they have too
    /// many values.
    pub(super) fn new(
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<(Self, Subject), serde_json::Error> {
        let (params, subject) = match (params, params.map(open).transpose()?) {
            (Some(text), Some(Some(value))) if !value.is_null() => {
                (Ok(Some(text.to_owned())), Subject::of(&value))
            }
            (_, Some(None)) => (Err(()), Subject::default()),
            _ => (Ok(None), Subject::default()),
        };
        Ok((Self { method: method.chars().take(METHOD).collect(), params }, subject))
    }

    /// Reads the params.
    pub(super) fn open(self) -> Call {
        let Self { method, params } = self;
        let params = match params {
            Ok(None) => Ok(None),
            Ok(Some(text)) => open(&text).ok().flatten().map(Some).ok_or(()),
            Err(()) => Err(()),
        };
        Call::read(&method, params.map_err(|()| too_much(&method)))
    }

    /// Length of its texts in bytes.
    pub(super) fn bytes(&self) -> usize {
        let params = self.params.as_ref().ok().and_then(Option::as_ref);
        self.method.len() + params.map_or(0, |text| text.get().len())
    }
}

/// The value of a text; `None` if it has too many values.
///
/// # Errors
///
/// The text has a number or a string that cannot be read, or is nested too deeply.
pub(super) fn open(text: &RawValue) -> Result<Option<Value>, serde_json::Error> {
    let (values, bytes) = weigh(text.get());
    if values > VALUES || bytes > BYTES {
        return Ok(None);
    }
    serde_json::from_str(text.get()).map(Some)
}

/// The error for a message whose params have too many values.
pub(super) fn too_much(name: &str) -> RpcError {
    RpcError::internal(format!(
        "{name}: params: expected at most {VALUES} values in {} KiB of memory, received more",
        BYTES >> 10
    ))
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
            assert!(open(&raw(&list)).unwrap().is_some(), "{item}");
        }
        for item in ["[]", "{}", "0", r#"{"":0}"#, r#""""#, "[[[[[]]]]]", "null", r#""\u0000""#] {
            let list = format!("[{}]", vec![item; 65_000 / (item.len() + 1)].join(","));
            assert!(open(&raw(&list)).unwrap().is_none(), "{item}");
        }
        assert!(open(&raw(&format!(r#""{}""#, r"\n".repeat(30_000)))).unwrap().is_some());
    }

    #[test]
    fn a_request_with_too_many_values_is_refused_only_where_they_are_read() {
        let many = raw(&format!("[{}0]", "0,".repeat(VALUES)));
        let open = |method: &str| Unopened::new(method, Some(&many)).unwrap().0.open();
        assert_eq!(open("GetFirmware"), Call::GetFirmware);
        assert_eq!(open("Nonsense"), Call::Unknown("Nonsense".into()));
        let Call::RebootChannel(Err(error)) = open("RebootChannel") else { panic!("it was read") };
        assert!(error.code == 1 && error.msg.starts_with("RebootChannel: params: "), "{error}");
        let (kept, subject) = Unopened::new(&"é".repeat(9_000), Some(&many)).unwrap();
        assert_eq!((kept.bytes(), subject), (2 * METHOD, Subject::default()));
    }
}
