//! Takes the pictures that devices send: `POST /alarm/{token}` and `POST /preview/{token}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::json;

use super::PictureInfo;
use crate::cloud::Cloud;
use crate::cloud::record::misbehave::{afterwards, answer, hopped, instead};
use crate::cloud::record::{Bodies, RecordFault, Refused, StepFault, receive};
use crate::listener::Remote;

/// Longest picture, in bytes.
const MAX_PICTURE: u64 = 2 << 20;
/// Longest content type that is kept, in characters.
const MAX_TYPE: usize = 128;

/// Takes the picture of an alarm.
pub(super) async fn alarm(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(token): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let device = cloud.devices.list().into_iter().find(|device| device.alarm_log().awaits(&token));
    let known = device.is_some();
    let post = Post { cloud: &cloud, remote: &remote, uri: &uri, headers: &headers };
    post.take(known, body, |picture| {
        if let Some(device) = device {
            device.change_alarms(|log| log.add_picture(&token, picture));
        }
    })
    .await
}

/// Takes a preview of a device.
pub(super) async fn preview(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path(token): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let device = cloud.devices.list().into_iter().find(|device| device.preview_token() == token);
    let known = device.is_some();
    let post = Post { cloud: &cloud, remote: &remote, uri: &uri, headers: &headers };
    post.take(known, body, |picture| {
        if let Some(device) = device {
            device.change_alarms(|log| log.add_preview(picture));
        }
    })
    .await
}

/// A request with a picture.
struct Post<'a> {
    cloud: &'a Cloud,
    remote: &'a Remote,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl Post<'_> {
    /// Reads the picture and hands it to `keep`, unless its address is not known or a fault is on.
    async fn take(&self, known: bool, body: Body, keep: impl FnOnce(PictureInfo)) -> Response {
        let length = match self.length() {
            Ok(length) => length,
            Err(refused) => return answer(Err(refused)),
        };
        let fault = if hopped(self.uri) || !known { None } else { self.fault() };
        if matches!(fault, Some(RecordFault::Stall)) {
            return instead(fault.as_ref(), self.cloud, &self.remote.wire, self.uri)
                .await
                .unwrap_or_else(|| answer(Ok(json!({}))));
        }
        let cut = matches!(fault, Some(RecordFault::Reset | RecordFault::Close));
        let rate = if let Some(RecordFault::Slow(rate)) = fault { Some(rate) } else { None };
        let room = self.cloud.recorder.room(length).await;
        // A device that is still sending would lose the answer with the connection.
        let part = if cut { length / 2 } else { length };
        let got = receive(body, part, rate, Bodies::Keep).await;
        drop(room);
        if !known {
            return answer(Err((404, "no alarm or device has this address".into())));
        }
        if let Some(response) =
            instead(fault.as_ref(), self.cloud, &self.remote.wire, self.uri).await
        {
            return response;
        }
        let Some(body) = got.and_then(|got| got.body) else {
            return answer(Err((400, "the body ended before its Content-Length".into())));
        };
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().chars().take(MAX_TYPE).collect();
        keep(self.cloud.album.keep(body, kind));
        // A slow request was read slowly: its answer need not be slow as well.
        let fault = fault.as_ref().filter(|fault| !matches!(fault, RecordFault::Slow(_)));
        afterwards(fault, &self.remote.wire, answer(Ok(json!({})))).await
    }

    fn length(&self) -> Result<u64, Refused> {
        let length = self.headers.get(CONTENT_LENGTH);
        match length.and_then(|length| length.to_str().ok()?.parse().ok()) {
            Some(length) if length <= MAX_PICTURE => Ok(length),
            Some(_) => Err((413, format!("pictures have at most {MAX_PICTURE} bytes"))),
            None => Err((411, "Content-Length is missing".into())),
        }
    }

    fn fault(&self) -> Option<RecordFault> {
        self.cloud.take_fault(|faults| StepFault::take(&mut faults.alarm.picture))
    }
}
