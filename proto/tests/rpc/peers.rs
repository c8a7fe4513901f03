//! The rules of the specification, played out between two peers in virtual time.

use std::time::Duration;

use ivt_proto::rpc::message::{self, Call, Event, PtzPreset, RtmpPublish};
use ivt_proto::rpc::{
    ANSWER_WITHIN, Incoming, MAX_BLANKS, MAX_CALLS, MAX_EVENTS, MAX_MESSAGE, MAX_REQUEST_BYTES,
    MAX_REQUESTS, Options, Peer, RESPONSE_TIMEOUT, Refused, RpcError, Ticket, Violation,
};
use serde_json::{Value, json};

use crate::origin;
use crate::pair::{Pair, Reply, request};

const SECOND: Duration = Duration::from_secs(1);

fn started(peer: &mut Peer) -> Vec<Incoming> {
    std::iter::from_fn(|| peer.poll_request()).collect()
}

fn channels(started: &[Incoming]) -> Vec<u64> {
    let channel = |request: &Incoming| request.subject.channel.as_ref()?.as_u64();
    started.iter().map(|request| channel(request).unwrap()).collect()
}

fn success(peer: &mut Peer, now: std::time::Instant, ticket: Ticket) {
    peer.respond(now, ticket, Ok(json!({})));
}

#[test]
fn both_sides_call_at_the_same_time_with_seqs_of_their_own() {
    let mut pair = Pair::new();
    let up = pair.device.call(pair.now, "Keepalive", Some(json!({ "state": 1 }))).unwrap();
    let down = pair.cloud.call(pair.now, "GetRTMPPublishConfig", None).unwrap();
    let first = pair.device.poll_transmit().unwrap();
    assert_eq!(first, r#"{"req":"Keepalive","params":{"state":1},"seq":1}"#);
    pair.cloud.handle_text(pair.now, &first).unwrap();
    pair.exchange().unwrap();

    let at_device = pair.device.poll_request().unwrap();
    assert_eq!(at_device.call, Call::GetRtmpPublishConfig);
    let at_cloud = pair.cloud.poll_request().unwrap();
    success(&mut pair.cloud, pair.now, at_cloud.ticket);
    // The device's own call is answered although it has not answered the cloud's.
    pair.exchange().unwrap();
    assert_eq!(pair.device.poll_reply(), Some((up, Ok(json!({})))));

    let refusal = RpcError::new(RpcError::UNSUPPORTED, "not here");
    pair.device.respond(pair.now, at_device.ticket, Err(refusal.clone()));
    pair.exchange().unwrap();
    assert_eq!(pair.cloud.poll_reply(), Some((down, Err(refusal))));
    assert_eq!((pair.device.poll_timeout(), pair.cloud.poll_timeout()), (None, None));
}

#[test]
fn typed_messages_cross_the_connection() {
    let mut pair = Pair::new();
    let ask = Call::from(message::GetPtzPresetList { channel: 3 });
    pair.cloud.call(pair.now, ask.method(), ask.params()).unwrap();
    pair.exchange().unwrap();
    let request = pair.device.poll_request().unwrap();
    assert_eq!(request.call, ask);
    let presets = vec![PtzPreset { name: "门".into(), token: "1".into() }];
    pair.device.respond(pair.now, request.ticket, message::to_value(&presets));
    pair.exchange().unwrap();
    let (_, reply) = pair.cloud.poll_reply().unwrap();
    assert_eq!(message::from_value::<Vec<PtzPreset>>(reply.unwrap()), Ok(presets));
}

#[test]
fn our_calls_go_out_one_at_a_time() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.device.call(pair.now, "Keepalive", None).unwrap();
    }
    for seq in 1..=3 {
        assert_eq!(pair.device.poll_transmit().unwrap(), request("Keepalive", None, seq));
        assert_eq!(pair.device.poll_transmit(), None);
        pair.device.handle_text(pair.now, &json!({ "seq": seq, "resp": {} }).to_string()).unwrap();
    }
    let answered: Vec<Reply> = std::iter::from_fn(|| pair.device.poll_reply()).collect();
    assert!(answered.is_sorted_by_key(|(id, _)| *id) && answered.len() == 3);
    assert_eq!(pair.device.poll_timeout(), None);
}

#[test]
fn twenty_requests_with_a_slow_one_are_all_answered_in_order_and_in_time() {
    let mut pair = Pair::new();
    for seq in 0..20 {
        // Channel 0 is the camera that hangs; it is asked once more at the end.
        pair.ask(100 + seq, if seq == 19 { 0 } else { seq as u32 }).unwrap();
    }
    let mut running = started(&mut pair.device);
    assert_eq!(channels(&running), (0..19).collect::<Vec<_>>());
    let slow = running.remove(0);
    pair.advance(SECOND);
    for request in running.into_iter().rev() {
        success(&mut pair.device, pair.now, request.ticket);
    }
    assert_eq!(pair.answers(), []);
    assert!(pair.device.poll_request().is_none(), "channel 0 is still busy");

    pair.now = pair.device.poll_timeout().unwrap();
    assert_eq!(pair.elapsed(), ANSWER_WITHIN);
    pair.device.handle_timeout(pair.now).unwrap();
    // The twentieth waited behind the slow one and is due at the same time, never started.
    let expected: Vec<(u64, i64)> =
        (100..120).map(|seq| (seq, i64::from(seq == 100 || seq == 119))).collect();
    assert_eq!(pair.answers(), expected);
    assert!(pair.device.poll_request().is_none());
    success(&mut pair.device, pair.now, slow.ticket);
    assert_eq!(pair.answers(), []);
    assert_eq!(pair.device.poll_timeout(), None);
}

#[test]
fn the_head_of_the_queue_holds_up_those_behind_it() {
    let mut pair = Pair::new();
    for (seq, channel) in [(1, 0), (2, 0), (3, 1)] {
        pair.ask(seq, channel).unwrap();
    }
    let first = started(&mut pair.device);
    assert_eq!(channels(&first), [0]);
    for request in first {
        success(&mut pair.device, pair.now, request.ticket);
    }
    assert_eq!(channels(&started(&mut pair.device)), [0, 1]);
}

#[test]
fn an_answered_request_frees_its_channel_though_its_answer_still_waits() {
    let mut pair = Pair::new();
    for (seq, channel) in [(1, 0), (2, 1), (3, 1)] {
        pair.ask(seq, channel).unwrap();
    }
    let mut running = started(&mut pair.device);
    assert_eq!(channels(&running), [0, 1]);
    success(&mut pair.device, pair.now, running.remove(1).ticket);
    assert_eq!(pair.answers(), []);
    assert_eq!(channels(&started(&mut pair.device)), [1]);
}

#[test]
fn a_request_without_a_channel_overlaps_nothing() {
    let mut pair = Pair::new();
    pair.ask(1, 0).unwrap();
    for (seq, params) in [(2, "null"), (3, r#"[{"channel":0}]"#), (4, r#"{"channel":"0"}"#)] {
        let text = format!(r#"{{"req":"SetRTMPPublishConfig","params":{params},"seq":{seq}}}"#);
        pair.device.handle_text(pair.now, &text).unwrap();
    }
    pair.ask(5, 1).unwrap();
    for seq in 1..=5 {
        let mut running = started(&mut pair.device);
        assert_eq!(running.len(), 1, "request {seq} runs alone");
        success(&mut pair.device, pair.now, running.remove(0).ticket);
        assert_eq!(pair.answers(), [(seq, 0)]);
    }
}

#[test]
fn a_request_is_answered_eighteen_seconds_after_its_arrival_however_late_it_started() {
    let mut pair = Pair::new();
    pair.ask(1, 0).unwrap();
    pair.advance(5 * SECOND);
    pair.ask(2, 0).unwrap();
    let first = pair.device.poll_request().unwrap();
    pair.advance(12 * SECOND);
    success(&mut pair.device, pair.now, first.ticket);
    let second = pair.device.poll_request().unwrap();
    assert_eq!(pair.answers(), [(1, 0)]);
    pair.now = pair.device.poll_timeout().unwrap();
    assert_eq!(pair.elapsed(), 5 * SECOND + ANSWER_WITHIN);
    // Even an answer at the very deadline is too late, whether or not the timer has fired.
    success(&mut pair.device, pair.now, second.ticket);
    assert_eq!(pair.answers(), [(2, 1)]);
}

#[test]
fn a_dropped_ticket_costs_its_request_eighteen_seconds_and_nothing_else() {
    let mut pair = Pair::new();
    pair.cloud.call(pair.now, "RebootChannel", Some(json!({ "channel": 0 }))).unwrap();
    pair.exchange().unwrap();
    drop(pair.device.poll_request().unwrap());
    pair.jump().unwrap();
    assert_eq!(pair.elapsed(), ANSWER_WITHIN);
    let (_, reply) = pair.cloud.poll_reply().unwrap();
    assert_eq!(reply.unwrap_err().code, RpcError::INTERNAL);
    pair.cloud.call(pair.now, "RebootChannel", Some(json!({ "channel": 0 }))).unwrap();
    pair.exchange().unwrap();
    assert!(pair.device.poll_request().is_some());
}

#[test]
fn silence_for_twenty_seconds_ends_the_session() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    pair.device.poll_transmit().unwrap();
    let due = pair.device.poll_timeout().unwrap();
    assert_eq!(due - pair.start, RESPONSE_TIMEOUT);
    pair.device.handle_timeout(due - Duration::from_nanos(1)).unwrap();
    let violation = pair.device.handle_timeout(due).unwrap_err();
    assert_eq!(violation, Violation::NoAnswer { method: "Keepalive".into(), seq: 1 });
    let late = pair.device.handle_text(due, r#"{"seq":1,"resp":{}}"#).unwrap_err();
    assert_eq!(late, violation);
}

#[test]
fn a_call_that_waited_has_its_own_twenty_seconds() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    pair.device.call(pair.now, "GetFirmware", None).unwrap();
    pair.device.poll_transmit().unwrap();
    pair.advance(19 * SECOND);
    pair.device.handle_text(pair.now, r#"{"seq":1,"resp":{}}"#).unwrap();
    assert_eq!(pair.device.poll_timeout(), Some(pair.now + RESPONSE_TIMEOUT));
}

#[test]
fn the_next_deadline_is_the_earlier_one_of_both_directions() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    pair.advance(SECOND);
    pair.ask(1, 0).unwrap();
    assert_eq!(pair.device.poll_timeout(), Some(pair.now + ANSWER_WITHIN));
    pair.advance(2 * SECOND);
    pair.ask(2, 1).unwrap();
    for request in started(&mut pair.device).into_iter().take(1) {
        success(&mut pair.device, pair.now, request.ticket);
    }
    assert_eq!(pair.device.poll_timeout(), Some(pair.start + RESPONSE_TIMEOUT));
}

#[test]
fn null_params_are_none_in_both_directions() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", Some(Value::Null)).unwrap();
    assert_eq!(pair.device.poll_transmit().unwrap(), request("Keepalive", None, 1));
    for text in
        [r#"{"req":"RebootChannel","params": null ,"seq":1}"#, r#"{"req":"RebootChannel","seq":1}"#]
    {
        pair.device.handle_text(pair.now, text).unwrap();
        let request = pair.device.poll_request().unwrap();
        assert_eq!(request.call, Call::parse("RebootChannel", None));
        success(&mut pair.device, pair.now, request.ticket);
    }
    pair.device.handle_text(pair.now, r#"{"params":null,"event":"UpgradeFirmware"}"#).unwrap();
    assert_eq!(pair.device.poll_event(), Some(Event::UpgradeFirmware));
}

#[test]
fn an_answer_before_the_request_was_written_is_unasked() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    let violation = pair.device.handle_text(pair.now, r#"{"seq":1,"resp":{}}"#).unwrap_err();
    assert!(matches!(violation, Violation::Unasked { .. }));
    assert!(pair.device.poll_transmit().is_some());
}

#[test]
fn a_seq_may_be_any_integer_and_may_repeat() {
    let mut pair = Pair::new();
    // The answer repeats the spelling, since the other side may compare it as it is.
    let seqs = ["0", "-9223372036854775808", "18446744073709551615", "0", "7.0", r#""7""#];
    for seq in seqs {
        let text = format!(r#"{{"seq":{seq},"req":"GetNetConfig"}}"#);
        pair.device.handle_text(pair.now, &text).unwrap();
    }
    for seq in seqs {
        let ticket = pair.device.poll_request().unwrap().ticket;
        success(&mut pair.device, pair.now, ticket);
        let answer = pair.device.poll_transmit().unwrap();
        assert_eq!(answer, format!(r#"{{"resp":{{}},"seq":{seq}}}"#));
    }
}

/// Serves whatever may start, and returns all answers.
fn served(pair: &mut Pair) -> Vec<(u64, i64)> {
    let mut answers = pair.answers();
    while let Some(request) = pair.device.poll_request() {
        success(&mut pair.device, pair.now, request.ticket);
        answers.extend(pair.answers());
    }
    answers.extend(pair.answers());
    answers
}

#[test]
fn everything_that_256_channels_can_be_asked_waits_and_is_answered_in_order() {
    let mut pair = Pair::new();
    let most = MAX_REQUESTS as u64;
    for seq in 0..most {
        pair.ask(seq, (seq % 256) as u32).unwrap();
    }
    assert_eq!(pair.ask(most, 0), Err(Violation::TooManyRequests));
    let answers = served(&mut pair);
    assert!(answers.iter().copied().eq((0..most).map(|seq| (seq, 0))), "{answers:?}");
    pair.ask(7, 0).unwrap();
    assert_eq!(served(&mut pair), [(7, 0)]);
}

#[test]
fn requests_that_wait_are_bounded_in_bytes() {
    let mut pair = Pair::new();
    let ask = |pair: &mut Pair, seq: u64, bytes: usize| {
        let pad = bytes - r#"GetNetConfig{"channel":0,"x":""}"#.len();
        let params = json!({ "channel": 0, "x": "x".repeat(pad) });
        let text = json!({ "req": "GetNetConfig", "params": params, "seq": seq }).to_string();
        pair.device.handle_text(pair.now, &text).unwrap();
    };
    let (large, most) = (60_000, MAX_REQUEST_BYTES as u64 / 60_000);
    let rest = MAX_REQUEST_BYTES % large;
    for round in 0..2 {
        for seq in 0..most {
            ask(&mut pair, seq, large);
        }
        ask(&mut pair, most, rest + 1);
        ask(&mut pair, most + 1, rest);
        ask(&mut pair, most + 2, 40);
        let codes: Vec<i64> = served(&mut pair).iter().map(|(_, code)| *code).collect();
        let expected = (0..most + 3).map(|seq| i64::from(seq == most || seq == most + 2));
        assert!(codes.iter().copied().eq(expected), "round {round}: {codes:?}");
    }
}

#[test]
fn a_request_that_did_not_fit_is_refused_though_nothing_was_taken_out() {
    let mut pair = Pair::new();
    let text = |seq: u64| {
        let params = json!({ "channel": 0, "x": "x".repeat(60_000) });
        json!({ "req": "GetNetConfig", "params": params, "seq": seq }).to_string()
    };
    let most = MAX_REQUEST_BYTES as u64 / 60_000;
    for seq in 0..=most {
        pair.device.handle_text(pair.now, &text(seq)).unwrap();
    }
    pair.advance(ANSWER_WITHIN);
    pair.device.handle_timeout(pair.now).unwrap();
    let mut texts: Vec<String> = std::iter::from_fn(|| pair.device.poll_transmit()).collect();
    let last = texts.pop().unwrap();
    assert!(last.contains("too many requests wait"), "{last}");
    assert_eq!(texts.len() as u64, most);
    assert!(texts.iter().all(|text| text.contains("not started within 18 s")));
}

#[test]
fn a_flood_behind_a_slow_request_is_read_no_further_and_answered_in_time() {
    let mut pair = Pair::new();
    pair.ask(0, 0).unwrap();
    let _slow = pair.device.poll_request().unwrap();
    let mut sent = 1;
    while !pair.device.is_full() {
        pair.ask(sent, 0).unwrap();
        sent += 1;
    }
    assert_eq!(sent, MAX_REQUESTS as u64);
    assert_eq!(pair.ask(sent, 0), Err(Violation::TooManyRequests), "the driver has read on");
    pair.now = pair.device.poll_timeout().unwrap();
    assert_eq!(pair.elapsed(), ANSWER_WITHIN);
    pair.device.handle_timeout(pair.now).unwrap();
    assert!(pair.answers().into_iter().eq((0..sent).map(|seq| (seq, 1))));
    assert!(!pair.device.is_full());
}

#[test]
fn calls_beyond_the_queue_are_refused_and_use_no_seq() {
    let mut peer = Peer::default();
    let now = origin();
    for _ in 0..=MAX_CALLS {
        peer.call(now, "Keepalive", None).unwrap();
    }
    assert_eq!(peer.call(now, "Keepalive", None), Err(Refused::Full));
    for seq in 1..=MAX_CALLS as u64 + 1 {
        assert_eq!(peer.poll_transmit().unwrap(), request("Keepalive", None, seq));
        peer.handle_text(now, &json!({ "seq": seq, "resp": null }).to_string()).unwrap();
    }
    let huge = Some(json!({ "url": "x".repeat(MAX_MESSAGE) }));
    assert!(matches!(peer.call(now, "Keepalive", huge.clone()), Err(Refused::TooLong { .. })));
    assert!(matches!(peer.notify("SyncTime", huge), Err(Refused::TooLong { .. })));
    assert_eq!(peer.poll_transmit(), None);
    peer.call(now, "Keepalive", None).unwrap();
    assert!(peer.poll_transmit().unwrap().ends_with(r#""seq":34}"#));
}

#[test]
fn our_events_pass_everything_else_and_are_bounded() {
    let mut pair = Pair::new();
    pair.ask(5, 0).unwrap();
    let ticket = pair.device.poll_request().unwrap().ticket;
    success(&mut pair.device, pair.now, ticket);
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    for _ in 0..MAX_EVENTS {
        pair.device.notify("UpgradeFirmware", None).unwrap();
    }
    assert_eq!(pair.device.notify("UpgradeFirmware", None), Err(Refused::Full));
    for _ in 0..MAX_EVENTS {
        assert_eq!(pair.device.poll_transmit().unwrap(), r#"{"event":"UpgradeFirmware"}"#);
    }
    assert_eq!(pair.device.poll_transmit().unwrap(), r#"{"resp":{},"seq":5}"#);
    assert_eq!(pair.device.poll_transmit().unwrap(), request("Keepalive", None, 1));
    assert_eq!(pair.device.poll_transmit(), None);
}

#[test]
fn their_events_do_not_wait_for_a_slow_request() {
    let mut pair = Pair::new();
    pair.ask(1, 0).unwrap();
    let _slow = pair.device.poll_request().unwrap();
    pair.ask(2, 0).unwrap();
    pair.cloud.notify("CtrlPTZ", Some(json!({ "channel": 0, "op": "up" }))).unwrap();
    pair.exchange().unwrap();
    assert_eq!(pair.device.poll_event().unwrap().event(), "CtrlPTZ");
}

#[test]
fn an_answer_the_protocol_has_no_room_for_becomes_an_error() {
    let mut pair = Pair::new();
    let answers = [
        Ok(json!(["x".repeat(MAX_MESSAGE)])),
        Err(RpcError::internal("x".repeat(MAX_MESSAGE))),
        Ok(json!(5)),
        Ok(json!("text")),
        Ok(json!("")),
    ];
    let codes: Vec<i64> = answers
        .into_iter()
        .map(|result| {
            pair.ask(9, 0).unwrap();
            let ticket = pair.device.poll_request().unwrap().ticket;
            pair.device.respond(pair.now, ticket, result);
            pair.answers()[0].1
        })
        .collect();
    assert_eq!(codes, [1, 1, 1, 1, 0]);
}

#[test]
fn a_ticket_of_an_earlier_connection_answers_nothing() {
    let mut pair = Pair::new();
    pair.ask(1, 0).unwrap();
    let old = pair.device.poll_request().unwrap().ticket;
    pair.device = Peer::default();
    pair.ask(2, 0).unwrap();
    let new = pair.device.poll_request().unwrap().ticket;
    success(&mut pair.device, pair.now, old);
    assert_eq!(pair.answers(), []);
    success(&mut pair.device, pair.now, new);
    assert_eq!(pair.answers(), [(2, 0)]);
}

#[test]
fn a_bare_answer_is_accepted_only_on_request() {
    let now = origin();
    for accept_bare_answers in [false, true] {
        let mut peer = Peer::new(Options { accept_bare_answers });
        let id = peer.call(now, "Keepalive", None).unwrap();
        peer.poll_transmit().unwrap();
        let accepted = peer.handle_text(now, r#"{"seq":1}"#).is_ok();
        assert_eq!(accepted, accept_bare_answers);
        assert_eq!(peer.poll_reply(), accepted.then(|| (id, Ok(json!({})))));
        assert!(peer.handle_text(now, "{}").is_err(), "without a seq it is no answer");
    }
}

#[test]
fn empty_messages_are_a_sign_of_life_and_no_flood() {
    let mut pair = Pair::new();
    pair.device.call(pair.now, "Keepalive", None).unwrap();
    pair.device.poll_transmit().unwrap();
    // A cloud that sends one after each packet sends as many as packets.
    for seq in 1..=3 * MAX_BLANKS as u64 {
        pair.device.handle_text(pair.now, "\n").unwrap();
        pair.ask(seq, 0).unwrap();
        let ticket = pair.device.poll_request().unwrap().ticket;
        success(&mut pair.device, pair.now, ticket);
        assert_eq!(pair.answers().len(), 1);
    }
    for _ in 0..MAX_BLANKS {
        pair.device.handle_text(pair.now, "").unwrap();
    }
    let violation = pair.device.handle_text(pair.now, " ").unwrap_err();
    assert_eq!(violation, Violation::TooManyBlanks);
    pair.advance(10 * SECOND);
    pair.device.handle_text(pair.now, " ").unwrap();
    // They are no answer to what waits.
    let due = pair.device.poll_timeout().unwrap();
    let violation = pair.device.handle_text(due, "").unwrap_err();
    assert!(matches!(violation, Violation::NoAnswer { .. }), "{violation}");
}

#[test]
fn debug_output_holds_no_parameters() {
    let mut pair = Pair::new();
    let secret = json!({ "channel": 0, "ssid": "s", "password": "hunter2" });
    pair.cloud.call(pair.now, "SetWifiConfig", Some(secret.clone())).unwrap();
    pair.cloud.notify("Unknown", Some(secret.clone())).unwrap();
    pair.exchange().unwrap();
    let request = pair.device.poll_request().unwrap();
    let notice = pair.device.poll_event().unwrap();
    let shown = format!("{request:?} {notice:?}");
    assert!(
        shown.contains("SetWifiConfig") && shown.contains("Unknown") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(request.call.params(), Some(secret));
}

#[test]
fn a_publish_reads_as_the_specification_writes_it() {
    let params = json!({
        "channel": 0, "quality": "hd", "url": "rtmp://h/a/s", "stream_id": "s", "max_bitrate": 0,
    });
    let call = Call::parse("RTMPPublish", Some(params.clone()));
    let Call::RtmpPublish(Ok(RtmpPublish { quality, .. })) = &call else { panic!("{call:?}") };
    assert_eq!(*quality, message::Quality::Hd);
    assert_eq!(call.params(), Some(params));
}
