//! The JSON API of the server, for the page and for scripts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::device::{Device, DeviceInfo};
use super::faults::TlssFaults;
use super::history::Exchange;
use super::reading::Reading;
use super::reply::Reply;
use super::script::{Command, Script};
use super::{Server, history};
use crate::page::Refusal;

/// Number of rows in an answer; the newest are taken.
const MAX_ROWS: usize = 100;
/// Longest text in a row, in bytes.
const MAX_TEXT: usize = 32 << 10;
const BYTES: &str = "application/octet-stream";

type Answer = Result<Json<Value>, Refusal>;

/// The query of `GET /api/exchanges`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    mac: String,
    /// Exchanges up to this number are left out.
    #[serde(default)]
    after: u64,
}

/// The body of `POST /api/command`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandBody {
    mac: String,
    command: String,
}

/// The device that a request is about.
#[derive(Deserialize)]
pub(super) struct Who {
    mac: String,
}

/// The device that a request is about; `None` for all devices.
#[derive(Deserialize)]
pub(super) struct Whom {
    mac: Option<String>,
}

/// The body of `POST /api/script`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptBody {
    /// The device; `None` for all devices.
    mac: Option<String>,
    /// The script. `null` takes a device's own script away, and sets the typical one for all devices.
    script: Option<String>,
}

/// The address for devices, and how they are read.
pub(super) async fn info(State(server): State<Arc<Server>>) -> Json<Value> {
    let silence_ms = match server.reader.how {
        Reading::Silence(silence) => Some(silence.as_millis()),
        Reading::Length => None,
    };
    Json(json!({
        "port": server.addr.port(),
        "silence_ms": silence_ms,
        "connections": server.connections.load(Relaxed),
        "rejected": *server.rejected.borrow(),
    }))
}

/// Every device.
pub(super) async fn devices(State(server): State<Arc<Server>>) -> Json<Vec<DeviceInfo>> {
    Json(server.devices.list().iter().map(|device| device.info()).collect())
}

/// The last exchanges of a device, oldest first.
pub(super) async fn exchanges(
    State(server): State<Arc<Server>>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let all = find(&server, &wanted.mac)?.exchanges();
    let rows: Vec<_> = all.iter().filter(|exchange| exchange.number > wanted.after).collect();
    let rows = &rows[rows.len().saturating_sub(MAX_ROWS)..];
    Ok(Json(rows.iter().map(|exchange| row(exchange)).collect()))
}

fn row(exchange: &Exchange) -> Value {
    let stored = exchange.stored();
    let unstored = stored.clone().and_then(Result::err).map(|why| why.to_string());
    json!({
        "number": exchange.number,
        "session": exchange.session,
        "time_ms": exchange.time_ms,
        "took_ms": exchange.took.as_millis(),
        "command": exchange.command.to_string(),
        "error": exchange.outcome.as_ref().err(),
        "reply": exchange.outcome.as_ref().ok().map(reply),
        "stored": stored.and_then(Result::ok).map(|stored| stored.to_string()),
        "unstored": unstored,
    })
}

fn reply(reply: &Reply) -> Value {
    let parameters = reply.parameters();
    let text = reply.text().map(|text| &text[..text.floor_char_boundary(MAX_TEXT)]);
    let kind = match text {
        _ if reply.body.is_empty() => "empty",
        _ if reply.is_jpeg() => "jpeg",
        _ if !parameters.is_empty() => "parameters",
        Some(_) => "text",
        None => "binary",
    };
    json!({
        "status_line": reply.status_line,
        "status": reply.status(),
        "headers": reply.headers,
        "declared": reply.declared,
        "received": reply.raw.len(),
        "body_bytes": reply.body.len(),
        "blank_line": reply.blank_line,
        "bare": reply.bare,
        "longest_pause_ms": reply.longest_pause.as_millis(),
        "kind": kind,
        "parameters": parameters,
        "text": text.filter(|_| kind == "text"),
    })
}

/// The body of a reply: as a picture where it is one, and never as a page.
pub(super) async fn body(
    State(server): State<Arc<Server>>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let reply = replied(&server.devices.history, number)?;
    let kind = if reply.is_jpeg() { "image/jpeg" } else { BYTES };
    Ok(([(CONTENT_TYPE, kind)], reply.body).into_response())
}

/// A reply unchanged, with its length before it.
pub(super) async fn raw(
    State(server): State<Arc<Server>>,
    Path(number): Path<u64>,
) -> Result<([(axum::http::HeaderName, &'static str); 1], Bytes), Refusal> {
    Ok(([(CONTENT_TYPE, BYTES)], replied(&server.devices.history, number)?.raw))
}

/// Sends a command at once, or when the device calls next.
pub(super) async fn command(
    State(server): State<Arc<Server>>,
    Json(body): Json<CommandBody>,
) -> Answer {
    let command: Command = body.command.parse().map_err(invalid)?;
    let device = find(&server, &body.mac)?;
    if !device.send(command) {
        let full = "too many commands wait for this device".to_owned();
        return Err(Refusal(StatusCode::CONFLICT, full));
    }
    Ok(Json(json!({ "open": device.info().open > 0, "waiting": device.waiting().len() })))
}

/// Closes a device's connection.
pub(super) async fn hang_up(State(server): State<Arc<Server>>, Json(who): Json<Who>) -> Answer {
    find(&server, &who.mac)?.hang_up();
    Ok(Json(json!({})))
}

/// The script of a device, or of all devices: `{"script": …, "own": bool}`.
pub(super) async fn script(State(server): State<Arc<Server>>, Query(whom): Query<Whom>) -> Answer {
    let own = match &whom.mac {
        Some(mac) => find(&server, mac)?.script(),
        None => None,
    };
    let script = own.clone().unwrap_or_else(|| server.script.borrow().clone());
    Ok(Json(json!({ "script": script.text(), "own": own.is_some() })))
}

/// Sets the script of a device, or of all devices, from the next call on.
pub(super) async fn set_script(
    State(server): State<Arc<Server>>,
    Json(body): Json<ScriptBody>,
) -> Answer {
    let script = body.script.map(|text| text.parse::<Script>()).transpose().map_err(invalid)?;
    match &body.mac {
        Some(mac) => server.devices.open(mac).ok_or_else(|| unknown(mac))?.set_script(script),
        None => _ = server.script.send_replace(script.unwrap_or_default()),
    }
    Ok(Json(json!({})))
}

/// The present faults.
pub(super) async fn faults(State(server): State<Arc<Server>>) -> Json<TlssFaults> {
    Json(server.faults.borrow().clone())
}

/// Replaces the set of faults by the body.
pub(super) async fn set_faults(
    State(server): State<Arc<Server>>,
    Json(faults): Json<TlssFaults>,
) -> Json<TlssFaults> {
    server.faults.send_replace(faults.clone());
    Json(faults)
}

fn find(server: &Server, mac: &str) -> Result<Arc<Device>, Refusal> {
    server.devices.find(mac).ok_or_else(|| unknown(mac))
}

fn replied(history: &history::History, number: u64) -> Result<Reply, Refusal> {
    let exchange = history.find(number);
    let reply = exchange.and_then(|exchange| exchange.outcome.clone().ok());
    let gone = || Refusal(StatusCode::NOT_FOUND, "no such reply, or no longer kept".to_owned());
    reply.ok_or_else(gone)
}

fn unknown(mac: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("no device with the MAC address {mac:?} has called"))
}

fn invalid(error: super::ScriptError) -> Refusal {
    Refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}
