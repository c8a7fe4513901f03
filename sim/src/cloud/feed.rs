//! Sends the packets of one device to a page as they happen. A page that is too slow loses some and is told how
//! many.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::Cloud;
use super::api::Who;
use super::device::Device;

/// Longest message of a page, in bytes; pages have nothing to say.
const MAX_MESSAGE: usize = 4 << 10;
/// A page that takes no bytes for this time is cut off.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// `GET /feed?login_code=…`: `{"packet": …}`, `{"lost": n}` and `{"online": bool}` messages.
pub(super) async fn open(
    State(cloud): State<Arc<Cloud>>,
    Query(who): Query<Who>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(device) = cloud.devices.open(&who.login_code).filter(|d| !d.code().is_empty()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many devices").into_response();
    };
    let Ok(seat) = cloud.page_seats.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages").into_response();
    };
    limit(upgrade).on_upgrade(async move |mut socket| {
        let mut shutdown = cloud.shutdown.subscribe();
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            _ = serve(&device, &mut socket) => {}
        }
        drop(seat);
    })
}

/// Sets the bounds of a page's socket.
pub(super) fn limit(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE)
}

/// Sends one message; `None` when the page is gone or takes no bytes.
pub(super) async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(WRITE_PATIENCE, socket.send(message)).await.ok()?.ok()
}

async fn serve(device: &Device, socket: &mut WebSocket) -> Option<()> {
    let (kept, mut feed) = device.packets();
    let mut online = device.online_changes();
    for packet in kept {
        say(socket, json!({ "packet": packet.as_ref() })).await?;
    }
    loop {
        let now = online.borrow_and_update().is_some();
        say(socket, json!({ "online": now })).await?;
        loop {
            tokio::select! {
                packet = feed.recv() => match packet {
                    Ok(packet) => say(socket, json!({ "packet": packet.as_ref() })).await?,
                    Err(RecvError::Lagged(lost)) => say(socket, json!({ "lost": lost })).await?,
                    Err(RecvError::Closed) => return None,
                },
                changed = online.changed() => { changed.ok()?; break }
                message = socket.recv() => { message?.ok()?; }
            }
        }
    }
}

async fn say(socket: &mut WebSocket, value: Value) -> Option<()> {
    send(socket, Message::Text(value.to_string().into())).await
}
