//! The interface `/api/v1`, a file for each subject.

mod access;
mod bundle;
mod configuration;
mod health;
pub(super) mod live;
mod log;
mod metrics;
mod overview;
mod ptz;
mod settings;
mod system;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 11] = [
        access::ROUTES,
        bundle::ROUTES,
        configuration::ROUTES,
        health::ROUTES,
        live::ROUTES,
        log::ROUTES,
        metrics::ROUTES,
        overview::ROUTES,
        ptz::ROUTES,
        settings::ROUTES,
        system::ROUTES,
    ];
    subjects.into_iter().flatten()
}
