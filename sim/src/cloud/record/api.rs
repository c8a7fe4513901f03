//! What the page and scripts ask of the recordings.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::Cloud;
use super::replay;
use super::session::{CONTENT_TYPE_TS, RecordingInfo};

/// Below the check of pages of other sites.
pub(in super::super) fn routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/api/recordings", get(list))
        .route("/api/recordings/{session}", get(one))
        .route("/api/recordings/{session}/{name}", get(object))
        .route("/api/sink", get(sink))
        .route("/replay/{session}/{name}", get(replay::segment))
}

/// Every session, without its segments.
async fn list(State(cloud): State<Arc<Cloud>>) -> Json<Value> {
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
        "end_us": info.stored().map(super::SegmentInfo::end_us).max(),
        "dropped": info.drops.iter().map(|report| report.dropped).sum::<u64>(),
        "violations": info.violations.len(),
        "calls": info.calls,
    })
}

/// One session with everything the service knows of it.
async fn one(State(cloud): State<Arc<Cloud>>, Path(session): Path<String>) -> Response {
    match cloud.recorder.find(&session) {
        Some(recording) => Json(recording.info()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The bytes of a segment, while they are kept.
async fn object(
    State(cloud): State<Arc<Cloud>>,
    Path((_, name)): Path<(String, String)>,
) -> Response {
    match cloud.recorder.object(&name) {
        Some(body) => ([(CONTENT_TYPE, CONTENT_TYPE_TS)], body).into_response(),
        None => (StatusCode::NOT_FOUND, "no such segment, or no longer kept").into_response(),
    }
}

async fn sink(State(cloud): State<Arc<Cloud>>) -> Response {
    Json(cloud.recorder.sink()).into_response()
}
