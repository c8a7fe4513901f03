//! The routes of the recording service and of the page that shows its recordings.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post, put};

use super::super::Cloud;
use super::faults::{RecordFault, Step};
use super::{api, objects, replay, service};
use crate::page::whole_body;

/// Longest form, in bytes.
const MAX_FORM: usize = 64 << 10;

/// The routes for devices, which send no `Origin`.
pub(in super::super) fn device_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/record/{session}", post(service::call).layer(DefaultBodyLimit::max(MAX_FORM)))
        .layer(from_fn(whole_body))
        .route("/store/{name}", put(objects::store))
        .route("/sink/{*name}", put(objects::sink))
}

/// The routes for the page and for scripts.
pub(in super::super) fn page_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/api/recordings", get(api::list))
        .route("/api/recordings/{session}", get(api::one))
        .route("/api/recordings/{session}/{name}", get(api::object))
        .route("/api/sink", get(api::sink))
        .route("/replay/{session}/{name}", get(replay::segment))
}

impl Cloud {
    /// The fault of the next request of this step, counted down.
    pub(super) fn record_fault(&self, step: Step) -> Option<RecordFault> {
        self.take_fault(|faults| faults.record.take(step))
    }
}
