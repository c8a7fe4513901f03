//! The dialogue about segments with the recording service: confirmation, pace, pre-recording, and failures.

use std::time::UNIX_EPOCH;

use ivt_sim::cloud::{
    RecordFault, RecordFaults, RecordingInfo, Rule as Broken, SegmentInfo, SegmentState, StepFault,
};

use super::record::{KEY, SEGMENT, Session, claimed, secs, start, stop, stored, then_stop, until};
use super::segments::{MICROS, UPLOAD, broken, recorded};
use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Finding, Outcome, deviation, fail};
use crate::conformance::ivc::rule::Rule;

const START: &str = "IVT支持的RPC方法 (methods), StartCloudRecord";
/// Number of segments that the service does not want: more than the pre-recording holds.
const REFUSALS: u32 = 5;
/// Seconds of pre-recording: some segments, so that the newest alone is too little.
const BEFORE: u32 = 6;
/// Least and most segments until an uploader has sent what it kept, and asks about each as soon as it is complete.
const CAUGHT_UP: std::ops::Range<usize> = 6..20;
/// Least part of a segment's time from the question for it to the next where an uploader waits for what is recorded.
/// One that catches up asks after 0.5 to 0.8 (field notes).
const IN_STEP: i64 = 90;
/// What the question for a segment may be late by scheduling, in microseconds.
const LATE: i64 = 3 * MICROS / 2;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "segments.confirmed",
            UPLOAD,
            "Every stored segment is confirmed, the last one by save",
            |b| Box::pin(confirmed(b)),
        ),
        Rule::new(
            "segments.pacing",
            UPLOAD,
            "An upload is spread over the time of its segment",
            |b| Box::pin(pacing(b)),
        ),
        Rule::new(
            "segments.prerecord",
            START,
            "While the service wants nothing, the newest prerecord_seconds are kept, and no more",
            |b| Box::pin(prerecord(b)),
        ),
        Rule::new(
            "segments.retry",
            UPLOAD,
            "An upload that the store refuses is tried once more",
            |b| {
                Box::pin(survives(b, |faults| {
                    faults.put = StepFault::times(1, RecordFault::Status(503))
                }))
            },
        ),
        Rule::new("segments.reset", UPLOAD, "An upload that breaks off is tried once more", |b| {
            Box::pin(survives(b, |faults| faults.put = StepFault::times(1, RecordFault::Reset)))
        }),
        Rule::new(
            "segments.give_up",
            UPLOAD,
            "A segment that cannot be stored is given up by fail, or kept until it can",
            |b| Box::pin(gives_up(b)),
        ),
        Rule::new(
            "segments.service_error",
            UPLOAD,
            "A recording goes on after an error of the service",
            |b| Box::pin(service_error(b)),
        ),
    ]
}

async fn confirmed(b: &mut Bench) -> Outcome {
    let (session, _) = recorded(b, 2).await?;
    let limit = secs(SEGMENT + KEY) + b.limits.start;
    let done = |info: &RecordingInfo| {
        info.calls.save > 0
            && info.segments.iter().all(|segment| segment.state == SegmentState::Confirmed)
    };
    let found = until(b, &session, limit, "a confirmation of every segment", done).await;
    found.map(drop).map_err(|finding| match finding {
        Finding::Fail(_) => {
            let info = session.recording.info();
            let open = info.segments.iter().filter(|s| s.state != SegmentState::Confirmed);
            let names: Vec<_> = open.map(|segment| segment.name.as_str()).collect();
            let saves = info.calls.save;
            Finding::Fail(format!(
                "not confirmed within {limit:?}: {names:?}; {saves} calls of save came"
            ))
        }
        other => other,
    })
}

async fn pacing(b: &mut Bench) -> Outcome {
    let session = start(b, |params| params["quality"] = "hd".into()).await?;
    let found = stored(b, &session, 2).await;
    let info = then_stop(b, &session, found).await?;
    let mut best = 0.0_f64;
    for segment in info.stored() {
        let Some((began, ended)) = segment.put_at else { continue };
        let length = segment.duration_us as f64 / MICROS as f64;
        let share = ended.duration_since(began).as_secs_f64() / length.max(0.001);
        b.note(format!("the upload of {} took {share:.2} of its time", segment.name));
        best = best.max(share);
    }
    if best < 0.25 {
        return deviation(format!(
            "uploads took {best:.2} of the time of their segment, others spread them over 0.5 to 0.8"
        ));
    }
    Ok(())
}

async fn prerecord(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.record.not_now = true);
    let session = start(b, |params| params["prerecord_seconds"] = BEFORE.into()).await?;
    let found = kept(b, &session).await;
    b.fault(|faults| faults.record.not_now = false);
    then_stop(b, &session, found).await
}

/// Lets the service want a recording after a while, and looks how far back it reaches.
async fn kept(b: &mut Bench, session: &Session) -> Outcome {
    let limit = secs(REFUSALS * (SEGMENT + KEY)) + b.limits.start;
    let what = format!("a question after each of {REFUSALS} segments");
    until(b, session, limit, &what, |info| info.calls.not_now >= REFUSALS.into()).await?;
    b.fault(|faults| faults.record.not_now = false);
    let limit = secs((SEGMENT + KEY) * CAUGHT_UP.end as u32) + b.limits.start;
    let info = until(b, session, limit, "what was kept, and more", |info| {
        let count = info.stored().count();
        count >= CAUGHT_UP.start && (is_in_step(info) || count >= CAUGHT_UP.end)
    })
    .await?;
    let Some(Reach { kept, longest }) = reach(&info) else { return Ok(()) };
    let seconds = |micros: i64| micros as f64 / MICROS as f64;
    b.note(format!("{:.3} s were kept, in segments of {:.3} s", seconds(kept), seconds(longest)));
    let ordered = i64::from(BEFORE) * MICROS;
    // A segment begins at a key picture: the oldest that is kept may begin before what was ordered, or behind it.
    let (least, most) = (ordered - longest - LATE / 3, ordered + longest + LATE);
    if !(least..=most).contains(&kept) {
        return fail(format!(
            "expected {BEFORE} s of pre-recording, give or take a segment of {:.1} s; {:.3} s were kept",
            seconds(longest),
            seconds(kept)
        ));
    }
    Ok(())
}

/// How far a recording reaches back before it was wanted, and its longest segment, in microseconds.
struct Reach {
    kept: i64,
    longest: i64,
}

/// What the stored segments say of that. The device's clock may be wrong by any time: what it is wrong by is the least
/// time from the end of a segment to the question for it, once the device asks as soon as a segment is complete.
fn reach(info: &RecordingInfo) -> Option<Reach> {
    let wanted = created(info.segments.first()?);
    let begin = info.stored().map(|segment| segment.start_us).min()?;
    let lags = info.segments.iter().map(|segment| created(segment) - segment.end_us());
    let lag = lags.chain(info.lag_us).min()?;
    let longest = info.stored().map(|segment| segment.duration_us).max()?;
    Some(Reach { kept: wanted - begin - lag, longest })
}

/// Whether the newest segment was asked about when it had become complete, and not because the one before was sent.
fn is_in_step(info: &RecordingInfo) -> bool {
    let [.., before, newest] = info.segments.as_slice() else { return false };
    let apart = created(newest) - created(before);
    apart * 100 >= newest.duration_us * IN_STEP
}

/// When a segment was created, in microseconds since 1970.
fn created(segment: &SegmentInfo) -> i64 {
    let since = segment.created.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A recording whose service has a fault for a while, and of which no segment may be missing afterwards.
async fn survives(b: &mut Bench, change: fn(&mut RecordFaults)) -> Outcome {
    b.fault(|faults| change(&mut faults.record));
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, 2).await;
    let info = then_stop(b, &session, found).await?;
    let first = info.segments.first();
    if first.is_some_and(|segment| segment.is_stored()) {
        return Ok(());
    }
    // The device may have asked for another name for the same bytes.
    let start = first.map(|segment| segment.start_us);
    match info.stored().find(|segment| Some(segment.start_us) == start) {
        Some(_) => Ok(()),
        None => fail("the segment whose upload failed once was not sent again"),
    }
}

async fn gives_up(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.record.put = StepFault::always(RecordFault::Status(500)));
    let session = start(b, |_| {}).await?;
    let found = refused(b, &session).await;
    b.fault(|faults| faults.record.put = None);
    let found = match found {
        Ok(()) => stored(b, &session, 1).await.map(drop),
        wrong => wrong,
    };
    then_stop(b, &session, found).await?;
    let info = session.recording.info();
    broken(&info, &[Broken::NotUploaded, Broken::Unfinished])
}

async fn refused(b: &mut Bench, session: &Session) -> Outcome {
    let limit = secs(2 * (SEGMENT + KEY)) + b.limits.start;
    until(b, session, limit, "a second try", |info| info.calls.put >= 2).await.map(drop)
}

/// That an error of the service must not end a recording stands nowhere: but that a Keepalive names only a recording
/// that runs does.
async fn service_error(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.record.create = StepFault::times(1, RecordFault::Status(500)));
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, 1).await;
    let asked = session.recording.info().calls.create;
    let claim = if matches!(found, Err(Finding::Fail(_))) { claimed(b).await? } else { None };
    let _ = stop(b, &session).await;
    match (found, claim) {
        (Ok(_), _) => Ok(()),
        (Err(Finding::Fail(_)), None) if asked == 1 => deviation(
            "the recording ended with the first error of create, as that of the public SDK, and the Keepalive says so",
        ),
        (Err(Finding::Fail(_)), Some(session)) if asked == 1 => fail(format!(
            "the recording ended with the first error of create, and the Keepalive still says record_session {session:?}"
        )),
        (Err(other), _) => Err(other),
    }
}
