//! The interface `/api/v1`, a file for each subject.

mod access;
mod bundle;
mod channels;
mod cloud;
mod configuration;
mod health;
mod hosted;
mod live;
mod log;
mod metrics;
mod openapi;
mod overview;
mod place;
mod probe;
mod ptz;
mod publishes;
mod settings;
mod system;
mod trace;
mod wizard;
mod alarms;
mod detections;
mod recording;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 20] = [
        access::ROUTES,
        bundle::ROUTES,
        channels::ROUTES,
        cloud::ROUTES,
        configuration::ROUTES,
        health::ROUTES,
        hosted::ROUTES,
        live::ROUTES,
        log::ROUTES,
        metrics::ROUTES,
        openapi::ROUTES,
        overview::ROUTES,
        place::ROUTES,
        probe::ROUTES,
        ptz::ROUTES,
        publishes::ROUTES,
        settings::ROUTES,
        system::ROUTES,
        trace::ROUTES,
        wizard::ROUTES,
    ];
    subjects.into_iter().flatten()
}
