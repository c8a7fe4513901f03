use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// Parameters of theirs that wait, checked and kept as text: parsed, 64 KiB of hostile JSON can take
/// 6 MB, and 64 packets may wait.
#[derive(Debug, Default)]
pub(super) struct Params {
    text: Option<String>,
    /// The integer `channel` among them.
    pub(super) channel: Option<Number>,
}

impl Params {
    pub(super) fn check(raw: &RawValue) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_str(raw.get())?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let channel = value.get("channel").and_then(integer).cloned();
        Ok(Self { text: Some(raw.get().to_owned()), channel })
    }

    pub(super) fn open(self) -> Option<Value> {
        self.text.map(|text| serde_json::from_str(&text).expect("it was parsed on arrival"))
    }
}

/// The value as an integer of at most 64 bits, if it is one.
pub(super) fn integer(value: &Value) -> Option<&Number> {
    value.as_number().filter(|number| number.is_i64() || number.is_u64())
}
