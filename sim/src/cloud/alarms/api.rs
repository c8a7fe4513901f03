//! The JSON API of alarms and previews, for the page and for scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::PictureInfo;
use crate::cloud::Cloud;
use crate::cloud::device::Device;
use crate::page::Refusal;

type Answer = Result<Json<Value>, Refusal>;

/// The alarms of a device that are kept, newest first.
pub(super) async fn alarms(State(cloud): State<Arc<Cloud>>, Path(code): Path<String>) -> Answer {
    let alarms = find(&cloud, &code)?.alarms();
    let row = |alarm: &super::AlarmInfo| {
        let mut row = json!(alarm);
        row["picture"] = alarm.picture.as_ref().map_or(Value::Null, |one| shown(&cloud, one));
        row
    };
    Ok(Json(alarms.iter().rev().map(row).collect()))
}

/// The previews of a device that are kept, newest first.
pub(super) async fn previews(State(cloud): State<Arc<Cloud>>, Path(code): Path<String>) -> Answer {
    let previews = find(&cloud, &code)?.previews();
    Ok(Json(previews.iter().rev().map(|preview| shown(&cloud, preview)).collect()))
}

/// The bytes of a picture, whatever type the device named: a browser shows them as a picture or not at all.
pub(super) async fn picture(
    State(cloud): State<Arc<Cloud>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let gone = || Refusal(StatusCode::NOT_FOUND, "no such picture, or no longer kept".into());
    let body = cloud.album.find(&id).ok_or_else(gone)?;
    Ok(([(CONTENT_TYPE, "image/jpeg")], body).into_response())
}

/// A picture, and whether its bytes are kept.
fn shown(cloud: &Cloud, picture: &PictureInfo) -> Value {
    let mut shown = json!(picture);
    shown["kept"] = cloud.album.find(&picture.id).is_some().into();
    shown
}

fn find(cloud: &Cloud, code: &str) -> Result<Arc<Device>, Refusal> {
    let unknown = || format!("no device with login_code {code:?} has called");
    cloud.devices.find(code).ok_or_else(|| Refusal(StatusCode::NOT_FOUND, unknown()))
}
