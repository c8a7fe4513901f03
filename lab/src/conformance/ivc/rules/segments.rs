//! The segments of a recording: their form, length, size, time and order.

use ivt_sim::cloud::{RecordingInfo, Rule as Broken};

use super::record::{KEY, LARGEST, SEGMENT, Session, secs, start, stored, then_stop, until};
use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Outcome, fail};
use crate::conformance::ivc::rule::Rule;

const START: &str = "IVT支持的RPC方法 (methods), StartCloudRecord";
pub(super) const UPLOAD: &str =
    "Cloud recording upload (public documentation of the recording service)";
/// A packet of a transport stream: its length, and its first byte.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// Microseconds in a second.
pub(super) const MICROS: i64 = 1_000_000;
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
        Rule::new(
            "segments.own_time",
            START,
            "With a start_ts below 0 the first segment has the device's own time",
            |b| Box::pin(own_time(b)),
        ),
        Rule::new("segments.start_ts", START, "The first segment has the ordered time", |b| {
            Box::pin(start_ts(b))
        }),
        Rule::new(
            "segments.sequence",
            UPLOAD,
            "Segments follow each other, each stored before the next is created",
            |b| Box::pin(sequence(b)),
        ),
    ]
}

pub(super) fn broken(info: &RecordingInfo, rules: &[Broken]) -> Outcome {
    match info.violations.iter().find(|violation| rules.contains(&violation.rule)) {
        Some(violation) => fail(violation.what.clone()),
        None => Ok(()),
    }
}

/// Records so many segments, and stops.
pub(super) async fn recorded(b: &mut Bench, count: u32) -> Outcome<(Session, RecordingInfo)> {
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

async fn own_time(b: &mut Bench) -> Outcome {
    let session = start(b, |params| params["start_ts"] = (-1).into()).await?;
    let found = stored(b, &session, 1).await;
    let info = then_stop(b, &session, found).await?;
    let first = info.stored().map(|segment| segment.start_us).min().unwrap_or(0);
    // The clock of a device that was never set may say 1970, and no time before that.
    if first <= 0 {
        return fail(format!(
            "expected the device's own time, the first segment begins at {:.6}",
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
