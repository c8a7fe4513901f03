//! When a device has to hang up: the three rules of disconnection.

use serde_json::json;

use super::packets::padded;
use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, deviation, fail};
use crate::conformance::ivc::rule::Rule;

/// What is no packet, by the name of its case.
pub(crate) const MALFORMED: [(&str, &str, &str); 10] = [
    ("text", "text that is no JSON", "hello"),
    ("cut", "JSON that is cut short", r#"{"req":"GetNetConfig","params":{"channel":0},"se"#),
    ("list", "a list", r#"[{"req":"GetNetConfig","seq":1}]"#),
    ("none", "an object of no kind", "{}"),
    ("no_seq", "a request without seq", r#"{"req":"GetNetConfig","params":{"channel":0}}"#),
    (
        "odd_seq",
        "a request with a seq that is no integer",
        r#"{"req":"GetNetConfig","params":{"channel":0},"seq":{}}"#,
    ),
    ("odd_req", "a request whose method is no string", r#"{"req":7,"seq":1}"#),
    ("odd_event", "an event whose name is no string", r#"{"event":7}"#),
    ("bare", "an answer without resp and err", r#"{"seq":1}"#),
    ("odd_err", "an answer whose err is no object", r#"{"seq":1,"err":"failed"}"#),
];

/// Length of the longest message, in bytes.
const MOST: usize = 64 << 10;
/// Bytes that are no UTF-8, and so no JSON.
pub(crate) const NO_TEXT: [u8; 4] = [0xff, 0xfe, 0x00, 0x7b];

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    let section = |number: u8| format!("异常处理 (exceptions), {number}");
    let mut rules = vec![
        Rule::new(
            "close.wrong_seq",
            &section(1),
            "An answer with another seq than that of the request ends the connection",
            |b| Box::pin(wrong_seq(b)),
        ),
        Rule::new(
            "close.unasked",
            &section(1),
            "An answer to no request ends the connection",
            |b| Box::pin(unasked(b)),
        ),
        Rule::new(
            "close.silence",
            &section(2),
            "A request that is not answered within 20 s ends the connection",
            |b| Box::pin(silence(b)),
        ),
    ];
    rules.push(Rule::new(
        "close.too_large",
        "no section: the limit of 64 KiB for a message",
        "A request above 64 KiB ends the connection, or is answered",
        |b| Box::pin(too_large(b)),
    ));
    let name = "A malformed packet ends the connection: a binary message that is no text";
    rules.push(Rule::new("close.malformed.binary", &section(3), name, |b| Box::pin(binary(b))));
    rules.extend(MALFORMED.iter().map(|(id, what, text)| {
        let name = format!("A malformed packet ends the connection: {what}");
        Rule::new(format!("close.malformed.{id}"), &section(3), name, move |b| {
            Box::pin(malformed(b, text))
        })
    }));
    rules
}

/// Waits for the next Keepalive.
async fn keepalive(b: &mut Bench) -> Outcome {
    let limit = b.limits.next_keepalive();
    let next = b.until(limit, |packet| {
        let from = packet.direction == ivt_sim::cloud::Direction::FromDevice;
        (from && packet.text.contains("\"Keepalive\"")).then_some(())
    });
    match next.await? {
        Some(()) => Ok(()),
        None => fail(format!("no Keepalive came within {limit:?}")),
    }
}

/// Waits until the device has hung up.
async fn hangs_up(b: &mut Bench, limit: std::time::Duration) -> Outcome {
    let why = match b.ended(limit).await? {
        Some(why) => why,
        None => {
            let _ = b.device.hang_up().await;
            return fail(format!("the connection was still there after {limit:?}"));
        }
    };
    // The other reasons are those of the cloud.
    if why.starts_with("the device") || why.starts_with("it broke") {
        return Ok(());
    }
    fail(format!("the cloud had to end the connection: {why}"))
}

async fn wrong_seq(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.link.wrong_seq = true);
    keepalive(b).await?;
    hangs_up(b, b.limits.answer / 2 + b.limits.slack).await
}

async fn unasked(b: &mut Bench) -> Outcome {
    // Between two Keepalives no request of the device waits for an answer.
    keepalive(b).await?;
    b.wait(b.limits.quiet / 4).await?;
    b.send(json!({ "seq": 1_000_000, "resp": {} }).to_string()).await?;
    hangs_up(b, b.limits.answer / 2 + b.limits.slack).await
}

async fn silence(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.link.mute_keepalive = true);
    keepalive(b).await?;
    let began = std::time::Instant::now();
    let limit = b.limits.answer + b.limits.slack;
    hangs_up(b, limit).await?;
    let took = began.elapsed();
    let least = b.limits.answer.mul_f64(0.8);
    if took < least {
        return fail(format!(
            "expected {:?} of patience, it hung up after {took:.1?}",
            b.limits.answer
        ));
    }
    Ok(())
}

/// The specification names no longest packet, so that a device may take any.
async fn too_large(b: &mut Bench) -> Outcome {
    let began = std::time::Instant::now();
    match padded(b, MOST + 1).await? {
        Answer::Gone(why) if began.elapsed() > b.limits.answer / 2 + b.limits.slack => {
            deviation(format!(
                "the connection ended after {:.1?}, as that of the public SDK: {why}",
                began.elapsed()
            ))
        }
        Answer::Gone(_) => Ok(()),
        _ => deviation(format!(
            "a request of {} bytes is answered: the device has no limit of 64 KiB, and the specification names none",
            MOST + 1
        )),
    }
}

async fn binary(b: &mut Bench) -> Outcome {
    b.send_binary(NO_TEXT).await?;
    hangs_up(b, b.limits.answer / 2 + b.limits.slack).await
}

async fn malformed(b: &mut Bench, text: &str) -> Outcome {
    b.send(text).await?;
    hangs_up(b, b.limits.answer / 2 + b.limits.slack).await
}
