//! A channel whose camera is away. The run has to be able to take it away.

use std::time::Instant;

use serde_json::json;

use super::publish::channel_in;
use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Finding, Outcome, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![Rule::new(
        "channel.offline",
        "通用的error code (codes), 103",
        "A stream of a channel whose camera is away is refused with 103, and the Keepalive says state 0",
        |b| Box::pin(offline(b)),
    )]
}

async fn offline(b: &mut Bench) -> Outcome {
    let Some(camera) = b.camera.clone() else {
        return not_supported(
            "not tried: say by --camera-off and --camera-on how the camera is taken away and given back",
        );
    };
    let turned = |on: bool, why: String| {
        let what = if on { "given back" } else { "taken away" };
        Finding::Fail(format!("the camera could not be {what}: {why}"))
    };
    b.note("the camera is taken away");
    // A command that has failed may have done its work in part.
    let found = match camera.turn(false).await {
        Ok(()) => away(b).await,
        Err(why) => Err(turned(false, why)),
    };
    b.note("the camera is given back");
    camera.turn(true).await.map_err(|why| turned(true, why))?;
    if let Err(Finding::Over(_)) = found {
        return found;
    }
    let back = told(b, true).await;
    found?;
    back
}

async fn away(b: &mut Bench) -> Outcome {
    let id = b.name("p");
    let params = json!({
        "channel": b.channel(), "quality": "sd", "url": b.rtmp_url(&id), "stream_id": id, "max_bitrate": 0,
    });
    let answer = b.ask("RTMPPublish", Some(params)).await?;
    if matches!(answer, Answer::Resp(_)) {
        let params = json!({ "channel": b.channel(), "stream_id": id });
        b.ask("RTMPStopPublish", Some(params)).await?;
    }
    match answer {
        Answer::Refused { code: 103, .. } => {}
        Answer::Refused { code: 101, .. } => return not_supported("RTMPPublish is answered 101"),
        other => return fail(format!("expected 103 for a stream of no camera, got {other:?}")),
    }
    let params = json!({ "channel": b.channel() });
    // A device may know the list by heart, or have none.
    match b.ask("GetPTZPresetList", Some(params)).await? {
        Answer::Refused { code: 101 | 103, .. } | Answer::Resp(_) => {}
        other => return fail(format!("expected 103 for the presets of no camera, got {other:?}")),
    }
    told(b, false).await
}

/// Waits for a Keepalive that tells of the channel as it is.
async fn told(b: &mut Bench, online: bool) -> Outcome {
    let (channel, limit) = (b.channel(), b.limits.reconnect);
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let state = b.until(left, |packet| channel_in(&packet.text, channel)).await?;
        match state {
            Some(state) if (state["state"] != 0) == online => return Ok(()),
            Some(_) => {}
            None if online => {
                return fail(format!("the channel was not online again within {limit:?}"));
            }
            None => return fail(format!("no Keepalive said state 0 within {limit:?}")),
        }
    }
}
