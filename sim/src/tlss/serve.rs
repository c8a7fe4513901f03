//! The routes of the page's port.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::host::{Hosts, own_host};
use crate::page::{self, Asset, CSS, HTML, MAX_BODY, SCRIPT, harden, same_origin, whole_body};

use super::{Server, api};

const ASSETS: [Asset; 5] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/tlss.css", CSS, include_str!("page/tlss.css")),
    ("/page/tlss.js", SCRIPT, include_str!("page/tlss.js")),
    ("/page/exchanges.js", SCRIPT, include_str!("page/exchanges.js")),
    ("/page/tlssfaults.js", SCRIPT, include_str!("page/tlssfaults.js")),
];

pub(super) fn router(server: Arc<Server>, hosts: Hosts) -> Router {
    page::assets(ASSETS.into_iter().chain(page::COMMON))
        .route("/api/info", get(api::info))
        .route("/api/devices", get(api::devices))
        .route("/api/exchanges", get(api::exchanges))
        .route("/api/exchanges/{number}/body", get(api::body))
        .route("/api/exchanges/{number}/raw", get(api::raw))
        .route("/api/command", post(api::command))
        .route("/api/hang_up", post(api::hang_up))
        .route("/api/script", get(api::script).post(api::set_script))
        .route("/api/faults", get(api::faults).post(api::set_faults))
        .layer(from_fn(whole_body))
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(hosts, own_host))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(harden))
        .with_state(server)
}
