//! The alarms that devices report, and the pictures that they send of them.

mod api;
mod faults;
mod log;
mod post;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::Cloud;

pub use faults::AlarmFaults;
pub use log::{AlarmInfo, PictureInfo};
pub(super) use log::{AlarmLog, Album, secret};

/// The routes for devices, which send no `Origin`.
pub(super) fn device_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/alarm/{token}", post(post::alarm).put(post::alarm))
        .route("/preview/{token}", post(post::preview).put(post::preview))
}

/// The routes for the page and for scripts.
pub(super) fn page_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/api/devices/{code}/alarms", get(api::alarms))
        .route("/api/devices/{code}/previews", get(api::previews))
        .route("/api/pictures/{id}", get(api::picture))
}
