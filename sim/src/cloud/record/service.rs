//! `POST /record/{session}`, `PUT /store/{name}` and `PUT /sink/{anything}`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::super::listener::Remote;
use super::super::{Cloud, now};
use super::body::{MAX_BODY, discard, receive};
use super::faults::{RecordFault, Step};
use super::form::{Call, Create};
use super::misbehave::{afterwards, answer, instead};
use super::session::{CONTENT_TYPE_TS, Refused, Rule, Stored, session_of};
use super::store::Bodies;
use super::{MAX_NAME, Recording};

/// Longest form.
const MAX_FORM: usize = 64 << 10;

/// What devices reach; they send no `Origin`.
pub(in super::super) fn routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/record/{session}", post(call).layer(DefaultBodyLimit::max(MAX_FORM)))
        .route("/store/{name}", put(store))
        .route("/sink/{*name}", put(sink))
}

impl Cloud {
    fn record_fault(&self, step: Step) -> Option<RecordFault> {
        let mut fault = None;
        self.faults.send_if_modified(|faults| {
            fault = faults.record.take(step);
            false // Nobody waits for a countdown.
        });
        fault
    }
}

async fn call(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return answer(Err((413, "the form is too long".into()))) };
    if session.len() > MAX_NAME {
        return answer(Err((404, "no such recording session".into())));
    }
    let Some(recording) = cloud.recorder.open(&session) else {
        return answer(Err((503, "too many recording sessions".into())));
    };
    let call = match Call::parse(&body) {
        Ok(call) => call,
        Err(why) => {
            recording.change(|info| {
                info.calls.malformed += 1;
                info.violate(Rule::Malformed, why.clone());
            });
            return answer(Err((400, why)));
        }
    };
    let step = call.step();
    recording.change(|info| info.count(step));
    let fault = cloud.record_fault(step);
    if let Some(response) = instead(fault.as_ref(), &cloud, &remote.wire).await {
        return response;
    }
    let result = match call {
        Call::Create(create) => create_segment(&cloud, &recording, create, &headers, &fault),
        Call::Save(name) => recording.change(|info| info.confirm(&name)).map(|()| json!({})),
        Call::Fail(name) => recording.change(|info| info.give_up(&name)).map(|()| json!({})),
        Call::Stat { dropped, seconds } => {
            recording.change(|info| info.report(dropped, seconds));
            Ok(json!({}))
        }
        Call::CurrentTime => {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(json!({ "currenttime": time.as_secs_f64() }))
        }
    };
    afterwards(fault.as_ref(), &remote.wire, answer(result)).await
}

fn create_segment(
    cloud: &Cloud,
    recording: &Recording,
    create: Create,
    headers: &HeaderMap,
    fault: &Option<RecordFault>,
) -> Result<Value, Refused> {
    if cloud.faults.borrow().record.not_now {
        recording.change(|info| {
            info.calls.not_now += 1;
            info.confirm_last(&create);
        });
        return Ok(json!({ "name": "", "uri": "" }));
    }
    if cloud.recorder.is_full() {
        return Err((507, "too many segments: start the simulator anew".into()));
    }
    let token = format!("{:032x}", rand::random::<u128>());
    let name = recording.change(|info| {
        let name = info.create(create, token.clone(), now());
        if matches!(fault, Some(RecordFault::LoseAnswer)) {
            info.lose_create(&name);
        }
        name
    });
    let uri = match fault {
        Some(RecordFault::Uri(uri)) => uri.clone(),
        _ => object_url(cloud, headers, &name, &token).ok_or((400, "no Host header".to_owned()))?,
    };
    Ok(json!({ "name": name, "uri": uri }))
}

fn object_url(cloud: &Cloud, headers: &HeaderMap, name: &str, token: &str) -> Option<String> {
    let called = || Url::parse(&format!("http://{}/", headers.get(HOST)?.to_str().ok()?)).ok();
    let mut url = cloud.recorder.base().or_else(called)?;
    url.path_segments_mut().ok()?.extend(["store", name]);
    url.query_pairs_mut().append_pair("token", token);
    Some(url.into())
}

/// The secret of an address.
#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    token: String,
}

async fn store(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(name): Path<String>,
    Query(signature): Query<Signature>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let began = now();
    let Some(recording) = session_of(&name).and_then(|session| cloud.recorder.find(session)) else {
        return answer(Err((404, "no such object".into())));
    };
    if let Err(refused) = check_signature(&cloud, &recording, &name, &signature.token) {
        return answer(Err(refused));
    }
    recording.change(|info| info.count(Step::Put));
    let length = match length(&headers) {
        Ok(length) => length,
        Err(refused) => return answer(Err(refused)),
    };
    let fault = cloud.record_fault(Step::Put);
    let misbehave = instead(fault.as_ref(), &cloud, &remote.wire);
    match read_in_vain(fault.as_ref(), length) {
        Some(portion) => {
            receive(body, portion, None, Bodies::Count).await;
            misbehave.await.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        None => match misbehave.await {
            Some(response) => response,
            None => {
                let result = take(&cloud, &recording, &name, &headers, body, length, began, &fault);
                // A slow one was read slowly: its answer need not be slow as well.
                let fault = fault.as_ref().filter(|fault| !matches!(fault, RecordFault::Slow(_)));
                afterwards(fault, &remote.wire, answer(result.await)).await
            }
        },
    }
}

/// How much of the body is read before a fault shows: all of it, so that the connection can go on,
/// or half, so that it breaks in the middle.
fn read_in_vain(fault: Option<&RecordFault>, length: u64) -> Option<u64> {
    match fault? {
        RecordFault::Reset | RecordFault::Close => Some(length / 2),
        RecordFault::Status(_)
        | RecordFault::Redirect(_)
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
) -> Result<(), Refused> {
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

/// Reads and stores the bytes of a segment.
#[expect(clippy::too_many_arguments, reason = "all of one request")]
async fn take(
    cloud: &Cloud,
    recording: &Recording,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    length: u64,
    began: Instant,
    fault: &Option<RecordFault>,
) -> Result<Value, Refused> {
    let rate = if let Some(RecordFault::Slow(rate)) = fault { Some(*rate) } else { None };
    let room = cloud.recorder.under_way.acquire_many(kib(length)).await;
    let got = receive(body, length, rate, cloud.recorder.bodies).await;
    drop(room);
    let got = got.ok_or((400, "the body ended before its Content-Length".to_owned()))?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind != Some(CONTENT_TYPE_TS) {
        recording.change(|info| info.violate(Rule::ContentType, format!("PUT of {kind:?}")));
        return Err((403, format!("the signature is for Content-Type {CONTENT_TYPE_TS}")));
    }
    if let Some(body) = got.body {
        cloud.recorder.store.put(name, body);
    }
    let stored = Stored {
        received: got.bytes,
        sha256: got.sha256,
        put_at: (began, now()),
        answered: !matches!(fault, Some(RecordFault::LoseAnswer)),
    };
    recording.change(|info| info.store(name, stored));
    Ok(json!({}))
}

fn length(headers: &HeaderMap) -> Result<u64, Refused> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length <= MAX_BODY => Ok(length),
        Some(_) => Err((413, format!("segments have at most {MAX_BODY} bytes"))),
        None => Err((411, "Content-Length is missing".into())),
    }
}

fn kib(length: u64) -> u32 {
    u32::try_from(length.div_ceil(1 << 10)).unwrap_or(u32::MAX)
}

async fn sink(State(cloud): State<Arc<Cloud>>, body: Body) -> StatusCode {
    let Some(bytes) = discard(body).await else { return StatusCode::BAD_REQUEST };
    let (puts, total) = &cloud.recorder.sink;
    puts.fetch_add(1, Relaxed);
    total.fetch_add(bytes, Relaxed);
    StatusCode::CREATED
}
