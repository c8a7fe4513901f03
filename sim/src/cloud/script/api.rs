//! The calls of the page: begin, end, how much there is, and the file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::toml::{self, Own};
use crate::cloud::Cloud;
use crate::cloud::api::Who;
use crate::page::Refusal;

/// Body of `POST /api/script`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    login_code: String,
    on: bool,
}

/// How much is kept for a device: `{"on": true, "acts": 3, "left_out": 0}`.
pub(super) async fn state(State(cloud): State<Arc<Cloud>>, Query(who): Query<Who>) -> Json<Value> {
    Json(told(&cloud, &who.login_code))
}

/// Begins to record for a device, from nothing, or ends.
pub(super) async fn change(
    State(cloud): State<Arc<Cloud>>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refusal> {
    if !change.on {
        cloud.script.end();
        return Ok(Json(told(&cloud, &change.login_code)));
    }
    let Some(device) = cloud.devices.find(&change.login_code) else {
        let what = format!("no device with login_code {:?} has called", change.login_code);
        return Err(Refusal(StatusCode::NOT_FOUND, what));
    };
    cloud.script.begin(&change.login_code, device.online());
    Ok(Json(told(&cloud, &change.login_code)))
}

/// The scenario, as a file.
pub(super) async fn download(
    State(cloud): State<Arc<Cloud>>,
    Query(who): Query<Who>,
) -> Result<Response, Refusal> {
    let none = || Refusal(StatusCode::NOT_FOUND, "nothing was recorded for this device".into());
    let kept = cloud.script.kept(&who.login_code).ok_or_else(none)?;
    let online = cloud.devices.find(&who.login_code).is_some_and(|device| device.online());
    let own = Own { rtmp_port: cloud.rtmp_addr.port(), rtmp_base: cloud.rtmp_base() };
    let text = toml::write(&kept, &cloud.streams.list(), own, online);
    let head = [
        (CONTENT_TYPE, "application/toml"),
        (CONTENT_DISPOSITION, "attachment; filename=\"recorded.toml\""),
    ];
    Ok((head, text).into_response())
}

fn told(cloud: &Cloud, login_code: &str) -> Value {
    match cloud.script.kept(login_code) {
        Some(kept) => {
            json!({ "on": kept.on, "acts": kept.acts.len(), "left_out": kept.left_out })
        }
        None => json!({ "on": false, "acts": 0, "left_out": 0 }),
    }
}
