//! Packets: answers, their order and time, unknown names, large packets.

use std::collections::HashSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench, ended, reply};
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

const ANSWERS: &str = "RPC调用成功的response (answers)";
const REFUSALS: &str = "RPC调用失败的response (refusals)";
const EVENTS: &str = "协议特性 (protocol), 2";
const ORDER: &str = "协议特性 (protocol), 1";
/// Number of requests that are sent without a pause.
const PIPELINED: usize = 16;
/// Length of a packet that every device has to take, in bytes.
const LARGE: usize = 64 << 10;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "packet.answer",
            ANSWERS,
            "A request is answered with its seq within 20 s",
            |b| Box::pin(answer(b)),
        ),
        Rule::new("packet.seq", ANSWERS, "Any integer is repeated as seq", |b| Box::pin(seq(b))),
        Rule::new(
            "packet.order",
            ORDER,
            "Requests are answered in the order in which they came",
            |b| Box::pin(order(b)),
        ),
        Rule::new(
            "packet.independent",
            ORDER,
            "A request is answered while one of the device's own waits for its answer",
            |b| Box::pin(independent(b)),
        ),
        Rule::new(
            "packet.own_seq",
            "RPC request",
            "The seq of the device's own requests rises by 1",
            |b| Box::pin(own_seq(b)),
        ),
        Rule::new(
            "packet.empty",
            ANSWERS,
            "A success without content has an object as resp",
            |b| Box::pin(empty(b)),
        ),
        Rule::new(
            "packet.unknown_method",
            "通用的error code (codes), 101",
            "An unknown method is answered 101",
            |b| Box::pin(unknown_method(b)),
        ),
        Rule::new(
            "packet.refusal",
            REFUSALS,
            "A refusal has an integer code and a string msg",
            |b| Box::pin(refusal(b)),
        ),
        Rule::new(
            "packet.unknown_event",
            "事件通知 (events)",
            "An unknown event is passed over",
            |b| Box::pin(unknown_event(b)),
        ),
        Rule::new("packet.event_silent", EVENTS, "An event has no answer", |b| {
            Box::pin(event_silent(b))
        }),
        Rule::new(
            "packet.unknown_member",
            "RPC request",
            "Members that are not in the specification are passed over",
            |b| Box::pin(unknown_member(b)),
        ),
        Rule::new(
            "packet.large",
            "协议特性 (protocol): WebSocket",
            "A request of 64 KiB is answered",
            |b| Box::pin(large(b)),
        ),
    ]
}

fn plain(b: &Bench) -> Option<Value> {
    Some(json!({ "channel": b.channel() }))
}

fn stop(b: &Bench) -> Value {
    json!({ "channel": b.channel(), "stream_id": "there is no such stream" })
}

async fn answer(b: &mut Bench) -> Outcome {
    match b.ask("GetNetConfig", plain(b)).await? {
        Answer::Gone(why) => fail(format!("the connection ended before the answer: {why}")),
        _ => Ok(()),
    }
}

async fn seq(b: &mut Bench) -> Outcome {
    for seq in [0, 1, -1, i64::from(i32::MAX), 1 << 40] {
        let packet = json!({ "req": "GetNetConfig", "params": plain(b), "seq": seq });
        b.send(packet.to_string()).await?;
        if let Answer::Gone(why) = b.answer(seq, "GetNetConfig").await? {
            return fail(format!("the connection ended after a request with seq {seq}: {why}"));
        }
    }
    Ok(())
}

async fn order(b: &mut Bench) -> Outcome {
    let methods = ["GetNetConfig", "GetPTZPresetList", "NoSuchMethod", "RTMPStopPublish"];
    let mut sent = Vec::new();
    for n in 0..PIPELINED {
        let method = methods[n % methods.len()];
        let params = if method == "RTMPStopPublish" { Some(stop(b)) } else { plain(b) };
        sent.push(b.request(method, params).await?);
    }
    let (mut came, mut gone) = (Vec::new(), None);
    let wanted: HashSet<i64> = sent.iter().copied().collect();
    let all = b.until(b.limits.answer + b.limits.slack, |packet| {
        gone = gone.take().or_else(|| ended(packet).map(str::to_owned));
        let seq = reply(packet).and_then(|answer| answer.get("seq")?.as_i64());
        came.extend(seq.filter(|seq| wanted.contains(seq)));
        (came.len() == sent.len() || gone.is_some()).then_some(())
    });
    all.await?;
    if let Some(why) = gone {
        return fail(format!(
            "the connection ended after {} of {PIPELINED} answers: {why}",
            came.len()
        ));
    }
    if came.len() < sent.len() {
        return fail(format!("{} of {PIPELINED} requests were answered in time", came.len()));
    }
    if came != sent {
        return fail(format!("requests {sent:?} were answered as {came:?}"));
    }
    Ok(())
}

/// Holds back the answer to the next Keepalive, and asks meanwhile.
async fn independent(b: &mut Bench) -> Outcome {
    let held = b.limits.answer / 2;
    let millis = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
    b.fault(|faults| faults.link.delay_ms = millis);
    let limit = b.limits.keepalive.mul_f64(1.5) + b.limits.slack;
    let keepalive = |packet: &ivt_sim::cloud::Packet| {
        let from = packet.direction == ivt_sim::cloud::Direction::FromDevice;
        (from && packet.text.contains("\"Keepalive\"")).then(Instant::now)
    };
    let Some(began) = b.until(limit, keepalive).await? else {
        return fail(format!("no Keepalive came within {limit:?}"));
    };
    let answer = b.ask("GetNetConfig", plain(b)).await;
    let took = began.elapsed();
    b.fault(|faults| faults.link.delay_ms = 0);
    if let Answer::Gone(why) = answer? {
        return fail(format!("the connection ended: {why}"));
    }
    if took >= held.mul_f64(0.75) {
        return fail(format!("the answer came after {took:.1?}, when the Keepalive was answered"));
    }
    Ok(())
}

async fn own_seq(b: &mut Bench) -> Outcome {
    let limit = b.limits.next_keepalive();
    let end = Instant::now() + limit;
    while b.heard.connections().iter().all(|connection| connection.requests.len() < 2) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return fail(format!("no second request came within {limit:?}"));
        }
        b.until(left, |_| Some(())).await?;
    }
    for connection in b.heard.connections() {
        for pair in connection.requests.windows(2) {
            let [before, after] = pair else { continue };
            let (Some(first), Some(second)) = (before.seq.as_i64(), after.seq.as_i64()) else {
                return fail(format!("seq is an integer: {} and {}", before.seq, after.seq));
            };
            if first.checked_add(1) != Some(second) {
                return fail(format!(
                    "{} has seq {first}, and {} after it has seq {second}",
                    before.method, after.method
                ));
            }
        }
    }
    Ok(())
}

async fn empty(b: &mut Bench) -> Outcome {
    match b.ask("RTMPStopPublish", Some(stop(b))).await? {
        Answer::Resp(Value::Object(_)) => Ok(()),
        Answer::Resp(resp) if resp == "" || resp.is_null() => {
            deviation(format!("an empty success is `\"resp\": {resp}`, as that of the public SDK"))
        }
        Answer::Resp(resp) => fail(format!("expected an object as resp, got {resp}")),
        Answer::Refused { code: 101, .. } => not_supported("RTMPStopPublish is answered 101"),
        Answer::Refused { code, msg } => fail(format!(
            "to stop a stream that does not exist is a success, and it got {code}: {msg}"
        )),
        Answer::Gone(why) => fail(format!("the connection ended before the answer: {why}")),
    }
}

async fn unknown_method(b: &mut Bench) -> Outcome {
    for method in ["NoSuchMethod", "getnetconfig", ""] {
        match b.ask(method, plain(b)).await? {
            Answer::Refused { code: 101, .. } => {}
            other => return fail(format!("expected 101 for the method {method:?}, got {other:?}")),
        }
    }
    b.alive("an unknown method").await
}

async fn refusal(b: &mut Bench) -> Outcome {
    match b.ask("NoSuchMethod", None).await? {
        Answer::Refused { msg, .. } if msg.is_empty() => fail("the msg of the refusal is empty"),
        Answer::Refused { .. } => Ok(()),
        other => fail(format!("expected a refusal, got {other:?}")),
    }
}

async fn unknown_event(b: &mut Bench) -> Outcome {
    for params in [None, plain(b), Some(json!([1, "two", null]))] {
        b.notify("NoSuchEvent", params).await?;
    }
    b.alive("an unknown event").await
}

async fn event_silent(b: &mut Bench) -> Outcome {
    let stop = json!({ "channel": b.channel(), "op": "stop", "value": 0 });
    b.notify("CtrlPTZ", Some(stop)).await?;
    b.notify("NoSuchEvent", plain(b)).await?;
    let seq = b.request("GetNetConfig", plain(b)).await?;
    let mut answer = None;
    let limit = b.limits.answer + b.limits.slack;
    let seen = b.until(limit, |packet| {
        let value: Value = serde_json::from_str(&packet.text).unwrap_or_default();
        let from = packet.direction == ivt_sim::cloud::Direction::FromDevice;
        if from && value["seq"] == seq && value.get("req").is_none() {
            return Some(());
        }
        let told = value.get("req").is_some() || value.get("event").is_some();
        if from && !told && answer.is_none() {
            answer = Some(packet.text.clone());
        }
        ended(packet).map(drop)
    });
    seen.await?;
    match answer {
        Some(text) => fail(format!("an event was answered by {text}")),
        None => b.alive("an event").await,
    }
}

async fn unknown_member(b: &mut Bench) -> Outcome {
    let params = json!({ "channel": b.channel(), "stream_id": "none", "colour": { "deep": [1] } });
    let seq = b.request("RTMPStopPublish", Some(params)).await?;
    match b.answer(seq, "RTMPStopPublish").await? {
        Answer::Resp(_) => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("RTMPStopPublish is answered 101"),
        Answer::Refused { code, msg } => fail(format!("refused with {code}: {msg}")),
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

/// Sends a request that is `bytes` long, and waits for what becomes of it.
pub(super) async fn padded(b: &mut Bench, bytes: usize) -> Outcome<Answer> {
    const EMPTY: &str = "\"padding\":\"\"";
    let mut params = stop(b);
    params["padding"] = "".into();
    let (packet, seq) = b.packet("RTMPStopPublish", Some(params));
    let padding = "x".repeat(bytes.saturating_sub(packet.len()));
    b.send(packet.replace(EMPTY, &format!("\"padding\":\"{padding}\""))).await?;
    let what = format!("RTMPStopPublish of {bytes} bytes");
    let answer = b.answer(seq, &what).await;
    if answer.is_err() {
        let _ = b.device.hang_up().await;
        b.online().await?;
    }
    answer
}

async fn large(b: &mut Bench) -> Outcome {
    match padded(b, LARGE).await? {
        Answer::Gone(why) => {
            b.online().await?;
            deviation(format!("the connection ended, as that of the public SDK above 2 KiB: {why}"))
        }
        _ => Ok(()),
    }
}
