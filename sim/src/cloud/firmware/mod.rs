//! The firmware that the cloud offers to devices, which it hosts itself or names elsewhere.

mod api;
mod faults;
mod hosted;
mod range;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, put};

use super::Cloud;

pub use faults::FirmwareFaults;
pub(super) use hosted::Hosted;
pub use hosted::{FirmwareInfo, FirmwareRequest};

/// The routes for devices, which send no `Origin`.
pub(super) fn device_routes() -> Router<Arc<Cloud>> {
    Router::new().route("/firmware/{token}/{file}", get(serve::file))
}

/// The routes for the page and for scripts.
pub(super) fn page_routes() -> Router<Arc<Cloud>> {
    Router::new().route("/api/firmware", get(api::info).post(api::offer).delete(api::withdraw))
}

/// The routes by which the page and scripts send files, which may be long.
pub(super) fn upload_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/api/firmware/image", put(api::image))
        .route("/api/firmware/signature", put(api::signature))
}
