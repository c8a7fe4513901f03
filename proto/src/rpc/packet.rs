//! The three kinds of packet, to and from text.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value, json};

use super::error::kind;
use super::lenient;
use super::message::Event;
use super::unopened::{Unopened, Unreadable, open};
use super::{MAX_MESSAGE, RpcError, Subject, Violation};

pub(super) enum Packet {
    Request { seq: Value, call: Unopened, subject: Subject },
    Answer { seq: Number, result: Result<Value, RpcError> },
    Event(Event),
}

/// Reads one packet. `bare` lets a lone `seq` pass for an empty success.
pub(super) fn parse(text: &str, bare: bool) -> Result<Packet, Violation> {
    if text.len() > MAX_MESSAGE {
        return Err(Violation::TooLong { bytes: text.len() });
    }
    let members: Members<'_> =
        serde_json::from_str(lenient::packet(text)).map_err(not_an_object)?;
    members.classify(bare)
}

/// The wire form of a request of ours, or its length when that is above the limit.
pub(super) fn request(method: &str, params: Option<&Value>, seq: u64) -> Result<String, usize> {
    fit(&Outgoing { req: Some(method), event: None, params: given(params), seq: Some(seq) })
}

/// The wire form of an event of ours, or its length when that is above the limit.
pub(super) fn event(event: &str, params: Option<&Value>) -> Result<String, usize> {
    fit(&Outgoing { req: None, event: Some(event), params: given(params), seq: None })
}

/// The wire form of an answer. One the protocol has no room for becomes error 1.
pub(super) fn answer(seq: &Value, result: Result<Value, RpcError>) -> String {
    let fault = match result {
        Err(error) => match fit(&json!({ "seq": seq, "err": error })) {
            Ok(text) => return text,
            Err(bytes) => too_long(bytes),
        },
        Ok(value) => match content(value) {
            Ok(resp) => match fit(&json!({ "seq": seq, "resp": resp })) {
                Ok(text) => return text,
                Err(bytes) => too_long(bytes),
            },
            Err(kind) => format!("the answer is {kind}, not an object or a list"),
        },
    };
    json!({ "seq": seq, "err": RpcError::internal(fault) }).to_string()
}

#[derive(Serialize)]
struct Outgoing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    req: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

fn given(params: Option<&Value>) -> Option<&Value> {
    params.filter(|value| !value.is_null())
}

fn fit(packet: &impl Serialize) -> Result<String, usize> {
    let text = serde_json::to_string(packet).expect("string keys and plain values serialise");
    if text.len() > MAX_MESSAGE { Err(text.len()) } else { Ok(text) }
}

fn too_long(bytes: usize) -> String {
    format!("the answer has {bytes} bytes, more than the {MAX_MESSAGE} of a message")
}

/// What may stand in `resp`: an object, a list, or one of the spellings of "empty" (as `{}`).
fn content(value: Value) -> Result<Value, &'static str> {
    match value {
        Value::Object(_) | Value::Array(_) => Ok(value),
        Value::Null => Ok(json!({})),
        Value::String(text) if text.is_empty() => Ok(json!({})),
        other => Err(kind(&other)),
    }
}

fn not_an_object(error: serde_json::Error) -> Violation {
    // A data error would quote the text; the only one possible here is another JSON type.
    let received = if error.is_data() {
        "JSON of another type".to_owned()
    } else {
        format!("text that is not JSON ({error})")
    };
    Violation::Malformed { expected: "a JSON object", received }
}

fn malformed(expected: &'static str, received: Option<&Value>) -> Violation {
    let received = received.map_or("none", kind).to_owned();
    Violation::Malformed { expected, received }
}

/// The value of a member of the packet itself.
fn member(text: &RawValue) -> Result<Value, Violation> {
    open(text).map_err(|unreadable| match unreadable {
        Unreadable::Json(error) => not_an_object(error),
        Unreadable::TooMany => Violation::Malformed {
            expected: "few values",
            received: "more than a message may hold".to_owned(),
        },
    })
}

fn name(text: &RawValue, expected: &'static str) -> Result<String, Violation> {
    match member(text)? {
        Value::String(name) => Ok(name),
        other => Err(malformed(expected, Some(&other))),
    }
}

fn error(value: &Value) -> Result<RpcError, Violation> {
    if !value.is_object() {
        return Err(malformed("an object in err", Some(value)));
    }
    let code = value.get("code");
    let msg = value.get("msg");
    Ok(RpcError {
        code: code
            .and_then(Value::as_number)
            .and_then(lenient::integer)
            .and_then(|code| code.as_i64())
            .ok_or_else(|| malformed("an integer in err.code", code))?,
        msg: msg
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("a string in err.msg", msg))?
            .to_owned(),
    })
}

/// The members of a packet. One that is `null` counts as absent, but for a `resp` where none of
/// `req`, `err` and `event` is there: that is an empty success.
#[derive(Default)]
struct Members<'a> {
    req: Option<&'a RawValue>,
    resp: Option<&'a RawValue>,
    err: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    seq: Option<&'a RawValue>,
    repeated: bool,
}

impl Members<'_> {
    fn classify(self, bare: bool) -> Result<Packet, Violation> {
        if self.repeated {
            let received = "one of them twice".to_owned();
            return Err(Violation::Malformed { expected: "each member once", received });
        }
        let seq = self.seq.map(member).transpose()?;
        let number = seq.as_ref().and_then(lenient::seq);
        let number = number.ok_or_else(|| malformed("an integer in seq", seq.as_ref()));
        let there = |raw: &&RawValue| raw.get() != "null";
        let [req, err, event] = [self.req, self.err, self.event].map(|raw| raw.filter(there));
        let alone = req.is_none() && err.is_none() && event.is_none();
        let resp = self.resp.filter(|resp| alone || there(resp));
        match (req, resp, err, event) {
            (Some(req), None, None, None) => {
                number?;
                let method = name(req, "a string in req")?;
                let (call, subject) = Unopened::new(&method, self.params);
                let seq = seq.unwrap_or_default();
                Ok(Packet::Request { seq, call, subject })
            }
            (None, Some(resp), None, None) => {
                let expected = "an object, a list or nothing in resp";
                let result = match open(resp) {
                    Ok(resp) => Ok(content(resp).map_err(|kind| Violation::Malformed {
                        expected,
                        received: kind.to_owned(),
                    })?),
                    Err(unreadable) => Err(RpcError::internal(format!("the answer: {unreadable}"))),
                };
                Ok(Packet::Answer { seq: number?, result })
            }
            (None, None, Some(err), None) => {
                Ok(Packet::Answer { seq: number?, result: Err(error(&member(err)?)?) })
            }
            (None, None, None, Some(event)) => {
                let event = name(event, "a string in event")?;
                let params = match self.params.map(open).transpose() {
                    Ok(params) => Ok(params.filter(|params| !params.is_null())),
                    Err(unreadable) => Err(unreadable.error(&event)),
                };
                Ok(Packet::Event(Event::read(&event, params)))
            }
            (None, None, None, None) if bare => {
                Ok(Packet::Answer { seq: number?, result: Ok(json!({})) })
            }
            (req, resp, err, event) => {
                let kinds = [req, resp, err, event].iter().flatten().count();
                Err(Violation::Malformed {
                    expected: "one of req, resp, err and event",
                    received: if kinds == 0 { "none" } else { "several" }.to_owned(),
                })
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Req,
    Resp,
    Err,
    Event,
    Params,
    Seq,
    #[serde(other)]
    Unknown,
}

// By hand, because a derived one takes a JSON list for a struct and quotes the text in its errors.
impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_key()? {
                    let earlier = match member {
                        Member::Req => members.req.replace(map.next_value()?).is_some(),
                        Member::Resp => members.resp.replace(map.next_value()?).is_some(),
                        Member::Err => members.err.replace(map.next_value()?).is_some(),
                        Member::Event => members.event.replace(map.next_value()?).is_some(),
                        Member::Params => members.params.replace(map.next_value()?).is_some(),
                        Member::Seq => members.seq.replace(map.next_value()?).is_some(),
                        Member::Unknown => {
                            map.next_value::<IgnoredAny>()?;
                            false
                        }
                    };
                    members.repeated |= earlier;
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}
