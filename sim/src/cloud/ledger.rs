//! Tells whose request an answer belongs to. Requests that a person types share the connection with those of
//! the `Peer`, which would end it at the first answer that it did not ask for.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

/// An answer later than this belongs to no request: the 20 s of the specification and a little.
const PATIENCE: Duration = Duration::from_secs(21);
/// Most requests whose answers are waited for; a device holds as many.
const MAX_WAITING: usize = 4096;

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The protocol machine sent it.
    Peer,
    /// A person or a script sent it as raw text.
    Raw,
}

/// The kinds of packets, which differ in the members present.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// A packet with `req`, and its method.
    Request(String),
    /// A packet with `seq` and without `req`, and its `resp` as it came.
    Response(Value, Option<Value>),
    /// Any other text, well formed or not.
    Other,
}

impl Kind {
    pub(super) fn of(text: &str) -> Self {
        let Some(packet) = members(text) else { return Self::Other };
        match (packet.get("req"), value(&packet, "seq")) {
            (Some(_), _) => match value(&packet, "req") {
                Some(Value::String(method)) => Self::Request(method),
                _ => Self::Other,
            },
            (None, Some(seq)) => Self::Response(seq, value(&packet, "resp")),
            (None, None) => Self::Other,
        }
    }
}

/// The members of a packet, unread: one that cannot be read must not hide whose packet it is.
fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn value(packet: &BTreeMap<String, &RawValue>, name: &str) -> Option<Value> {
    serde_json::from_str(packet.get(name)?.get()).ok()
}

/// The requests on the wire in the order in which they were sent, which is that of the answers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    waiting: VecDeque<(Instant, Sender, Value)>,
}

impl Ledger {
    /// Remembers a text that goes out, if it is a request.
    pub(super) fn sent(&mut self, now: Instant, sender: Sender, text: &str) {
        let Some(packet) = members(text).filter(|packet| packet.contains_key("req")) else {
            return;
        };
        let Some(seq) = value(&packet, "seq") else { return };
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now, sender, seq));
    }

    /// The sender of the request that has this `seq`. An answer to no request belongs to the peer, which knows
    /// the rule.
    pub(super) fn claim(&mut self, now: Instant, seq: &Value) -> Sender {
        self.waiting.retain(|(sent, ..)| now.saturating_duration_since(*sent) < PATIENCE);
        let place = self.waiting.iter().position(|(_, _, waiting)| waiting == seq);
        place.and_then(|i| self.waiting.remove(i)).map_or(Sender::Peer, |(_, sender, _)| sender)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_told_apart_by_members() {
        assert_eq!(Kind::of(r#"{"req":"A","seq":1}"#), Kind::Request("A".into()));
        assert_eq!(Kind::of(r#"{"seq":3,"resp":{}}"#), Kind::Response(json!(3), Some(json!({}))));
        assert_eq!(
            Kind::of(r#"{"seq":3,"resp":null}"#),
            Kind::Response(json!(3), Some(json!(null)))
        );
        assert_eq!(Kind::of(r#"{"seq":"x"}"#), Kind::Response(json!("x"), None));
        for other in ["", "[]", "{", r#"{"event":"A"}"#, r#"{"req":1,"seq":1}"#] {
            assert_eq!(Kind::of(other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn a_member_that_cannot_be_read_hides_nothing() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for resp in [&deep, r#"{"ssid":"\ud800"}"#] {
            let (mut ledger, now) = (Ledger::default(), Instant::now());
            ledger.sent(now, Sender::Raw, &format!(r#"{{"req":"A","params":{resp},"seq":1}}"#));
            let kind = Kind::of(&format!(r#"{{"resp":{resp},"seq":1}}"#));
            assert_eq!(kind, Kind::Response(json!(1), None));
            assert_eq!(ledger.claim(now, &json!(1)), Sender::Raw);
        }
    }

    #[test]
    fn the_same_seq_belongs_to_whoever_sent_it_first() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.sent(now, Sender::Raw, r#"{"req":"A","seq":1}"#);
        ledger.sent(now, Sender::Peer, r#"{"req":"B","seq":1}"#);
        assert_eq!(ledger.claim(now, &json!(1)), Sender::Raw);
        assert_eq!(ledger.claim(now, &json!(1)), Sender::Peer);
        assert_eq!(ledger.claim(now, &json!(1)), Sender::Peer);
    }

    #[test]
    fn an_unanswered_raw_request_does_not_shadow_the_peer_for_ever() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.sent(now, Sender::Raw, r#"{"req":"A","seq":1}"#);
        let later = now + PATIENCE;
        ledger.sent(later, Sender::Peer, r#"{"req":"B","seq":1}"#);
        assert_eq!(ledger.claim(later, &json!(1)), Sender::Peer);
        assert!(ledger.waiting.is_empty());
    }

    #[test]
    fn events_and_broken_text_are_not_waited_for_and_the_rest_is_bounded() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for text in [r#"{"event":"A","seq":1}"#, r#"{"req":"A"}"#, "nonsense", "[1]"] {
            ledger.sent(now, Sender::Raw, text);
        }
        assert!(ledger.waiting.is_empty());
        for seq in 0..2 * MAX_WAITING {
            ledger.sent(now, Sender::Raw, &json!({ "req": "A", "seq": seq }).to_string());
        }
        assert_eq!(ledger.waiting.len(), MAX_WAITING);
    }
}
