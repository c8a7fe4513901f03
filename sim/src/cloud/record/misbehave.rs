//! Carries out the faults of the recording service on the wire.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::super::Cloud;
use super::faults::RecordFault;
use super::session::Refused;
use crate::listener::{Cut, Wire};

/// Length of an answer that is too long, in bytes.
const HUGE: usize = 1 << 30;
const HUGE_CHUNK: usize = 64 << 10;
/// Longest stall: while nothing is read, nobody sees a device hang up, and connections must not pile up.
const MAX_STALL: Duration = Duration::from_secs(300);
/// Number of pieces of a slow answer in a second.
const TICKS_PER_SECOND: u64 = 10;

/// An answer of the service: an object, or an error with its `info`.
pub(super) fn answer(result: Result<Value, Refused>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err((status, info)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(json!({ "info": info }))).into_response()
        }
    }
}

/// The response in place of carrying out a request; `None` carries it out.
pub(super) async fn instead(
    fault: Option<&RecordFault>,
    cloud: &Cloud,
    wire: &Wire,
) -> Option<Response> {
    match fault? {
        RecordFault::Status(status) => Some(answer(Err((*status, "refused on request".into())))),
        RecordFault::Redirect(to) => {
            let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
            Some((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response())
        }
        RecordFault::DelayMs(ms) => {
            sleep(Duration::from_millis(*ms)).await;
            None
        }
        RecordFault::Stall => {
            let mut shutdown = cloud.shutdown.subscribe();
            let _ = timeout(MAX_STALL, shutdown.wait_for(|stop| *stop)).await;
            Some(cut(wire, Cut::Close))
        }
        RecordFault::Reset => Some(cut(wire, Cut::Reset)),
        RecordFault::Close => Some(cut(wire, Cut::Close)),
        RecordFault::NotJson => {
            let kind = [(CONTENT_TYPE, "text/html")];
            Some((kind, "<html><body>It works!</body></html>").into_response())
        }
        RecordFault::EmptyObject => Some(answer(Ok(json!({})))),
        RecordFault::Huge => Some(huge()),
        RecordFault::NoUri => Some(answer(Ok(json!({ "name": "nowhere" })))),
        RecordFault::LoseAnswer | RecordFault::Slow(_) | RecordFault::Uri(_) => None,
    }
}

/// Applies the fault to the answer of a request that was carried out.
pub(super) async fn afterwards(
    fault: Option<&RecordFault>,
    wire: &Wire,
    answer: Response,
) -> Response {
    match fault {
        Some(RecordFault::LoseAnswer) => cut(wire, Cut::Close),
        Some(RecordFault::Slow(rate)) => slowly(answer, *rate).await,
        _ => answer,
    }
}

/// A response that is never written, since the connection fails before.
fn cut(wire: &Wire, how: Cut) -> Response {
    wire.cut(how);
    StatusCode::NO_CONTENT.into_response()
}

fn huge() -> Response {
    let filler = Bytes::from(vec![b'a'; HUGE_CHUNK]);
    let head = Bytes::from_static(b"{\"name\":\"");
    let pieces = std::iter::once(head).chain(std::iter::repeat_n(filler, HUGE / HUGE_CHUNK));
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn slowly(answer: Response, rate: u64) -> Response {
    let (mut head, body) = answer.into_parts();
    let whole = to_bytes(body, HUGE_CHUNK).await.unwrap_or_default();
    let step = usize::try_from(rate / TICKS_PER_SECOND).unwrap_or(usize::MAX).max(1);
    let pieces = stream::unfold(whole, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(Duration::from_secs(1) / TICKS_PER_SECOND as u32).await;
        let piece = rest.split_to(step.min(rest.len()));
        Some((Ok::<_, Infallible>(piece), rest))
    });
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from_stream(pieces))
}
