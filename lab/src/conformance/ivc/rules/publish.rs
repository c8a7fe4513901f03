//! RTMPPublish and RTMPStopPublish.

use std::sync::Arc;
use std::time::Instant;

use ivt_sim::cloud::{RtmpFault, Stream, StreamInfo};
use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

const PUBLISH: &str = "IVT支持的RPC方法 (methods), RTMPPublish";
const STOP: &str = "IVT支持的RPC方法 (methods), RTMPStopPublish";
/// Least and most time of stream in a second.
const PACE: std::ops::Range<f64> = 0.6..1.6;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "publish.arrives",
            PUBLISH,
            "A stream that was accepted arrives at the RTMP server",
            |b| Box::pin(arrives(b)),
        ),
        Rule::new(
            "publish.pace",
            PUBLISH,
            "A second of stream takes a second, and its times only rise",
            |b| Box::pin(pace(b)),
        ),
        Rule::new(
            "publish.keepalive",
            PUBLISH,
            "While a stream is published the Keepalive says state 2 and its stream_id",
            |b| Box::pin(keepalive(b)),
        ),
        Rule::new(
            "publish.duplicate",
            PUBLISH,
            "A second stream of a channel is refused with 12",
            |b| Box::pin(duplicate(b)),
        ),
        Rule::new(
            "publish.same",
            PUBLISH,
            "The request for the stream that runs already is a success",
            |b| Box::pin(same(b)),
        ),
        Rule::new("publish.quality", PUBLISH, "Each quality is published", |b| {
            Box::pin(quality(b))
        }),
        Rule::new(
            "publish.bitrate",
            "通用的error code (codes), 11",
            "A stream above max_bitrate is refused with 11",
            |b| Box::pin(bitrate(b)),
        ),
        Rule::new(
            "publish.no_server",
            "异常处理 (exceptions), 2",
            "A publish to a server that is silent is refused within 20 s",
            |b| Box::pin(no_server(b)),
        ),
        Rule::new("publish.stop", STOP, "RTMPStopPublish ends the stream", |b| Box::pin(stops(b))),
        Rule::new(
            "publish.told_end",
            "Keepalive",
            "After a stream has ended the Keepalive says state 1 and no stream_id",
            |b| Box::pin(told_end(b)),
        ),
        Rule::new(
            "publish.stop_none",
            STOP,
            "To stop a stream that does not exist is a success",
            |b| Box::pin(stops_none(b)),
        ),
    ]
}

/// A stream that the device was asked for.
pub(super) struct Live {
    id: String,
    stream: Arc<Stream>,
}

/// The params of a publish under its own name.
fn params(b: &Bench, id: &str, quality: &str) -> Value {
    json!({
        "channel": b.channel(), "quality": quality, "url": b.rtmp_url(id), "stream_id": id, "max_bitrate": 0,
    })
}

/// Asks for a stream.
async fn start(b: &mut Bench, quality: &str) -> Outcome<Live> {
    let id = b.name("p");
    match b.ask("RTMPPublish", Some(params(b, &id, quality))).await? {
        Answer::Resp(_) => Ok(Live { stream: b.cloud.stream(&id), id }),
        Answer::Refused { code: 101, .. } => not_supported("RTMPPublish is answered 101"),
        Answer::Refused { code, msg } => fail(format!("RTMPPublish is refused with {code}: {msg}")),
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

/// Waits for a picture.
async fn pictures(b: &mut Bench, live: &Live) -> Outcome<StreamInfo> {
    let limit = b.limits.start;
    let stream = Arc::clone(&live.stream);
    match b.during(limit, stream.wait_for(|info| info.key_frames > 0)).await? {
        Some(info) => Ok(info),
        None => fail(format!("RTMPPublish was accepted, and no key picture came within {limit:?}")),
    }
}

/// Stops the stream, whatever was found, and returns that.
async fn then_stop<T>(b: &mut Bench, live: &Live, found: Outcome<T>) -> Outcome<T> {
    let params = json!({ "channel": b.channel(), "stream_id": live.id });
    let stopped = b.ask("RTMPStopPublish", Some(params)).await;
    let found = found?;
    stopped?;
    let stream = Arc::clone(&live.stream);
    b.during(b.limits.start, stream.wait_for(|info| !info.live)).await?;
    Ok(found)
}

async fn arrives(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = async {
        let info = pictures(b, &live).await?;
        let size = info.dimensions.map_or("?".into(), |(w, h)| format!("{w}×{h}"));
        let (video, audio) = (info.video.unwrap_or("?"), info.audio.unwrap_or("no sound"));
        b.note(format!("the stream is {video}, {size}, {audio}"));
        if info.malformed > 0 {
            return fail(format!("{} messages of the stream are no FLV", info.malformed));
        }
        Ok(())
    }
    .await;
    then_stop(b, &live, found).await
}

async fn pace(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = paced(b, &live).await;
    then_stop(b, &live, found).await
}

async fn paced(b: &mut Bench, live: &Live) -> Outcome {
    pictures(b, live).await?;
    // What was held at the begin comes at once.
    b.wait(b.limits.quiet).await?;
    let (before, began) = (live.stream.info(), Instant::now());
    b.wait(b.limits.watch).await?;
    let (after, watched) = (live.stream.info(), began.elapsed());
    let time = |info: &StreamInfo| info.last_timestamp_ms.unwrap_or(0);
    let streamed = f64::from(time(&after).wrapping_sub(time(&before))) / 1000.0;
    let rate = streamed / watched.as_secs_f64();
    b.note(format!("{streamed:.1} s of stream came in {:.1} s", watched.as_secs_f64()));
    if after.dts_violations > 0 {
        return fail(format!("{} pictures have a time that does not rise", after.dts_violations));
    }
    if !PACE.contains(&rate) {
        return fail(format!("expected a second of stream in a second, came {rate:.2} s"));
    }
    Ok(())
}

async fn keepalive(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = told(b, &live).await;
    then_stop(b, &live, found).await
}

async fn told(b: &mut Bench, live: &Live) -> Outcome {
    pictures(b, live).await?;
    let state = next_state(b).await?;
    if state["state"] != 2 {
        return fail(format!("expected state 2 while a stream is published: {state}"));
    }
    match state["stream_id"].as_str() {
        Some(id) if id == live.id => Ok(()),
        None | Some("") => deviation("the Keepalive has no stream_id, as that of the public SDK"),
        Some(other) => fail(format!("expected the stream_id {:?}, got {other:?}", live.id)),
    }
}

/// What the next Keepalive tells of the channel.
pub(super) async fn next_state(b: &mut Bench) -> Outcome<Value> {
    let (channel, limit) = (b.channel(), b.limits.next_keepalive());
    match b.until(limit, |packet| channel_in(&packet.text, channel)).await? {
        Some(state) => Ok(state),
        None => fail(format!("no Keepalive came within {limit:?}")),
    }
}

/// What a Keepalive tells of a channel.
pub(super) fn channel_in(text: &str, channel: u32) -> Option<Value> {
    let packet: Value = serde_json::from_str(text).ok()?;
    (packet["req"] == "Keepalive").then_some(())?;
    packet["params"]["channels"].as_array()?.iter().find(|told| told["channel"] == channel).cloned()
}

async fn duplicate(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = async {
        pictures(b, &live).await?;
        let other = b.name("p");
        let answer = b.ask("RTMPPublish", Some(params(b, &other, "sd"))).await?;
        if matches!(answer, Answer::Resp(_)) {
            let params = json!({ "channel": b.channel(), "stream_id": other });
            b.ask("RTMPStopPublish", Some(params)).await?;
        }
        match answer {
            Answer::Refused { code: 12, .. } if live.stream.info().live => Ok(()),
            Answer::Refused { code: 12, .. } => {
                fail("the first stream ended by the second request")
            }
            other => fail(format!("expected 12 for a second stream, got {other:?}")),
        }
    }
    .await;
    then_stop(b, &live, found).await
}

async fn same(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = async {
        pictures(b, &live).await?;
        match b.ask("RTMPPublish", Some(params(b, &live.id, "sd"))).await? {
            Answer::Resp(_) if live.stream.info().live => Ok(()),
            Answer::Refused { code: 12, .. } if live.stream.info().live => {
                deviation("the stream that runs already is refused with 12, as by the public SDK")
            }
            Answer::Resp(_) | Answer::Refused { code: 12, .. } => {
                fail("the stream ended when it was asked for again")
            }
            other => fail(format!("expected a success, got {other:?}")),
        }
    }
    .await;
    then_stop(b, &live, found).await
}

async fn quality(b: &mut Bench) -> Outcome {
    for quality in ["ld", "sd", "hd", "fhd"] {
        let live = start(b, quality).await?;
        let found = pictures(b, &live).await;
        let info = then_stop(b, &live, found).await?;
        let size = info.dimensions.map_or("?".into(), |(w, h)| format!("{w}×{h}"));
        b.note(format!("{quality} is {size}"));
    }
    Ok(())
}

async fn bitrate(b: &mut Bench) -> Outcome {
    let id = b.name("p");
    let mut params = params(b, &id, "hd");
    params["max_bitrate"] = 1.into();
    let answer = b.ask("RTMPPublish", Some(params)).await?;
    if matches!(answer, Answer::Resp(_)) {
        let params = json!({ "channel": b.channel(), "stream_id": id });
        b.ask("RTMPStopPublish", Some(params)).await?;
    }
    match answer {
        Answer::Refused { code: 11, .. } => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("RTMPPublish is answered 101"),
        other => fail(format!("expected 11 for a stream of more than 1 bit/s, got {other:?}")),
    }
}

async fn no_server(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.rtmp = RtmpFault::BlackHole);
    let id = b.name("p");
    let began = Instant::now();
    let answer = b.ask("RTMPPublish", Some(params(b, &id, "sd"))).await;
    b.fault(|faults| faults.rtmp = RtmpFault::None);
    let took = began.elapsed();
    match answer? {
        Answer::Refused { code: 101, .. } => not_supported("RTMPPublish is answered 101"),
        Answer::Refused { .. } => Ok(()),
        Answer::Resp(resp) => {
            let params = json!({ "channel": b.channel(), "stream_id": id });
            b.ask("RTMPStopPublish", Some(params)).await?;
            fail(format!(
                "a success means that the stream is published, and after {took:.1?} it was {resp}"
            ))
        }
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

async fn stops(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    pictures(b, &live).await?;
    let params = json!({ "channel": b.channel(), "stream_id": live.id });
    match b.ask("RTMPStopPublish", Some(params)).await? {
        Answer::Resp(_) => {}
        other => return fail(format!("expected a success, got {other:?}")),
    }
    let limit = b.limits.quiet * 3 + b.limits.slack;
    let stream = Arc::clone(&live.stream);
    match b.during(limit, stream.wait_for(|info| !info.live)).await? {
        Some(_) => Ok(()),
        None => fail(format!("the stream still came {limit:?} after RTMPStopPublish was answered")),
    }
}

async fn told_end(b: &mut Bench) -> Outcome {
    let live = start(b, "sd").await?;
    let found = pictures(b, &live).await;
    then_stop(b, &live, found).await?;
    let state = next_state(b).await?;
    if state["state"] != 1 || !matches!(state["stream_id"].as_str(), None | Some("")) {
        return fail(format!(
            "expected state 1 and no stream_id, since the stream has ended: {state}"
        ));
    }
    Ok(())
}

async fn stops_none(b: &mut Bench) -> Outcome {
    let params = json!({ "channel": b.channel(), "stream_id": "there is no such stream" });
    match b.ask("RTMPStopPublish", Some(params)).await? {
        Answer::Resp(_) => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("RTMPStopPublish is answered 101"),
        other => fail(format!("expected a success, got {other:?}")),
    }
}
