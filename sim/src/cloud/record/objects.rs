//! The object store (`PUT /store/{name}`), and a sink that counts bytes (`PUT /sink/{anything}`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Cloud, now};
use super::Recording;
use super::body::{MAX_BODY, discard, receive};
use super::faults::{RecordFault, Step};
use super::info::{Rule, SegmentInfo, session_of};
use super::misbehave::{afterwards, answer, hopped, instead};
use super::session::{CONTENT_TYPE_TS, Refused, Stored};
use super::store::Bodies;
use crate::listener::Remote;

/// The secret of an upload address.
#[derive(Deserialize)]
pub(super) struct Signature {
    #[serde(default)]
    token: String,
}

/// Takes the bytes of a segment.
pub(super) async fn store(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(name): Path<String>,
    Query(signature): Query<Signature>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let began = now();
    let length = length(&headers);
    let recording = session_of(&name).and_then(|session| cloud.recorder.find(session));
    let recording = recording.ok_or((404, "no such object".to_owned()));
    let recording = recording.and_then(|recording| {
        check_signature(&cloud, &recording, &name, &signature.token, &uri).map(|()| recording)
    });
    let recording = match recording {
        Ok(recording) => recording,
        Err(refused) => {
            // A device that is still sending would lose the answer with the connection.
            receive(body, length.unwrap_or(0), None, Bodies::Count).await;
            return answer(Err(refused));
        }
    };
    recording.change(|info| info.count(Step::Put));
    let length = match length {
        Ok(length) => length,
        Err(refused) => return answer(Err(refused)),
    };
    let fault = if hopped(&uri) { None } else { cloud.record_fault(Step::Put) };
    let misbehave = instead(fault.as_ref(), &cloud, &remote.wire, &uri);
    if let Some(portion) = read_in_vain(fault.as_ref(), length) {
        receive(body, portion, None, Bodies::Count).await;
        return misbehave
            .await
            .unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    }
    if let Some(response) = misbehave.await {
        return response;
    }
    let stored_again = cloud.faults.borrow().record.stored_again;
    if let Some(status) = stored_again
        && recording.info.borrow().segment(&name).is_some_and(SegmentInfo::is_stored)
    {
        receive(body, length, None, Bodies::Count).await;
        return answer(Err((status, "there is an object of this name".into())));
    }
    let upload = Upload { cloud: &cloud, recording: &recording, name: &name, length, began };
    let result = upload.take(body, &headers, fault.as_ref()).await;
    // A slow request was read slowly: its answer need not be slow as well.
    let fault = fault.as_ref().filter(|fault| !matches!(fault, RecordFault::Slow(_)));
    afterwards(fault, &remote.wire, answer(result)).await
}

/// Counts the bytes of any body.
pub(super) async fn sink(State(cloud): State<Arc<Cloud>>, body: Body) -> StatusCode {
    let Some(bytes) = discard(body).await else { return StatusCode::BAD_REQUEST };
    let (puts, total) = &cloud.recorder.sink;
    puts.fetch_add(1, Relaxed);
    total.fetch_add(bytes, Relaxed);
    StatusCode::CREATED
}

/// Number of bytes of the body that are read before a fault shows: all, so that the connection can go on, or
/// half, so that it breaks in the middle.
fn read_in_vain(fault: Option<&RecordFault>, length: u64) -> Option<u64> {
    match fault? {
        RecordFault::Reset | RecordFault::Close => Some(length / 2),
        RecordFault::Status(_)
        | RecordFault::Redirect(_)
        | RecordFault::Hop(_)
        | RecordFault::Busy { .. }
        | RecordFault::Xml { .. }
        | RecordFault::Body(_)
        | RecordFault::NotJson
        | RecordFault::EmptyObject
        | RecordFault::Huge
        | RecordFault::NoUri => Some(length),
        _ => None,
    }
}

fn check_signature(
    cloud: &Cloud,
    recording: &Recording,
    name: &str,
    token: &str,
    uri: &Uri,
) -> Result<(), Refused> {
    if let Some(odd) = &cloud.faults.borrow().record.odd_query {
        let signed = format!("token={token}&{odd}");
        let query = uri.query().unwrap_or_default();
        if query != signed && query.strip_suffix("&hop=1") != Some(&*signed) {
            return Err((403, "the signature does not match: the query was rewritten".into()));
        }
    }
    let good_for = cloud.faults.borrow().record.url_seconds.map(Duration::from_secs);
    let info = recording.info.borrow();
    let segment = info.segment(name).ok_or((404, "no such object".to_owned()))?;
    if segment.token != token {
        return Err((403, "the signature does not match".into()));
    }
    if good_for.is_some_and(|good| now().saturating_duration_since(segment.created_at) >= good) {
        return Err((403, "the address has expired".into()));
    }
    Ok(())
}

fn length(headers: &HeaderMap) -> Result<u64, Refused> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length <= MAX_BODY => Ok(length),
        Some(_) => Err((413, format!("segments have at most {MAX_BODY} bytes"))),
        None => Err((411, "Content-Length is missing".into())),
    }
}

/// A `PUT` that may store its bytes.
struct Upload<'a> {
    cloud: &'a Cloud,
    recording: &'a Recording,
    name: &'a str,
    length: u64,
    began: Instant,
}

impl Upload<'_> {
    async fn take(
        &self,
        body: Body,
        headers: &HeaderMap,
        fault: Option<&RecordFault>,
    ) -> Result<Value, Refused> {
        let recorder = &self.cloud.recorder;
        let rate = if let Some(RecordFault::Slow(rate)) = fault { Some(*rate) } else { None };
        let room = recorder.room(self.length).await;
        let got = receive(body, self.length, rate, recorder.bodies).await;
        drop(room);
        let got = got.ok_or((400, "the body ended before its Content-Length".to_owned()))?;
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind != Some(CONTENT_TYPE_TS) {
            let what = format!("PUT of {kind:?}");
            self.recording.change(|info| info.violate(Rule::ContentType, what));
            return Err((403, format!("the signature is for Content-Type {CONTENT_TYPE_TS}")));
        }
        if let Some(body) = got.body {
            recorder.store.put(self.name, body);
        }
        let stored = Stored {
            received: got.bytes,
            sha256: got.sha256,
            put_at: (self.began, now()),
            answered: !matches!(fault, Some(RecordFault::LoseAnswer)),
        };
        self.recording.change(|info| info.store(self.name, stored));
        Ok(json!({}))
    }
}
