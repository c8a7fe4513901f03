//! The routes of the HTTP port.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::{Cloud, api, feed, link, play, record};
use crate::page::{self, Asset, CSS, HTML, SCRIPT, harden, same_origin};

const MAX_BODY: usize = 128 << 10;
/// The files of the pages.
const ASSETS: [Asset; 11] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/recordings", HTML, include_str!("page/recordings.html")),
    ("/page/recordings.css", CSS, include_str!("page/recordings.css")),
    ("/page/app.js", SCRIPT, include_str!("page/app.js")),
    ("/page/packets.js", SCRIPT, include_str!("page/packets.js")),
    ("/page/forms.js", SCRIPT, include_str!("page/forms.js")),
    ("/page/player.js", SCRIPT, include_str!("page/player.js")),
    ("/page/recordfaults.js", SCRIPT, include_str!("page/recordfaults.js")),
    ("/page/recordings.js", SCRIPT, include_str!("page/recordings.js")),
    ("/page/replay.js", SCRIPT, include_str!("page/replay.js")),
    ("/page/timeline.js", SCRIPT, include_str!("page/timeline.js")),
];

/// Every route of the HTTP port.
pub(super) fn router(cloud: Arc<Cloud>) -> Router {
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
        .merge(record::page_routes())
        // Devices send no Origin; the page of another site does, and must not steer the cloud.
        .layer(from_fn(same_origin))
        .route("/ivc", get(link::login))
        .route("/ivc2", get(link::login))
        .merge(record::device_routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(harden))
        .with_state(cloud)
}
