use ivt_base::text::name;
use serde_json::{Number, Value};

use super::lenient::integer;

/// What a request is about, as far as its params say so, whether or not its method can use them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The integer `channel`; `None`: the request concerns the whole device.
    pub channel: Option<Number>,
    /// The recording's `session_id` or the live stream's `stream_id`, at most 200 characters of it.
    pub session: Option<String>,
}

impl Subject {
    pub(super) fn of(params: &Value) -> Self {
        let session = params.get("session_id").or_else(|| params.get("stream_id"));
        Self {
            channel: params.get("channel").and_then(Value::as_number).and_then(integer),
            session: session.and_then(Value::as_str).map(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_small_whatever_is_sent() {
        let subject = Subject::of(&json!({ "channel": 1, "session_id": "x".repeat(1 << 20) }));
        assert_eq!(subject.session.unwrap().len(), 200);
        for nothing in [json!([1]), json!("channel"), json!({ "channel": "1", "stream_id": 7 })] {
            assert_eq!(Subject::of(&nothing), Subject::default());
        }
        assert_eq!(Subject::of(&json!({ "channel": 1.0 })).channel, Some(1.into()));
    }
}
