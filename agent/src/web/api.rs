//! The interface `/api/v1`, a file for each subject.

mod access;
mod alarms;
mod bundle;
mod channels;
mod cloud;
mod configuration;
mod detections;
#[cfg(feature = "update")]
mod firmware;
mod health;
mod hosted;
mod live;
mod log;
mod metrics;
mod network;
mod openapi;
mod overview;
mod place;
mod probe;
mod ptz;
mod publishes;
mod recording;
mod settings;
mod system;
mod time;
mod trace;
mod wizard;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    SUBJECTS.iter().copied().flatten()
}

const SUBJECTS: &[&[Route]] = &[
    access::ROUTES,
    alarms::ROUTES,
    bundle::ROUTES,
    channels::ROUTES,
    cloud::ROUTES,
    configuration::ROUTES,
    detections::ROUTES,
    #[cfg(feature = "update")]
    firmware::ROUTES,
    health::ROUTES,
    hosted::ROUTES,
    live::ROUTES,
    log::ROUTES,
    metrics::ROUTES,
    network::ROUTES,
    openapi::ROUTES,
    overview::ROUTES,
    place::ROUTES,
    probe::ROUTES,
    ptz::ROUTES,
    publishes::ROUTES,
    recording::ROUTES,
    settings::ROUTES,
    system::ROUTES,
    time::ROUTES,
    trace::ROUTES,
    wizard::ROUTES,
];
