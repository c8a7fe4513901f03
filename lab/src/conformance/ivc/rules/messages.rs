//! Messages of the WebSocket that carry a packet in an unusual way.

use std::time::Instant;

use serde_json::json;

use crate::conformance::ivc::bench::{Answer, Bench, ended, reply};
use crate::conformance::ivc::finding::{Outcome, deviation, fail};
use crate::conformance::ivc::rule::Rule;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "packet.pieces",
            "协议特性 (protocol): WebSocket (RFC 6455, 5.4)",
            "A request whose message comes in several frames is answered",
            |b| Box::pin(pieces(b)),
        ),
        Rule::new(
            "packet.binary",
            "应用层协议数据包格式 (packets): JSON as the payload of a message",
            "A request in a binary message is answered, or ends the connection as a malformed one",
            |b| Box::pin(binary(b)),
        ),
    ]
}

/// A request that changes nothing, with characters that frames may cut.
fn request(b: &mut Bench) -> (String, i64) {
    let params = json!({ "channel": b.channel(), "stream_id": "没有 such stream" });
    b.packet("RTMPStopPublish", Some(params))
}

async fn pieces(b: &mut Bench) -> Outcome {
    let (packet, seq) = request(b);
    b.note("the next packet goes in frames of 7 bytes");
    b.send_pieces(packet).await?;
    match b.answer(seq, "RTMPStopPublish, in several frames,").await {
        Ok(Answer::Gone(why)) => {
            b.online().await?;
            fail(format!("the connection ended after a message of several frames: {why}"))
        }
        Ok(_) => Ok(()),
        Err(finding) => {
            // A device that has lost its place in the bytes understands nothing any more.
            let _ = b.device.hang_up().await;
            b.online().await?;
            Err(finding)
        }
    }
}

/// What became of the two requests of which the first is binary.
#[derive(Default)]
struct Fate {
    binary: bool,
    text: bool,
    gone: Option<String>,
}

async fn binary(b: &mut Bench) -> Outcome {
    let (packet, binary) = request(b);
    let began = Instant::now();
    b.send_binary(packet).await?;
    // Answers come in the order of the requests, so that the next one tells whether this one is passed over.
    let (packet, text) = request(b);
    // A device that hangs up may have done so by now.
    let _ = b.device.send_raw(packet).await;
    let (mut fate, limit) = (Fate::default(), b.limits.answer + b.limits.slack);
    let seen = b.until(limit, |packet| {
        let seq = reply(packet).and_then(|answer| answer.get("seq")?.as_i64());
        fate.binary |= seq == Some(binary);
        fate.text |= seq == Some(text);
        fate.gone = ended(packet).map(str::to_owned);
        (fate.text || fate.gone.is_some()).then_some(())
    });
    seen.await?;
    let at_once = began.elapsed() <= b.limits.answer / 2 + b.limits.slack;
    match fate {
        Fate { gone: Some(why), .. } if !at_once => {
            b.online().await?;
            fail(format!(
                "after a binary message nothing was answered until the connection ended: {why}"
            ))
        }
        Fate { gone: Some(why), .. } => {
            b.note(format!("the device took the binary message for a malformed packet: {why}"));
            b.online().await?;
            b.alive("it came back").await
        }
        Fate { text: false, .. } => {
            let _ = b.device.hang_up().await;
            b.online().await?;
            fail(format!("after a binary message a request was not answered within {limit:?}"))
        }
        Fate { binary: false, .. } => {
            deviation("the binary message is passed over: neither answered nor taken for malformed")
        }
        Fate { .. } => Ok(()),
    }
}
