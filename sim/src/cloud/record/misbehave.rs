//! Carries out the faults of the recording service on the wire.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use ivt_base::date::Utc;
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
/// The part of a query that marks a request that was redirected already.
const HOP: &str = "hop=1";

/// An answer of the service: an object, or an error with its `info`.
pub(in crate::cloud) fn answer(result: Result<Value, Refused>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err((status, info)) => (status_of(status), Json(json!({ "info": info }))).into_response(),
    }
}

/// The response in place of carrying out a request for `uri`; `None` carries it out.
pub(in crate::cloud) async fn instead(
    fault: Option<&RecordFault>,
    cloud: &Cloud,
    wire: &Wire,
    uri: &Uri,
) -> Option<Response> {
    match fault? {
        RecordFault::Status(status) => Some(answer(Err((*status, "refused on request".into())))),
        RecordFault::Redirect(to) => {
            let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
            Some((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response())
        }
        RecordFault::Hop(status) => {
            let mark = if uri.query().is_some() { '&' } else { '?' };
            Some((status_of(*status), [(LOCATION, format!("{uri}{mark}{HOP}"))]).into_response())
        }
        RecordFault::Busy { status, retry_after } => {
            let busy = answer(Err((*status, "busy on request".into())));
            Some(([(RETRY_AFTER, retry_after.clone())], busy).into_response())
        }
        RecordFault::Xml { status, code, message, date_off } => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let date = UNIX_EPOCH + Duration::from_secs(now.saturating_add_signed(*date_off));
            let headers = [(CONTENT_TYPE, "application/xml".into()), (DATE, http_date(date))];
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>{message}</Message><RequestId>1</RequestId></Error>"
            );
            Some((status_of(*status), headers, body).into_response())
        }
        RecordFault::Body(body) => Some(body.clone().into_response()),
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
        RecordFault::LoseAnswer
        | RecordFault::Slow(_)
        | RecordFault::Uri(_)
        | RecordFault::Odd(_)
        | RecordFault::Beside(_) => None,
    }
}

/// Applies the fault to the answer of a request that was carried out.
pub(in crate::cloud) async fn afterwards(
    fault: Option<&RecordFault>,
    wire: &Wire,
    answer: Response,
) -> Response {
    match fault {
        Some(RecordFault::LoseAnswer) => cut(wire, Cut::Close),
        Some(RecordFault::Slow(rate)) => slowly(answer, *rate).await,
        Some(RecordFault::Odd(body)) => body.clone().into_response(),
        Some(RecordFault::Beside(members)) if answer.status().is_success() => {
            let own = to_bytes(answer.into_body(), HUGE_CHUNK).await.unwrap_or_default();
            let latin = members.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>();
            let members = latin.unwrap_or_else(|| members.clone().into_bytes());
            let own = own.strip_prefix(b"{").unwrap_or_default();
            let comma: &[u8] = if own == b"}" { b"" } else { b"," };
            [b"{", &*members, comma, own].concat().into_response()
        }
        _ => answer,
    }
}

/// Whether a request was sent here by [`RecordFault::Hop`].
pub(in crate::cloud) fn hopped(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == HOP))
}

/// The answer behind a byte order mark.
pub(super) async fn marked(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let mark = stream::iter([Ok(Bytes::from_static("\u{feff}".as_bytes()))]);
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from_stream(mark.chain(body.into_data_stream())))
}

/// A date as the headers of HTTP have it.
fn http_date(time: SystemTime) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    let weekday = WEEKDAYS[(days % 7) as usize];
    let Utc { year, month, day, hour, minute, second } = Utc::from(time);
    let month = MONTHS[(month as usize).saturating_sub(1) % 12];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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
