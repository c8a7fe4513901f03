//! The camera's control page: its streams, its clients, and a button for every fault.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use ivt_hal::{Area, Detection, Trigger};
use ivt_media::frame::CLOCK_HZ;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Unit;
use super::scene::still;
use super::{AlarmQuirk, CameraSim, Fault, Stream, WebFaultRule, onvif};

use crate::host::{Hosts, own_host};
use crate::page::{Asset, CSS, SCRIPT, assets, harden, same_origin, whole_body};

/// Longest time that a fault takes, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;
/// Longest pulse of a trigger, in seconds.
const MAX_PULSE: f64 = 3600.0;
/// Number of requests to the web server that the page lists.
const MAX_ROWS: usize = 50;

/// The files of the page beside the one itself.
const FILES: [Asset; 2] = [
    ("/page/control.css", CSS, include_str!("page/control.css")),
    ("/page/control.js", SCRIPT, include_str!("page/control.js")),
];

/// Serves the page (`GET /`), pictures (`GET /picture/{channel}`), triggers
/// (`POST /trigger/{channel}/{motion|line|input}?on=`, or `?seconds=` for a pulse), its data (`GET /status`), the faults of the web
/// server (`GET` and `POST /web`), the quirks of the event streams and of the ONVIF services (`GET` and `POST /alarm/quirks`,
/// `/onvif/quirks`, a list of names; `GET …/all` lists all), and single faults (`POST /fault/{name}?channel=&seconds=&on=`).
/// `reboot` and `freeze` last `seconds`, `jump` shifts by them either way; `parameters` and `garbage` happen
/// once; `silence` and `refuse` stay until `on=false`.
pub fn router(camera: Arc<CameraSim>) -> Router {
    router_for(camera, &[])
}

/// The same for a page that has further names than the machine's own.
pub fn router_for(camera: Arc<CameraSim>, names: &[String]) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("page/index.html"))))
        .merge(assets(FILES))
        .route("/status", get(status))
        .route("/fault/{name}", post(fault))
        .route("/web", get(web_faults).post(set_web_faults))
        .route("/onvif/quirks", get(onvif_quirks).post(set_onvif_quirks))
        .route("/onvif/quirks/all", get(all_onvif_quirks))
        .route("/alarm/quirks", get(alarm_quirks).post(set_alarm_quirks))
        .route("/alarm/quirks/all", get(all_alarm_quirks))
        .route("/picture/{channel}", get(picture))
        .route("/trigger/{channel}/{name}", post(trigger))
        .layer(from_fn(whole_body))
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(Hosts::new(names), own_host))
        .layer(from_fn(harden))
        .with_state(camera)
}

/// The parameters of a fault.
#[derive(Debug, Default, Deserialize)]
struct Order {
    /// Number of the channel; `None` for every channel.
    channel: Option<usize>,
    seconds: Option<f64>,
    on: Option<bool>,
}

async fn status(State(camera): State<Arc<CameraSim>>) -> Json<Value> {
    let counters = camera.counters();
    let mut cameras = Vec::new();
    for unit in camera.units() {
        cameras.push(seen(unit).await);
    }
    let channel = |(i, counters): (usize, _)| {
        let urls = [Stream::Main, Stream::Sub].map(|stream| camera.rtsp_url(i, stream));
        json!({ "urls": urls, "counters": counters, "camera": cameras[i] })
    };
    let channels: Vec<_> = counters.channels.iter().enumerate().map(channel).collect();
    let mut requests = camera.web_requests();
    requests.drain(..requests.len().saturating_sub(MAX_ROWS));
    let web = json!({
        "url": format!("http://{}/", camera.http_addr()),
        "counters": camera.web_counters(),
        "requests": requests,
    });
    Json(json!({ "connections": counters.connections, "channels": channels, "web": web }))
}

/// An emulated camera as the page shows it.
async fn seen(unit: &Unit) -> Value {
    let world = &unit.emulator.world;
    let (position, triggers) = (world.position(), world.triggers());
    let (line, area) = world.tripwire();
    let wifi = match &unit.channel.wifi {
        Some(wifi) => wifi.status().await.ok(),
        None => None,
    };
    let presets: Vec<_> = world.presets().into_iter().map(|preset| preset.name).collect();
    json!({
        "pan": position.pan, "tilt": position.tilt, "zoom": position.zoom, "moving": position.moving,
        "presets": presets, "tour": world.touring(), "patrol": world.patrolling(),
        "motion": detection(world.motion()), "line": detection(line), "area": corners(area),
        "triggers": { "motion": triggers.motion, "line": triggers.line, "input": triggers.input },
        "wifi": wifi.map(|wifi| json!({ "ssid": wifi.ssid, "status": wifi.status })),
        "away": world.is_away(), "orders": world.orders(),
    })
}

fn detection(detection: Detection) -> Value {
    let Detection { enable, armed, sensitivity, delay } = detection;
    json!({
        "enable": enable, "from": armed.start, "to": armed.end, "sensitivity": sensitivity,
        "delay": delay.as_secs(),
    })
}

fn corners(Area(corners): Area) -> Value {
    corners.iter().map(|point| json!([point.x, point.y])).collect()
}

async fn picture(
    State(camera): State<Arc<CameraSim>>,
    Path(channel): Path<usize>,
) -> Result<impl IntoResponse, StatusCode> {
    let unit = camera.unit(channel).ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(CONTENT_TYPE, "image/jpeg")], still(&unit.emulator.world)))
}

/// Sets off an alarm, or ends it with `on=false`; with `seconds` it ends by itself.
async fn trigger(
    State(camera): State<Arc<CameraSim>>,
    Path((channel, name)): Path<(usize, String)>,
    Query(order): Query<Order>,
) -> Result<StatusCode, (StatusCode, String)> {
    let missing = |what: String| (StatusCode::NOT_FOUND, what);
    let trigger = Trigger::named(&name).ok_or_else(|| {
        missing(format!("there is no trigger `{name}`: motion, line and input are"))
    })?;
    let unit = camera.unit(channel);
    let unit = unit.ok_or_else(|| missing(format!("there is no channel {channel}")))?;
    if let Some(seconds) = order.seconds.filter(|seconds| !(0.0..=MAX_PULSE).contains(seconds)) {
        let expected = format!("expected seconds from 0 to {MAX_PULSE}, got {seconds}");
        return Err((StatusCode::BAD_REQUEST, expected));
    }
    let (active, lasts) = (order.on.unwrap_or(true), order.seconds.map(Duration::from_secs_f64));
    camera.pulses.trigger(channel, &unit.emulator.world, trigger, active, lasts);
    Ok(StatusCode::NO_CONTENT)
}

async fn web_faults(State(camera): State<Arc<CameraSim>>) -> Json<Vec<WebFaultRule>> {
    Json(camera.web_faults())
}

/// Replaces all faults of the web server by the list in the body.
async fn set_web_faults(
    State(camera): State<Arc<CameraSim>>,
    Json(faults): Json<Vec<WebFaultRule>>,
) -> Json<Vec<WebFaultRule>> {
    log::info!(target: "camera", "faults of the web server: {faults:?}");
    camera.set_web_faults(faults.clone());
    Json(faults)
}

async fn onvif_quirks(State(camera): State<Arc<CameraSim>>) -> Json<Vec<String>> {
    Json(camera.onvif_quirks().into_iter().map(|quirk| quirk.to_string()).collect())
}

/// Switches the quirks with these names on, and all others off.
async fn set_onvif_quirks(
    State(camera): State<Arc<CameraSim>>,
    Json(names): Json<Vec<String>>,
) -> Result<Json<Vec<String>>, (StatusCode, String)> {
    let quirks = names.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>();
    let quirks: Vec<onvif::Quirk> =
        quirks.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}")))?;
    log::info!(target: "camera", "quirks of ONVIF: {quirks:?}");
    camera.set_onvif_quirks(quirks);
    Ok(onvif_quirks(State(camera)).await)
}

async fn all_onvif_quirks(State(camera): State<Arc<CameraSim>>) -> Json<Value> {
    let on = camera.onvif_quirks();
    let row = |quirk: onvif::Quirk| {
        let on = on.iter().any(|other| other.name() == quirk.name());
        json!({ "name": quirk.name(), "what": quirk.what(), "report": quirk.report(), "on": on })
    };
    Json(onvif::Quirk::ALL.into_iter().map(row).collect())
}

async fn alarm_quirks(State(camera): State<Arc<CameraSim>>) -> Json<Vec<&'static str>> {
    Json(camera.alarm_quirks().into_iter().map(AlarmQuirk::name).collect())
}

/// Switches the quirks of event streams with these names on, and all others off.
async fn set_alarm_quirks(
    State(camera): State<Arc<CameraSim>>,
    Json(names): Json<Vec<String>>,
) -> Result<Json<Vec<&'static str>>, (StatusCode, String)> {
    let quirks = names.iter().map(|name| name.parse()).collect::<Result<Vec<AlarmQuirk>, _>>();
    let quirks = quirks.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}")))?;
    log::info!(target: "camera", "quirks of event streams: {quirks:?}");
    camera.set_alarm_quirks(quirks);
    Ok(alarm_quirks(State(camera)).await)
}

async fn all_alarm_quirks(State(camera): State<Arc<CameraSim>>) -> Json<Value> {
    let on = camera.alarm_quirks();
    let row = |quirk: AlarmQuirk| {
        let on = on.contains(&quirk);
        json!({ "name": quirk.name(), "what": quirk.what(), "report": quirk.report(), "on": on })
    };
    Json(AlarmQuirk::ALL.into_iter().map(row).collect())
}

async fn fault(
    State(camera): State<Arc<CameraSim>>,
    Path(name): Path<String>,
    Query(order): Query<Order>,
) -> Result<StatusCode, (StatusCode, String)> {
    let fault = parse(&name, &order)?;
    let injected = camera.inject(order.channel, fault);
    injected.map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))?;
    log::info!(target: "camera", "{fault:?} of {}", match order.channel {
        Some(channel) => format!("channel {channel}"),
        None => "all channels".to_owned(),
    });
    Ok(StatusCode::NO_CONTENT)
}

fn parse(name: &str, order: &Order) -> Result<Fault, (StatusCode, String)> {
    let seconds = order.seconds.unwrap_or(5.0);
    let least = if name == "jump" { -MAX_SECONDS } else { 0.0 };
    if !(least..=MAX_SECONDS).contains(&seconds) {
        let expected = format!("expected seconds from {least} to {MAX_SECONDS}, got {seconds}");
        return Err((StatusCode::BAD_REQUEST, expected));
    }
    let on = order.on.unwrap_or(true);
    Ok(match name {
        "reboot" => Fault::Reboot(Duration::from_secs_f64(seconds)),
        "freeze" => Fault::Freeze(Duration::from_secs_f64(seconds)),
        "parameters" => Fault::ChangeParameters,
        "jump" => Fault::Jump((seconds * CLOCK_HZ as f64) as i64),
        "garbage" => Fault::Garbage,
        "silence" => Fault::SilenceAfterDescribe(on),
        "refuse" => Fault::RefuseLogin(on),
        _ => return Err((StatusCode::NOT_FOUND, format!("there is no fault `{name}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seconds: Option<f64>, on: Option<bool>) -> Order {
        Order { channel: None, seconds, on }
    }

    #[test]
    fn names_and_numbers_make_faults() {
        let rows = [
            ("reboot", Some(1.5), None, Fault::Reboot(Duration::from_millis(1500))),
            ("freeze", None, None, Fault::Freeze(Duration::from_secs(5))),
            ("parameters", None, None, Fault::ChangeParameters),
            ("jump", Some(-2.0), None, Fault::Jump(-180_000)),
            ("garbage", None, None, Fault::Garbage),
            ("silence", None, None, Fault::SilenceAfterDescribe(true)),
            ("refuse", None, Some(false), Fault::RefuseLogin(false)),
        ];
        for (name, seconds, on, fault) in rows {
            assert_eq!(parse(name, &order(seconds, on)), Ok(fault));
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for seconds in [-1.0, 1e9, f64::NAN, f64::INFINITY] {
            let (status, _) = parse("reboot", &order(Some(seconds), None)).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{seconds}");
        }
        assert_eq!(parse("explode", &order(None, None)).unwrap_err().0, StatusCode::NOT_FOUND);
    }
}
