//! Serves a stored segment as fragmented MP4, placed on the time of its session.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use ivt_media::fmp4::{Fragment, Muxer, Tracks};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::super::Cloud;
use super::demux::{DemuxError, frames};

/// The beginning of the page's timeline.
#[derive(Deserialize)]
pub(super) struct Origin {
    /// Microseconds since 1970.
    origin_us: i64,
}

/// `GET /replay/{session}/{name}?origin_us=…`: its content type names the codecs.
pub(super) async fn segment(
    State(cloud): State<Arc<Cloud>>,
    Path((session, name)): Path<(String, String)>,
    Query(Origin { origin_us }): Query<Origin>,
) -> Response {
    let placed = cloud.recorder.find(&session).and_then(|recording| {
        let info = recording.info.borrow();
        info.segment(&name).map(|segment| (segment.start_us, segment.duration_us))
    });
    let (Some((start_us, duration_us)), Some(body)) = (placed, cloud.recorder.object(&name)) else {
        return (StatusCode::NOT_FOUND, "no such segment, or no longer kept").into_response();
    };
    let Ok(offset_us) = u64::try_from(start_us.saturating_sub(origin_us)) else {
        return (StatusCode::BAD_REQUEST, "the segment begins before origin_us").into_response();
    };
    // A large segment takes a while, and everything else runs on this thread.
    match spawn_blocking(move || remux(&body, ticks(offset_us), ticks(duration_us.unsigned_abs())))
        .await
    {
        Ok(Ok((mime, mp4))) => ([(CONTENT_TYPE, mime)], mp4).into_response(),
        Ok(Err(error)) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Microseconds as ticks of 90 kHz.
fn ticks(micros: u64) -> i64 {
    (micros.min(1 << 50) * 9 / 100) as i64
}

/// The type, and an initialisation segment with every frame of `segment` behind it. The first picture is at
/// `offset`, the last ends after `duration`, both in ticks of 90 kHz.
pub(super) fn remux(
    segment: &[u8],
    offset: i64,
    duration: i64,
) -> Result<(String, Bytes), DemuxError> {
    let frames = frames(segment)?;
    let mut tracks = Tracks::default();
    // Of each track the first parameters count: a segment never has two.
    for frame in frames.iter().rev() {
        tracks.learn(&frame.track);
    }
    let mime = tracks.mime().ok_or(DemuxError::Nothing)?;
    let first = frames.iter().find(|frame| frame.is_video()).or(frames.first());
    let begin = first.map_or(0, |frame| frame.dts);
    let mut muxer = Muxer::new(tracks, begin.saturating_sub(offset));
    let mut mp4 = BytesMut::from(muxer.init());
    for frame in frames {
        put(&mut mp4, muxer.push(Arc::new(frame)));
    }
    put(&mut mp4, muxer.finish(begin.saturating_add(duration)));
    Ok((mime, mp4.freeze()))
}

fn put(mp4: &mut BytesMut, fragments: impl IntoIterator<Item = Fragment>) {
    for Fragment { head, data } in fragments {
        mp4.extend([head, data]);
    }
}
