//! The routes of the HTTP port.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::{Cloud, alarms, api, feed, firmware, link, play, record, script};
use crate::host::{Hosts, own_host};
use crate::page::{self, Asset, CSS, HTML, MAX_BODY, SCRIPT, harden, same_origin, whole_body};

/// The files of the pages.
const ASSETS: [Asset; 18] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/recordings", HTML, include_str!("page/recordings.html")),
    ("/page/recordings.css", CSS, include_str!("page/recordings.css")),
    ("/page/alarms.js", SCRIPT, include_str!("page/alarms.js")),
    ("/page/masked.js", SCRIPT, include_str!("page/masked.js")),
    ("/page/fields.js", SCRIPT, include_str!("page/fields.js")),
    ("/page/firmware.js", SCRIPT, include_str!("page/firmware.js")),
    ("/page/published.js", SCRIPT, include_str!("page/published.js")),
    ("/page/publishes.js", SCRIPT, include_str!("page/publishes.js")),
    ("/page/app.js", SCRIPT, include_str!("page/app.js")),
    ("/page/packets.js", SCRIPT, include_str!("page/packets.js")),
    ("/page/forms.js", SCRIPT, include_str!("page/forms.js")),
    ("/page/recordfaults.js", SCRIPT, include_str!("page/recordfaults.js")),
    ("/page/recordings.js", SCRIPT, include_str!("page/recordings.js")),
    ("/page/replay.js", SCRIPT, include_str!("page/replay.js")),
    ("/page/stepfault.js", SCRIPT, include_str!("page/stepfault.js")),
    ("/page/scenario.js", SCRIPT, include_str!("page/scenario.js")),
    ("/page/switches.js", SCRIPT, include_str!("page/switches.js")),
];

/// Every route of the HTTP port.
pub(super) fn router(cloud: Arc<Cloud>, hosts: Hosts) -> Router {
    page::assets(ASSETS.into_iter().chain(page::COMMON))
        .route("/api/info", get(api::info))
        .route("/api/devices", get(api::devices))
        .route("/api/packets", get(api::packets))
        .route("/api/streams", get(api::streams))
        .route("/api/faults", get(api::faults).post(api::set_faults))
        .route("/api/call", post(api::call))
        .route("/api/event", post(api::event))
        .route("/api/raw", post(api::raw))
        .route("/api/hang_up", post(api::hang_up))
        .route("/feed", get(feed::open))
        .route("/play/{key}", get(play::open))
        .route("/api/answers", get(api::answers).post(api::set_answers))
        .merge(record::page_routes())
        .merge(alarms::page_routes())
        .merge(firmware::page_routes())
        .merge(script::page_routes())
        .layer(from_fn(whole_body))
        .merge(firmware::upload_routes())
        // The page of another site sends its Origin, or bears a name that is not ours, and must not steer the cloud.
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(hosts, own_host))
        // Devices call by whatever name they are configured with, also through a gateway or a host file, and what they
        // may do here is what any device may: they see no page and steer nothing.
        .route("/ivc", get(link::login))
        .route("/ivc2", get(link::login))
        .merge(record::device_routes())
        .merge(alarms::device_routes())
        .merge(firmware::device_routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(harden))
        .with_state(cloud)
}
