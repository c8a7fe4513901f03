//! The interface `/api/v1`, a file for each subject.

mod access;
mod channels;
mod health;
pub(super) mod live;
mod log;
mod overview;
#[cfg(all(feature = "onvif", feature = "profiles"))]
mod probe;
mod ptz;
mod publishes;
mod settings;
mod wizard;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: &[&[Route]] = &[
        access::ROUTES,
        channels::ROUTES,
        health::ROUTES,
        live::ROUTES,
        log::ROUTES,
        overview::ROUTES,
        #[cfg(all(feature = "onvif", feature = "profiles"))]
        probe::ROUTES,
        ptz::ROUTES,
        publishes::ROUTES,
        settings::ROUTES,
        wizard::ROUTES,
    ];
    subjects.iter().copied().flatten()
}
