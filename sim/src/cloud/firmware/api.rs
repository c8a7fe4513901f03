//! The JSON API of the firmware, for the page and for scripts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::hosted::{Incoming, MAX_SIGNATURE};
use crate::cloud::Cloud;
use crate::page::Refusal;

/// A page that sends no byte of a file for this time is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// Body of `POST /api/firmware`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offer {
    firmware_model: String,
    /// An address elsewhere; empty offers the hosted image.
    #[serde(default)]
    url: String,
}

/// The name of an image.
#[derive(Deserialize)]
pub(super) struct Name {
    #[serde(default)]
    name: String,
}

type Answer = Result<Json<Value>, Refusal>;

/// What GetFirmware is answered, what is hosted, and who fetched it.
pub(super) async fn info(State(cloud): State<Arc<Cloud>>) -> Json<Value> {
    let mut info = json!(cloud.hosted.info());
    let answers = cloud.answers.borrow();
    info["firmware_model"] = json!(answers.firmware_model);
    info["url"] = json!(answers.firmware_url);
    Json(info)
}

/// Sets what GetFirmware is answered.
pub(super) async fn offer(state: State<Arc<Cloud>>, Json(offer): Json<Offer>) -> Json<Value> {
    state.answers.send_modify(|answers| {
        answers.firmware_model = offer.firmware_model;
        answers.firmware_url = offer.url;
    });
    info(state).await
}

/// Offers nothing any more, and drops the image.
pub(super) async fn withdraw(state: State<Arc<Cloud>>) -> Json<Value> {
    state.hosted.withdraw();
    offer(state, Json(Offer { firmware_model: String::new(), url: String::new() })).await
}

/// Hosts the body as the image, under a new address and without a signature.
pub(super) async fn image(
    state: State<Arc<Cloud>>,
    Query(Name { name }): Query<Name>,
    body: Body,
) -> Answer {
    let mut incoming = Incoming::new().map_err(failed)?;
    receive(body, |bytes| incoming.write(bytes)).await?;
    state.hosted.host(&name, incoming.finish());
    Ok(info(state).await)
}

/// Puts the body beside the image as its signature; an empty one takes the signature away.
pub(super) async fn signature(state: State<Arc<Cloud>>, body: Body) -> Answer {
    let mut signature = Vec::new();
    receive(body, |bytes| {
        if (signature.len() + bytes.len()) as u64 > MAX_SIGNATURE {
            let most = format!("signatures have at most {MAX_SIGNATURE} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, most));
        }
        signature.extend_from_slice(bytes);
        Ok(())
    })
    .await?;
    state.hosted.sign((!signature.is_empty()).then(|| Bytes::from(signature)));
    Ok(info(state).await)
}

/// Hands each piece of a body to `take`.
async fn receive(body: Body, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Refusal> {
    let mut pieces = body.into_data_stream();
    let late = |_| Refusal(StatusCode::REQUEST_TIMEOUT, "the file takes too long".to_owned());
    while let Some(piece) = timeout(PATIENCE, pieces.next()).await.map_err(late)? {
        let piece = piece.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
        take(&piece).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Refusal(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => Refusal(StatusCode::INSUFFICIENT_STORAGE, format!("the image is not kept: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_image_that_is_too_large() {
        for (kind, status) in
            [(io::ErrorKind::FileTooLarge, 413), (io::ErrorKind::StorageFull, 507)]
        {
            assert_eq!(failed(kind.into()).0.as_u16(), status);
        }
    }
}
