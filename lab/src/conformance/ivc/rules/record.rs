//! StartCloudRecord and StopCloudRecord: when a recording runs, and what the Keepalive tells of it.

use std::sync::Arc;
use std::time::Duration;

use ivt_sim::cloud::{Recording, RecordingInfo};
use serde_json::{Value, json};

use super::publish::next_state;
use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

const START: &str = "IVT支持的RPC方法 (methods), StartCloudRecord";
const STOP: &str = "IVT支持的RPC方法 (methods), StopCloudRecord";
/// The ordered length of a segment, in seconds.
pub(super) const SEGMENT: u32 = 2;
/// What a segment may be longer, in seconds, since it ends before a key picture.
pub(super) const KEY: u32 = 10;

/// The ordered size of a segment in bytes. Small devices refuse recordings for which they lack the memory.
pub(super) const LARGEST: u32 = 2 << 20;

/// Longest address that a service may have, in bytes.
const LONGEST_URL: usize = 256;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "record.starts",
            START,
            "A recording that was accepted stores its segments",
            |b| Box::pin(starts(b)),
        ),
        Rule::new(
            "record.keepalive",
            "Keepalive",
            "While a recording runs the Keepalive says its record_session",
            |b| Box::pin(keepalive(b)),
        ),
        Rule::new(
            "record.bitrate",
            "通用的error code (codes), 11",
            "A recording above max_bitrate is refused with 11",
            |b| Box::pin(bitrate(b)),
        ),
        Rule::new("record.stop", STOP, "StopCloudRecord ends the recording", |b| {
            Box::pin(stops(b))
        }),
        Rule::new(
            "record.told_end",
            "Keepalive",
            "After a recording has ended the Keepalive says no record_session",
            |b| Box::pin(told_end(b)),
        ),
        Rule::new(
            "record.long_url",
            START,
            "A cbk_url of 256 bytes is asked as it was given",
            |b| Box::pin(long_url(b)),
        ),
        Rule::new(
            "record.stop_none",
            STOP,
            "To stop a recording that does not exist is a success",
            |b| Box::pin(stops_none(b)),
        ),
    ]
}

/// A recording that the device was asked for.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) recording: Arc<Recording>,
}

/// So many seconds.
pub(super) fn secs(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The params of a recording under its own name.
fn params(b: &Bench, id: &str) -> Value {
    json!({
        "session_id": id, "channel": b.channel(), "quality": "sd", "max_bitrate": 0, "seg_duration": SEGMENT,
        "seg_max_size": LARGEST, "seg_max_count": 4, "prerecord_seconds": 0, "start_ts": 0,
        "cbk_url": b.record_url(id),
    })
}

/// Asks for a recording, after a change of its params.
pub(super) async fn start(b: &mut Bench, change: impl FnOnce(&mut Value)) -> Outcome<Session> {
    let id = b.name("r");
    let mut params = params(b, &id);
    change(&mut params);
    match b.ask("StartCloudRecord", Some(params)).await? {
        Answer::Resp(_) => Ok(Session { recording: b.cloud.recording(&id), id }),
        Answer::Refused { code: 101, .. } => not_supported("StartCloudRecord is answered 101"),
        Answer::Refused { code, msg } => {
            fail(format!("StartCloudRecord is refused with {code}: {msg}"))
        }
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

/// Waits until the recording is as `condition` says.
pub(super) async fn until(
    b: &mut Bench,
    session: &Session,
    limit: Duration,
    what: &str,
    condition: impl FnMut(&RecordingInfo) -> bool,
) -> Outcome<RecordingInfo> {
    let recording = Arc::clone(&session.recording);
    match b.during(limit, recording.wait_for(condition)).await? {
        Some(info) => Ok(info),
        None => {
            let info = session.recording.info();
            let (calls, segments) = (info.calls, info.segments.len());
            fail(format!(
                "expected {what} within {limit:?}; {segments} segments were created, {} stored, {} PUTs came",
                info.stored().count(),
                calls.put
            ))
        }
    }
}

/// Waits for so many stored segments.
pub(super) async fn stored(b: &mut Bench, session: &Session, count: u32) -> Outcome<RecordingInfo> {
    let limit = secs((SEGMENT + KEY) * count) + b.limits.start;
    let wanted = count as usize;
    until(b, session, limit, &format!("{count} segments"), |info| info.stored().count() >= wanted)
        .await
}

/// Ends the recording.
pub(super) async fn stop(b: &mut Bench, session: &Session) -> Outcome {
    let params = json!({ "channel": b.channel(), "session_id": session.id });
    match b.ask("StopCloudRecord", Some(params)).await? {
        Answer::Resp(_) => Ok(()),
        other => fail(format!("expected a success of StopCloudRecord, got {other:?}")),
    }
}

/// Stops the recording, whatever was found, and returns that.
pub(super) async fn then_stop<T>(
    b: &mut Bench,
    session: &Session,
    found: Outcome<T>,
) -> Outcome<T> {
    let stopped = stop(b, session).await;
    let found = found?;
    stopped?;
    Ok(found)
}

async fn starts(b: &mut Bench) -> Outcome {
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, 1).await;
    then_stop(b, &session, found).await.map(drop)
}

async fn keepalive(b: &mut Bench) -> Outcome {
    let session = start(b, |_| {}).await?;
    let found = told(b, &session).await;
    then_stop(b, &session, found).await
}

async fn told(b: &mut Bench, session: &Session) -> Outcome {
    let state = next_state(b).await?;
    if state["record_session"] != session.id.as_str() {
        return fail(format!("expected the record_session {:?}: {state}", session.id));
    }
    Ok(())
}

/// What the next Keepalive says of the session; `None` where it says that there is none.
pub(super) async fn claimed(b: &mut Bench) -> Outcome<Option<String>> {
    let state = next_state(b).await?;
    let session = state["record_session"].as_str().filter(|name| !name.is_empty());
    Ok(session.map(str::to_owned))
}

async fn told_end(b: &mut Bench) -> Outcome {
    let session = start(b, |_| {}).await?;
    stop(b, &session).await?;
    match claimed(b).await? {
        None => Ok(()),
        Some(stale) if stale == session.id => deviation(
            "the Keepalive goes on with the record_session of the ended recording, as that of the public gateway",
        ),
        Some(other) => {
            fail(format!("the Keepalive says a record_session that nobody ordered: {other:?}"))
        }
    }
}

async fn long_url(b: &mut Bench) -> Outcome {
    let name = b.name("r");
    let padding = LONGEST_URL.saturating_sub(b.record_url(&name).len());
    // The last bytes tell whether the whole of the address is asked.
    let name = format!("{}{name}", "x".repeat(padding));
    let url = b.record_url(&name);
    let recording = b.cloud.recording(&name);
    let session = start(b, |params| params["cbk_url"] = url.into()).await?;
    let session = Session { recording, ..session };
    let limit = secs(SEGMENT + KEY) + b.limits.start;
    let found = until(b, &session, limit, "a question", |info| info.calls.create > 0).await;
    then_stop(b, &session, found).await.map(drop)
}

async fn bitrate(b: &mut Bench) -> Outcome {
    let id = b.name("r");
    let mut params = params(b, &id);
    params["max_bitrate"] = 1.into();
    let answer = b.ask("StartCloudRecord", Some(params)).await?;
    if matches!(answer, Answer::Resp(_)) {
        let params = json!({ "channel": b.channel(), "session_id": id });
        b.ask("StopCloudRecord", Some(params)).await?;
    }
    match answer {
        Answer::Refused { code: 11, .. } => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("StartCloudRecord is answered 101"),
        other => fail(format!("expected 11 for a recording of more than 1 bit/s, got {other:?}")),
    }
}

async fn stops(b: &mut Bench) -> Outcome {
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, 1).await;
    then_stop(b, &session, found).await?;
    // What was recorded by then may still be sent.
    b.wait(secs(2 * SEGMENT) + b.limits.quiet).await?;
    let before = session.recording.info().segments.len();
    b.wait(secs(2 * SEGMENT) + b.limits.quiet).await?;
    let after = session.recording.info().segments.len();
    if after > before {
        return fail(format!("{} segments were made after StopCloudRecord", after - before));
    }
    Ok(())
}

async fn stops_none(b: &mut Bench) -> Outcome {
    let params = json!({ "channel": b.channel(), "session_id": "conformance-none-00000" });
    match b.ask("StopCloudRecord", Some(params)).await? {
        Answer::Resp(_) => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("StopCloudRecord is answered 101"),
        other => fail(format!("expected a success, got {other:?}")),
    }
}
