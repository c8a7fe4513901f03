//! The JSON API of the recordings, for the page and for scripts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Cloud;
use super::session::CONTENT_TYPE_TS;
use super::{Calls, DropReport, RecordingInfo, SegmentInfo, Span, SpanKind, Violation};

/// Number of rows of each kind in an answer; the newest are taken.
const MAX_ROWS: usize = 500;

/// Every session, without its segments.
pub(super) async fn list(State(cloud): State<Arc<Cloud>>) -> Json<Value> {
    let all = cloud.recorder.list();
    Json(all.iter().map(|recording| summary(&recording.info.borrow())).collect())
}

fn summary(info: &RecordingInfo) -> Value {
    json!({
        "session": info.session,
        "segments": info.segments.len(),
        "stored": info.stored().count(),
        "bytes": info.stored().map(|segment| segment.received).sum::<u64>(),
        "begin_us": info.stored().map(|segment| segment.start_us).min(),
        "end_us": info.stored().map(SegmentInfo::end_us).max(),
        "dropped": info.drops.iter().map(|report| report.dropped).sum::<u64>(),
        "violations": info.violations.len(),
        "calls": info.calls,
    })
}

/// One session: its last segments, the irregularities of all segments, the device's reports, and the broken
/// rules.
pub(super) async fn one(State(cloud): State<Arc<Cloud>>, Path(session): Path<String>) -> Response {
    let Some(recording) = cloud.recorder.find(&session) else {
        return (StatusCode::NOT_FOUND, "no such recording session").into_response();
    };
    let info = recording.info.borrow();
    let mut counts = HashMap::<_, usize>::new();
    let spans = info.timeline().spans;
    spans.iter().for_each(|span| *counts.entry(span.kind).or_default() += 1);
    let view = View {
        session: &info.session,
        total: info.segments.len(),
        segments: tail(&info.segments)
            .iter()
            .map(|segment| Row { segment, kept: cloud.recorder.object(&segment.name).is_some() })
            .collect(),
        counts,
        spans: tail(&spans),
        calls: info.calls,
        drops: tail(&info.drops),
        violations: tail(&info.violations),
    };
    Json(view).into_response()
}

#[derive(Serialize)]
struct View<'a> {
    session: &'a str,
    total: usize,
    segments: Vec<Row<'a>>,
    counts: HashMap<SpanKind, usize>,
    spans: &'a [Span],
    calls: Calls,
    drops: &'a [DropReport],
    violations: &'a [Violation],
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    segment: &'a SegmentInfo,
    /// Whether the bytes of the segment are kept.
    kept: bool,
}

fn tail<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(MAX_ROWS)..]
}

/// The bytes of a segment, as long as they are kept.
pub(super) async fn object(
    State(cloud): State<Arc<Cloud>>,
    Path((_, name)): Path<(String, String)>,
) -> Response {
    match cloud.recorder.object(&name) {
        Some(body) => ([(CONTENT_TYPE, CONTENT_TYPE_TS)], body).into_response(),
        None => (StatusCode::NOT_FOUND, "no such segment, or no longer kept").into_response(),
    }
}

/// The counts of what the sink received.
pub(super) async fn sink(State(cloud): State<Arc<Cloud>>) -> Response {
    Json(cloud.recorder.sink()).into_response()
}
