//! The interface `/api/v1`, a file for each subject.

mod access;
mod bundle;
mod configuration;
mod health;
mod log;
mod metrics;
mod overview;
mod settings;
mod system;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 9] = [
        access::ROUTES,
        bundle::ROUTES,
        configuration::ROUTES,
        health::ROUTES,
        log::ROUTES,
        metrics::ROUTES,
        overview::ROUTES,
        settings::ROUTES,
        system::ROUTES,
    ];
    subjects.into_iter().flatten()
}
