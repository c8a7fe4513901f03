//! The recording service: `POST /record/{session}`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::super::{Cloud, now};
use super::faults::RecordFault;
use super::form::{Call, Create};
use super::info::Rule;
use super::misbehave::{afterwards, answer, hopped, instead, marked};
use super::session::Refused;
use super::{MAX_NAME, Recording};
use crate::listener::Remote;

/// Answers one call of a device.
pub(super) async fn call(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(session): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = served(&cloud, &remote, &session, &uri, &headers, body).await;
    let bom = cloud.faults.borrow().record.bom;
    if bom { marked(answer).await } else { answer }
}

async fn served(
    cloud: &Cloud,
    remote: &Remote,
    session: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return answer(Err((413, "the form is too long".into()))) };
    if session.len() > MAX_NAME {
        return answer(Err((404, "no such recording session".into())));
    }
    let Some(recording) = cloud.recorder.open(session) else {
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
    let fault = if hopped(uri) { None } else { cloud.record_fault(step) };
    if let Some(response) = instead(fault.as_ref(), cloud, &remote.wire, uri).await {
        return response;
    }
    let result = match call {
        Call::Create(create) => {
            let called = called(cloud, headers, remote);
            create_segment(cloud, &recording, create, called, &fault)
        }
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
        Call::NextDts => Ok(json!({ "next_dts": recording.info.borrow().next_dts() })),
    };
    afterwards(fault.as_ref(), &remote.wire, answer(result)).await
}

fn create_segment(
    cloud: &Cloud,
    recording: &Recording,
    create: Create,
    called: Option<Url>,
    fault: &Option<RecordFault>,
) -> Result<Value, Refused> {
    if cloud.faults.borrow().record.not_now {
        recording.change(|info| {
            info.calls.not_now += 1;
            info.note_lag(&create);
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
        _ => object_url(cloud, called, &name, &token)
            .ok_or((400, "the Host header is none".to_owned()))?,
    };
    Ok(json!({ "name": name, "uri": uri }))
}

fn object_url(cloud: &Cloud, called: Option<Url>, name: &str, token: &str) -> Option<String> {
    let mut url = cloud.recorder.base().or(called)?;
    url.path_segments_mut().ok()?.extend(["store", name]);
    url.query_pairs_mut().append_pair("token", token);
    let odd = cloud.faults.borrow().record.odd_query.as_ref().map(|odd| format!("&{odd}"));
    Some(String::from(url) + odd.as_deref().unwrap_or_default())
}

/// The address at which a device called. Deployed uploaders leave the port out of `Host` whichever it is, so that it is
/// ours then; without `Host` it is the address of the connection.
pub(in crate::cloud) fn called(cloud: &Cloud, headers: &HeaderMap, remote: &Remote) -> Option<Url> {
    let authority = match headers.get(HOST).filter(|host| !host.is_empty()) {
        Some(host) => {
            let host: Authority = host.to_str().ok()?.parse().ok()?;
            let port = host.port_u16().unwrap_or(cloud.http_addr.port());
            format!("{}:{port}", host.host())
        }
        None => remote.local?.to_string(),
    };
    Url::parse(&format!("http://{authority}/")).ok()
}
