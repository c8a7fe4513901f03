//! Ways of deployed clouds and gateways that are right, or harmless, and that a device has to put up with.

use axum::extract::ws::{CloseFrame, Message};
use axum::http::header::{CONNECTION, HeaderName, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest reason of a close frame, in bytes.
const MAX_REASON: usize = 123;

/// How a login is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginQuirks {
    /// Logins at `/ivc` are redirected with this HTTP status (300 to 399).
    pub redirect: Option<u16>,
    /// The `Location` of the redirect; none where it is empty. `/ivc2` is the same endpoint without redirects.
    pub location: String,
    /// The `Retry-After` of a refused login, in seconds or as a date; none where it is empty.
    pub retry_after: String,
    /// The `Connection` header of the 101, such as `keep-alive, Upgrade`; `upgrade` where it is empty.
    pub connection: String,
    /// A subprotocol that the 101 names unasked; none where it is empty.
    pub subprotocol: String,
    /// The head of the answer is written one byte at a time.
    pub pieces: bool,
}

/// How the packets of the simulator itself are spelled; raw texts go out as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PacketQuirks {
    /// Packets travel in binary messages.
    pub binary: bool,
    /// A byte order mark is before each packet.
    pub bom: bool,
    /// NUL is behind each packet.
    pub nul: bool,
    /// A line end is behind each packet.
    pub blank: bool,
    /// An empty message goes before each packet.
    pub empty: bool,
    /// Answers have both `resp` and `err`, one of them `null`.
    pub null_err: bool,
    /// `seq` is a float: 1.0.
    pub float_seq: bool,
    /// `seq` is a string: "1".
    pub string_seq: bool,
}

/// How connections are closed on request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloseQuirk {
    /// Connections are closed with this code, each after its first answer.
    pub code: Option<u16>,
    /// The reason that goes with the code, at most 123 bytes of it.
    pub reason: String,
}

impl LoginQuirks {
    /// The redirect of a login; `None` where logins are not redirected.
    pub(super) fn redirection(&self) -> Option<Response> {
        let status = StatusCode::from_u16(self.redirect?).ok().filter(|s| s.is_redirection())?;
        let mut response = (status, "redirected on request").into_response();
        set(&mut response, LOCATION, &self.location);
        Some(response)
    }

    /// A refusal of a login.
    pub(super) fn refusal(&self, status: StatusCode, why: &'static str) -> Response {
        let mut response = (status, why).into_response();
        set(&mut response, RETRY_AFTER, &self.retry_after);
        response
    }

    /// The 101 as it goes out.
    pub(super) fn switching(&self, mut response: Response) -> Response {
        set(&mut response, CONNECTION, &self.connection);
        set(&mut response, SEC_WEBSOCKET_PROTOCOL, &self.subprotocol);
        response
    }
}

/// Sets a header, unless there is no value or HTTP cannot carry it.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        response.headers_mut().insert(name, value);
    }
}

impl PacketQuirks {
    /// The packet with its members as they are spelled.
    pub(super) fn spelled(&self, text: String) -> String {
        let Self { null_err, float_seq, string_seq, .. } = *self;
        if !null_err && !float_seq && !string_seq {
            return text;
        }
        let Ok(Value::Object(mut packet)) = serde_json::from_str(&text) else { return text };
        if null_err && (packet.contains_key("resp") || packet.contains_key("err")) {
            packet.entry("resp").or_insert(Value::Null);
            packet.entry("err").or_insert(Value::Null);
        }
        if let Some(seq) = packet.get_mut("seq") {
            match seq.as_f64() {
                Some(float) if float_seq => *seq = json!(float),
                Some(_) if string_seq => *seq = json!(seq.to_string()),
                _ => {}
            }
        }
        Value::Object(packet).to_string()
    }

    /// The messages that carry a packet.
    pub(super) fn messages(&self, packet: String) -> impl Iterator<Item = Message> {
        let before = if self.bom { "\u{feff}" } else { "" };
        let blank = if self.blank { "\r\n" } else { "" };
        let nul = if self.nul { "\0" } else { "" };
        let text = format!("{before}{packet}{blank}{nul}");
        let message = |text: String| {
            if self.binary { Message::Binary(text.into()) } else { Message::Text(text.into()) }
        };
        let empty = self.empty.then(|| message(String::new()));
        empty.into_iter().chain([message(text)])
    }
}

impl CloseQuirk {
    /// The message that closes a connection; `None` where none is closed.
    pub(super) fn message(&self) -> Option<Message> {
        let length = self.reason.floor_char_boundary(MAX_REASON);
        let reason = self.reason[..length].into();
        Some(Message::Close(Some(CloseFrame { code: self.code?, reason })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spelled_as_asked_and_nothing_else_changes() {
        let (request, answer) = (r#"{"req":"A","seq":7}"#, r#"{"seq":7,"resp":{}}"#);
        let event = r#"{"event":"A"}"#;
        let none = PacketQuirks::default();
        let float = PacketQuirks { float_seq: true, ..none };
        let string = PacketQuirks { string_seq: true, ..none };
        let null = PacketQuirks { null_err: true, ..none };
        for (quirks, text, spelled) in [
            (none, answer, answer),
            (float, request, r#"{"req":"A","seq":7.0}"#),
            (string, request, r#"{"req":"A","seq":"7"}"#),
            (null, request, request),
            (null, answer, r#"{"err":null,"resp":{},"seq":7}"#),
            (float, event, event),
            (string, "no packet", "no packet"),
        ] {
            assert_eq!(quirks.spelled(text.to_owned()), spelled);
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let quirk = CloseQuirk { code: Some(4002), reason: "é".repeat(100) };
        let Some(Message::Close(Some(frame))) = quirk.message() else { panic!("no close frame") };
        assert_eq!((frame.code, frame.reason.len()), (4002, 122));
        assert_eq!(CloseQuirk::default().message(), None);
    }
}
