//! The JSON API of the cloud, for the page and for scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use ivt_proto::rpc::RpcError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Cloud;
use super::answers::Answers;
use super::device::{Device, DeviceInfo, NOT_ANSWERED};
use super::faults::Faults;
use super::script::Act;
use super::streams::StreamInfo;
use crate::page::Refusal;

/// Body of `POST /api/call`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    login_code: String,
    method: String,
    #[serde(default)]
    params: Option<Value>,
}

/// Body of `POST /api/event`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventBody {
    login_code: String,
    event: String,
    #[serde(default)]
    params: Option<Value>,
}

/// Body of `POST /api/raw`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBody {
    login_code: String,
    text: String,
}

/// The device that a request is about.
#[derive(Deserialize)]
pub(super) struct Who {
    pub(super) login_code: String,
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self(StatusCode::CONFLICT, error.msg)
    }
}

type Answer = Result<Json<Value>, Refusal>;

/// The port of the RTMP server, and where devices reach both servers where that is elsewhere:
/// `{"rtmp_port": 1935, "public_rtmp": null, "public_http": null}`.
pub(super) async fn info(State(cloud): State<Arc<Cloud>>) -> Json<Value> {
    let public_rtmp = cloud.options.public_rtmp.is_some().then(|| cloud.rtmp_base());
    let public_http = cloud.recorder.base().map(String::from);
    Json(json!({
        "rtmp_port": cloud.rtmp_addr.port(), "public_rtmp": public_rtmp, "public_http": public_http,
    }))
}

/// Every device that has called.
pub(super) async fn devices(State(cloud): State<Arc<Cloud>>) -> Json<Vec<DeviceInfo>> {
    Json(cloud.devices.list().iter().map(|device| device.info()).collect())
}

/// The kept packets of one device as JSON lines.
pub(super) async fn packets(
    State(cloud): State<Arc<Cloud>>,
    Query(who): Query<Who>,
) -> Result<Response, Refusal> {
    let (kept, _) = find(&cloud, &who.login_code)?.packets();
    let lines: String = kept.iter().map(|packet| format!("{}\n", json!(packet.as_ref()))).collect();
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Every RTMP stream that was received.
pub(super) async fn streams(State(cloud): State<Arc<Cloud>>) -> Json<Vec<StreamInfo>> {
    Json(cloud.streams.list())
}

/// The faults that are on.
pub(super) async fn faults(State(cloud): State<Arc<Cloud>>) -> Json<Faults> {
    Json(cloud.faults.borrow().clone())
}

/// Replaces the set of faults by the body.
pub(super) async fn set_faults(
    State(cloud): State<Arc<Cloud>>,
    Json(faults): Json<Faults>,
) -> Json<Faults> {
    cloud.faults.send_replace(faults.clone());
    cloud.script.note(None, || Act::Faults(Box::new(faults.clone())));
    Json(faults)
}

/// The answers to requests of devices.
pub(super) async fn answers(State(cloud): State<Arc<Cloud>>) -> Json<Answers> {
    Json(cloud.answers.borrow().clone())
}

/// Replaces the answers to requests of devices by the body.
pub(super) async fn set_answers(
    State(cloud): State<Arc<Cloud>>,
    Json(answers): Json<Answers>,
) -> Json<Answers> {
    cloud.answers.send_replace(answers.clone());
    cloud.script.note(None, || Act::Answers(Box::new(answers.clone())));
    Json(answers)
}

/// Calls a method of a device and answers `{"resp": …}` as it came, or `{"err": {"code": …, "msg": …}}`.
pub(super) async fn call(State(cloud): State<Arc<Cloud>>, Json(body): Json<CallBody>) -> Answer {
    let CallBody { login_code, method, params } = body;
    let outcome = find(&cloud, &login_code)?.ask(&method, params.clone()).await;
    cloud.script.note(Some(&login_code), || {
        let outcome = outcome.clone();
        Act::Call { method, params, outcome }
    });
    match outcome {
        Ok(value) => Ok(Json(json!({ "resp": value }))),
        Err(error) if error.code == NOT_ANSWERED => Err(error.into()),
        Err(error) => Ok(Json(json!({ "err": { "code": error.code, "msg": error.msg } }))),
    }
}

/// Sends an event to a device.
pub(super) async fn event(State(cloud): State<Arc<Cloud>>, Json(body): Json<EventBody>) -> Answer {
    let EventBody { login_code, event, params } = body;
    find(&cloud, &login_code)?.notify(&event, params.clone()).await?;
    cloud.script.note(Some(&login_code), || Act::Notify { event, params });
    Ok(Json(json!({})))
}

/// Sends a text to a device unchanged.
pub(super) async fn raw(State(cloud): State<Arc<Cloud>>, Json(body): Json<RawBody>) -> Answer {
    let RawBody { login_code, text } = body;
    find(&cloud, &login_code)?.send_raw(text.clone()).await?;
    cloud.script.note(Some(&login_code), || Act::Raw { text });
    Ok(Json(json!({})))
}

/// Closes a device's connection.
pub(super) async fn hang_up(State(cloud): State<Arc<Cloud>>, Json(who): Json<Who>) -> Answer {
    find(&cloud, &who.login_code)?.hang_up().await?;
    cloud.script.note(Some(&who.login_code), || Act::HangUp);
    Ok(Json(json!({})))
}

fn find(cloud: &Cloud, code: &str) -> Result<Arc<Device>, Refusal> {
    let unknown = || format!("no device with login_code {code:?} has called");
    cloud.devices.find(code).ok_or_else(|| Refusal(StatusCode::NOT_FOUND, unknown()))
}
