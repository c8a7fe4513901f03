//! One text message to a fresh peer. What is understood must survive being written and read again.
#![no_main]

use std::time::Instant;

use ivt_proto::rpc::message::{Call, Event};
use ivt_proto::rpc::{MAX_MESSAGE, Peer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let now = Instant::now();
    let mut peer = Peer::default();
    if let Err(violation) = peer.handle_text(now, text) {
        assert!(violation.to_string().len() < 300, "{violation}");
        return;
    }
    assert!(text.len() <= MAX_MESSAGE);
    if let Some(event) = peer.poll_event() {
        match event.check() {
            Ok(()) => assert_eq!(Event::parse(event.event(), event.params()), event),
            Err(error) => assert!(error.msg.len() < 500, "{error}"),
        }
        return;
    }
    let Some(request) = peer.poll_request() else {
        let blank = |c: char| matches!(c, '\0' | '\u{feff}') || c.is_whitespace();
        assert!(text.chars().all(blank), "it was taken for nothing");
        return;
    };
    let call = request.call;
    let result = match call.check() {
        Ok(()) => {
            assert_eq!(Call::parse(call.method(), call.params()), call);
            Ok(call.params().unwrap_or_default())
        }
        Err(error) => {
            assert!(matches!(error.code, 1 | 101 | 102) && error.msg.len() < 500, "{error}");
            Err(error)
        }
    };
    peer.respond(now, request.ticket, result);
    let answer = peer.poll_transmit().expect("an answer");
    assert!(answer.len() <= MAX_MESSAGE);
    serde_json::from_str::<serde_json::Value>(&answer).expect("an answer is JSON");
});
