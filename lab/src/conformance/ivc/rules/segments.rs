//! The segments of a recording, and the dialogue about them with the recording service.

use std::time::UNIX_EPOCH;

use ivt_sim::cloud::{
    RecordFault, RecordFaults, RecordingInfo, Rule as Broken, SegmentInfo, SegmentState, StepFault,
};

use super::record::{KEY, LARGEST, SEGMENT, Session, secs, start, stop, stored, then_stop, until};
use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Finding, Outcome, deviation, fail};
use crate::conformance::ivc::rule::Rule;

const START: &str = "IVT支持的RPC方法 (methods), StartCloudRecord";
const UPLOAD: &str = "Cloud recording upload (public documentation of the recording service)";
/// A packet of a transport stream: its length, and its first byte.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// Microseconds in a second.
const MICROS: i64 = 1_000_000;
/// Number of segments that the service does not want.
const REFUSALS: u32 = 5;
/// Seconds of pre-recording.
const BEFORE: u32 = 4;
/// A start that was ordered, in seconds since 1970.
const ORDERED: i64 = 1_700_000_000;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "segments.form",
            UPLOAD,
            "A segment is a transport stream, as long as was announced",
            |b| Box::pin(form(b)),
        ),
        Rule::new(
            "segments.duration",
            START,
            "A segment is as long as ordered, up to the next key picture",
            |b| Box::pin(duration(b)),
        ),
        Rule::new("segments.size", START, "A segment is no larger than ordered", |b| {
            Box::pin(size(b))
        }),
        Rule::new("segments.start_ts", START, "The first segment has the ordered time", |b| {
            Box::pin(start_ts(b))
        }),
        Rule::new(
            "segments.sequence",
            UPLOAD,
            "Segments follow each other, each stored before the next is created",
            |b| Box::pin(sequence(b)),
        ),
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
            "While the service wants nothing, no more than the newest prerecord_seconds are kept",
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

fn broken(info: &RecordingInfo, rules: &[Broken]) -> Outcome {
    match info.violations.iter().find(|violation| rules.contains(&violation.rule)) {
        Some(violation) => fail(violation.what.clone()),
        None => Ok(()),
    }
}

/// Records so many segments, and stops.
async fn recorded(b: &mut Bench, count: u32) -> Outcome<(Session, RecordingInfo)> {
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, count).await;
    let info = then_stop(b, &session, found).await?;
    for segment in info.stored() {
        let (length, bytes) = (segment.duration_us as f64 / MICROS as f64, segment.size);
        b.note(format!("{}: {length:.3} s, {bytes} bytes", segment.name));
    }
    Ok((session, info))
}

async fn form(b: &mut Bench) -> Outcome {
    let (_, info) = recorded(b, 1).await?;
    broken(&info, &[Broken::Malformed, Broken::Size, Broken::ContentType])?;
    for segment in info.stored() {
        let Some(body) = b.cloud.object(&segment.name) else { continue };
        let synced = body.chunks(PACKET).all(|packet| packet[0] == SYNC && packet.len() == PACKET);
        if body.is_empty() || !synced {
            return fail(format!(
                "{} is no transport stream: not every 188 bytes begin with 47",
                segment.name
            ));
        }
    }
    Ok(())
}

async fn duration(b: &mut Bench) -> Outcome {
    let (_, info) = recorded(b, 2).await?;
    let (least, most) = (i64::from(SEGMENT) * MICROS * 9 / 10, i64::from(SEGMENT + KEY) * MICROS);
    // The segment that was being recorded when the recording was stopped may be shorter.
    for segment in info.stored().take(2) {
        if !(least..=most).contains(&segment.duration_us) {
            let length = segment.duration_us as f64 / MICROS as f64;
            return fail(format!(
                "expected {SEGMENT} s to {} s, {} has {length:.3} s",
                SEGMENT + KEY,
                segment.name
            ));
        }
    }
    Ok(())
}

async fn size(b: &mut Bench) -> Outcome {
    let (_, info) = recorded(b, 1).await?;
    let rate =
        info.stored().map(|s| s.size as i64 * MICROS / s.duration_us.max(1)).max().unwrap_or(0);
    // Three segments of the usual length.
    let most = (rate * i64::from(3 * SEGMENT)).clamp(64 << 10, LARGEST.into());
    let session = start(b, |params| {
        params["seg_duration"] = 600.into();
        params["seg_max_size"] = most.into();
    })
    .await?;
    let limit = secs(6 * SEGMENT + KEY) + 2 * b.limits.start;
    let found = until(b, &session, limit, "2 segments", |info| info.stored().count() >= 2).await;
    let info = then_stop(b, &session, found).await?;
    match info.stored().find(|segment| segment.size > most.unsigned_abs()) {
        Some(large) => {
            fail(format!("expected at most {most} bytes, {} has {}", large.name, large.size))
        }
        None => Ok(()),
    }
}

async fn start_ts(b: &mut Bench) -> Outcome {
    let session = start(b, |params| params["start_ts"] = ORDERED.into()).await?;
    let found = stored(b, &session, 1).await;
    let info = then_stop(b, &session, found).await?;
    let first = info.stored().map(|segment| segment.start_us).min().unwrap_or(0);
    if (first - ORDERED * MICROS).abs() > MICROS {
        return fail(format!(
            "expected a start at {ORDERED}, got {:.6}",
            first as f64 / MICROS as f64
        ));
    }
    Ok(())
}

async fn sequence(b: &mut Bench) -> Outcome {
    let (_, info) = recorded(b, 3).await?;
    let rules = [
        Broken::UnknownName,
        Broken::NotUploaded,
        Broken::GivenUp,
        Broken::Unfinished,
        Broken::RepeatedPut,
        Broken::ChangedBytes,
        Broken::Discontinuity,
    ];
    broken(&info, &rules)?;
    let all: Vec<_> = info.stored().collect();
    for pair in all.windows(2) {
        let gap = pair[1].start_us - pair[0].end_us();
        if pair[1].discontinue != Some(true) && gap.abs() > MICROS {
            return fail(format!(
                "{} begins {:.3} s after the end of {}",
                pair[1].name,
                gap as f64 / MICROS as f64,
                pair[0].name
            ));
        }
    }
    Ok(())
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

/// When a segment was created, in microseconds since 1970.
fn created(segment: &SegmentInfo) -> i64 {
    let since = segment.created.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Lets the service want a recording after a while.
async fn kept(b: &mut Bench, session: &Session) -> Outcome {
    let limit = secs(REFUSALS * (SEGMENT + KEY)) + b.limits.start;
    let what = format!("a question after each of {REFUSALS} segments");
    until(b, session, limit, &what, |info| info.calls.not_now >= REFUSALS.into()).await?;
    b.fault(|faults| faults.record.not_now = false);
    let info = stored(b, session, 1).await?;
    let Some(first) = info.stored().next() else { return Ok(()) };
    // The clock of the device may be wrong by any time.
    let age = created(first) - first.start_us - info.lag_us.unwrap_or(0);
    let shown = age as f64 / MICROS as f64;
    b.note(format!("the first segment began {shown:.3} s before it was created"));
    // A segment is cut at key pictures only, and the question comes when it is whole.
    let most = i64::from(BEFORE) * MICROS + first.duration_us + 3 * MICROS / 2;
    if age > most {
        return fail(format!(
            "expected about {BEFORE} s of pre-recording, the first segment began {shown:.3} s ago"
        ));
    }
    Ok(())
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

async fn service_error(b: &mut Bench) -> Outcome {
    b.fault(|faults| faults.record.create = StepFault::times(1, RecordFault::Status(500)));
    let session = start(b, |_| {}).await?;
    let found = stored(b, &session, 1).await;
    let asked = session.recording.info().calls.create;
    let _ = stop(b, &session).await;
    match found {
        Ok(_) => Ok(()),
        Err(Finding::Fail(_)) if asked == 1 => deviation(
            "the recording ended with the first error of create, as that of the public SDK",
        ),
        Err(other) => Err(other),
    }
}
