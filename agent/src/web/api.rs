//! The interface `/api/v1`, a file for each subject.

mod access;
mod bundle;
mod channels;
mod cloud;
mod configuration;
#[cfg(feature = "update")]
mod firmware;
mod health;
mod hosted;
mod live;
mod log;
mod metrics;
mod openapi;
mod network;
mod overview;
mod place;
mod probe;
mod ptz;
mod publishes;
mod settings;
mod system;
mod time;
mod trace;
mod wizard;
mod alarms;
mod detections;
mod recording;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 23] = [
        access::ROUTES,
        bundle::ROUTES,
        channels::ROUTES,
        cloud::ROUTES,
        configuration::ROUTES,
        #[cfg(feature = "update")]
        firmware::ROUTES,
        health::ROUTES,
        hosted::ROUTES,
        live::ROUTES,
        log::ROUTES,
        metrics::ROUTES,
        openapi::ROUTES,
        network::ROUTES,
        overview::ROUTES,
        place::ROUTES,
        probe::ROUTES,
        ptz::ROUTES,
        publishes::ROUTES,
        settings::ROUTES,
        system::ROUTES,
        time::ROUTES,
        trace::ROUTES,
        wizard::ROUTES,
    ];
    subjects.iter().copied().flatten()
}
